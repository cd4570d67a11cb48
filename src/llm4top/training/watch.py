"""What a training tells while it runs, and how it is told to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch.distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llm4top.errors import TrainingError
from llm4top.processes import this_process
from llm4top.progress import OnProgress, Progress, TimeLeft
from llm4top.text import first_line
from llm4top.training.run_folder import RunFolder

_LOGGED = ("loss", "grad_norm", "learning_rate", "tokens_per_second")
_EVALUATED = ("eval_log_loss", "eval_roc_auc", "eval_seconds")


class Watch(TrainerCallback):  # type: ignore[misc]
    """Reports every optimiser step to ``progress`` and every log and evaluation to ``run``.

    With ``part``, the name of one of several fits, it reports that and writes nothing down: the
    run's curves are those of the training that chose.
    """

    def __init__(self, run: RunFolder, progress: OnProgress, part: str = ""):
        self.run = run
        self.progress = progress
        self.part = part
        self._figures: dict[str, float] = {}
        self._left = TimeLeft()

    def on_train_begin(
        self, _: TrainingArguments, state: TrainerState, *__: Any, **___: Any
    ) -> None:
        """Write down where it begins; a resumed run's earlier steps do not count for the pace."""
        if not self.part:
            self.run.add_event("training", step=state.global_step, steps=state.max_steps)
        self._report(state)

    def on_step_end(self, _: TrainingArguments, state: TrainerState, *__: Any, **___: Any) -> None:
        """Report the step."""
        self._report(state)

    def on_log(
        self,
        _: TrainingArguments,
        state: TrainerState,
        __: TrainerControl,
        logs: dict[str, float] | None = None,
        **___: Any,
    ) -> None:
        """Keep the figures and write them down."""
        logs = logs or {}
        for kind, names in (("log", _LOGGED), ("evaluation", _EVALUATED)):
            if names[0] in logs and not self.part:
                found = {name: logs[name] for name in names if name in logs}
                self.run.add_event(kind, step=state.global_step, epoch=state.epoch, **found)
        for name in ("loss", "log_loss", "tokens_per_second"):
            logged = "eval_log_loss" if name == "log_loss" else name
            if logged in logs:
                self._figures[name] = logs[logged]
        self._report(state)

    def _report(self, state: TrainerState) -> None:
        step, steps = state.global_step, state.max_steps
        left = self._left(step, steps, "training")
        known = self._figures if left is None else {**self._figures, "eta_seconds": left}
        self.progress(Progress("training", step, steps, self.part, dict(known)))


@contextmanager
def naming_processes(run: RunFolder) -> Iterator[None]:
    """Under ``torchrun`` an error is an event of the run that names its process and machine.

    Raises ``TrainingError`` where this process lost the others: one of them ended before.
    """
    try:
        yield
    except Exception as error:
        if process := this_process():
            message = first_line(error)
            run.add_event("process failed", process=process, message=message)
            if _is_lost(error):
                raise TrainingError(
                    f"the other processes were lost ({message}).",
                    hint="One of them ended first: its own message, or the run's events.jsonl, may "
                    "say why. Then resume the run.",
                ) from error
        raise


def _is_lost(error: Exception) -> bool:
    # NCCL's errors have a type of their own, gloo's are plain.
    kind = getattr(torch.distributed, "DistError", ())
    return isinstance(error, kind) or (isinstance(error, RuntimeError) and "gloo" in str(error))


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or SIGTERM) into a request to stop; gives a function: was there one?

    A second one interrupts at once. Outside the main thread signals stay as they are.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop.is_set
        return

    def request(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
