"""Which devices this machine has, and which one a run waits for."""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from llm4top.workspace.jobs.job_settings import wanted_device
from llm4top.workspace.run_states import RunState
from llm4top.workspace.workspace import Workspace

_SIGNS_OF_A_GPU = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@cache
def devices_here() -> tuple[str, ...]:
    """The devices of this machine that do runs, best first: "cuda:0", ..., "mps", "cpu"."""
    # Asking torch takes seconds; where no driver is there is no need to.
    if sys.platform != "darwin" and not any(Path(sign).exists() for sign in _SIGNS_OF_A_GPU):
        return ("cpu",)
    from llm4top.forecasters.model.device import available_devices

    return tuple(name for name in available_devices() if name != "cuda")


def device_for(workspace: Workspace, kind: str, settings: Mapping[str, Any]) -> str:
    """The device that such a run waits for.

    Where any GPU will do, the one with the fewest runs waiting and at work. A device that this
    machine has not is taken as it is, "cuda" too: a worker on another machine may have it.
    """
    wanted = wanted_device(kind, settings)
    here = devices_here()
    if wanted == "auto":
        wanted = "cuda" if here[0].startswith("cuda") else here[0]
    if wanted != "cuda":
        return wanted
    gpus = [name for name in here if name.startswith("cuda")]
    if not gpus:
        return wanted
    states = (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)
    busy = [run.device for run in workspace.runs.list(states=states, limit=None)]
    return min(gpus, key=lambda name: (busy.count(name), gpus.index(name)))
