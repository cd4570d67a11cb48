"""Shards on Ray Data: one process a device, each with the forecaster loaded once.

Ray gives each process one shard at a time, starts it again where it died, and gives its shard to
another; what a shard becomes is ``work.py``'s. Only names of files travel between the machines.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psutil import pid_exists

from llm4top import __version__
from llm4top.errors import EngineError, LLM4TOPError, ShardError
from llm4top.forecasters.bulk.folder import JOB_FILE, busy
from llm4top.forecasters.bulk.plan import Shard
from llm4top.forecasters.bulk.ray_cluster import started
from llm4top.forecasters.bulk.rows import Facts
from llm4top.forecasters.bulk.work import ATTEMPTS, BUSY_FOLDER, ShardForecaster, Work
from llm4top.text import counted, first_line

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster

_AHEAD = 2
"""Shards that a process is given at a time, so that it never waits for the next."""
_PROBE_S = 120.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What every process needs: the forecaster, what is done with a shard, and what to be equal to.

    Attributes:
        options: Arguments of ``load_forecaster``.
        work: Where the forecasts go.
        identity: The forecaster's, as this machine knows it.
        uses_device: Whether it computes on a GPU where there is one.
    """

    options: Mapping[str, Any]
    work: Work
    identity: str
    uses_device: bool


