"""A run's folder: its lock, its events and its state.

::

    config.yaml     the settings as used, every one of them
    run.json        what a resumed run must agree with
    state.json      queued, running, done, failed or interrupted; replaced in one step
    events.jsonl    one JSON object an event, only ever appended to
    checkpoints/    see forecasters/finetuning/checkpoint.py
    choice.json     how long to train, as train and valid chose it
    folds/          with final_fit all: the logits of each fold that is finished
    bundle/         the result
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from llm4top import __version__
from llm4top.errors import LLM4TOPError, ResumeError, TrainingError
from llm4top.files import LockedError, is_locked, locked, replacing, write_json

LOGITS_FILE = "valid_logits.safetensors"


def keep_logits(run: RunFolder, logits: NDArray[np.float64]) -> None:
    """Write the logits ``[n, K]`` into the run's folder, in one step."""
    with replacing(run.path / LOGITS_FILE) as scratch:
        save_file({"logits": np.ascontiguousarray(logits, dtype=np.float64)}, scratch)


def kept_logits(run: RunFolder) -> NDArray[np.float64] | None:
    """The logits that ``keep_logits`` wrote; None where there are none, or none that can be read.

    Rows are those of the run's validation split, in the data set's order.
    """
    try:
        return np.asarray(load_file(run.path / LOGITS_FILE)["logits"], dtype=np.float64)
    except (OSError, SafetensorError, KeyError):
        return None


LOCK_FILE = ".lock"

State = Literal["queued", "running", "done", "failed", "interrupted"]


class RunFolder:
    """Paths of a run and the few ways in which they are written."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.identity_file = self.path / "run.json"
        self.state_file = self.path / "state.json"
        self.events_file = self.path / "events.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.choice_file = self.path / "choice.json"
        self.folds = self.path / "folds"
        self.bundle = self.path / "bundle"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone, until the block or the process ends.

        Raises ``TrainingError`` where another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / LOCK_FILE, wait=False))
            except LockedError as error:
                raise TrainingError(
                    f"another run (process {error.holder or 'unknown'}) is writing here.",
                    where=str(self.path),
                    hint="Wait for it, stop it, or choose another folder.",
                ) from None
            yield

    @contextmanager
    def recorded(self, *, stopped: str) -> Iterator[None]:
        """Write into ``state.json`` how the block ended, whatever happens short of a kill.

        ``stopped`` is the message of a run that was interrupted. A ``ResumeError`` leaves the
        earlier run's state as it was. After success the caller records "done".
        """
        try:
            yield
        except ResumeError:
            raise
        except KeyboardInterrupt:
            self.record("interrupted", stopped)
            raise
        except LLM4TOPError as error:
            self.record("failed", str(error))
            raise
        except BaseException as error:
            self.record("failed", f"{type(error).__name__}: {error}")
            raise

    def record(self, state: State, message: str = "", **details: Any) -> None:
        """Set the state and add an event that says so."""
        self.set_state(state, message=message, version=__version__, **details)
        self.add_event("state", state=state, message=message)

    def set_state(self, state: State, **details: Any) -> None:
        """Replace ``state.json``; a reader sees the old or the new one, never half of one."""
        entry = {"state": state, "time": _now(), "process": os.getpid(), **details}
        write_json(self.state_file, entry)

    def state(self) -> dict[str, Any]:
        """The run's state; empty where there is none.

        A run whose process was killed still says "running"; ``is_alive`` tells whether it runs.
        """
        if not self.state_file.is_file():
            return {}
        values = json.loads(self.state_file.read_text("utf-8"))
        known = isinstance(values, dict) and values.get("state") in get_args(State)
        return values if known else {}

    def is_alive(self) -> bool:
        """Whether a process holds the folder at this moment."""
        return is_locked(self.path / LOCK_FILE)

    def add_event(self, kind: str, **details: Any) -> None:
        """Append one event. A line broken off by a kill is ended first, and skipped by readers."""
        line = json.dumps({"time": _now(), "event": kind, **details}, ensure_ascii=False)
        with self.events_file.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(line.encode() + b"\n")

    def events(self) -> list[dict[str, Any]]:
        """All events so far; a line broken off by a kill is left out."""
        if not self.events_file.is_file():
            return []
        found = []
        for line in self.events_file.read_text("utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def settle_identity(self, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Write what this run is or, resuming, check that it is the same run.

        Raises ``ResumeError`` naming every key that differs.
        """
        if not resume:
            write_json(self.identity_file, dict(identity))
            return
        before = json.loads(self.identity_file.read_text("utf-8"))
        now = json.loads(json.dumps(identity))
        differing = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        if differing:
            changes = ", ".join(
                f"{k} ({_brief(before.get(k))} then, {_brief(now.get(k))} now)" for k in differing
            )
            raise ResumeError(
                f"this is not the run that was started here: {changes}.",
                where=str(self.path),
                hint="Resume with the same settings and data, or train into a new folder.",
            )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:16] + '..."'


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
