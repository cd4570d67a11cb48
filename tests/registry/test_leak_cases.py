"""Awkward records in which a title or a text tells the outcome or names the trial."""

from pathlib import Path

import pytest

from llm4top.registry.reader import read_records

CASES = Path(__file__).parents[1] / "cases"
TITLES = ("title-status-suffix",)
TEXTS = ("text-tells-closure", "text-tells-end", "text-tells-results", "text-guard-catches")


def inputs(*names):
    return [file for name in names for file in sorted((CASES / name).iterdir())]


def told(file):
    """The record of a case and its free text in one piece."""
    (record,) = read_records(file)
    return record, str(record.trial.to_dict())


@pytest.mark.parametrize("file", inputs(*TITLES), ids=lambda file: file.name[:3])
def test_title_status_suffix(file):
    record, _ = told(file)
    for title in (record.trial.brief_title, record.trial.official_title):
        words = title.lower()
        assert title.startswith("Examplol in Adults With Gout")
        assert not any(word in words for word in ("terminat", "complet", "withdrawn", "suspend"))
    stated = [w for w in record.withheld if w.reason == "states the status of the trial"]
    assert [w.field for w in stated] == ["brief_title", "official_title"]


@pytest.mark.parametrize("file", inputs(*TEXTS), ids=lambda file: f"{file.parent.name}-{file.name}")
def test_text_tells(file):
    record, _ = told(file)
    kept = "Examplol is compared with placebo." if "closure" in file.parent.name else None
    assert record.trial.brief_summary == kept
    cut = [w for w in record.withheld if w.field == "brief_summary"]
    assert cut
    assert all(w.reason and w.excerpt for w in cut)


def test_other_registry_ids_in_text():
    (file,) = inputs("other-registry-ids-in-text")
    record, text = told(file)
    assert "2020-000001-40" not in text
    assert "NCT0" not in text
    assert record.trial.brief_summary == (
        "Toxicity and compliance. [identifier]. ClinicalTrials.gov Number: [identifier]. "
        "Sponsor code X-1."
    )
