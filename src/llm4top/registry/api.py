"""The modern JSON (API version 2) of ClinicalTrials.gov: one study object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from llm4top.errors import UnknownFormatError
from llm4top.registry import codes
from llm4top.registry.criteria import normal_criteria
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.normalize_text import excerpt, from_markdown, one_line, plain, unescaped
from llm4top.registry.posted_results import rates_of_api
from llm4top.registry.record_builder import (
    RecordBuilder,
    checked_count,
    checked_date,
    checked_nct_id,
)
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Record, Source
from llm4top.registry.withheld_reasons import API_MODULES, API_SECTIONS, UNSTATED, unknown


def read_study(
    study: Any,
    data: bytes,
    file: str,
    member: str | None,
    line: int | None = None,
    *,
    complete: bool = True,
) -> Record:
    """One v2 study, already parsed from ``data``; raises a ``RegistryError`` that names it.

    One that need not be ``complete`` may lack a title and all that a forecast rests on.
    """
    name = f"{file}!{member}" if member else file
    draft = RecordBuilder(name)
    if not isinstance(study, dict) or "protocolSection" not in study:
        raise UnknownFormatError(
            "the JSON is not a study of the ClinicalTrials.gov API: it has no protocolSection.",
            file=name,
            line=line,
            hint="LLM4TOP reads studies of API version 2, alone, in an array or under “studies”.",
        )
    root = _Node(draft, study, "")
    protocol = root.node("protocolSection")
    _identify(draft, protocol)
    _describe(draft, protocol, root.node("derivedSection"))
    _design(draft, protocol.node("designModule"))
    _arms(draft, protocol.node("armsInterventionsModule"))
    _outcomes(draft, protocol.node("outcomesModule"))
    _eligibility(draft, protocol.node("eligibilityModule"))
    _sponsors(draft, protocol)
    _status(draft, root, protocol.node("statusModule"))
    for path, value in _not_allowed(study, _ALLOWED, ""):
        draft.withhold(path, _excerpt(path, value), _unknown(path))
    digest = hashlib.sha256(data).hexdigest()
    source = Source(file, member, "api-v2", draft.processed, digest)
    return draft.record(source, complete=complete)


def _line(text: str) -> str | None:
    return one_line(plain(text))


class _Node:
    """A JSON object on its path; a value of the wrong type is an error that names the path."""

    __slots__ = ("draft", "path", "value")

    def __init__(self, draft: RecordBuilder, value: dict[str, Any], path: str):
        self.draft = draft
        self.value = value
        self.path = path

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def get(self, key: str, kind: type, wanted: str) -> Any:
        value = self.value.get(key)
        # bool is an int to Python, never to a registry.
        if value is None or (isinstance(value, kind) and (kind is not int or value is not True)):
            return value
        raise self.draft.malformed(
            f"expected {wanted}, found {type(value).__name__}.", self.at(key)
        )

    def node(self, key: str) -> _Node:
        return _Node(self.draft, self.get(key, dict, "an object") or {}, self.at(key))

    def nodes(self, key: str) -> Iterator[_Node]:
        for number, value in enumerate(self.get(key, list, "a list") or ()):
            path = f"{self.at(key)}[{number}]"
            if not isinstance(value, dict):
                raise self.draft.malformed(
                    f"expected an object, found {type(value).__name__}.", path
                )
            yield _Node(self.draft, value, path)

    def texts(self, key: str) -> list[str]:
        values = self.get(key, list, "a list") or []
        for number, value in enumerate(values):
            if not isinstance(value, str):
                raise self.draft.malformed(
                    f"expected a text, found {type(value).__name__}.", f"{self.at(key)}[{number}]"
                )
        return [text for value in values if (text := _line(value))]

    def text(self, key: str, convert: Callable[[str], str | None] = _line) -> str | None:
        value = self.get(key, str, "a text")
        return convert(value) if value else None

    def code(self, key: str, table: dict[str, str]) -> str | None:
        value = self.text(key)
        return codes.spelled(table, value) if value else None

    def flag(self, key: str) -> bool | None:
        value: bool | None = self.get(key, bool, "true or false")
        return value

    def date(self, key: str) -> str | None:
        value = self.text(key)
        return checked_date(self.draft, value, self.at(key)) if value else None


def _identify(draft: RecordBuilder, protocol: _Node) -> None:
    module = protocol.node("identificationModule")
    nct_id = module.text("nctId")
    if nct_id:
        draft.nct_id = checked_nct_id(draft, nct_id, module.at("nctId"))
    own = module.node("orgStudyIdInfo").text("id")
    others = [info.text("id") for info in module.nodes("secondaryIdInfos")]
    draft.identifiers += [text for text in (own, *others) if text]
    draft.set("brief_title", module.text("briefTitle"))
    draft.set("official_title", module.text("officialTitle"))


def _describe(draft: RecordBuilder, protocol: _Node, derived: _Node) -> None:
    module = protocol.node("descriptionModule")
    draft.set("brief_summary", module.text("briefSummary", from_markdown))
    draft.set("detailed_description", module.text("detailedDescription", from_markdown))
    module = protocol.node("conditionsModule")
    draft.set("conditions", module.texts("conditions"))
    draft.set("keywords", module.texts("keywords"))
    for field, key in (("condition_mesh", "condition"), ("intervention_mesh", "intervention")):
        meshes = derived.node(f"{key}BrowseModule").nodes("meshes")
        draft.set(field, [term for mesh in meshes if (term := mesh.text("term"))])
    draft.processed = derived.node("miscInfoModule").date("versionHolder")


def _design(draft: RecordBuilder, module: _Node) -> None:
    draft.set("phase", codes.phases(module.texts("phases")))
    study_type = module.code("studyType", codes.STUDY_TYPES)
    if study_type and module.flag("patientRegistry"):
        study_type += codes.PATIENT_REGISTRY
    draft.set("study_type", study_type)
    info = module.node("designInfo")
    draft.set("allocation", info.code("allocation", codes.ALLOCATIONS))
    draft.set("intervention_model", info.code("interventionModel", codes.MODELS))
    draft.set("primary_purpose", info.code("primaryPurpose", codes.PURPOSES))
    masking = info.node("maskingInfo")
    draft.set("masking", codes.masking(masking.text("masking") or "", masking.texts("whoMasked")))
    enrolment = module.node("enrollmentInfo")
    number = enrolment.get("count", int, "a whole number")
    if number is not None:
        number = checked_count(draft, str(number), enrolment.at("count"))
        kind = enrolment.code("type", codes.DATE_TYPES)
        draft.outcome["enrolment"] = number
        draft.outcome["enrolment_type"] = kind
        if kind in codes.PLANNED:
            draft.set("planned_enrolment", number)
        else:
            draft.withhold(enrolment.path, str(number), None if kind else UNSTATED)


def _arms(draft: RecordBuilder, module: _Node) -> None:
    arms = [
        Arm(label or "", role, description)
        for arm in module.nodes("armGroups")
        if any(
            (
                label := arm.text("label"),
                role := arm.code("type", codes.ARM_ROLES),
                description := arm.text("description", from_markdown),
            )
        )
    ]
    draft.set("arms", arms)
    draft.set("number_of_arms", len(arms) or None)
    receivers = _receivers(module)
    for item in module.nodes("interventions"):
        name = item.text("name")
        kind = item.code("type", codes.INTERVENTION_TYPES)
        description = item.text("description", from_markdown)
        labels = item.texts("armGroupLabels") or receivers.get((name or "").casefold(), [])
        if name or kind or description:
            draft.append("interventions", Intervention(name or "", kind, description))
            draft.arm_labels.append(tuple(labels))


def _receivers(module: _Node) -> dict[str, list[str]]:
    """By intervention, the labels of the arms that name it ("Drug: Aspirin" or "Aspirin")."""
    labels: dict[str, list[str]] = {}
    for arm in module.nodes("armGroups"):
        label = arm.text("label")
        for text in arm.texts("interventionNames"):
            name = text.casefold()
            for spelling in {name, name.partition(": ")[2] or name}:
                labels.setdefault(spelling, []).append(label or "")
    return labels


def _outcomes(draft: RecordBuilder, module: _Node) -> None:
    for field, key in (
        ("primary_outcomes", "primaryOutcomes"),
        ("secondary_outcomes", "secondaryOutcomes"),
    ):
        for item in module.nodes(key):
            measure = item.text("measure")
            time_frame = item.text("timeFrame")
            description = item.text("description", from_markdown)
            if measure or time_frame or description:
                draft.append(field, Outcome(measure or "", time_frame, description))


def _criteria(text: str) -> str | None:
    return normal_criteria(plain(unescaped(text)))


def _eligibility(draft: RecordBuilder, module: _Node) -> None:
    draft.set("criteria", module.text("eligibilityCriteria", _criteria))
    draft.set("sex", module.code("sex", codes.SEXES))
    for field, key in (("minimum_age", "minimumAge"), ("maximum_age", "maximumAge")):
        age = module.text(key)
        draft.set(field, None if age == "N/A" else age)
    draft.set("healthy_volunteers", module.flag("healthyVolunteers"))


def _sponsors(draft: RecordBuilder, protocol: _Node) -> None:
    module = protocol.node("sponsorCollaboratorsModule")
    code = module.node("leadSponsor").text("class")
    draft.set("sponsor_class", codes.organisation_class(code) if code else None)
    for item in module.nodes("collaborators"):
        name = item.text("name")
        code = item.text("class")
        if name or code:
            kind = codes.organisation_class(code) if code else None
            draft.append("collaborators", Collaborator(name or "", kind))
    draft.set("has_dmc", protocol.node("oversightModule").flag("oversightHasDmc"))


def _status(draft: RecordBuilder, root: _Node, module: _Node) -> None:
    """The label side, and the start where it was only planned."""
    outcome = draft.outcome
    outcome["status"] = module.code("overallStatus", codes.STATUSES)
    outcome["why_stopped"] = module.text("whyStopped")
    outcome["first_submitted"] = module.date("studyFirstSubmitDate")
    outcome["completion_date"] = module.node("completionDateStruct").date("date")
    primary = module.node("primaryCompletionDateStruct")
    outcome["primary_completion_date"] = primary.date("date")
    results = root.node("resultsSection").value
    outcome |= {"has_results": bool(results), **rates_of_api(results)}
    start = module.node("startDateStruct")
    date, kind = start.date("date"), start.code("type", codes.DATE_TYPES)
    if date is None:
        return
    outcome["start_date"] = date
    outcome["start_date_type"] = kind
    if kind in codes.PLANNED:
        draft.set("planned_start", date)
    else:
        draft.withhold(start.path, date, None if kind else UNSTATED)


# ------------------------------------------------------------------------- what is withheld


def _tree() -> dict[str, Any]:
    """The allow-list as nested dictionaries of keys."""
    tree: dict[str, Any] = {}
    for field in ALLOWED_FIELDS:
        for path in field.api:
            level = tree
            for key in path.replace("[]", "").split("."):
                level = level.setdefault(key, {})
    return tree


_ALLOWED = _tree()


def _not_allowed(value: Any, allowed: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Every part of ``value`` that the allow-list does not name, as path and value."""
    if isinstance(value, list):
        for item in value:
            yield from _not_allowed(item, allowed, path)
    elif isinstance(value, dict):
        for key, part in value.items():
            below = f"{path}.{key}" if path else key
            if key not in allowed:
                yield below, part
            elif allowed[key]:
                yield from _not_allowed(part, allowed[key], below)


def _unknown(path: str) -> str | None:
    """The reason, where a section or a module has a name that the registry does not know."""
    section, _, module = path.partition(".")
    if not module:
        return None if section in API_SECTIONS else unknown(section, API_SECTIONS)
    if section == "protocolSection" and "." not in module and module not in API_MODULES:
        return unknown(module, API_MODULES)
    return None


def _excerpt(path: str, value: Any) -> str:
    if path == "resultsSection" and isinstance(value, dict):
        measures = value.get("outcomeMeasuresModule")
        found = measures.get("outcomeMeasures") if isinstance(measures, dict) else None
        number = len(found) if isinstance(found, list) else 0
        return f"posted results with {number} outcome measures"
    return excerpt(" ".join(_leaves(value, 8)))


def _leaves(value: Any, most: int) -> Iterator[str]:
    """The first ``most`` texts and numbers inside ``value``."""
    stack = [value]
    while stack and most:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item[:most]))
        elif item is not None:
            most -= 1
            yield str(item).lower() if isinstance(item, bool) else str(item)[:200]
