"""One trial in both formats gives equal trials, and nothing withheld has a say in them."""

from __future__ import annotations

import json
import random
import zipfile

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from lxml import etree

from llm4top.registry.api import read_study
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from llm4top.registry.trial import TRIAL_FIELDS
from llm4top.registry.xml_record import read_xml
from tests.profiles import examples
from tests.registry.pairs import TRIAL
from tests.registry.pairs_json import to_json
from tests.registry.pairs_xml import to_xml


def both(trial):
    study = to_json(trial)
    return (
        read_xml(to_xml(trial), "a.xml", None, Limits()),
        read_study(study, json.dumps(study).encode(), "a.json", None),
    )


@pytest.mark.slow
@examples(100, suppress_health_check=list(HealthCheck))
@given(TRIAL)
def test_both_formats_give_equal_trials(trial):
    a, b = both(trial)
    assert a.trial.to_dict() == b.trial.to_dict()
    assert a.trial == b.trial
    assert hash(a.trial) == hash(b.trial)
    assert a.registry_outcome == b.registry_outcome
    assert a.nct_id == b.nct_id
    assert a.source.processed == b.source.processed == "2023-05-09"


@pytest.mark.slow
def test_the_generator_fills_every_field():
    """A field that no example holds would be equal without being compared."""
    filled = set()

    # The same examples each time: no run misses a field by bad luck.
    @examples(300, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(TRIAL)
    def collect(trial):
        filled.update(read_xml(to_xml(trial), "a.xml", None, Limits()).trial.to_dict())

    collect()
    assert filled == set(TRIAL_FIELDS) - {"icd_codes", "smiles"}


def test_the_real_pair(test_data):
    registry = test_data / "registry"
    (legacy,) = read_records(registry / "pair" / "NCT00000410.xml")
    export = registry / "api_v2" / "koy570_herniated_disc_ctg-studies.json"
    (modern,) = (r for r in read_records(export) if r.nct_id == legacy.nct_id)
    assert legacy.trial == modern.trial
    assert legacy.registry_outcome == modern.registry_outcome


# ------------------------------------------------------------------- only the allow-list counts

_CONDITIONAL = {"enrollment", "start_date"}  # allowed by their type attribute
_LEAVES = {path for field in ALLOWED_FIELDS for path in field.xml}
# They never reach the trial, but say which words of its text are replaced.
_IDS = {"id_info/org_study_id", "id_info/secondary_id"}
_API_IDS = ("orgStudyIdInfo.id", "secondaryIdInfos.id")


def scramble(element: etree._Element, path: str, rng: random.Random) -> None:
    """Delete or rewrite whatever the allow-list does not name."""
    for child in list(element):
        below = f"{path}/{child.tag}" if path else str(child.tag)
        if below in _IDS:
            continue
        if below in _LEAVES:
            if below not in _CONDITIONAL:
                child.attrib.clear()
                child.set("changed", "yes")
            elif child.get("type") not in ("Anticipated", "Estimated"):
                element.remove(child)
        elif any(leaf.startswith(below + "/") for leaf in _LEAVES | _IDS):
            scramble(child, below, rng)
        elif rng.random() < 0.5 or below == "id_info/nct_id":
            element.remove(child)
        else:
            child.clear()
            child.text = "Terminated early: no efficacy"
            child.tag = rng.choice([str(child.tag), "unheard_of"])


def changed(data: bytes, rng: random.Random) -> bytes:
    root = etree.fromstring(data, etree.XMLParser(remove_comments=True))
    # Dates and ids that are no dates and ids would be refused, not read.
    for tag in ("completion_date", "primary_completion_date", "study_first_submitted"):
        for element in root.findall(tag):
            root.remove(element)
    scramble(root, "", rng)
    return etree.tostring(root)


@examples(50, suppress_health_check=list(HealthCheck))
@given(TRIAL, st.integers())
def test_what_is_withheld_has_no_say_in_an_invented_trial(trial, seed):
    data = to_xml(trial)
    before = read_xml(data, "a", None, Limits()).trial
    assert read_xml(changed(data, random.Random(seed)), "a", None, Limits()).trial == before


@pytest.mark.slow
def test_what_is_withheld_has_no_say_in_the_sample(test_data):
    rng = random.Random(0)
    with zipfile.ZipFile(test_data / "registry" / "AllPublicXML-sample.zip") as archive:
        # One in four, as this takes the time of reading them thrice.
        for name in archive.namelist()[::4]:
            data = archive.read(name)
            before = read_xml(data, name, None, Limits())
            after = read_xml(changed(data, rng), name, None, Limits())
            assert after.trial == before.trial, name


def keep_allowed(value, allowed):
    if isinstance(value, list):
        return [keep_allowed(item, allowed) for item in value]
    if not isinstance(value, dict) or not allowed:
        return value
    kept = {key: keep_allowed(value[key], allowed[key]) for key in value if key in allowed}
    return kept | {"unheardOf": {"outcome": "Terminated early: no efficacy"}}


def test_what_is_withheld_has_no_say_in_the_api_exports(test_data):
    tree: dict = {}
    ids = [f"protocolSection.identificationModule.{path}" for path in _API_IDS]
    for path in (*ids, *(path for field in ALLOWED_FIELDS for path in field.api)):
        level = tree
        for key in path.replace("[]", "").split("."):
            level = level.setdefault(key, {})
    for file in sorted((test_data / "registry" / "api_v2").glob("*.json")):
        for study in json.loads(file.read_text()):
            before = read_study(study, b"", "a", None)
            after = read_study(keep_allowed(study, tree), b"", "a", None)
            assert after.trial == before.trial
