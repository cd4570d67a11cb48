"""No loss over real records: what the sources carry by independent counting, the trials hold."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from lxml import etree

from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.reader import read_records
from llm4top.registry.trial import TRIAL_FIELDS
from tests.registry.builders import criteria_words

PLANNED_XML = ("Anticipated", "Estimated")


def held(records) -> Counter[str]:
    return Counter(
        name for r in records for name in TRIAL_FIELDS if getattr(r.trial, name) not in (None, ())
    )


def cut_whole(records) -> Counter[str]:
    """Fields of which the leak guard left nothing, so far as the account of what was cut tells."""
    return Counter(
        name
        for r in records
        for name in {w.field for w in r.withheld} & set(TRIAL_FIELDS)
        if getattr(r.trial, name) in (None, ())
    )


def in_xml(root: etree._Element) -> set[str]:
    found = set()
    for field in ALLOWED_FIELDS:
        elements = [e for path in field.xml for e in root.xpath(path) if (e.text or "").strip()]
        if field.name in ("minimum_age", "maximum_age"):
            elements = [e for e in elements if e.text != "N/A"]
        if field.name in ("planned_enrolment", "planned_start"):
            elements = [e for e in elements if e.get("type") in PLANNED_XML]
        if elements:
            found.add(field.name)
    return found


def values_at(value, keys: list[str]) -> list:
    if not keys:
        return [value] if value not in (None, "", [], {}) else []
    if isinstance(value, list):
        return [found for item in value for found in values_at(item, keys)]
    return values_at(value.get(keys[0]), keys[1:]) if isinstance(value, dict) else []


def flat(values: list) -> list:
    return [x for v in values for x in (v if isinstance(v, list) else [v])]


def in_study(study: dict) -> set[str]:
    found = set()
    for field in ALLOWED_FIELDS:
        paths = [path.replace("[]", "").split(".") for path in field.api]
        values = [v for path in paths for v in flat(values_at(study, path))]
        if field.name in ("planned_enrolment", "planned_start"):
            values = [v for v in values if v == "ESTIMATED"]
        if values:
            found.add(field.name)
    return found


@pytest.mark.slow
def test_nothing_is_lost_from_the_sample(test_data):
    path = test_data / "registry" / "AllPublicXML-sample.zip"
    expected: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            expected.update(in_xml(etree.fromstring(archive.read(name))))
    reader = read_records(path)
    records = list(reader)
    assert str(reader.summary) == "6\u202f328 read, 0 skipped"
    assert held(records) + cut_whole(records) == expected
    assert sum(cut_whole(records).values()) < 20
    assert sum(r.registry_outcome.has_results for r in records) == 414
    assert sum(r.registry_outcome.why_stopped is not None for r in records) == 295


@pytest.mark.parametrize("name", ["dgg32", "koy570_herniated_disc", "userzetsu_dtx"])
def test_nothing_is_lost_from_an_export(test_data, name):
    path: Path = test_data / "registry" / "api_v2" / f"{name}_ctg-studies.json"
    expected: Counter[str] = Counter()
    for study in json.loads(path.read_text()):
        expected.update(in_study(study))
    records = list(read_records(path))
    assert held(records) + cut_whole(records) == expected


def test_lists_keep_their_length(test_data):
    """Counted text by text, not only record by record."""
    for path in sorted((test_data / "registry" / "xml").glob("*.xml")):
        root = etree.parse(path).getroot()
        (record,) = read_records(path)
        trial = record.trial
        assert len(trial.conditions) == len(root.findall("condition"))
        assert len(trial.keywords) == len(root.findall("keyword"))
        assert len(trial.interventions) == len(root.findall("intervention"))
        assert len(trial.arms) == len(root.findall("arm_group"))
        assert len(trial.primary_outcomes) == len(root.findall("primary_outcome"))
        assert len(trial.secondary_outcomes) == len(root.findall("secondary_outcome"))
        assert len(trial.collaborators) == len(root.findall("sponsors/collaborator"))
        words = criteria_words(root.findtext("eligibility/criteria/textblock"))
        cut = [w for w in record.withheld if w.field == "criteria"]
        if not cut:
            assert criteria_words(trial.criteria) == words


def test_every_element_is_read_or_withheld(test_data):
    for path in sorted((test_data / "registry" / "xml").glob("*.xml")):
        root = etree.parse(path).getroot()
        (record,) = read_records(path)
        read = {p.split("/")[0] for field in ALLOWED_FIELDS for p in field.xml}
        withheld = {w.field.split("/")[0] for w in record.withheld}
        tags = {child.tag for child in root if isinstance(child.tag, str)}
        assert tags <= read | withheld
