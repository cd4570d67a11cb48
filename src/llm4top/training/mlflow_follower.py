"""A training as a run in MLflow: its folder's events, sent from a thread while it works.

The folder's ``events.jsonl`` has everything already, so nothing is lost where MLflow is away, and a
resumed training sends what is still to be sent to the run that it began.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm4top.errors import BundleError
from llm4top.evaluation.mlflow_runs import (
    MlflowRun,
    MlflowTarget,
    Status,
    figure_metrics,
    open_client,
    slug,
    unless_it_fails,
)
from llm4top.files import write_json
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.model.model_source import HUB_NAME
from llm4top.progress import memory_in_use
from llm4top.training.config import TrainingConfig
from llm4top.training.run_folder import RunFolder

NOTE_FILE = "mlflow.json"
"""In the run's folder: which run of MLflow it is, where, and how many events were sent."""

_EVERY_S = 3.0
_LONGEST_PAUSE_S = 20.0
_LAST_S = 30.0
_STATUS: dict[str, Status] = {
    "running": "RUNNING",
    "done": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
_PLACES = ("data", "out", "base")
_WORDS = ("context_of_use", "licence")
"""Free text, which is not sent to another machine; neither is a path."""

Points = list[tuple[str, float, int, int]]


@contextmanager
def followed(
    config: TrainingConfig,
    data_name: str,
    target: MlflowTarget | None,
    warn: Callable[[str], None],
) -> Iterator[None]:
    """Log the training in ``config.out`` to MLflow while the block runs.

    Args:
        config: The training's settings.
        data_name: The name of its data set.
        target: Where to; None logs nothing.
        warn: Called once, with a sentence, where MLflow cannot be reached.
    """
    if target is None:
        yield
        return
    follower = Follower(config, data_name, target, warn)
    finished = threading.Event()

    def follow() -> None:
        pause = _EVERY_S
        while not finished.wait(pause):
            pause = _EVERY_S if follower.send() else min(2 * pause, _LONGEST_PAUSE_S)
        follower.send()

    thread = threading.Thread(target=follow, name="mlflow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join(_LAST_S)
        if thread.is_alive():
            follower.tell("it gives no answer")


class Follower:
    """Sends what is new in a training's folder; used by one thread."""

    def __init__(
        self,
        config: TrainingConfig,
        data_name: str,
        target: MlflowTarget,
        warn: Callable[[str], None],
    ):
        self.folder = RunFolder(config.out)
        self._data_name = data_name
        self._config, self._target, self._warn = config, target, warn
        self._note = self.folder.path / NOTE_FILE
        self._earlier = len(self.folder.events())
        self._run: MlflowRun | None = None
        self._sent = 0
        self._step = 0

    def send(self) -> bool:
        """Send all events so far; whether MLflow took them. Only the first failure is told."""
        with unless_it_fails() as problems:
            events = self.folder.events()
            # What fails before it begins makes no run: it may be started anew with other settings.
            if any(event["event"] == "begin" for event in events[self._earlier :]):
                self._send(events)
        for problem in problems:
            self.tell(problem)
        return not problems

    def tell(self, problem: str) -> None:
        """Say once that MLflow does not get the figures, and where they are."""
        warn, self._warn = self._warn, lambda _: None
        where = self._target.host or self._target.uri
        warn(
            f"MLflow ({where}) cannot be written to: {problem}. The training goes on without it. "
            f"All figures are in {self.folder.events_file}; they are sent if MLflow is back before "
            "the end, or when the training is resumed."
        )

    def _send(self, events: Sequence[Mapping[str, Any]]) -> None:
        run = self._run or self._opened()
        points: Points = []
        status: Status | None = None
        tags: dict[str, str] = {}
        for event in events[self._sent :]:
            self._step = max(self._step, int(event.get("step") or 0))
            points += points_of(event, self._step)
            if event["event"] == "state":
                status = _STATUS.get(event["state"])
            if event["event"] == "begin":
                found = {name: event[name] for name in ("device", "dtype") if name in event}
                tags |= {f"llm4top.{name}": str(reason) for name, reason in found.items()}
        if points:
            points += _memory_points(self._step)
        run.log_points(points)
        if status == "FINISHED":
            tags |= self._bundle()
        run.log(tags=tags)
        if status is not None:
            run.end(status)
        self._sent = len(events)
        self._remember(run)

    def _opened(self) -> MlflowRun:
        """The run of an earlier call, or a new one."""
        client = open_client(self._target)
        known = _stored(self._note)
        if known.get("uri") == self._target.uri:
            # Fails where somebody has deleted it.
            run = MlflowRun(client, client.get_run(str(known["run_id"])).info.run_id)
            self._sent = int(known["sent"])
        else:
            run = MlflowRun.begin(
                client,
                self._target,
                self._config.name or self.folder.path.resolve().name,
                command="train",
                params=self._params(),
                data=(self._data_name, str(self._identity().get("data", ""))),
            )
        self._run = run
        self._remember(run)
        return run

    def _params(self) -> dict[str, Any]:
        """The settings, and what they turned out to mean; to another machine no path goes."""
        settings = self._config.model_dump(mode="json", exclude_none=True)
        if not self._target.is_local:
            base = self._config.base
            public = HUB_NAME.fullmatch(base) and not Path(base).exists()
            settings = {k: v for k, v in settings.items() if k not in (*_PLACES, *_WORDS)}
            settings |= {"base": base} if public else {}
        hashes = {"data": "data_sha256", "base": "base_sha256", "prompts": "prompts_sha256"}
        identity = self._identity()
        return settings | {hashes[k]: v for k, v in identity.items() if k in hashes}

    def _bundle(self) -> dict[str, str]:
        """The bundle's identity, and its folder where nothing leaves this machine."""
        try:
            found = {"llm4top.bundle": read_manifest(self.folder.bundle).identity}
        except BundleError:
            return {}  # none was asked for
        if self._target.is_local:
            found["llm4top.bundle_folder"] = str(self.folder.bundle.resolve())
        return found

    def _identity(self) -> dict[str, Any]:
        return _stored(self.folder.identity_file)

    def _remember(self, run: MlflowRun) -> None:
        note = {"uri": self._target.uri, "run_id": run.run_id, "sent": self._sent}
        write_json(self._note, note)


def points_of(event: Mapping[str, Any], step: int) -> Points:
    """The figures of one event, at its own step or at ``step``, the newest so far."""
    kind, metrics = event["event"], {}
    if kind in ("log", "evaluation"):
        numbers = {k: v for k, v in event.items() if isinstance(v, int | float) and k != "step"}
        metrics = {name.replace("eval_", "eval/", 1): value for name, value in numbers.items()}
    elif kind in ("figures", "out-of-fold figures"):
        split = slug(str(event["split"]))
        metrics = {f"{split}/n": event["n"]}
        for name, figures in event["forecasters"].items():
            metrics |= figure_metrics(f"{split}/{slug(name)}", figures)
        for name, phase in event.get("phases", {}).items():
            prefix = f"{split}/by-phase/{slug(name)}"
            metrics |= {f"{prefix}/n": phase["n"], **figure_metrics(prefix, phase["figures"])}
    elif kind == "reload":
        metrics = {"reload/max_difference": event["max_difference"], "reload/n": event["n"]}
    when = int(datetime.fromisoformat(event["time"]).timestamp() * 1000)
    return [(name, float(value), when, step) for name, value in metrics.items()]


def _memory_points(step: int) -> Points:
    now = int(datetime.now(UTC).timestamp() * 1000)
    return [(f"system/{k}_mib", v / 2**20, now, step) for k, v in memory_in_use().items()]


def _stored(path: Path) -> dict[str, Any]:
    """A small JSON file of the run's folder; empty where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
