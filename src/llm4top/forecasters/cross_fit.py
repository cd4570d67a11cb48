"""Out-of-fold predictions: each row forecast by a model that has seen neither it nor its group.

With them a calibration, the weights of a blend and honest figures need no rows set aside: every
learning row trains the final model (Stone, Cross-validatory choice and assessment of statistical
predictions, 1974; stacking: Wolpert, Stacked generalization, 1992).
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.base import clone

from llm4top import __version__
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import encode_trial
from llm4top.errors import TooFewRowsError
from llm4top.files import replacing
from llm4top.forecasters.calibration.calibrated import Calibrator, FloatArray, IntArray, softmax
from llm4top.forecasters.calibration.methods import DEFAULT_CALIBRATION, make_calibrator
from llm4top.forecasters.calibration.pool import log_probabilities
from llm4top.progress import OnProgress, Progress
from llm4top.registry.trial import Trial

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class LearningRows:
    """Rows to learn from; entry i of each field is about the same row.

    Attributes:
        trials: The trials.
        labels: Their labels, as positions in the task's labels: ``[n]``.
        groups: NCT ids. Rows of one group are never on both sides of a fold.
        weights: Sample weights ``[n]``; None weighs all alike.

    Raises ``ValueError`` where the fields differ in length.
    """

    trials: Sequence[Trial]
    labels: IntArray
    groups: Sequence[str]
    weights: FloatArray | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.trials), len(self.labels), len(self.groups)}
        if self.weights is not None:
            sizes.add(len(self.weights))
        if len(sizes) != 1:
            raise ValueError("trials, labels, groups and weights differ in length.")

    @classmethod
    def of(cls, dataset: Dataset, weights: ArrayLike | None = None) -> Self:
        """All rows of a data set: select or take some of them before."""
        return cls(
            dataset.trials,
            np.asarray(dataset.label_indices, dtype=np.int64),
            dataset.nct_ids,
            None if weights is None else np.asarray(weights, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def phases(self) -> list[str | None]:
        """The trials' phases: ``[n]``."""
        return [trial.phase for trial in self.trials]

    def take(self, indices: Sequence[int] | IntArray) -> Self:
        """Those rows, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return type(self)(
            [self.trials[i] for i in chosen],
            self.labels[chosen],
            [self.groups[i] for i in chosen],
            None if self.weights is None else self.weights[chosen],
        )

    def plus(self, others: Self | None) -> Self:
        """These rows, then the others; a weight that is not given is 1."""
        if others is None or not len(others):
            return self
        weights = None
        if self.weights is not None or others.weights is not None:
            both = (np.ones(len(r)) if r.weights is None else r.weights for r in (self, others))
            weights = np.concatenate(list(both))
        return type(self)(
            [*self.trials, *others.trials],
            np.concatenate([self.labels, others.labels]),
            [*self.groups, *others.groups],
            weights,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What a model of one fold may learn from.

    ``learn`` has the judged rows of the other folds, whose positions are ``indices``, and after
    them the extra rows of trials that this fold does not judge. ``number`` counts from 0, ``of``
    is the number of folds, ``seed`` that of the call.
    """

    number: int
    of: int
    learn: LearningRows
    indices: IntArray
    seed: int


