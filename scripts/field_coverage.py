"""For each field of a trial: how many records carry it in any form, and how many trials hold it.

    python scripts/field_coverage.py FILE_OR_FOLDER...

Reads legacy XML (loose or zipped) and v2 JSON a second time by plain XPath and dotted paths, apart
from the readers, so that a value the readers lose shows as a difference. "Withheld" counts records
whose account explains the difference: the field is only allowed where it was planned, or the leak
guard cut all of it.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record

ABSENT = frozenset({"", "n/a"})  # an age limit of N/A is none
PLANNED = {"start_date": "planned_start", "enrollment": "planned_enrolment"}


def sources(path: Path) -> Iterator[tuple[str, Any]]:
    """Each raw record under the name that its ``Source`` bears."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield from sources(file)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".xml"):
                    yield f"{path}!{name}", etree.fromstring(archive.read(name))
    elif path.suffix == ".xml":
        yield str(path), etree.parse(str(path)).getroot()
    elif path.suffix == ".json":
        found = json.loads(path.read_text("utf-8"))
        studies = found.get("studies", [found]) if isinstance(found, dict) else found
        for number, study in enumerate(studies, start=1):
            yield f"{path}!#{number}", study


def carried(raw: Any) -> set[str]:
    """The fields that a raw record carries in any form."""
    if isinstance(raw, dict):
        return {f.name for f in ALLOWED_FIELDS if any(_at(raw, path) for path in f.api)}
    return {
        field.name
        for field in ALLOWED_FIELDS
        for path in field.xml
        for element in raw.findall(path)
        if "".join(element.itertext()).strip().lower() not in ABSENT or field.name == "phase"
    }


def _at(value: Any, path: str) -> bool:
    """Whether a dotted path leads to anything."""
    if isinstance(value, list):
        return any(_at(item, path) for item in value)
    if not path:
        return value is not None and value != "" and value != "N/A"
    head, _, rest = path.partition(".")
    below = value.get(head.removesuffix("[]")) if isinstance(value, dict) else None
    return below is not None and _at(below, rest)


def _explained(record: Record, field: str) -> bool:
    about = {PLANNED.get(item.field.rpartition("/")[2], item.field) for item in record.withheld}
    planned = {"planned_start": "startDateStruct", "planned_enrolment": "enrollmentInfo"}
    return field in about or any(planned.get(field, "no such") in name for name in about)


def main(paths: list[str]) -> None:
    """Print the table, and the first records that lack what they carry."""
    raw, held, explained = Counter[str](), Counter[str](), Counter[str]()
    lost: dict[str, list[str]] = {}
    records = {record.source.name: record for record in read_records(paths)}
    for path in paths:
        for name, found in sources(Path(path)):
            record = records.get(name)
            if record is None:
                print(f"not read: {name}")
                continue
            for field in carried(found):
                raw[field] += 1
                if getattr(record.trial, field) not in (None, ()):
                    held[field] += 1
                elif _explained(record, field):
                    explained[field] += 1
                else:
                    lost.setdefault(field, []).append(name)
    print(f"{len(records):,} records\n")
    print("| field | carried | held | withheld | lost |\n|---|---|---|---|---|")
    for field in ALLOWED_FIELDS:
        if raw[field.name]:
            numbers = (raw, held, explained)
            cells = [f"{counter[field.name]:,}" for counter in numbers]
            print(f"| {field.name} | {' | '.join(cells)} | {len(lost.get(field.name, ()))} |")
    for field_name, names in lost.items():
        print(f"\n{field_name}: {', '.join(names[:5])}")


if __name__ == "__main__":
    main(sys.argv[1:])
