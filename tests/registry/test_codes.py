import pytest

from llm4top.registry import codes


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("November 2005", "2005-11"),
        ("March 28, 2011", "2011-03-28"),
        ("March 8, 2011", "2011-03-08"),
        ("2031-05", "2031-05"),
        ("2031-05-14", "2031-05-14"),
        ("2031", "2031"),
        ("2023-06-28T17:30", "2023-06-28"),
        ("February 30, 2011", None),
        ("2011-13", None),
        ("Smarch 2011", None),
        ("soon", None),
        ("", None),
        ("٢٠١١-٠٣", None),
    ],
)
def test_dates(text, iso):
    assert codes.iso_date(text) == iso


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("phase 1/phase 2", "Phase 1/Phase 2"),
        ("Phase 1/Phase 2", "Phase 1/Phase 2"),
        ("early phase 1", "Early Phase 1"),
        ("Phase 0", "Early Phase 1"),
        ("N/A", "N/A"),
        ("PHASE 3", "Phase 3"),
    ],
)
def test_phases(text, phase):
    assert codes.phase(text) == phase


def test_v2_phases():
    assert codes.phases(["PHASE2", "PHASE3"]) == "Phase 2/Phase 3"
    assert codes.phases(["NA"]) == "N/A"
    assert codes.phases([]) is None


def test_masking_names_who_is_masked_in_the_registrys_order():
    assert codes.masking("NONE", []) == "None (Open Label)"
    who = ["INVESTIGATOR", "PARTICIPANT"]
    assert codes.masking("DOUBLE", who) == "Double (Participant, Investigator)"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("OTHER_GOV", "Other"),
        ("INDIV", "Other"),
        ("NETWORK", "Other"),
        ("Other", "Other"),
        ("FED", "U.S. Fed"),
        ("U.S. Fed", "U.S. Fed"),
        ("INDUSTRY", "Industry"),
        ("NIH", "NIH"),
    ],
)
def test_organisation_classes(code, name):
    assert codes.organisation_class(code) == name


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("terminated", "Terminated"),
        ("active, not recruiting", "Active, not recruiting"),
        ("unknown", "Unknown status"),
        ("COMPLETED", "Completed"),
    ],
)
def test_statuses(text, status):
    assert codes.status(text) == status


def test_an_unknown_code_reads_as_words():
    assert codes.spelled(codes.MODELS, "BRAND_NEW") == "Brand new"