Predict = Callable[[Sequence[Trial]], ArrayLike]
"""Logits ``[m, K]`` of ``m`` trials, a column for each label of the task."""
FitFold = Callable[[Fold], Predict]
"""Fits a model on a fold's ``learn`` rows alone."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """Out-of-fold predictions.

    ``logits`` ``[n, K]`` are in the order of the rows, ``folds`` ``[n]`` says which fold judged
    each; ``also`` holds the logits of variants of the rows, by the same models.
    """

    logits: FloatArray
    folds: IntArray
    also: Mapping[str, FloatArray] = field(default_factory=dict)


def assign_folds(
    groups: Sequence[str], strata: Sequence[Hashable], *, folds: int = FOLDS, seed: int = 0
) -> IntArray:
    """The fold of each row, 0 to ``folds - 1``.

    Whole groups are dealt to the folds in turn, stratum by stratum, in an order drawn from
    ``seed``: the folds' sizes and their shares of each stratum differ by one group at most. A group
    of several strata counts in the first of them by name. The same rows get the same folds in any
    order.

    Args:
        groups: The group of each row, ``[n]``: its NCT id.
        strata: What the folds are to have equal shares of, ``[n]``: label and phase, as a rule.
        folds: Number of folds.
        seed: Of the draw.

    Raises:
        TooFewRowsError: There are fewer groups than folds.
    """
    own: dict[str, str] = {}
    for group, stratum in zip(groups, map(str, strata), strict=True):
        own[group] = min(own.get(group, stratum), stratum)
    if not 2 <= folds <= len(own):
        raise TooFewRowsError(
            f"{len(own)} trials cannot be divided into {folds} folds.",
            hint="Give a number of folds from 2 to the number of trials.",
        )
    members: defaultdict[str, list[str]] = defaultdict(list)
    for group in sorted(own, key=lambda group: _draw(seed, group)):
        members[own[group]].append(group)
    dealt = [group for stratum in sorted(members) for group in members[stratum]]
    fold_of = {group: position % folds for position, group in enumerate(dealt)}
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def cross_fit(
    model: Any,
    rows: LearningRows,
    *,
    extra: LearningRows | None = None,
    also: Mapping[str, Sequence[Trial]] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    store: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> CrossFit:
    """Out-of-fold logits of every row: by a model that was fitted without its fold.

    Folds depend on ``rows``, ``folds`` and ``seed`` alone (see ``assign_folds``; strata are label
    and phase), so the parts of a blend can be cross-fitted one by one and their logits pooled.

    Args:
        model: An unfitted baseline, which is cloned for every fold, or a function that fits a
            ``Fold`` and returns what computes the logits of trials (``FitFold``).
        rows: The rows that are judged.
        extra: Rows that are only learned from. One whose group is that of a judged row, such as a
            masked copy of it, is left out while that row's fold is judged.
        also: Variants of the rows, each ``[n]``: entry i is forecast by the model that judges row
            i.
        folds: Number of folds.
        seed: Of the folds' draw.
        store: A folder that keeps each fold's logits. A later call with the same arguments reads
            them, so that an interrupted one goes on where it was.
        identity: What else the logits depend on, as JSON can hold it: a change computes them anew.
            The baseline's settings, all rows and the variants count in any case.
        on_progress: Called with the folds that are finished.

    Returns:
        The logits; those of a baseline are log-probabilities of at least ``pool.FLOOR``.

    Raises:
        TooFewRowsError: The rows cannot be divided into so many folds.
    """
    variants = dict(also or {})
    if wrong := [name for name, trials in variants.items() if len(trials) != len(rows)]:
        raise ValueError(f"the variant {wrong[0]!r} does not have one trial for each row.")
    strata = list(zip(rows.labels.tolist(), rows.phases, strict=True))
    fold_of = assign_folds(rows.groups, strata, folds=folds, seed=seed)
    settings = model.get_params() if hasattr(model, "get_params") else None
    fit = model if settings is None else _fit_estimator(model)
    key = ""
    if store is not None:
        about = {"llm4top": __version__, "folds": folds, "seed": seed, "identity": identity}
        about |= {"model": type(model).__qualname__, "settings": settings}
        key = _key(about, rows, extra, variants)
    found: dict[str, Any] = {}
    for number in range(folds):
        if on_progress is not None:
            on_progress(Progress("cross-fitting", number, folds))
        held = np.flatnonzero(fold_of == number)
        part = None if store is None else _stored(store, number, key)
        if part is None:
            part = _judged(
                fit(_fold(rows, extra, fold_of, number, folds, seed)),
                {"": rows.trials, **variants},
                held,
            )
            if store is not None:
                _keep(store, number, key, part)
        for name, logits in part.items():
            if name not in found:
                found[name] = np.full((len(rows), logits.shape[1]), np.nan)
            found[name][held] = logits
    if on_progress is not None:
        on_progress(Progress("cross-fitting", folds, folds))
    return CrossFit(found.pop(""), fold_of, found)


def calibrate_out_of_fold(
    logits: CrossFit | FloatArray, rows: LearningRows, method: str = DEFAULT_CALIBRATION
) -> Calibrator:
    """A calibration fitted on the out-of-fold logits of all rows: none is set aside for it.

    It is applied to a model that was fitted on all rows, and that is an approximation: the folds'
    models learned from fewer rows, (K - 1) / K of them, so their logits are a little worse and,
    with a learner that grows surer with more rows, a little less spread than the final model's. The
    calibration then errs towards probabilities that are too cautious (Niculescu-Mizil & Caruana
    2005 calibrate so; van der Laan, Polley & Hubbard, Super learner, 2007, on why it is close).

    Args:
        logits: What ``cross_fit`` gave for ``rows``, or logits ``[n, K]`` pooled from several.
        rows: The judged rows.
        method: "venn-abers", "platt" or "none".

    Raises:
        CalibrationError: The rows cannot support a calibration.
    """
    array = logits.logits if isinstance(logits, CrossFit) else logits
    return make_calibrator(method).fit(array, rows.labels, rows.phases)


def _fit_estimator(model: Any) -> FitFold:
    def fit(fold: Fold) -> Predict:
        learn = fold.learn
        weights = {} if learn.weights is None else {"sample_weight": learn.weights}
        fitted = clone(model).fit(learn.trials, learn.labels, **weights)
        return lambda trials: log_probabilities(softmax(fitted.label_logits(trials)))

    return fit


def _judged(
    predict: Predict, asked: Mapping[str, Sequence[Trial]], held: IntArray
) -> dict[str, FloatArray]:
    """The logits of the held rows, of each of the sequences that are asked about."""
    return {
        name: np.asarray(predict([trials[int(i)] for i in held]), dtype=np.float64)
        for name, trials in asked.items()
    }


def _fold(
    rows: LearningRows,
    extra: LearningRows | None,
    fold_of: IntArray,
    number: int,
    folds: int,
    seed: int,
) -> Fold:
    indices = np.flatnonzero(fold_of != number)
    more = None
    if extra is not None:
        judged = {rows.groups[int(i)] for i in np.flatnonzero(fold_of == number)}
        more = extra.take([i for i, group in enumerate(extra.groups) if group not in judged])
    return Fold(number, folds, rows.take(indices).plus(more), indices, seed)


def _draw(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def _key(
    about: Mapping[str, Any],
    rows: LearningRows,
    extra: LearningRows | None,
    variants: Mapping[str, Sequence[Trial]],
) -> str:
    """One hash of all that the logits depend on."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for part in (rows, extra):
        if part is not None:
            weights = None if part.weights is None else part.weights.tolist()
            facts = [part.labels.tolist(), list(part.groups), weights]
            digest.update(json.dumps(facts).encode())
    several = [rows.trials, extra.trials if extra else (), *variants.values()]
    for trials in several:
        digest.update(b"\x00")
        for trial in trials:
            digest.update(encode_trial(trial).encode() + b"\n")
    digest.update(json.dumps(list(variants)).encode())
    return digest.hexdigest()


def _file(store: Path, number: int) -> Path:
    return store / f"fold_{number}.safetensors"


def _keep(store: Path, number: int, key: str, part: Mapping[str, NDArray[np.float64]]) -> None:
    store.mkdir(parents=True, exist_ok=True)
    arrays = {f"logits.{name}": np.ascontiguousarray(logits) for name, logits in part.items()}
    with replacing(_file(store, number)) as scratch:
        save_file(arrays, scratch, metadata={"key": key})


def _stored(store: Path, number: int, key: str) -> dict[str, NDArray[np.float64]] | None:
    """The logits that an earlier call kept; None where there are none of the same origin."""
    try:
        with safe_open(_file(store, number), framework="numpy") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            return {
                name.removeprefix("logits."): np.asarray(file.get_tensor(name), dtype=np.float64)
                for name in file.keys()  # noqa: SIM118 - it is no mapping
            }
    except (OSError, SafetensorError):
        return None
