"""The two trivial baselines, and TF-IDF: every report compares a model with them."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from llm4top.errors import BundleError
from llm4top.forecasters.base_rates import ALL_PHASES, PRIOR_TRIALS, measure_base_rates
from llm4top.forecasters.baselines import learners
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    taken,
    training_rows,
    wanted,
)
from llm4top.forecasters.baselines.features import code_word, new_vectoriser
from llm4top.forecasters.baselines.terms import Terms
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

_MOST_TERMS = 500_000


class AlwaysForecaster(BaselineForecaster):
    """Every trial gets the same label for certain: the event of a binary task ("success").

    For any other task it is the label that most training trials have, the first of equals.
    A figure that "always success" reaches as well is worth nothing.
    """

    reads = ()

    def __init__(self, task: Task | str = "outcome"):
        self.task = task

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Learn the labels; ``TaskError`` for labels that are none of the task's."""
        _, targets = self._learn(X, y)
        binary = get_task(self.task).kind == "binary"
        self.certain_ = 1 if binary else int(np.bincount(targets).argmax())
        return self

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        return BaselineState({"certain": np.array([self.certain_])})

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        found = learners.indices(wanted(state.arrays, "certain")[0])
        if len(found) != 1 or found[0] >= len(self.classes_):
            raise BundleError("names no label as the certain one.")
        self.certain_ = int(found[0])

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        return np.tile(np.eye(len(self.classes_))[self.certain_], (len(trials), 1))


class BaseRateForecaster(BaselineForecaster):
    """Every trial gets the base rate of its phase; see ``measure_base_rates`` for the formula.

    ``prior_trials`` is the weight of all phases together in a phase's base rate, in trials.

    Attributes after ``fit``: ``classes_``; ``pooled_``, the frequencies of all phases ``[K]``;
    ``rates_``, those of each phase with 10 training trials or more.
    """

    reads = ("phase",)

    def __init__(self, task: Task | str = "outcome", *, prior_trials: float = PRIOR_TRIALS):
        self.task = task
        self.prior_trials = prior_trials

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Count labels by phase; ``TaskError`` for labels that are none of the task's."""
        trials, targets = self._learn(X, y)
        rates = measure_base_rates(
            len(self.classes_),
            [trial.phase for trial in trials],
            targets.tolist(),
            prior_trials=self.prior_trials,
        )
        self.pooled_: Probabilities = np.array(rates.pop(ALL_PHASES).shares)
        self.rates_ = {phase: np.array(rate.shares) for phase, rate in rates.items()}
        return self

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        rates = np.array(list(self.rates_.values())).reshape(-1, len(self.pooled_))
        return BaselineState({"pooled": self.pooled_, "rates": rates}, {"phases": [*self.rates_]})

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        pooled, rates = wanted(state.arrays, "pooled", "rates")
        (phases,) = wanted(state.words, "phases")
        labels = len(self.classes_)
        if learners.numbers(pooled, 1).shape != (labels,):
            raise BundleError("holds rates of other labels than its classes.")
        if learners.numbers(rates, 2).shape != (len(phases), labels):
            raise BundleError("holds rates of other phases than it names.")
        self.pooled_ = pooled
        # Version 0.1.0 stores trials without a phase as the phase "".
        self.rates_ = dict(zip(phases, rates, strict=True))

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        return np.array([self.rates_.get(trial.phase or "", self.pooled_) for trial in trials])


