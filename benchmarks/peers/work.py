"""What every worker shares: the plan, the model, and the loop that times rounds.

A worker is a process of its own. It reads the plan's file, loads and warms up, says so, and then
runs one round for each line that it is sent. Wall and processor time are taken here, around the
work alone; the peak of memory is the whole process's.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Plan = dict[str, Any]
Round = Callable[[], Sequence[Sequence[float]] | None]


def read_plan() -> Plan:
    """The plan that the command line names; torch's threads are set by it."""
    plan: Plan = json.loads(Path(sys.argv[1]).read_text())
    return plan


def set_threads(plan: Plan) -> None:
    """As many threads for torch as the plan allows."""
    import torch

    torch.set_num_threads(plan["threads"])


def load(plan: Plan, auto: str = "AutoModelForCausalLM", **options: Any) -> Any:
    """The plan's model as transformers loads it, in evaluation mode."""
    import torch
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    set_threads(plan)
    made = getattr(transformers, auto).from_pretrained(
        plan["model"], dtype=getattr(torch, plan["dtype"]), **options
    )
    return made.eval()


def serve(
    warm_up: Callable[[], Any], work: Round, prepare: Callable[[], Any] | None = None
) -> None:
    """Warm up, then one round a line; ``prepare`` goes before each and is not timed."""
    warm_up()
    answer({"ready": True})
    for _ in sys.stdin:
        if prepare is not None:
            prepare()
        wall, cpu = time.perf_counter(), time.process_time()
        logits = work()
        took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        answer({**took, "peak": peak_memory(), "logits": logits})


def peak_memory() -> int:
    """Bytes of memory that this process held at most."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Linux lets a process inherit its parent's ru_maxrss.
        (line,) = (s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def answer(values: dict[str, Any]) -> None:
    """One line of JSON, marked, among what libraries print."""
    print("\n@" + json.dumps(values), flush=True)
