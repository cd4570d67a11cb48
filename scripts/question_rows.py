"""The labelled trials that the embedded questions learn from: scripts/embedded_questions.py.

Records come from four places of a data folder, the fullest first: `registry/` (an archive and
exports of the API), the record fields beside TrialBench's labels (`labels/trialbench_*_x.csv`),
`extra/aux_labels.csv` and `extra/registry_extra.jsonl`. Flat tables are written as studies of the
registry's API and read like any other record, so every text passes the leak guard.

Labels come from the record's own rule, else from TrialBench, else from aux_labels.csv. A trial of
TOP's validation or test files is left out, so that nothing here knows them.
"""

import ast
import csv
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import extra_records
import numpy as np
from learning_rows import sealed_ids

from llm4top.errors import TaskError
from llm4top.registry.codes import iso_date
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record, Trial
from llm4top.tasks.builtin import (
    COMPLETION,
    DAYS_OF_A_MONTH,
    DURATION,
    LABEL_RULES,
    WHY_IT_FAILS,
    label_of_text,
    months_lasted,
)
from llm4top.tasks.task import Task
from llm4top.tasks.why_stopped import class_of_reason

TRIALBENCH = {
    WHY_IT_FAILS.name: ("trial_failure_reason_prediction", "failure_reason"),
    DURATION.name: ("trial_duration_prediction", "month"),
    "dropout": ("patient_dropout_rate", "droupout_rate"),
    "serious-adverse-events": ("adverse_event_rate_prediction", "serious_adverse_rate"),
    "mortality": ("mortality_rate_prediction", "mortality_rate"),
}
"""By task, the file of TrialBench's labels and its column."""
POSTED = {
    "dropout": "dropout_rate",
    "serious-adverse-events": "serious_event_rate",
    "mortality": "mortality_rate",
}
"""By task, what posted results say of it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Labelled trials; ``values`` are the quantities of an ordinal task, NaN for others.

    ``starts`` are start dates (ISO, or None), ``sources`` where the record came from, ``splits``
    TrialBench's own split ("train", "test", or "" where the label is not TrialBench's).
    """

    task: Task
    trials: list[Trial]
    labels: np.ndarray
    values: np.ndarray
    ids: list[str]
    starts: list[str | None]
    sources: list[str]
    splits: list[str]


@dataclass(frozen=True)
class Source:
    """All records and label tables of a data folder, read once for all questions."""

    records: Mapping[str, tuple[Record, str]]
    aux: Mapping[str, dict[str, str]]
    starts: Mapping[str, str]
    folder: Path


def read_source(data: Path) -> Source:
    """Read the records, one of each trial."""
    hidden = sealed_ids(data) | {
        row["nctid"] for file in (data / "top").glob("phase_*_valid.csv") for row in table(file)
    }
    aux = {row["nctid"]: row for row in table(data / "extra" / "aux_labels.csv")}
    found: dict[str, tuple[Record, str]] = {}
    for name, records in _places(data, aux):
        for record in records:
            nct_id = record.nct_id
            if nct_id and nct_id not in hidden and record.trial.phase != "":
                found.setdefault(nct_id, (record, name))
    starts = {i: d for i, row in aux.items() if (d := iso_date(row["start_date"] or ""))}
    for row in table(data / "labels" / "trialbench_trial_duration_prediction.csv"):
        if day := iso_date(row["start_date"]):
            starts.setdefault(row["nctid"], day)
    return Source(found, aux, starts, data)


def _places(data: Path, aux: Mapping[str, dict[str, str]]) -> Iterator[tuple[str, list[Record]]]:
    archive = data / "registry" / "AllPublicXML-sample.zip"
    yield "registry", _read(archive) + _read(data / "registry" / "api_v2")
    tables = sorted((data / "labels").glob("trialbench_*_x.csv"))
    yield "trialbench", _studies([_trialbench(row) for file in tables for row in table(file)])
    yield "aux", _studies([_aux(row) for row in aux.values()])
    file = data / "extra" / "registry_extra.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
    yield "extra", _studies([extra_records.study(row) for row in rows if row["criteria"]])


