"""Registry texts that come as flat tables, written as records: studies of API version 2.

    python scripts/extra_records.py registry_extra.jsonl registry_extra.json
    python scripts/extra_records.py top_extra.csv top_extra.json

What llm4top reads, it then reads of these too (pretrain, ingest with --labels, forecast). A column
that says what happened after the trial began is never written. A row that did not surely start
before 2014 is left out, because the benchmark's test files begin there.
"""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PHASES = {
    "early phase 1": ["EARLY_PHASE1"],
    **{f"phase {n}": [f"PHASE{n}"] for n in (1, 2, 3, 4)},
    "phase 1/phase 2": ["PHASE1", "PHASE2"],
    "phase 2/phase 3": ["PHASE2", "PHASE3"],
}


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL or CSV file that started before 2014; a CSV's lists are JSON."""
    if file.suffix == ".jsonl":
        # Not ``splitlines``: a text may hold a line separator of Unicode, a JSON line ends in \n.
        for line in file.read_text("utf-8").split("\n"):
            if line and (row := json.loads(line))["start_2014_or_later"] is False:
                yield row
        return
    csv.field_size_limit(10_000_000)
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            lists = {
                key: json.loads(row[column] or "[]")
                for key, column in (
                    ("conditions", "conditions"),
                    ("interventions", "interventions"),
                    ("outcomes", "primary_outcomes"),
                )
            }
            yield {**row, "summary": row["brief_summary"], **lists}


def study(row: dict[str, Any]) -> dict[str, Any]:
    """One row as a study; what it does not know is absent."""
    modules: dict[str, dict[str, Any]] = {
        "identificationModule": {"nctId": row["nctid"], "briefTitle": row["title"]},
        "descriptionModule": {"briefSummary": row["summary"]},
        "conditionsModule": {"conditions": row["conditions"]},
        "designModule": {"phases": PHASES.get(row.get("phase", ""), [])},
        "armsInterventionsModule": {
            "interventions": [{"name": name} for name in row["interventions"]]
        },
        "outcomesModule": {
            "primaryOutcomes": [{"measure": text} for text in row["outcomes"]],
            "secondaryOutcomes": [{"measure": text} for text in row.get("secondary_outcomes", [])],
        },
        "eligibilityModule": {"eligibilityCriteria": row["criteria"]},
    }
    known = {
        name: {key: value for key, value in module.items() if value}
        for name, module in modules.items()
    }
    return {"protocolSection": {name: module for name, module in known.items() if module}}


def main(source: str, target: str) -> None:
    """Write ``target`` from ``source``."""
    studies = [study(row) for row in rows(Path(source))]
    Path(target).write_text(json.dumps(studies, indent=1) + "\n", "utf-8")
    print(f"{target}: {len(studies)} records")


if __name__ == "__main__":
    main(*sys.argv[1:3])
