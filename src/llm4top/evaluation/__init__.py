"""Evaluation: metrics with intervals, comparisons, the test ledger, reports.

This room stands before training: selection and model cards need its figures. Names are imported
when first used.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.evaluation._facts import audit_lines, data_facts, new_report
    from llm4top.evaluation._ledger import TestLedger, sealed_rows_sha256
    from llm4top.evaluation._oracle import has_oracle, oracle_probabilities
    from llm4top.evaluation._report import Figure, Report
    from llm4top.evaluation._scores import Scores
    from llm4top.evaluation._table import Entry, Measurements, measure_table

_HOMES = {
    "Entry": "_table",
    "Figure": "_report",
    "Measurements": "_table",
    "Report": "_report",
    "Scores": "_scores",
    "TestLedger": "_ledger",
    "audit_lines": "_facts",
    "data_facts": "_facts",
    "has_oracle": "_oracle",
    "measure_table": "_table",
    "new_report": "_facts",
    "oracle_probabilities": "_oracle",
    "sealed_rows_sha256": "_ledger",
}
"""The file that each name comes from."""

__all__ = [
    "Entry",
    "Figure",
    "Measurements",
    "Report",
    "Scores",
    "TestLedger",
    "audit_lines",
    "data_facts",
    "has_oracle",
    "measure_table",
    "new_report",
    "oracle_probabilities",
    "sealed_rows_sha256",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
