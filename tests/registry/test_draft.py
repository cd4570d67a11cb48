"""A draft is checked, and is the same trial after it was saved and read again."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import DraftError, MalformedRecordError
from llm4top.registry import codes
from llm4top.registry.draft import Draft
from llm4top.registry.draft_fields import CHOICES_OF, DRAFT_FIELDS, text_of, value_of
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial

WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30)
LINE = WORDS.map(lambda text: " ".join(text.split())).filter(bool)
MAYBE = st.none() | LINE
LINES = st.lists(LINE, max_size=3).map(tuple)
TEXT = st.none() | st.lists(LINE, min_size=1, max_size=4).map("\n".join)


def choice(name: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(CHOICES_OF[name])


ROLES = st.sampled_from(list(codes.ARM_ROLES.values()))
OUTCOMES = st.lists(st.builds(Outcome, LINE, MAYBE, TEXT), max_size=2).map(tuple)
TRIALS = st.builds(
    Trial,
    phase=choice("phase"),
    study_type=choice("study_type"),
    brief_title=LINE,
    official_title=MAYBE,
    conditions=LINES,
    condition_mesh=LINES,
    keywords=LINES,
    interventions=st.lists(
        st.builds(
            Intervention,
            LINE,
            st.none() | st.sampled_from(list(codes.INTERVENTION_TYPES.values())),
            TEXT,
            st.lists(ROLES, max_size=2, unique=True).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    intervention_mesh=LINES,
    arms=st.lists(st.builds(Arm, LINE, st.none() | ROLES, TEXT), max_size=3).map(tuple),
    allocation=choice("allocation"),
    intervention_model=choice("intervention_model"),
    masking=choice("masking") | st.just("Double (Participant, Outcomes Assessor)"),
    primary_purpose=choice("primary_purpose"),
    primary_outcomes=OUTCOMES,
    secondary_outcomes=OUTCOMES,
    criteria=TEXT,
    sex=choice("sex"),
    minimum_age=st.sampled_from([None, "18 Years", "6 Months"]),
    maximum_age=st.sampled_from([None, "75 Years"]),
    healthy_volunteers=st.sampled_from([None, True, False]),
    sponsor_class=choice("sponsor_class"),
    collaborators=st.lists(st.builds(Collaborator, LINE, choice("sponsor_class")), max_size=2).map(
        tuple
    ),
    has_dmc=st.sampled_from([None, True, False]),
    planned_enrolment=st.none() | st.integers(0, 10**9 - 1),
    planned_start=st.sampled_from([None, "2031-05", "2031-05-14"]),
    brief_summary=TEXT,
    detailed_description=TEXT,
)


@given(trial=TRIALS)
def test_a_saved_draft_is_the_same_trial(trial: Trial) -> None:
    draft = Draft.of(trial)
    for name in CHOICES_OF:
        assert getattr(draft.trial, name) == getattr(trial, name)
    again = Draft.from_json(Draft.of(draft.trial).to_json() if _whole(draft) else _json(draft))
    assert again.trial == draft.trial


def _whole(draft: Draft) -> bool:
    try:
        draft.to_json()
    except DraftError:
        return False
    return True


def _json(draft: Draft) -> str:
    import json

    from llm4top.registry.api_writer import study_of

    return json.dumps(study_of(draft.trial))


def test_the_reader_of_records_reads_it(tmp_path: Path) -> None:
    arms = (Arm("A", "Experimental", "10 mg\nonce a day"), Arm("B", "Placebo Comparator"))
    trial = Trial(
        phase="Phase 1/Phase 2",
        study_type="Observational [Patient Registry]",
        brief_title="Exemplamab in asthma",
        interventions=(Intervention("Exemplamab", "Drug", None, ("Experimental",)),),
        arms=arms,
        number_of_arms=2,
        masking="Double (Participant, Investigator)",
        criteria=r"Inclusion Criteria:\n- Age \>= 18, a \ b",
        planned_enrolment=180,
    )
    file = tmp_path / "draft.json"
    file.write_text(Draft.of(trial).to_json(), encoding="utf-8")
    (record,) = read_records(file)
    assert record.trial == trial
    assert record.withheld == ()
    assert record.nct_id is None


@given(trial=TRIALS)
def test_texts_give_the_same_values(trial: Trial) -> None:
    draft = Draft.of(trial)
    coded = {name: draft.texts[name] for name in CHOICES_OF if name in draft.texts}
    assert {name: value_of(name, text) for name, text in coded.items()} == {
        name: getattr(draft.trial, name) for name in coded
    }
    for name in ("minimum_age", "planned_enrolment", "planned_start"):
        assert value_of(name, text_of(name, getattr(trial, name))) == getattr(trial, name)


def test_parts_of_items_stand_between_bars() -> None:
    text = "Exemplamab | biological | 150 mg \\| day | experimental\nPlacebo"
    found = value_of("interventions", text)
    assert found == (
        Intervention("Exemplamab", "Biological", "150 mg | day", ("Experimental",)),
        Intervention("Placebo"),
    )
    assert value_of("interventions", text_of("interventions", found)) == found


def test_what_tells_an_outcome_is_withheld_from_a_draft_too() -> None:
    text = "The trial was terminated early due to slow accrual. It compares A with B."
    draft = Draft.of(Trial(brief_title="A or B", brief_summary=text))
    assert draft.trial.brief_summary == "It compares A with B."
    assert [item.field for item in draft.record.withheld] == ["brief_summary"]


def test_faults_name_the_field_and_list_the_choices() -> None:
    with pytest.raises(DraftError) as caught:
        Draft.of(Trial(brief_title="A")).with_texts(
            {"sex": "both", "fase": "2", "planned_start": "Q3 2031", "arms": "A | Boss"}
        )
    assert str(caught.value) == (
        "the draft was not changed:\n"
        "  - sex: “both” is none of All, Female, Male.\n"
        f"  - fase: there is no such field. The fields are: {', '.join(DRAFT_FIELDS)}.\n"
        "  - planned_start: “Q3 2031” is no date. Write it as “May 2031” or 2031-05-14.\n"
        "  - arms: “Boss” is none of Experimental, Active Comparator, Placebo Comparator, "
        "Sham Comparator, No Intervention, Other."
    )


def test_a_value_that_no_record_may_have_is_refused() -> None:
    with pytest.raises(DraftError, match="phase: “Phase 7” is none of Early Phase 1, Phase 1"):
        Draft.of(Trial(brief_title="A", phase="Phase 7"))


def test_an_empty_text_removes_a_value_and_missing_lists_it() -> None:
    draft = Draft.of(Trial(brief_title="A", phase="Phase 2", sex="All"))
    assert "phase" not in draft.missing
    changed = draft.with_texts({"phase": "", "sex": "female"})
    assert changed.trial == Trial(brief_title="A", sex="Female")
    assert changed.missing[0] == "phase"
    assert "icd_codes" not in changed.missing


@pytest.mark.parametrize(
    ("trial", "fault"),
    [
        (Trial(phase="Phase 2"), "the record has neither an NCT id nor a title."),
        (Trial(brief_title="A", sex="All"), "the record holds nothing to forecast from"),
    ],
)
def test_an_incomplete_draft_is_kept_but_is_no_record(trial: Trial, fault: str) -> None:
    draft = Draft.of(trial)
    assert draft.trial == trial
    with pytest.raises(DraftError, match=fault):
        draft.to_json()


def test_a_registered_record_becomes_a_draft_without_its_outcome() -> None:
    study = """{"protocolSection": {
        "identificationModule": {"nctId": "NCT01234567", "briefTitle": "A"},
        "statusModule": {"overallStatus": "COMPLETED"}}}"""
    draft = Draft.from_json(study)
    assert draft.record.nct_id is None
    assert draft.record.registry_outcome.status is None
    assert draft.trial == Trial(brief_title="A")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text('{"protocolSection": ')
    with pytest.raises(MalformedRecordError, match=r"broken\.json"):
        Draft.from_file(file)


@pytest.mark.slow
def test_real_records_are_the_same_trials_as_drafts(test_data: Path) -> None:
    """What a record holds, a draft of it holds, and saving it changes nothing."""
    different = 0
    for record in islice(read_records(test_data / "registry" / "api_v2"), 240):
        draft = Draft.of(record.trial)
        different += draft.trial != record.trial
        assert Draft.from_json(draft.to_json()).trial == draft.trial
    assert different == 0
