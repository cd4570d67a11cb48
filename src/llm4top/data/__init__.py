"""Data sets: labelled trials with a split, their card, and how they are made."""

from llm4top.data._audit import audit
from llm4top.data._audit_report import AuditFinding, AuditReport
from llm4top.data._card import DatasetCard, DroppedRecord, SourceFile, TimeSpan
from llm4top.data._dataset import Dataset, load_dataset, make_dataset
from llm4top.data._ingest import ingest
from llm4top.data._labels import LabelFile, read_label_file
from llm4top.data._scope import is_top, newest_check, phases_in, scope
from llm4top.data._splits import OwnSplit, RandomSplit, SplitRule, TimeSplit, check_disjoint
from llm4top.data._spool import NO_LABEL
from llm4top.data._store import SPLITS

__all__ = [
    "NO_LABEL",
    "SPLITS",
    "AuditFinding",
    "AuditReport",
    "Dataset",
    "DatasetCard",
    "DroppedRecord",
    "LabelFile",
    "OwnSplit",
    "RandomSplit",
    "SourceFile",
    "SplitRule",
    "TimeSpan",
    "TimeSplit",
    "audit",
    "check_disjoint",
    "ingest",
    "is_top",
    "load_dataset",
    "make_dataset",
    "newest_check",
    "phases_in",
    "read_label_file",
    "scope",
]