class TfidfForecaster(BaselineForecaster):
    """Words and word pairs, weighted by TF-IDF, under a logistic regression.

    It reads phase, conditions, interventions, ICD codes and criteria, which every source of trials
    has. Within TOP's training split, in 4-fold cross-validation and on its newest fifth, a larger
    ``regularisation`` lowers the log-loss, and a smaller one ranks the newest trials slightly
    better. The default is between the two. Several values were also tried on the validation
    split, so its figures there are slightly optimistic.

    Args:
        task: The question; its name or a ``Task``.
        regularisation: Inverse strength of the regularisation (``C`` of scikit-learn).
        min_count: Number of training trials in which a term must occur.
        class_weight: None, "balanced" or a mapping from class to weight.
        titles: Whether the titles are read as well. They help where a record holds little else.
        thin_copies: Whether it also learns from two copies of each training trial that lack
            fields; see ``training_rows``.
        seed: Seed of the copies.

    Attributes:
        classes_: The classes, in the order of the task's labels. Set by ``fit``.
        words_: The words and word pairs with their weights.
        learner_: The fitted logistic regression.
    """

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        regularisation: float = 1.5,
        min_count: int = 2,
        class_weight: dict[Any, float] | str | None = None,
        titles: bool = False,
        thin_copies: bool = False,
        seed: int = 0,
    ):
        self.task = task
        self.regularisation = regularisation
        self.min_count = min_count
        self.class_weight = class_weight
        self.titles = titles
        self.thin_copies = thin_copies
        self.seed = seed

    def fit(self, X: Iterable[Trial], y: Iterable[Any], sample_weight: Any = None) -> Self:
        """Learn terms and weights.

        Args:
            X: The training trials.
            y: Their labels, or the labels' positions.
            sample_weight: ``[n]``, how much each trial counts in the regression; all alike where
                None. The weights of terms count every trial alike.

        Raises:
            TaskError: A label is none of the task's.
            ValueError: A weight is negative or not finite, or none is above 0.
        """
        from scipy.sparse import vstack
        from sklearn.linear_model import LogisticRegression

        trials, targets = self._learn(X, y)
        weight = self.class_weight
        if isinstance(weight, dict):
            positions = {name: i for i, name in enumerate(self.classes_.tolist())}
            weight = {positions[name]: value for name, value in weight.items()}
        texts = self.texts(trials)
        vectoriser = new_vectoriser(len(texts), min_count=self.min_count, most=_MOST_TERMS)
        rows = vectoriser.fit_transform(texts)
        self.words_ = Terms.of(vectoriser)
        learn = training_rows(
            trials, targets, sample_weight, thin_copies=self.thin_copies, seed=self.seed
        )
        if learn.copies:
            added = self.words_.transform(self.texts(learn.copies))
            rows = vstack([rows, added.tocsr()], format="csr")
        model = LogisticRegression(C=self.regularisation, max_iter=1000, class_weight=weight)
        with learners.one_thread():
            self.learner_: learners.DenseLearner = learners.read_regression(
                model.fit(rows, learn.targets, sample_weight=learn.weights)
            )
        return self

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        """The sections of a trial that it reads."""
        titles = TITLES if self.titles else ()
        return ("phase", *titles, "conditions", "icd_codes", "interventions", "criteria")

    def texts(self, trials: Sequence[Trial]) -> list[str]:
        """The trials as it reads them."""
        if not self.titles:
            return [baseline_text(trial) for trial in trials]
        return ["\n".join([baseline_text(trial), *titles_of(trial)]) for trial in trials]

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        texts = self.texts(trials)
        return self.learner_.predict_proba(self.words_.transform(texts))

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        arrays = {"idf": np.asarray(self.words_.weights), **self.learner_.to_arrays()}
        return BaselineState(arrays, {"terms": list(self.words_.terms)})

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        arrays = dict(state.arrays)
        (idf,) = taken(arrays, "idf")
        (terms,) = wanted(state.words, "terms")
        self.words_ = Terms.checked(terms, learners.numbers(idf, 1), pairs=True)
        self.learner_ = learners.DenseLearner.from_arrays(arrays, len(terms), len(self.classes_))


TITLES = ("brief_title", "official_title")


def titles_of(trial: Trial) -> list[str]:
    """The titles that the trial has."""
    return [title for title in (trial.brief_title, trial.official_title) if title]


def baseline_text(trial: Trial) -> str:
    """The trial as ``TfidfForecaster`` reads it. Phase and codes are one word each."""
    codes = [code_word("icd", code) for code in trial.icd_codes]
    names = [item.name for item in trial.interventions]
    phase = code_word("phase", trial.phase or "none")
    return "\n".join([phase, *trial.conditions, *names, *codes, trial.criteria or ""])