def forecast_on_ray(
    shards: Sequence[Shard],
    asked: Asked,
    *,
    sources: Sequence[Path] = (),
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[tuple[Shard, Facts]]:
    """Forecast shards, each as soon as a process is free; yields them as they are finished.

    Args:
        shards: What is to be forecast.
        asked: With what.
        sources: Paths that every machine of a cluster must be able to read.
        address: "auto" or HOST:PORT of a running cluster; None starts Ray on this machine, where
            it listens on loopback only and ends with the iterator.
        workers: The most processes; None for one a GPU, else one a core.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: There is no cluster at the address, one of its machines lacks something, or a
            shard failed: names the machine and the record.
    """
    with started(address, workers, gpus=asked.uses_device) as ray:
        if address is not None:
            _check_machines(ray, asked, sources)
        size, cpus, gpus = _pool(ray, asked, workers, len(shards))
        device = "cuda" if gpus else "auto" if _has_mps(asked) else "cpu"
        by_number = {shard.number: shard for shard in shards}
        data = ray.data.from_items(
            [{"shard": shard.to_json()} for shard in shards], override_num_blocks=len(shards)
        ).map_batches(
            _Process,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=_AHEAD),
            fn_constructor_args=(asked, device, __version__),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        try:
            for row in data.iter_rows():
                if row["failure"]:
                    raise ShardError(**json.loads(row["failure"]))
                yield by_number[int(row["number"])], Facts.from_json(row["facts"])
        except ray.exceptions.RayError as error:
            raise _died(error, Path(asked.work.out)) from error


class _Process:
    """What a process does: loads the forecaster, then one shard after the other.

    Failures come back as values, because Ray would wrap an exception in a page of text.
    """

    def __init__(self, asked: Asked, device: str, version: str):
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        self._failure: EngineError | None = None
        machine = this_machine()
        try:
            with _noted(Path(asked.work.out)):
                forecaster = _loaded(asked, device, version)
            self._forecast = ShardForecaster(forecaster, asked.work, machine)
        except Exception as error:
            reason = str(error) if isinstance(error, LLM4TOPError) else first_line(error)
            self._failure = EngineError(f"cannot forecast: {reason}", where=f"machine {machine}")

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Forecast the one shard of a batch."""
        shard = Shard.from_json(str(batch["shard"][0]))
        facts, failure = "", self._failure
        if failure is None:
            try:
                facts = self._forecast(shard).to_json()
            except EngineError as error:
                failure = error
        told = "" if failure is None else json.dumps(_values(failure))
        return {"number": [shard.number], "facts": [facts], "failure": [told]}


def _values(error: EngineError) -> dict[str, str | None]:
    return {"message": error.message, "where": error.where, "hint": error.hint}


def this_machine() -> str:
    """The name and address of the machine of this process."""
    ray = import_module("ray")
    return f"{platform.node()} ({ray.util.get_node_ip_address()})"


@contextmanager
def _noted(out: Path) -> Iterator[None]:
    """Leave a file while the model is loaded; ``EngineError`` where too many died at it here.

    Ray would start another process each time, for ever.
    """
    start = f"loading-{platform.node()}-"
    file = out / BUSY_FOLDER / f"{start}{os.getpid()}"
    pids = [int(path.name.removeprefix(start)) for path in file.parent.glob(f"{start}*")]
    dead = sum(not pid_exists(pid) for pid in pids)
    if dead >= ATTEMPTS:
        raise EngineError(
            f"{counted(dead, 'process', 'processes')} died there while they loaded the model.",
            hint="Check the memory of that machine, with fewer processes (--workers) for instance.",
        )
    file.touch()
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _loaded(asked: Asked, device: str, version: str) -> Forecaster:
    """The forecaster, which must be the one that was asked for."""
    from llm4top.forecasters.load import load_forecaster

    if __version__ != version:
        raise EngineError(
            f"it has LLM4TOP {__version__}, not {version}.",
            hint="Install the same version on all machines.",
        )
    forecaster = load_forecaster(**{**asked.options, "device": device})
    if forecaster.identity != asked.identity:
        raise EngineError(
            f"its model is {forecaster.identity}, not {asked.identity}.",
            hint="Give all machines the same bundle.",
        )
    return forecaster


def _has_mps(asked: Asked) -> bool:
    """Whether the one GPU of a Mac is used, which Ray does not know of."""
    device = asked.options.get("device", "auto")
    return asked.uses_device and sys.platform == "darwin" and device in ("auto", "mps")


def _pool(ray: Any, asked: Asked, workers: int | None, shards: int) -> tuple[int, int, int]:
    """How many processes, and the cores and GPUs of each."""
    found = ray.cluster_resources()
    device = asked.options.get("device", "auto")
    gpus = int(found.get("GPU", 0)) if asked.uses_device and device in ("auto", "cuda") else 0
    if device == "cuda" and not gpus:
        raise EngineError("there is no GPU.", hint="Leave --device out, or give cpu.")
    devices = 1 if _has_mps(asked) else gpus or int(found.get("CPU", 0))
    if not devices:
        raise EngineError("no machine of the cluster offers a core.", hint="Start it with cores.")
    return min(devices, workers or devices, shards), 1, 1 if gpus else 0


def _died(error: Exception, out: Path) -> ShardError:
    """What is known where Ray itself gives up."""
    were = "; ".join(busy(out)[:3])
    at = f" At work were records from {were}." if were else ""
    return ShardError(
        f"Ray has stopped: {first_line(error)[:200]}.{at}",
        where=str(out),
        hint="What is finished stays: give the same command again.",
    )


def _check_machines(ray: Any, asked: Asked, sources: Sequence[Path]) -> None:
    """Raise ``EngineError`` with all that the machines of a cluster lack."""
    nodes = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
    model = Path(str(asked.options.get("model", ""))).expanduser()
    needed = [str(path.absolute()) for path in sources]
    needed += [str(model)] if model.is_absolute() else []
    job = Path(asked.work.out) / JOB_FILE
    ask = ray.remote(num_cpus=0, max_retries=0)(probe)
    asked_of = []
    for node in nodes:
        at = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            node["NodeID"], soft=False
        )
        there = ask.options(scheduling_strategy=at)
        call = there.remote(__version__, needed, str(job), job.read_text("utf-8"))
        asked_of.append((f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})", call))
    faults = []
    for machine, call in asked_of:
        try:
            found = ray.get(call, timeout=_PROBE_S)
        except ray.exceptions.GetTimeoutError:
            found = ["it does not answer."]
        except Exception as error:
            missing = "llm4top" in str(error)
            found = ["LLM4TOP is not installed." if missing else f"{first_line(error)[:200]}."]
        faults += [f"{machine}: {fault}" for fault in found]
    if faults:
        raise EngineError(
            "\n  - ".join(["machines of the cluster cannot forecast:", *dict.fromkeys(faults)]),
            hint="\nAll machines need the same version of LLM4TOP with the extra ray, and the "
            "paths, the model and DIR at the same place on a disk that they share.",
        )


def probe(version: str, needed: Sequence[str], job: str, text: str) -> list[str]:
    """What this machine lacks to forecast, a sentence each."""
    faults = []
    if __version__ != version:
        faults.append(f"it has LLM4TOP {__version__}, not {version}.")
    faults += [f"it cannot read {path}." for path in needed if not os.access(path, os.R_OK)]
    held = ""
    with suppress(OSError):
        held = Path(job).read_text("utf-8")
    if held != text or not os.access(Path(job).parent, os.W_OK):
        faults.append(f"it does not see, or cannot write, {Path(job).parent}.")
    return faults
