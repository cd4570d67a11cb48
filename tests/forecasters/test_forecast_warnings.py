"""Each warning says its sentence where it applies, and nothing where it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm4top.forecasters.forecast_warnings import WARNING_RULES, Case, warnings_about
from llm4top.prompts.prompt import Prompt, SectionAccount
from llm4top.registry.trial import Intervention, Record, RegistryOutcome, Source, Trial, Withheld
from llm4top.registry.withheld_reasons import UNKNOWN as UNKNOWN_ELEMENT

PLAIN = Record(
    "NCT00000000",
    Trial(
        phase="Phase 2",
        study_type="Interventional",
        conditions=("asthma",),
        interventions=(Intervention("compound", "Drug"),),
        criteria="Adults.",
    ),
    RegistryOutcome(status="Recruiting"),
    (),
    Source("a.xml", None, "legacy-xml", None, ""),
)
SECTIONS = {"phase": 5, "conditions": 4, "interventions": 6, "criteria": 400}


def account(name: str, tokens: int, cut: int = 0) -> SectionAccount:
    return SectionAccount(name, name, tokens, tokens - cut, "text")


PROMPT = Prompt("", (), tuple(account(name, n) for name, n in SECTIONS.items()))
CASE = Case(PLAIN, PROMPT, phases=("Phase 1", "Phase 2"))


def with_trial(**fields: object) -> Case:
    return replace(CASE, record=replace(PLAIN, trial=replace(PLAIN.trial, **fields)))


def with_outcome(**fields: object) -> Case:
    return replace(CASE, record=replace(PLAIN, registry_outcome=RegistryOutcome(**fields)))


def with_types(*types: str | None) -> Case:
    return with_trial(interventions=tuple(Intervention("x", kind) for kind in types))


def without(*names: str) -> Case:
    kept = tuple(s for s in PROMPT.sections if s.name not in names)
    return replace(CASE, prompt=replace(PROMPT, sections=kept))


def cut(tokens: int) -> Case:
    sections = (*PROMPT.sections[:-1], account("criteria", 400, tokens))
    return replace(CASE, prompt=replace(PROMPT, sections=sections))


CASES = {
    "learnt-from": (
        replace(CASE, learnt="train"),
        "This trial was in the model's training data: this is not a forecast.",
    ),
    "not-a-trial": (
        with_trial(study_type="Observational"),
        "observational: not an interventional trial",
    ),
    "served": (
        replace(CASE, served="the server did not list the answer No: ..."),
        "the server did not list the answer No: ...",
    ),
    "support": (
        replace(CASE, support="The record has no phase: ..."),
        "The record has no phase: ...",
    ),
    "not-a-medicine": (
        with_types("Device"),
        "device trial: outside what the model has learnt",
    ),
    "no-phase": (with_trial(phase=None), "no phase: the base rate is that of all phases"),
    "other-phase": (
        with_trial(phase="Phase 4"),
        "Phase 4: a phase outside what the model has learnt",
    ),
    "unknown-elements": (
        replace(
            CASE,
            record=replace(
                PLAIN,
                withheld=(
                    Withheld("Phase", f"{UNKNOWN_ELEMENT}; did you mean <phase>?"),
                    Withheld("abc", UNKNOWN_ELEMENT),
                    Withheld("acronym", "an identifier"),
                ),
            ),
        ),
        "Registry records have no “Phase” (did you mean <phase>?), “abc”: not read.",
    ),
    "missing-sections": (without("criteria"), "the record has no eligibility criteria"),
    "inputs-beyond-records": (
        replace(CASE, sections=("phase", "icd_codes", "smiles", "criteria")),
        "this model was trained with ICD-10 codes and SMILES, which this record does not have",
    ),
    "cut": (cut(30), "text cut to fit: 30 of 415 tokens were not read"),
    "has-results": (with_outcome(has_results=True), "record already has results: withheld"),
    "over": (
        with_outcome(status="Terminated"),
        "this trial has already ended (terminated): its outcome was hidden from the model",
    ),
    "not-calibrated": (
        replace(CASE, calibrated=False),
        "not calibrated: the model's own probability",
    ),
}


def test_every_rule_is_tested():
    assert list(CASES) == [rule.name for rule in WARNING_RULES]


def test_the_support_stage_tells_what_three_rules_would():
    about = replace(without("criteria"), record=with_trial(phase=None).record, support="Because.")
    assert warnings_about(about) == ("Because.",)
    assert len(warnings_about(replace(about, support=None))) == 2


def test_a_plain_drug_trial_has_no_warning():
    assert warnings_about(CASE) == ()


@pytest.mark.parametrize("name", CASES)
def test_a_rule_speaks_alone_where_it_applies(name):
    case, sentence = CASES[name]
    assert warnings_about(case) == (sentence,)
    assert [r.name for r in WARNING_RULES if r.about(case)] == [name]


@pytest.mark.parametrize(
    ("types", "sentence"),
    [
        (("Behavioral", "Device"), "device and behavioral trial: outside what"),
        (("Procedure", None), "procedure trial: outside what"),
        (("Device", "Drug"), None),
        (("Biological",), None),
        ((None,), None),
        ((), None),
    ],
)
def test_trials_without_a_medicine(types, sentence):
    said = warnings_about(with_types(*types))
    assert (said[0].startswith(sentence) if sentence else said == ()) is True


@pytest.mark.parametrize("status", ["Completed", "Withdrawn"])
def test_a_trial_that_is_over(status):
    assert f"has already ended ({status.lower()})" in warnings_about(with_outcome(status=status))[0]


@pytest.mark.parametrize("status", [None, "Recruiting", "Suspended", "Unknown status"])
def test_a_trial_that_is_not_over(status):
    assert warnings_about(with_outcome(status=status)) == ()


def test_a_study_of_unknown_kind_is_taken_for_a_trial():
    assert warnings_about(with_trial(study_type=None)) == ()


def test_phases_are_not_judged_where_the_learnt_ones_are_unknown():
    assert warnings_about(replace(with_trial(phase="Phase 4"), phases=())) == ()


def test_missing_sections_are_those_the_model_reads():
    case = without("conditions", "criteria")
    assert warnings_about(case) == ("the record has no conditions, no eligibility criteria",)
    assert warnings_about(replace(case, sections=("phase", "interventions"))) == ()


def test_a_blend_reads_what_its_language_model_does_not():
    case = cut(30)
    assert any("text cut to fit" in text for text in warnings_about(case))
    assert not any("text cut" in text for text in warnings_about(replace(case, parts=3)))
