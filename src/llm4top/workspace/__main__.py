"""``python -m llm4top.workspace``: the process of a run; for people there is ``llm4top worker``."""

import argparse
import sys
from pathlib import Path

from llm4top.errors import LLM4TOPError
from llm4top.workspace.jobs.process import lower_priority
from llm4top.workspace.jobs.supervisor import Supervisor
from llm4top.workspace.jobs.worker import GRACE_S, work_once
from llm4top.workspace.leases import LEASE_S
from llm4top.workspace.run_states import KINDS
from llm4top.workspace.workspace import Workspace


def main(arguments: list[str] | None = None) -> int:
    """Do queued runs until SIGTERM or Ctrl-C, or with ``--once`` one run of one device."""
    parser = argparse.ArgumentParser(prog="python -m llm4top.workspace", description=main.__doc__)
    parser.add_argument("--folder", type=Path, help="The workspace; LLM4TOP_HOME by default.")
    parser.add_argument("--device", action="append", help="Only this device; may be repeated.")
    parser.add_argument("--kind", action="append", help="With --once: only runs of this kind.")
    parser.add_argument("--grace", type=float, default=GRACE_S, help="Seconds to stop politely.")
    parser.add_argument("--lease", type=float, default=LEASE_S, help="Seconds to be heard within.")
    parser.add_argument("--once", action="store_true", help="Do one run in this process and end.")
    options = parser.parse_args(arguments)
    if options.once and len(options.device or ()) != 1:
        parser.error("--once needs one --device")
    if options.once:
        lower_priority()
    try:
        with Workspace.open(options.folder) as workspace:
            if options.once:
                times = {"grace": options.grace, "lease": options.lease}
                work_once(workspace, options.device[0], options.kind or KINDS, **times)
            else:
                times = {"grace": options.grace, "lease": options.lease}
                Supervisor(workspace, devices=options.device, **times).serve()
    except LLM4TOPError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
