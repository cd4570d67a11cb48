"""How a run tells whoever watches it where it is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal

Phase = Literal["preflight", "prompts", "training", "calibration", "bundle", "check", "done"]


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a run is: ``step`` of ``total`` in its phase.

    In the phase "training" steps are optimiser steps; ``loss`` is the latest training loss,
    ``log_loss`` the latest on validation, ``tokens_per_second`` over all processes and
    ``eta_seconds`` the time that is left of the phase; None while unknown. In the phases
    "prompts", "calibration" and "check" steps are trials.
    """

    phase: Phase
    step: int = 0
    total: int = 0
    loss: float | None = None
    log_loss: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    message: str = ""


Progress = Callable[[TrainingProgress], None]
"""What ``train`` calls, often and from its own thread; it should return at once."""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or SIGTERM) into a request to stop; gives "was it asked for?".

    A second one interrupts at once. Outside the main thread signals stay as they are.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.default_int_handler(number, frame)
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
