"""The leak oracle: a rule that cheats on purpose, to show what a leak would look like."""

from __future__ import annotations

import numpy as np

from llm4top.data import Dataset
from llm4top.errors import DatasetError
from llm4top.evaluation._scores import FloatArray

ORACLE = "leak oracle: registry status"
ORACLE_NOTE = (
    "Cheating on purpose: it reads the registry's status and stop reason, which are known only "
    "after the outcome. It is here to show what a leak looks like."
)

STOPPED = frozenset({"terminated", "withdrawn", "suspended"})
_CHANCE_IF_STOPPED = 0.1  # not 0: a rule that is certain and wrong has no finite log-loss


def has_oracle(rows: Dataset) -> bool:
    """Whether the rule can be applied: a binary task, and rows that carry a status."""
    return rows.task.kind == "binary" and any(status for status in rows.statuses)


def oracle_probabilities(rows: Dataset) -> FloatArray:
    """What the rule says: ``[n, 2]``, columns in the order of the task's labels.

    A trial that was terminated, withdrawn or suspended, or that gives a reason for stopping, gets
    one chance in ten of the task's second label; any other nine in ten. As a rule of thumb on TOP
    it reaches a ROC-AUC of .73 to .87, above every honest forecaster.

    Raises ``DatasetError`` where no row has a status or the task is not binary.
    """
    if not has_oracle(rows):
        raise DatasetError(
            "the leak oracle needs a binary task and rows with a registry status.",
            where=rows.card.name,
            hint="Make the data set again with `llm4top ingest`, or leave the oracle out.",
        )
    stopped = np.array(
        [
            (status or "").strip().casefold() in STOPPED or bool((why or "").strip())
            for status, why in zip(rows.statuses, rows.why_stopped, strict=True)
        ]
    )
    event = np.where(stopped, _CHANCE_IF_STOPPED, 1 - _CHANCE_IF_STOPPED)
    return np.stack([1 - event, event], axis=1)
