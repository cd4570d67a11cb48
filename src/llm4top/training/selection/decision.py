"""Whether the blend is taken, which forecaster is chosen, and the sentences that say why."""

from dataclasses import dataclass

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import newest_check
from llm4top.errors import LLM4TOPError
from llm4top.evaluation.predictions import FloatArray, IntArray
from llm4top.evaluation.reports.report import Figure
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.pool import LogPool, fit_pool
from llm4top.training.selection.baselines import BaselineModel, figure_text
from llm4top.training.selection.selection_file import (
    Chosen,
    SelectionScorer,
    StackOutcome,
    is_gain,
    row_losses,
)

LANGUAGE, BASELINE = "language", "baseline"
"""The parts of the blend, in the order of its weights."""

_NEWEST_SHARE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Finalists:
    """The best language model and the best baseline on the validation split.

    ``logits`` ``[n, K]`` and ``losses`` ``[n]`` are the language model's, named ``name``.
    """

    name: str
    logits: FloatArray
    losses: FloatArray
    baseline: BaselineModel
    base_rate: BaselineModel
    scorer: SelectionScorer

    @property
    def sources(self) -> dict[str, FloatArray]:
        """Both, as a blend pools them."""
        return {LANGUAGE: self.logits, BASELINE: self.baseline.logits}

    @property
    def better(self) -> tuple[str, FloatArray]:
        """Name and losses of the better of the two alone."""
        if self.losses.mean() <= self.baseline.losses.mean():
            return self.name, self.losses
        return self.baseline.label, self.baseline.losses


def assess_blend(finalists: Finalists, valid: Dataset) -> tuple[StackOutcome, LogPool, FloatArray]:
    """The result for the blend, its pool fitted on all of ``valid``, and its losses ``[n]``.

    It is taken where the paired bootstrap of its cross-fitted log-loss against the better of the
    two alone excludes 0, and where a pool fitted on the older validation trials is no worse on
    the newest ones. Where the trials cannot be ordered in time, the first has to do.
    """
    scorer = finalists.scorer
    losses = scorer.losses(finalists.sources)
    against, alone = finalists.better
    gain = scorer.mean(losses - alone)
    pool = fit_pool(finalists.sources, scorer.y)
    newest, no_check = _newest_gain(finalists, valid)
    taken = is_gain(gain) and (newest is None or (newest.value or 0.0) <= 0)
    return (
        StackOutcome(
            taken=taken,
            reason=_reason(taken, gain, newest, against, no_check),
            baseline=finalists.baseline.name,
            against=against,
            weights=dict(zip(pool.sources, pool.weights, strict=True)),
            log_loss=scorer.mean(losses),
            gain=gain,
            newest=newest,
        ),
        pool,
        losses,
    )


def _reason(taken: bool, gain: Figure, newest: Figure | None, against: str, no_check: str) -> str:
    if not is_gain(gain):
        lower = (gain.value or 0.0) < 0
        difference = f"{'lower' if lower else 'higher'} than that of {against} by "
        difference += figure_text(gain, sign=-1 if lower else 1)
        chance = "; the difference could be chance" if lower else ""
        return f"The blend is not taken: its log-loss is {difference}{chance}."
    text = f"its log-loss is lower than that of {against}, the better of the two alone, by "
    text += figure_text(gain, sign=-1)
    if newest is None:
        return f"The blend is taken: {text}. It was not checked in time ({no_check})."
    if not taken:
        return (
            f"The blend is not taken: {text}, but fitted on the older validation trials it is "
            f"worse on the newest {newest.n} by {figure_text(newest)}."
        )
    return (
        f"The blend is taken: {text}; fitted on the older validation trials, it is lower on the "
        f"newest {newest.n} by {figure_text(newest, sign=-1)}."
    )


