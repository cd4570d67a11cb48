"""What became of the most similar training trials, as a forecast."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError
from llm4top.forecasters.base_rates import ALL_PHASES, measure_base_rates
from llm4top.forecasters.baselines import learners
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    taken,
    wanted,
)
from llm4top.forecasters.baselines.features import visible_trials
from llm4top.forecasters.classifier import as_trials
from llm4top.forecasters.precedents.dates import last_day, start_of
from llm4top.forecasters.precedents.fusion import best
from llm4top.forecasters.precedents.words import WordIndex, words_text
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

NEIGHBOURS = (10, 20, 40, 80, 160)
PRIORS = (5.0, 20.0, 80.0)
"""What is tried for ``k`` and ``prior_trials``."""
_NEVER = np.iinfo(np.int64).max
_MOST_TRIED = 1000
"""Training trials on which the two are chosen."""


class NearestForecaster(BaselineForecaster):
    """The share of each label among the k training trials whose words are most alike.

    The share is drawn towards the base rate of the trial's phase: ``(c + m * b) / (n + m)`` for
    ``c`` of ``n`` neighbours, the base rate ``b`` and ``m`` prior trials. Likeness is the cosine
    of ``WordIndex``; a trial that shares no word is no neighbour. ``k`` and ``m`` are those of the
    least log-loss when each training trial is left out in turn.

    It is what precedents tell, as a number. Fitted with completion dates it keeps to their date
    rule where it is told when a trial starts, as in a benchmark; else every training trial counts
    as an earlier one. ``k`` and ``m`` are chosen without the rule.

    Args:
        task: The question; its name or a ``Task``.
        k: The number of neighbours; chosen where None.
        prior_trials: The weight of the base rate, in trials; chosen where None.
        seed: Seed of the sample of training trials on which they are chosen.

    Attributes:
        classes_: The classes, in the order of the task's labels. Set by ``fit``.
        k_, prior_trials_: What is used.
        dated_: Whether it was fitted with completion dates.
    """

    reads = (
        *("phase", "brief_title", "official_title", "conditions", "keywords", "interventions"),
        *("primary_outcomes", "criteria", "brief_summary"),
    )

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        k: int | None = None,
        prior_trials: float | None = None,
        seed: int = 0,
    ):
        self.task = task
        self.k = k
        self.prior_trials = prior_trials
        self.seed = seed

    def fit(
        self, X: Iterable[Trial], y: Iterable[Any], *, completed: Sequence[str | None] | None = None
    ) -> Self:
        """Index the training trials.

        Args:
            X: The training trials.
            y: Their labels, or the labels' positions.
            completed: Their completion dates (ISO), for the date rule; with them a trial without
                one is no neighbour of a trial whose start is told.

        Raises:
            TaskError: A label is none of the task's.
        """
        trials, targets = self._learn(X, y)
        days = np.zeros(len(trials), dtype=np.int64)
        if completed is not None:
            known = [last_day(text) if text else None for text in completed]
            days[:] = [_NEVER - 1 if day is None else day for day in known]
        order = np.argsort(days, kind="stable")
        self.dated_ = completed is not None
        self._days, self._targets = days[order], targets[order]
        ordered = [trials[i] for i in order]
        phases = [trial.phase for trial in trials]
        rates = measure_base_rates(len(self.classes_), phases, targets.tolist())
        self._rates = {phase: np.array(rate.shares) for phase, rate in rates.items()}
        texts = [words_text(trial) for trial in ordered]
        self._words = WordIndex.of(texts, len(texts))
        self.k_, self.prior_trials_ = self._choose(ordered, texts)
        return self

    def predict_proba(
        self, X: Iterable[Trial], *, before: Sequence[str | None] | None = None
    ) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``.

        ``before`` are the days (ISO) on which the trials start: only training trials that were
        completed before count then; all do where it is None. Raises ``ValueError`` where it was
        fitted without dates.
        """
        if before is None:
            return super().predict_proba(X)
        if not self.dated_:
            raise ValueError("fitted without completion dates: no trial is known to be earlier.")
        trials = visible_trials(get_task(self.task), as_trials(X))
        days = [_NEVER if day is None else start_of(day) for day in before]
        within = np.searchsorted(self._days, days, side="left").tolist()
        return self._shares(trials, within)

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        return self._shares(trials, [len(self._targets)] * len(trials))

    def _shares(self, trials: Sequence[Trial], within: Sequence[int]) -> Probabilities:
        found = np.empty((len(trials), len(self.classes_)))
        for row, (trial, size) in enumerate(zip(trials, within, strict=True)):
            found[row] = self.share_of(trial, best(self.alike(words_text(trial), size), self.k_))
        return found

    def share_of(self, trial: Trial, neighbours: NDArray[np.int64]) -> Probabilities:
        """The drawn shares ``[K]`` of a trial whose neighbours are at those positions."""
        return _drawn(self._counts(neighbours), self._base(trial), self.prior_trials_)

    def alike(self, text: str, within: int) -> NDArray[np.float32]:
        """Cosines of a text to the first ``within`` training trials, by completion where dated."""
        return self._words.similarities(self._words.query(text), within)

    def _counts(self, ranked: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(self._targets[ranked], minlength=len(self.classes_))

    def _base(self, trial: Trial) -> NDArray[np.float64]:
        return self._rates.get(trial.phase or "", self._rates[ALL_PHASES])

    def _choose(self, trials: Sequence[Trial], texts: Sequence[str]) -> tuple[int, float]:
        """The k and the prior of the least log-loss, each trial left out in turn."""
        sizes = NEIGHBOURS if self.k is None else (self.k,)
        priors = PRIORS if self.prior_trials is None else (self.prior_trials,)
        if len(sizes) == len(priors) == 1:
            return sizes[0], priors[0]
        sample = np.random.default_rng(self.seed).permutation(len(texts))[:_MOST_TRIED]
        losses = np.zeros((len(sizes), len(priors)))
        for row in sample:
            alike = self.alike(texts[row], len(texts))
            alike[row] = 0
            ranked = best(alike, max(sizes))
            for i, k in enumerate(sizes):
                counts, base = self._counts(ranked[:k]), self._base(trials[row])
                for j, prior in enumerate(priors):
                    share = _drawn(counts, base, prior)[self._targets[row]]
                    losses[i, j] -= np.log(max(share, 1e-6))
        at, beside = divmod(int(losses.argmin()), len(priors))
        return sizes[at], priors[beside]

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        return BaselineState(
            {
                **self._words.to_arrays(),
                "targets": self._targets,
                "days": self._days,
                "rates": np.array(list(self._rates.values())),
                "chosen": np.array([self.k_, self.prior_trials_, self.dated_], dtype=np.float64),
            },
            {"phases": [*self._rates]},
        )

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        arrays = dict(state.arrays)
        targets, days, rates, chosen = taken(arrays, "targets", "days", "rates", "chosen")
        (phases,) = wanted(state.words, "phases")
        self._targets, self._days = learners.indices(targets), np.asarray(days)
        labels, n = len(self.classes_), len(self._targets)
        fits = (
            self._days.shape == (n,)
            and bool((np.diff(self._days) >= 0).all())
            and (n == 0 or int(self._targets.max()) < labels)
            and learners.numbers(rates, 2).shape == (len(phases), labels)
            and learners.numbers(chosen, 1).shape == (3,)
            and chosen[0] >= 1
            and chosen[1] > 0
            and ALL_PHASES in phases
        )
        if not fits:
            raise BundleError("holds training trials whose parts do not fit together.")
        self._rates = dict(zip(phases, rates, strict=True))
        self.k_, self.prior_trials_ = int(chosen[0]), float(chosen[1])
        self.dated_ = bool(chosen[2])
        self._words = WordIndex.from_arrays(arrays, n)


def _drawn(counts: NDArray[np.int64], base: NDArray[np.float64], prior: float) -> Probabilities:
    """Shares of the labels, drawn towards the base rate by ``prior`` trials."""
    return np.asarray((counts + prior * base) / (counts.sum() + prior), dtype=np.float64)
