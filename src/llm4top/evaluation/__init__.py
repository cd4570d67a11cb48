"""Evaluation: metrics with intervals, comparisons, the test ledger, reports.

This room stands before training: selection and model cards need its figures. Names are imported
when first used.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.evaluation._report import Figure, Report
    from llm4top.evaluation._scores import Scores

_HOMES = {
    "Figure": "_report",
    "Report": "_report",
    "Scores": "_scores",
}
"""The file that each name comes from."""

__all__ = [
    "Figure",
    "Report",
    "Scores",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
