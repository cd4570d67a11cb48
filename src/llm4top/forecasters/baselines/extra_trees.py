"""Extremely randomised trees over the words that a trial has or has not."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from llm4top.forecasters.baselines import learners
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    training_rows,
    wanted,
)
from llm4top.forecasters.baselines.features import code_word
from llm4top.forecasters.baselines.narrow_trees import NarrowTrees, read_narrow_trees
from llm4top.forecasters.baselines.simple import TITLES, baseline_text, titles_of
from llm4top.forecasters.baselines.terms import TermRows, Terms
from llm4top.registry.areas import condition_chapters
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

_MOST_TERMS = 65_536


class ExtraTreesForecaster(BaselineForecaster):
    """Extremely randomised trees over the words of a trial, each present or absent.

    It reads what ``TfidfForecaster`` reads and the titles, and groups of conditions: see
    ``presence_text``. Trees are grown by scikit-learn's
    ``ExtraTreesClassifier`` (Geurts, Ernst & Wehenkel, Extremely randomized trees, 2006) and kept
    as arrays. The same trials, weights and ``seed`` give the same bits.

    Args:
        task: The question; its name or a ``Task``.
        trees: The number of trees.
        min_count: Number of training trials in which a word must occur.
        least_leaf: The least number of training trials in a leaf.
        pairs: Whether pairs of neighbouring words count as well.
        thin_copies: Whether it also learns from two copies of each training trial that lack
            fields; see ``training_rows``.
        seed: Seed of the trees and of the copies.

    Attributes:
        classes_: The classes, in the order of the task's labels. Set by ``fit``.
        learner_: The fitted trees.
    """

    reads = (
        *("phase", *TITLES, "conditions", "icd_codes", "interventions"),
        "criteria",
    )

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        trees: int = 300,
        min_count: int = 8,
        least_leaf: int = 2,
        pairs: bool = False,
        thin_copies: bool = False,
        seed: int = 0,
    ):
        self.task = task
        self.trees = trees
        self.min_count = min_count
        self.least_leaf = least_leaf
        self.pairs = pairs
        self.thin_copies = thin_copies
        self.seed = seed

    def fit(self, X: Iterable[Trial], y: Iterable[Any], sample_weight: Any = None) -> Self:
        """Learn words and trees.

        Args:
            X: The training trials.
            y: Their labels, or the labels' positions.
            sample_weight: ``[n]``, how much each trial counts; all alike where None.

        Raises:
            TaskError: A label is none of the task's.
            ValueError: A weight is negative or not finite, or none is above 0.
        """
        from scipy.sparse import csr_matrix, vstack
        from sklearn.ensemble import ExtraTreesClassifier
        from sklearn.feature_extraction.text import CountVectorizer

        trials, targets = self._learn(X, y)
        texts = [presence_text(trial) for trial in trials]
        counter = CountVectorizer(
            binary=True,
            ngram_range=(1, 2) if self.pairs else (1, 1),
            dtype=np.uint8,
            min_df=min(self.min_count, len(texts)),
            max_features=_MOST_TERMS,
        )
        rows = csr_matrix(counter.fit_transform(texts))
        self._words = Terms.of(counter)
        learn = training_rows(
            trials, targets, sample_weight, thin_copies=self.thin_copies, seed=self.seed
        )
        if learn.copies:
            added = self.rows(learn.copies).tocsr().astype(rows.dtype)
            rows = vstack([rows, added], format="csr")
        model = ExtraTreesClassifier(
            self.trees, min_samples_leaf=self.least_leaf, n_jobs=1, random_state=self.seed
        )
        with learners.one_thread():
            model.fit(rows, learn.targets, sample_weight=learn.weights)
        self.learner_: NarrowTrees = read_narrow_trees(model, presence=True)
        return self

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        return self.learner_.predict_proba(self.rows(trials))

    @property
    def terms_(self) -> list[str]:
        """The words, in the order of columns."""
        return list(self._words.terms)

    def rows(self, trials: Sequence[Trial]) -> TermRows:
        """Whether each trial has each word, ``[n, F]``."""
        return self._words.transform(presence_text(trial) for trial in trials)

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        return BaselineState(self.learner_.to_arrays(), {"terms": self.terms_})

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        (terms,) = wanted(state.words, "terms")
        self._words = Terms.checked(terms, pairs=self.pairs)
        self.learner_ = NarrowTrees.from_arrays(state.arrays, len(terms), len(self.classes_))


def presence_text(trial: Trial) -> str:
    """The trial as ``ExtraTreesForecaster`` reads it; groups of conditions are one word each.

    ICD-10 codes count with their categories (the first three characters). The chapters are those
    of the codes, or of the conditions where there are no codes, as registry records are.
    """
    categories = sorted({code.strip()[:3] for code in trial.icd_codes})
    groups = [
        *(code_word("category", category) for category in categories),
        *(code_word("chapter", chapter) for chapter in sorted(condition_chapters(trial))),
    ]
    return "\n".join([baseline_text(trial), *groups, *titles_of(trial)])
