"""Metrics of decisions, from counts of what was decided and what came true."""

from __future__ import annotations

import numpy as np

from llm4top.evaluation._scores import FloatArray


def binary_decisions(
    hits: FloatArray, false_alarms: FloatArray, events: FloatArray, others: FloatArray
) -> dict[str, FloatArray]:
    """Seven metrics of binary decisions for ``[b]`` draws, 0 where a denominator is 0.

    ``hits`` and ``false_alarms`` are decisions for the event that came and did not come true,
    ``events`` and ``others`` the rows with and without it.
    """
    rejected = others - false_alarms
    said, unsaid = hits + false_alarms, events - hits + rejected
    recall, specificity = ratio(hits, events), ratio(rejected, others)
    spread = np.sqrt(said) * np.sqrt(unsaid) * np.sqrt(events) * np.sqrt(others)
    return {
        "accuracy": ratio(hits + rejected, events + others),
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": ratio(hits, said),
        "recall": recall,
        "specificity": specificity,
        "f1": ratio(2 * hits, said + events),
        "mcc": ratio(hits * rejected - false_alarms * (events - hits), spread),
    }


def decisions_of_many(matrix: FloatArray) -> dict[str, FloatArray]:
    """Metrics of decisions among K labels, 0 where a denominator is 0.

    ``matrix`` ``[b, K, K]`` counts rows by what came true (first) and what was decided (last).
    Labels without a row count in neither mean.
    """
    right = np.einsum("bkk->bk", matrix)
    true, said = matrix.sum(axis=2), matrix.sum(axis=1)
    n = true.sum(axis=1)
    present = true > 0
    labels = np.maximum(present.sum(axis=1), 1)
    f1 = ratio(2 * right, true + said)
    # Gorodkin 2004: the correlation of two partitions.
    covariance = right.sum(axis=1) * n - (true * said).sum(axis=1)
    spread = np.sqrt(n**2 - (said**2).sum(axis=1)) * np.sqrt(n**2 - (true**2).sum(axis=1))
    return {
        "accuracy": ratio(right.sum(axis=1), n),
        "balanced_accuracy": np.where(present, ratio(right, true), 0).sum(axis=1) / labels,
        "macro_f1": np.where(present, f1, 0).sum(axis=1) / labels,
        "mcc": ratio(covariance, spread),
    }


def ap_of_decisions(
    hits: FloatArray, false_alarms: FloatArray, events: FloatArray, others: FloatArray
) -> FloatArray:
    """Average precision where decisions stand in for scores: two distinct scores, 0 and 1."""
    recall = ratio(hits, events)
    precision = ratio(hits, hits + false_alarms)
    return recall * precision + (1 - recall) * ratio(events, events + others)


def ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    """``over / under``, 0 where ``under`` is 0 (scikit-learn's ``zero_division=0``)."""
    return np.divide(
        over, under, out=np.zeros(np.broadcast_shapes(over.shape, under.shape)), where=under > 0
    )