def _newest_gain(finalists: Finalists, valid: Dataset) -> tuple[Figure | None, str]:
    """The blend's log-loss minus the better one's on the newest validation trials.

    All three are fitted on the older ones. The language model and the baseline were trained on
    training trials of all years, so this checks the pool alone. None with the reason where the
    trials cannot be parted.
    """
    y = finalists.scorer.y
    try:
        parted = newest_check(valid, share=_NEWEST_SHARE).splits
        old = np.array([split == "train" for split in parted])
        scorer = SelectionScorer.of(
            valid.take(np.flatnonzero(~old).tolist()),
            draws=finalists.scorer.draws,
            split="newest validation",
        )
        stack = _later_losses(finalists.sources, y, old)
        alone = [
            _later_losses({name: logits}, y, old) for name, logits in finalists.sources.items()
        ]
    except LLM4TOPError as error:
        return None, error.message.rstrip(".")
    better = min(alone, key=lambda losses: float(losses.mean()))
    return scorer.mean(stack - better), ""


def _later_losses(
    sources: dict[str, FloatArray], y: IntArray, old: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> FloatArray:
    pool = fit_pool({name: logits[old] for name, logits in sources.items()}, y[old])
    pooled = pool.logits([logits[~old] for logits in sources.values()])
    return row_losses(softmax(pooled), y[~old])


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What is chosen: its losses, its gain over the base rate, and the sentences that say why."""

    kind: Chosen
    name: str
    losses: FloatArray
    log_loss: Figure
    gain: Figure
    why: tuple[str, ...]


def decide(
    finalists: Finalists, stack: StackOutcome, stack_losses: FloatArray | None, in_time: str
) -> Decision:
    """The decision: the blend where it is taken, else whichever of the two has the lower log-loss.

    ``in_time`` is the sentence on the baselines' check in time.
    """
    scorer, baseline = finalists.scorer, finalists.baseline
    language_first = finalists.better[0] == finalists.name
    kind: Chosen = "language" if language_first else "baseline"
    name, losses = finalists.better
    if stack.taken and stack_losses is not None:
        kind, losses = "stack", stack_losses
        name = f"{finalists.name} + {baseline.label}"
    apart = scorer.mean(finalists.losses - baseline.losses)
    gain = scorer.mean(losses - finalists.base_rate.losses)
    why = (
        _headline(kind, name, scorer.mean(losses)),
        _pair(finalists, apart),
        in_time,
        stack.reason,
        _over_base_rate(name, gain, is_base_rate=losses is finalists.base_rate.losses),
    )
    return Decision(kind, name, losses, scorer.mean(losses), gain, why)


_KINDS = {
    "language": "the language model alone",
    "stack": "the language model and a baseline together",
    "baseline": "a baseline alone",
}


def _headline(kind: Chosen, name: str, log_loss: Figure) -> str:
    return f"Chosen: {name} ({_KINDS[kind]}), validation log-loss {figure_text(log_loss)}."


def _pair(finalists: Finalists, apart: Figure) -> str:
    name, label = finalists.name, finalists.baseline.label
    lower = (apart.value or 0.0) < 0
    first, second, sign = (name, label, -1) if lower else (label, name, 1)
    text = f"{first} has a lower log-loss than {second} by {figure_text(apart, sign=sign)}"
    sure = apart.upper is not None and apart.lower is not None
    if sure and (apart.upper or 0.0) >= 0 >= (apart.lower or 0.0):
        text += ". The difference could be chance: use the one that costs less to run"
    return f"{text}."


def _over_base_rate(name: str, gain: Figure, *, is_base_rate: bool) -> str:
    if is_base_rate:
        return "Nothing beats the base rate by phase: the records add nothing to the phase."
    if is_gain(gain):
        return f"{name} beats the base rate by phase by {figure_text(gain, sign=-1)}."
    return (
        f"{name} does not clearly beat the base rate by phase: its log-loss minus the base rate's "
        f"is {figure_text(gain)}. Do not rely on it."
    )
