"""What a person should know before trusting a forecast: small rules over one record."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from llm4top.forecasters.bundles.trained_on import Part
from llm4top.prompts.prompt import Prompt
from llm4top.prompts.sections import SECTION_HEADINGS, SECTIONS_BEYOND_RECORDS
from llm4top.registry.trial import Record
from llm4top.registry.withheld_reasons import UNKNOWN as UNKNOWN_ELEMENT

KEY_SECTIONS: tuple[str, ...] = ("conditions", "interventions", "criteria")
"""Sections whose absence is worth a warning, where the model has learnt from them."""

_NOT_MEDICINES = ("Device", "Behavioral", "Procedure", "Diagnostic Test")
_OVER = ("Completed", "Terminated", "Withdrawn")


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at.

    ``phases`` are those the model has learnt from (empty: unknown), ``sections`` those its
    prompts show (None: all). ``learnt`` says whether the model has learnt from this very trial.
    ``support`` is the sentence of the support stage, which says more than ``IN_SUPPORT`` do.
    ``parts`` is how many forecasters read the record; ``served`` the sentence of a served model.
    """

    record: Record
    prompt: Prompt
    phases: Collection[str] = ()
    sections: Collection[str] | None = None
    calibrated: bool = True
    learnt: Part | None = None
    support: str | None = None
    parts: int = 1
    served: str | None = None


@dataclass(frozen=True, slots=True)
class WarningRule:
    """A rule's name, and the sentence it has about a case, or None."""

    name: str
    about: Callable[[Case], str | None]


def _learnt(case: Case) -> str | None:
    if case.learnt == "train":
        return "This trial was in the model's training data: this is not a forecast."
    if case.learnt == "valid":
        return "This trial was used to tune and calibrate the model: this is not a new trial to it."
    return None


def _no_phase(case: Case) -> str | None:
    given = case.record.trial.phase is not None
    return None if given else "no phase: the base rate is that of all phases"


def _other_phase(case: Case) -> str | None:
    phase = case.record.trial.phase
    known = phase is None or not case.phases or phase in case.phases
    return None if known else f"{phase}: a phase outside what the model has learnt"


def _no_medicine(case: Case) -> str | None:
    types = {item.type for item in case.record.trial.interventions if item.type}
    if not types or not types <= set(_NOT_MEDICINES):
        return None
    kinds = " and ".join(kind.lower() for kind in _NOT_MEDICINES if kind in types)
    return f"{kinds} trial: outside what the model has learnt"


def _no_trial(case: Case) -> str | None:
    kind = case.record.trial.study_type or "Interventional"
    return None if kind == "Interventional" else f"{kind.lower()}: not an interventional trial"


def _results(case: Case) -> str | None:
    has_results = case.record.registry_outcome.has_results
    return "record already has results: withheld" if has_results else None


def _over(case: Case) -> str | None:
    status = case.record.registry_outcome.status
    if status in _OVER:
        over = f"this trial has already ended ({status.lower()})"
        return f"{over}: its outcome was hidden from the model"
    return None


def _cut(case: Case) -> str | None:
    cut = case.prompt.tokens_cut
    # The other parts of a blend read all of the text.
    if not cut or case.parts > 1:
        return None
    total = sum(section.tokens for section in case.prompt.sections)
    return f"text cut to fit: {cut} of {total} tokens were not read"


def _missing(case: Case) -> str | None:
    there = {section.name for section in case.prompt.sections}
    missing = [
        SECTION_HEADINGS[name].lower()
        for name in KEY_SECTIONS
        if name not in there and (case.sections is None or name in case.sections)
    ]
    return f"the record has no {', no '.join(missing)}" if missing else None


def _not_in_records(case: Case) -> str | None:
    there = {section.name for section in case.prompt.sections}
    learnt = [name for name in SECTIONS_BEYOND_RECORDS if name in (case.sections or ())]
    missing = [SECTION_HEADINGS[name] for name in learnt if name not in there]
    read = " and ".join(missing)
    return f"this model was trained with {read}, which this record does not have" if read else None


def _unknown(case: Case) -> str | None:
    unknown = [item for item in case.record.withheld if item.reason.startswith(UNKNOWN_ELEMENT)]
    if not unknown:
        return None
    said = []
    for item in unknown[:3]:
        meant = item.reason.removeprefix(UNKNOWN_ELEMENT).removeprefix("; ")
        said.append(f"“{item.field}” ({meant})" if meant else f"“{item.field}”")
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return f"Registry records have no {', '.join(said)}{more}: not read."


def _raw(case: Case) -> str | None:
    return None if case.calibrated else "not calibrated: the model's own probability"


IN_SUPPORT = frozenset({"not-a-medicine", "no-phase", "missing-sections"})
"""Rules about what the support stage tells with its effect."""

WARNING_RULES: tuple[WarningRule, ...] = (
    WarningRule("learnt-from", _learnt),
    WarningRule("not-a-trial", _no_trial),
    WarningRule("served", lambda case: case.served),
    WarningRule("support", lambda case: case.support),
    WarningRule("not-a-medicine", _no_medicine),
    WarningRule("no-phase", _no_phase),
    WarningRule("other-phase", _other_phase),
    WarningRule("unknown-elements", _unknown),
    WarningRule("missing-sections", _missing),
    WarningRule("inputs-beyond-records", _not_in_records),
    WarningRule("cut", _cut),
    WarningRule("has-results", _results),
    WarningRule("over", _over),
    WarningRule("not-calibrated", _raw),
)
"""Every rule, the gravest first."""


def warnings_about(case: Case) -> tuple[str, ...]:
    """The sentences of all rules that apply, in the rules' order."""
    told = IN_SUPPORT if case.support is not None else frozenset()
    rules = (rule for rule in WARNING_RULES if rule.name not in told)
    return tuple(text for rule in rules if (text := rule.about(case)) is not None)
