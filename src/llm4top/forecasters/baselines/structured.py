"""Extremely randomised trees over what a record says in fields, counts, lengths and groups."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError
from llm4top.forecasters.baselines import learners
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    sections_of,
    taken,
    training_rows,
    wanted,
)
from llm4top.forecasters.baselines.features import NAN, FloatArray, trial_features, varies, years_of
from llm4top.forecasters.baselines.narrow_trees import NarrowTrees, read_narrow_trees
from llm4top.registry.areas import CHAPTERS, condition_chapters
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

# Left out of ``trial_features``: lines and characters change with the layout of the same words,
# titles and descriptions are of another kind in every source, molecules are in no record; ages,
# volunteers and chapters are read here from words too, so that every trial has them.
_LEFT_OUT = re.compile(
    r"characters|(?:in|ex)clusion criteria|criteria, numbers|title|molecule|ICD chapter"
    r"|(?:minimum|maximum) age|healthy volunteers"
)
_OF_EVERY_SOURCE = re.compile(
    r"phase|conditions|ICD|chapter|interventions|placebo|drugs|names|criteria|(?:young|old)est age"
)
_SECTIONS_OF_EVERY_SOURCE = ("phase", "conditions", "icd_codes", "interventions", "criteria")
_LIST_MARK = re.compile(r"^\s*(?:[-*\u2022]|\(?\w{1,3}[.)])\s+", re.M)
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_EXCLUSION = re.compile(r"exclusion|ineligib|not eligible|not be eligible", re.I)
_COMPARISON = re.compile(r"[<>\u2265\u2264]")
_SENTENCE_END = re.compile(r"[.;]\s")
_AGE = re.compile(r"(\d{1,3})\s*(?:years|yrs|year)", re.I)
_USUAL_AGE = 18.0
_MOST_ABSENT = 0.1

_IN_CRITERIA = {
    "placebo": r"placebo",
    "healthy": r"healthy",
    "healthy volunteers": r"healthy (?:male|female|volunteer|subject|adult|men|women|individual"
    r"|partic)",
    "consent": r"consent",
    "pregnancy": r"pregnan",
    "performance status": r"ecog|karnofsky|performance status",
    "HIV": r"\bhiv\b",
    "disease characteristics": r"disease characteristics",
}
_IN_CONDITIONS = {
    "cancer": r"cancer|carcinoma|tumou?r|leuk|lymphom|myelom|neoplas|melanom|sarcom|gliom|blastoma"
    r"|malignan",
    "healthy": r"healthy",
    "advanced": r"advanced|metasta|recurrent|refractory|relaps",
}
_IN_DRUGS = {
    "vaccine": r"vaccin",
    "antibody": r"mab\b",
    "kinase inhibitor": r"nib\b",
    "code name": r"[a-z]{2,}[- ]?\d{3,}",
}


def structured_features(trial: Trial) -> dict[str, float]:
    """The numbers that ``StructuredForecaster`` reads; NaN where the trial has none.

    Those of ``trial_features`` that are the same in every source of trials, and what the words of
    criteria, conditions and drugs tell.
    """
    numbers = {n: v for n, v in trial_features(trial).items() if not _LEFT_OUT.search(n)}
    criteria = _LIST_MARK.sub("", trial.criteria or "")
    conditions, drugs = (
        " \n".join(trial.conditions),
        " \n".join(i.name for i in trial.interventions),
    )
    numbers |= _of_criteria(criteria) | _ages(trial, criteria)
    for where, text, patterns in (
        ("criteria", criteria, _IN_CRITERIA),
        ("conditions", conditions, _IN_CONDITIONS),
        ("drugs", drugs, _IN_DRUGS),
    ):
        lower = text.lower()
        for name, pattern in patterns.items():
            found = re.search(pattern, lower) is not None
            numbers[f"{where} mention: {name}"] = float(found) if text else NAN
    numbers["names of conditions, length"] = _log(len(conditions)) if conditions else NAN
    numbers["names of drugs, length"] = _log(len(drugs)) if drugs else NAN
    chapters = condition_chapters(trial)
    known = bool(trial.icd_codes or trial.conditions or trial.condition_mesh)
    for name in CHAPTERS:
        numbers[f"chapter: {name}"] = float(name in chapters) if known else NAN
    return numbers


def _of_criteria(text: str) -> dict[str, float]:
    """Lengths and marks of the criteria, the same for the same words in any layout."""
    split = _EXCLUSION.search(text)
    start = split.start() if split else len(text)
    words = _WORD.findall(text.lower())
    excluding = len(_WORD.findall(text[start:]))
    counts = {
        "words": len(words),
        "words of inclusion": len(words) - excluding,
        "words of exclusion": excluding,
        "numbers": len(_NUMBER.findall(text)),
        "colons": text.count(":"),
        "semicolons": text.count(";"),
        "brackets": text.count("("),
        "comparisons": len(_COMPARISON.findall(text)),
        "sentences": len(_SENTENCE_END.findall(text)),
    }
    numbers = {f"criteria, {name}": _log(count) for name, count in counts.items()}
    numbers["criteria, no exclusion"] = float(split is None)
    numbers["criteria, share of distinct words"] = len(set(words)) / max(1, len(words))
    numbers["criteria, length of words"] = sum(map(len, words)) / max(1, len(words))
    return numbers if words else dict.fromkeys(numbers, NAN)


def _ages(trial: Trial, criteria: str) -> dict[str, float]:
    """The youngest and oldest age in years that fields or criteria name."""
    ages = [float(age) for age in _AGE.findall(criteria) if 0 < int(age) < 100]
    limits = [years_of(text) for text in (trial.minimum_age, trial.maximum_age)]
    named = [*ages, *(limit for limit in limits if limit is not None)]
    usual = _USUAL_AGE if criteria else NAN
    return {
        "youngest age": min(named, default=usual),
        "oldest age": max(named, default=usual),
        "criteria, ages": _log(len(ages)) if criteria else NAN,
    }


def _log(count: int) -> float:
    return math.log1p(count)


FEATURE_NAMES: tuple[str, ...] = tuple(structured_features(Trial()))


class StructuredForecaster(BaselineForecaster):
    """Extremely randomised trees over the numbers of ``structured_features``.

    A number that never differs among the training trials is not read. One that a trial lacks is
    the average of the training trials. Where more than a tenth of these lack it, it is drawn from
    the others in training, so that no tree can tell which trials lack it: where records of several
    sources are joined, that would tell the label.

    Args:
        task: The question; its name or a ``Task``.
        trees: The number of trees.
        least_leaf: The least number of training trials in a leaf.
        share_of_features: The share of the numbers that each node chooses from.
        thin_copies: See ``ExtraTreesForecaster``.
        seed: Seed of trees, of drawn numbers and of copies.

    Attributes:
        classes_: The classes, in the order of the task's labels. Set by ``fit``.
        names_: The numbers that it reads, in the order of columns.
        means_: Their averages.
        learner_: The fitted trees.
    """

    also_reads = ("minimum_age", "maximum_age", "condition_mesh", "keywords")

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        trees: int = 300,
        least_leaf: int = 10,
        share_of_features: float = 0.3,
        thin_copies: bool = False,
        seed: int = 0,
    ):
        self.task = task
        self.trees = trees
        self.least_leaf = least_leaf
        self.share_of_features = share_of_features
        self.thin_copies = thin_copies
        self.seed = seed

    def fit(self, X: Iterable[Trial], y: Iterable[Any], sample_weight: Any = None) -> Self:
        """Learn averages and trees; see ``ExtraTreesForecaster.fit``."""
        from sklearn.ensemble import ExtraTreesClassifier

        trials, targets = self._learn(X, y)
        table = feature_table(trials)
        # Trees need one column, even where no number differs.
        kept = [j for j, column in enumerate(table.T) if varies(column)] or [0]
        self.names_: list[str] = [FEATURE_NAMES[j] for j in kept]
        if all(_OF_EVERY_SOURCE.match(name) for name in self.names_):
            self.sections_ = sections_of(_SECTIONS_OF_EVERY_SOURCE, trials)
        given = [column[~np.isnan(column)] for column in table[:, kept].T]
        self.means_: FloatArray = np.array([v.mean() if v.size else 0.0 for v in given])
        learn = training_rows(
            trials, targets, sample_weight, thin_copies=self.thin_copies, seed=self.seed
        )
        if learn.copies:
            table = np.vstack([table, feature_table(learn.copies)])
        rare = np.isnan(table[: len(trials), kept]).mean(axis=0) > _MOST_ABSENT
        rows = _filled(table[:, kept], self.means_, rare, np.random.default_rng(self.seed))
        model = ExtraTreesClassifier(
            self.trees,
            min_samples_leaf=self.least_leaf,
            max_features=self.share_of_features,
            n_jobs=1,
            random_state=self.seed,
        )
        with learners.one_thread():
            model.fit(rows, learn.targets, sample_weight=learn.weights)
        self.learner_: NarrowTrees = read_narrow_trees(model, presence=False)
        return self

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        return self.learner_.predict_proba(self.rows(trials))

    def rows(self, trials: Sequence[Trial]) -> FloatArray:
        """The numbers of trials, ``[n, F]``; one that a trial lacks is the average."""
        table = feature_table(trials)[:, [_POSITION[name] for name in self.names_]]
        return np.where(np.isnan(table), self.means_, table)

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        arrays = {"means": self.means_, **self.learner_.to_arrays()}
        return BaselineState(arrays, {"numbers": self.names_})

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        arrays = dict(state.arrays)
        (means,) = taken(arrays, "means")
        (names,) = wanted(state.words, "numbers")
        if unknown := [name for name in names if name not in _POSITION]:
            raise BundleError(
                f"reads {unknown[0]!r:.60}, which this version of LLM4TOP does not measure."
            )
        if learners.numbers(means, 1).shape != (len(names),):
            raise BundleError("holds averages of other numbers than it reads.")
        self.names_, self.means_ = names, means
        self.learner_ = NarrowTrees.from_arrays(arrays, len(names), len(self.classes_))


def feature_table(trials: Sequence[Trial]) -> FloatArray:
    """``structured_features`` of each trial: ``[n, F]``, columns as ``FEATURE_NAMES``."""
    rows = [list(structured_features(trial).values()) for trial in trials]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURE_NAMES))


_POSITION = {name: position for position, name in enumerate(FEATURE_NAMES)}


def _filled(
    table: FloatArray, means: FloatArray, rare: NDArray[np.bool_], rng: np.random.Generator
) -> FloatArray:
    """The table without gaps: a ``rare`` column's by given values drawn at random, else means."""
    filled = np.where(np.isnan(table), means, table)
    for j in np.flatnonzero(rare):
        gaps = np.isnan(table[:, j])
        if not gaps.all():
            filled[gaps, j] = rng.choice(table[~gaps, j], gaps.sum())
    return filled
