"""Evaluation: metrics with intervals, comparisons, the test ledger, reports.

This room stands before training: selection and model cards need its figures. Names are imported
when first used.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.evaluation._ablation import prompt_ablation
    from llm4top.evaluation._checklist import checklist
    from llm4top.evaluation._contamination import contamination_probes
    from llm4top.evaluation._curves import curve_set, curves_of
    from llm4top.evaluation._differences import DeLong, compare_pairs, delong
    from llm4top.evaluation._evaluate import compare, evaluate
    from llm4top.evaluation._facts import audit_lines, data_facts, new_report
    from llm4top.evaluation._ledger import TestLedger, sealed_rows_sha256
    from llm4top.evaluation._masking import mask_names
    from llm4top.evaluation._metrics import METRICS, Measured, Metric, measure
    from llm4top.evaluation._oracle import has_oracle, oracle_probabilities
    from llm4top.evaluation._published import published_results
    from llm4top.evaluation._render import read_report, write_report
    from llm4top.evaluation._report import Figure, Report
    from llm4top.evaluation._scores import Scores
    from llm4top.evaluation._slices import slice_table
    from llm4top.evaluation._source import Scorer, Source, language_source, load_source
    from llm4top.evaluation._table import Entry, Measurements, measure_table
    from llm4top.evaluation._threshold import choose_threshold, cross_fitted_decisions, decide

_HOMES = {
    "METRICS": "_metrics",
    "DeLong": "_differences",
    "Entry": "_table",
    "Figure": "_report",
    "Measured": "_metrics",
    "Measurements": "_table",
    "Metric": "_metrics",
    "Report": "_report",
    "Scorer": "_source",
    "Scores": "_scores",
    "Source": "_source",
    "TestLedger": "_ledger",
    "audit_lines": "_facts",
    "checklist": "_checklist",
    "choose_threshold": "_threshold",
    "compare": "_evaluate",
    "compare_pairs": "_differences",
    "contamination_probes": "_contamination",
    "cross_fitted_decisions": "_threshold",
    "curve_set": "_curves",
    "curves_of": "_curves",
    "data_facts": "_facts",
    "decide": "_threshold",
    "delong": "_differences",
    "evaluate": "_evaluate",
    "has_oracle": "_oracle",
    "language_source": "_source",
    "load_source": "_source",
    "mask_names": "_masking",
    "measure": "_metrics",
    "measure_table": "_table",
    "new_report": "_facts",
    "oracle_probabilities": "_oracle",
    "prompt_ablation": "_ablation",
    "published_results": "_published",
    "read_report": "_render",
    "sealed_rows_sha256": "_ledger",
    "slice_table": "_slices",
    "write_report": "_render",
}
"""The file that each name comes from."""

__all__ = [
    "METRICS",
    "DeLong",
    "Entry",
    "Figure",
    "Measured",
    "Measurements",
    "Metric",
    "Report",
    "Scorer",
    "Scores",
    "Source",
    "TestLedger",
    "audit_lines",
    "checklist",
    "choose_threshold",
    "compare",
    "compare_pairs",
    "contamination_probes",
    "cross_fitted_decisions",
    "curve_set",
    "curves_of",
    "data_facts",
    "decide",
    "delong",
    "evaluate",
    "has_oracle",
    "language_source",
    "load_source",
    "mask_names",
    "measure",
    "measure_table",
    "new_report",
    "oracle_probabilities",
    "prompt_ablation",
    "published_results",
    "read_report",
    "sealed_rows_sha256",
    "slice_table",
    "write_report",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