def rows_of(source: Source, task: Task) -> Rows:
    """The labelled rows of one question."""
    bench = _trialbench_labels(source.folder, task)
    found: list[tuple[Trial, int, float, str, str | None, str, str]] = []
    for nct_id, (record, name) in source.records.items():
        if record.trial.study_type not in (None, "Interventional"):
            continue
        label, value, split = _label(task, record, source.aux.get(nct_id), bench.get(nct_id))
        if label is None:
            continue
        start = record.registry_outcome.start_date or source.starts.get(nct_id)
        place = task.labels.index(label)
        found.append((record.trial, place, value, nct_id, start, name, split))
    trials, labels, values, ids, starts, names, splits = map(list, zip(*found, strict=True))
    return Rows(task, trials, np.array(labels), np.array(values), ids, starts, names, splits)


def _label(
    task: Task,
    record: Record,
    aux: Mapping[str, str] | None,
    bench: tuple[str, str] | None,
) -> tuple[str | None, float, str]:
    """Label, quantity and TrialBench's split: by the record, else TrialBench, else aux."""
    rule = LABEL_RULES.get(task.name)
    own = rule(record) if rule is not None else None
    if task == DURATION and own is not None:
        return own, months_lasted(record) or 0.0, bench[1] if bench else ""
    if bench is not None:
        try:
            number = float(bench[0])
        except ValueError:
            number = np.nan
        try:
            return label_of_text(task, bench[0]), number, bench[1]
        except TaskError:
            return None, np.nan, ""
    if own is not None:
        rate = getattr(record.registry_outcome, POSTED.get(task.name, ""), None)
        return own, np.nan if rate is None else rate, ""
    return (None, np.nan, "") if aux is None else (*_aux_label(task, aux), "")


def _aux_label(task: Task, row: Mapping[str, str]) -> tuple[str | None, float]:
    if task == COMPLETION and row["label_completed"]:
        return COMPLETION.labels[int(row["label_completed"])], np.nan
    if task == DURATION and row["label_duration_days"]:
        months = float(row["label_duration_days"]) / DAYS_OF_A_MONTH
        return DURATION.label_of_value(months), months
    if task == WHY_IT_FAILS and row["label_why_stopped"] and row["label_completed"] == "0":
        return class_of_reason(row["label_why_stopped"]), np.nan
    return None, np.nan


def _trialbench_labels(data: Path, task: Task) -> dict[str, tuple[str, str]]:
    if task.name not in TRIALBENCH:
        return {}
    name, column = TRIALBENCH[task.name]
    file = data / "labels" / f"trialbench_{name}.csv"
    return {row["nctid"]: (row[column], row["split"]) for row in table(file)}


def _trialbench(row: dict[str, str]) -> dict[str, Any]:
    """A row of TrialBench's record fields as a study; nothing of the label side is written."""
    phase = row["phase"].lower()
    return extra_records.study(
        {
            "nctid": row["nctid"],
            "title": row["brief_title"],
            "summary": row["brief_summary/textblock"],
            "conditions": _list(row["condition"]),
            "interventions": _list(row["intervention/intervention_name"]),
            "outcomes": [],
            "phase": phase,
            "criteria": row["eligibility/criteria/textblock"],
        }
    )


def _aux(row: dict[str, str]) -> dict[str, Any]:
    """A row of aux_labels.csv as a study, of what was known at registration alone."""
    made = extra_records.study(
        {
            "nctid": row["nctid"],
            "title": row["title"],
            "summary": "",
            "conditions": json.loads(row["conditions"] or "[]"),
            "interventions": json.loads(row["interventions"] or "[]"),
            "outcomes": [],
            "phase": row["phase"],
            "criteria": "",
        }
    )
    kind = {"interventional": "INTERVENTIONAL"}.get(row["study_type"], "OBSERVATIONAL")
    made["protocolSection"].setdefault("designModule", {})["studyType"] = kind
    return made


def _list(text: str) -> list[str]:
    if not text.startswith("["):
        return [text] if text else []
    try:
        return [str(item) for item in ast.literal_eval(text)]
    except (SyntaxError, ValueError):
        return [text]


def _studies(studies: list[dict[str, Any]]) -> list[Record]:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "records.json"
        file.write_text(json.dumps({"studies": studies}), encoding="utf-8")
        return _read(file)


def _read(path: Path) -> list[Record]:
    return [one for one in read_records(path) if isinstance(one, Record)] if path.exists() else []


def table(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where it is not there."""
    csv.field_size_limit(10**8)
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def year(start: str | None) -> float:
    """The start as a year with its month as a part; NaN where it is not known."""
    if not start:
        return np.nan
    day = date.fromisoformat((start + "-06-15")[:10] if len(start) == 4 else (start + "-15")[:10])
    return day.year + (day.month - 1) / 12
