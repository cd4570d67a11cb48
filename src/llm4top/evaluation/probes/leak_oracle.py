"""The leak oracle: a rule that cheats on purpose, to show what a leak would look like."""

import numpy as np
from scipy.special import expit, logit

from llm4top.data.dataset import Dataset
from llm4top.errors import DatasetError
from llm4top.evaluation.predictions import FloatArray, Scores
from llm4top.evaluation.reports.table import Entry

ORACLE = "Leak oracle: registry status"
ORACLE_ADDED = "Leak oracle: TF-IDF + registry status"
ORACLE_NOTE = (
    "Cheating on purpose: it reads the registry's status and stop reason, which are known only "
    "after the outcome. It is here to show what a leak looks like."
)

STOPPED = frozenset({"terminated", "withdrawn", "suspended"})
_CHANCE_IF_STOPPED = 0.1  # not 0: a rule that is certain and wrong has no finite log-loss
_LEAST = 1e-6


def has_oracle(rows: Dataset) -> bool:
    """Whether the rule can be applied: a binary task, and rows that carry a status."""
    return rows.task.kind == "binary" and any(status for status in rows.statuses)


def oracle_entries(rows: Dataset, split: str, honest: Scores | None = None) -> list[Entry]:
    """The oracle as entries of a table: alone, and added to ``honest`` scores of the same rows.

    Empty where it cannot be applied.
    """
    if not has_oracle(rows):
        return []
    found = {ORACLE: oracle_probabilities(rows)}
    if honest is not None:
        found[ORACLE_ADDED] = oracle_probabilities(rows, honest.probabilities)
    return [
        Entry(
            Scores.of_rows(name, split, rows, probabilities),
            "cheating",
            "the outcome's own status",
            note=ORACLE_NOTE,
        )
        for name, probabilities in found.items()
    ]


def oracle_probabilities(rows: Dataset, honest: FloatArray | None = None) -> FloatArray:
    """The rule's probabilities ``[n, 2]``, columns in the order of the task's labels.

    A trial that was terminated, withdrawn or suspended, or that states a reason for stopping, gets
    a probability of .1 for the task's second label; any other .9. The rule alone tells little about
    trials that ran to their end: on TOP's validation rows it reaches a ROC-AUC of .72, less than
    TF-IDF's .75; added to TF-IDF it reaches .84.

    Args:
        rows: The trials.
        honest: Probabilities ``[n, 2]`` of a forecaster that does not cheat, to whose log-odds the
            rule's are added: this is how a leak affects a model in practice.

    Raises:
        DatasetError: No row has a status, or the task is not binary.
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
    if honest is not None:
        event = expit(logit(event) + logit(np.clip(honest[:, 1], _LEAST, 1 - _LEAST)))
    return np.stack([1 - event, event], axis=1)
