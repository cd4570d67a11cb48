"""From the training loop to the run's events and to whoever watches."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llm4top.time_left import TimeLeft
from llm4top.training._progress import Progress, TrainingProgress
from llm4top.training._run_folder import RunFolder

_LOGGED = ("loss", "grad_norm", "learning_rate", "tokens_per_second")
_EVALUATED = ("eval_log_loss", "eval_roc_auc", "eval_seconds")


class Watch(TrainerCallback):  # type: ignore[misc]
    """Reports every optimiser step to ``progress`` and every log and evaluation to ``run``."""

    def __init__(self, run: RunFolder, progress: Progress):
        self.run = run
        self.progress = progress
        self.loss: float | None = None
        self.log_loss: float | None = None
        self.tokens_per_second: float | None = None
        self._left = TimeLeft()

    def on_train_begin(
        self, _: TrainingArguments, state: TrainerState, *__: Any, **___: Any
    ) -> None:
        """Write down where it begins; a resumed run's earlier steps do not count for the pace."""
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
            if names[0] in logs:
                found = {name: logs[name] for name in names if name in logs}
                self.run.add_event(kind, step=state.global_step, epoch=state.epoch, **found)
        self.loss = logs.get("loss", self.loss)
        self.log_loss = logs.get("eval_log_loss", self.log_loss)
        self.tokens_per_second = logs.get("tokens_per_second", self.tokens_per_second)
        self._report(state)

    def _report(self, state: TrainerState) -> None:
        self.progress(
            TrainingProgress(
                "training",
                state.global_step,
                state.max_steps,
                loss=self.loss,
                log_loss=self.log_loss,
                tokens_per_second=self.tokens_per_second,
                eta_seconds=self._left(state.global_step, state.max_steps, "training"),
            )
        )
