"""What the features of a forecaster's linear and tree parts add to its own chance.

A linear part's log-odds are its bias plus, for each word, the word's weight times its TF-IDF value:
that is exact. A forest's chance is the mean over its trees of the share in the leaf that a trial
reaches; on the way down each split changes the expected share, and the change is counted for the
feature that is asked there (Saabas, Interpreting random forests, 2014). The stored trees do not
keep how many trials took each side, so the expected share of a node is the plain mean of its two
sides'. What the features add up to is exact here as well.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.baselines.extra_trees import ExtraTreesForecaster
from llm4top.forecasters.baselines.features import visible_trials
from llm4top.forecasters.baselines.narrow_trees import NarrowTrees
from llm4top.forecasters.baselines.simple import TfidfForecaster
from llm4top.forecasters.baselines.structured import StructuredForecaster, structured_features
from llm4top.forecasters.calibration.calibrated import FloatArray
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.reasons.chance import Event
from llm4top.forecasters.reasons.explanation import Feature, PartFeatures
from llm4top.forecasters.reasons.feature_names import number_name, number_value, word_name
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task

SHOWN = 10
"""Features that are listed of each part."""


def part_features(forecaster: Forecaster, event: Event, trial: Trial) -> list[PartFeatures]:
    """The features of each part that is linear or made of trees; other parts are left out."""
    model: Any = forecaster.forecaster
    parts: Sequence[Forecaster] = model.parts if forecaster.kind == "blend" else (forecaster,)
    found = []
    for part in parts:
        own: Any = part.forecaster
        if isinstance(own, BaselineForecaster):
            (shown,) = visible_trials(get_task(own.task), [trial])
            columns = [c for c, label in enumerate(own.positions) if label in event.positions]
            if not columns:
                continue
            if isinstance(own, TfidfForecaster):
                found.append(_of_words(part.label, own, columns, shown))
            elif isinstance(own, ExtraTreesForecaster):
                row = own.rows([shown]).toarray()[0].astype(np.float32)
                values = ["in the record" if value else "not in the record" for value in row]
                names = list(map(word_name, own.terms_))
                found.append(_of_trees(part.label, own.learner_, columns, row, names, values))
            elif isinstance(own, StructuredForecaster):
                row = own.rows([shown])[0].astype(np.float32)
                said = structured_features(shown)
                names = list(map(number_name, own.names_))
                values = [number_value(name, said[name]) for name in own.names_]
                found.append(_of_trees(part.label, own.learner_, columns, row, names, values))
    return found


def _of_words(
    label: str, own: TfidfForecaster, columns: Sequence[int], trial: Trial
) -> PartFeatures:
    """The words of a logistic regression.

    With three classes or more it is the mean logit of the event's labels less that of the others.
    """
    row = own.words_.transform(own.texts([trial]))
    weights, bias = own.learner_.weights[0], own.learner_.biases[0]
    if weights.shape[1] == 1:
        slope, base = weights[:, 0], float(bias[0])
        if columns == [0]:
            slope, base = -slope, -base
    else:
        others = [c for c in range(weights.shape[1]) if c not in columns]
        slope = weights[:, columns].mean(axis=1) - weights[:, others].mean(axis=1)
        base = float(bias[columns].mean() - bias[others].mean())
    amounts = row.values * slope[row.columns]
    names = [word_name(own.words_.terms[i]) for i in row.columns.tolist()]
    return _listed(label, "log-odds", base, names, [""] * len(names), amounts)


def _of_trees(
    label: str,
    trees: NarrowTrees,
    columns: Sequence[int],
    row: Any,
    names: Sequence[str],
    values: Sequence[str],
) -> PartFeatures:
    base, amounts = path_amounts(trees, columns, row)
    used = np.flatnonzero(amounts)
    return _listed(
        label,
        "share",
        base,
        [names[i] for i in used.tolist()],
        [values[i] for i in used.tolist()],
        amounts[used],
    )


_EXPECTED: WeakKeyDictionary[NarrowTrees, dict[tuple[int, ...], FloatArray]] = WeakKeyDictionary()


def path_amounts(trees: NarrowTrees, columns: Sequence[int], row: Any) -> tuple[float, FloatArray]:
    """What each feature adds to the chance of the classes in ``columns``.

    Args:
        trees: The trees.
        columns: Positions among the classes.
        row: Float32 ``[F]``, the trial's features.

    Returns:
        The mean expected share at the roots, and the amounts ``[F]``; together they add up to the
        chance that ``predict_proba`` gives, before it is rounded to sum to 1.
    """
    kept = _EXPECTED.setdefault(trees, {})
    if tuple(columns) not in kept:
        kept[tuple(columns)] = expected_shares(trees, columns)
    expected = kept[tuple(columns)]
    leaf, feature, child = _layout(trees)
    amounts = np.zeros(len(row))
    node = trees.roots.astype(np.int64)
    limit = np.full(len(leaf), 0.5, dtype=np.float32)
    if len(trees.threshold):
        limit[~leaf] = trees.threshold
    base = float(expected[node].mean())
    while len(node := node[~leaf[node]]):
        asked = feature[node]
        following = child[node] + (row[asked] > limit[node])
        np.add.at(amounts, asked, (expected[following] - expected[node]) / len(trees.roots))
        node = following
    return base, amounts


def expected_shares(trees: NarrowTrees, columns: Sequence[int]) -> FloatArray:
    """The expected share of the classes in ``columns`` at each node: the mean of its two sides'."""
    leaf, _, child = _layout(trees)
    shares = np.column_stack([1 - trees.share.sum(axis=1, dtype=np.float64), trees.share])
    found = np.full(len(leaf), np.nan)
    found[leaf] = shares[:, list(columns)].sum(axis=1)
    open_nodes = np.flatnonzero(~leaf)
    while len(open_nodes):
        first = child[open_nodes]
        mean = (found[first] + found[first + 1]) / 2
        known = ~np.isnan(mean)
        found[open_nodes[known]] = mean[known]
        open_nodes = open_nodes[~known]
    return found


def _layout(trees: NarrowTrees) -> tuple[Any, Any, Any]:
    """For each node whether it is a leaf, the feature that it asks, and its first child."""
    leaf = trees.gap == 0
    feature = np.zeros(len(leaf), dtype=np.int64)
    feature[~leaf] = trees.feature
    return leaf, feature, np.arange(len(leaf)) + trees.gap.astype(np.int64)


def _listed(
    label: str,
    unit: str,
    base: float,
    names: Sequence[str],
    values: Sequence[str],
    amounts: FloatArray,
) -> PartFeatures:
    order = np.argsort(-np.abs(amounts), kind="stable")[:SHOWN].tolist()
    features = tuple(Feature(names[i], values[i], float(amounts[i])) for i in order)
    total = float(amounts.sum())
    rest = total - sum(feature.amount for feature in features)
    return PartFeatures(label, unit, base, features, rest, base + total)
