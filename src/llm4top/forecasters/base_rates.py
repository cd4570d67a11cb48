"""The base rate: how often each label occurred among the training trials of a phase.

This is the only base-rate formula. A forecast shows it, a bundle stores it, and the baseline
"base-rate" of every report predicts it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from llm4top.schema import Strict

ALL_PHASES = "all"
PRIOR_TRIALS = 20.0
LEAST_ROWS_OF_A_PHASE = 10


class BaseRate(Strict):
    """Expected shares of the labels in a phase with ``n`` training trials, in label order."""

    n: Annotated[int, Field(gt=0)]
    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...]


BaseRates = Mapping[str, BaseRate]
"""Base rates by phase; those of all phases together are under ``ALL_PHASES``."""


def measure_base_rates(
    n_labels: int,
    phases: Sequence[str | None],
    labels: Sequence[int],
    *,
    prior_trials: float = PRIOR_TRIALS,
) -> dict[str, BaseRate]:
    """Base rates of the training trials by phase, and of all phases together.

    The base rate of label k in a phase is ``(c_k + m * p_k) / (n + m)``: of the phase's ``n``
    training trials ``c_k`` have the label, ``p_k`` is its share in all phases and ``m`` is
    ``prior_trials``. The prior keeps a small phase from claiming 0 or 100 %. A phase with fewer
    than 10 training trials has no base rate: its trials get that of all phases (see
    ``base_rate_of``), and a forecast warns of such a phase.

    Bundles written by version 0.1.0 store plain shares (``m = 0``) and keep showing them.

    Args:
        n_labels: Number of labels of the task.
        phases: Phase of each training trial, None where it has none.
        labels: Label index of each training trial, 0 to ``n_labels - 1``.
        prior_trials: Weight of all phases together, in trials.

    Returns:
        Base rates by phase, phases in alphabetical order, then ``"all"``. Empty without trials.
    """
    counts: dict[str, Counter[int]] = {}
    pooled: Counter[int] = Counter()
    for phase, label in zip(phases, labels, strict=True):
        pooled[label] += 1
        if phase is not None:
            counts.setdefault(phase, Counter())[label] += 1
    return rates_of_counts(
        {phase: [c[k] for k in range(n_labels)] for phase, c in counts.items()},
        [pooled[k] for k in range(n_labels)],
        prior_trials=prior_trials,
    )


def rates_of_counts(
    counts: Mapping[str, Sequence[int]],
    pooled: Sequence[int],
    *,
    prior_trials: float = PRIOR_TRIALS,
) -> dict[str, BaseRate]:
    """``measure_base_rates`` from counts of the labels by phase, and in all trials (``pooled``)."""
    total = sum(pooled)
    if not total:
        return {}
    overall = tuple(count / total for count in pooled)
    rates = {
        phase: BaseRate(
            n=n,
            shares=tuple(
                (count + prior_trials * share) / (n + prior_trials)
                for count, share in zip(own, overall, strict=True)
            ),
        )
        for phase, own in sorted(counts.items())
        if (n := sum(own)) >= LEAST_ROWS_OF_A_PHASE
    }
    return {**rates, ALL_PHASES: BaseRate(n=total, shares=overall)}


def base_rate_of(rates: BaseRates, phase: str | None) -> tuple[str, tuple[float, ...]] | None:
    """The base rate that a trial of ``phase`` is compared with.

    Args:
        rates: What ``measure_base_rates`` returned.
        phase: The trial's phase, None where it has none.

    Returns:
        The phase whose training trials were counted (or ``"all"``) and the share of each label;
        None where there are no base rates.
    """
    name = phase if phase is not None and phase in rates else ALL_PHASES
    return (name, rates[name].shares) if name in rates else None
