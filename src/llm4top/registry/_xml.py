"""The legacy XML of ClinicalTrials.gov: one pass over the children of ``clinical_study``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from xml.sax.saxutils import unescape

from lxml import etree

from llm4top.registry import _codes
from llm4top.registry._account import KEPT
from llm4top.registry._criteria import normal_criteria
from llm4top.registry._draft import (
    Draft,
    checked_count,
    checked_date,
    checked_nct_id,
)
from llm4top.registry._limits import Limits
from llm4top.registry._reasons import REASONS, UNSTATED
from llm4top.registry._skip import Skipped, skip
from llm4top.registry._text import from_lines, from_textblock, one_line
from llm4top.registry._trial import (
    Arm,
    Collaborator,
    Intervention,
    Outcome,
    Record,
    Source,
)
from llm4top.registry._xmlsafe import check_bytes, check_namespace, line_of, parse

_Element = etree._Element
_Handler = Callable[[Draft, _Element], None]

_FIRST_TEXT = re.compile(rb">([^<\s][^<]*)<")
_KEY = 100  # characters
_QUOTES = {"&quot;": '"', "&apos;": "'", "&#xD;": " "}
_PROCESSED = "processed this data on "


def read_xml(data: bytes, file: str, member: str | None, limits: Limits) -> Record:
    """One legacy XML record; raises a ``RegistryError`` that names ``file`` and ``member``."""
    name = f"{file}!{member}" if member else file
    check_bytes(data, name, limits)
    needed, skipped = skip(data)
    root = parse(needed, name, limits)
    draft = Draft(name)
    handlers = _HANDLERS
    for element in root:
        tag = element.tag
        handler = handlers.get(tag)
        if handler is not None:
            handler(draft, element)
        else:
            _withhold(draft, tag, element)
    for part in skipped:
        _skipped(draft, part)
    return draft.record(
        Source(file, member, "legacy-xml", draft.processed, hashlib.sha256(data).hexdigest())
    )


def _skipped(draft: Draft, part: Skipped) -> None:
    """Account for what was taken out before parsing."""
    if part.tag == "clinical_results":
        _has_results(draft, part.data.count(b"\n      <outcome>"))
        return
    found = _FIRST_TEXT.search(part.data)
    text = found[1].decode("utf-8", "replace") if found else ""
    draft.withhold(part.tag, unescape(text, _QUOTES) if "&" in text else text)
    if part.number > 1:
        draft.account.more[part.tag] = part.number - 1


def _withhold(draft: Draft, path: str, element: _Element) -> None:
    account = draft.account
    if path in account.first:
        account.more[path] = account.more.get(path, 0) + 1
        return
    if path not in REASONS:
        check_namespace(element, draft.file)
    text = element.text
    while text is None and len(element):
        element = element[0]
        text = element.text
    account.first[path] = text[:KEPT] if text else ""


# ------------------------------------------------------------------------------- simple fields


def _value(field: str, convert: Callable[[str], object] = one_line) -> _Handler:
    """A field that is the text of one element."""

    def read(draft: Draft, element: _Element) -> None:
        text = element.text
        if text:
            value = convert(text)
            if value is not None:
                draft.trial[field] = value

    return read


def _coded(field: str, convert: Callable[[str], object] = one_line) -> _Handler:
    """A field with few different texts, so that each is converted once; no long one is kept."""
    known = lru_cache(maxsize=4096)(convert)

    def read(draft: Draft, element: _Element) -> None:
        text = element.text
        if text:
            value = known(text) if len(text) < _KEY else convert(text)
            if value is not None:
                draft.trial[field] = value

    return read


def _item(field: str) -> _Handler:
    """A field that lists the texts of elements alike."""

    def read(draft: Draft, element: _Element) -> None:
        text = element.text
        if text:
            value = one_line(text)
            if value is not None:
                draft.append(field, value)

    return read


def _inside(tag: str, handlers: dict[str, _Handler]) -> _Handler:
    """An element of which only the children in ``handlers`` are on the allow-list."""

    def read(draft: Draft, element: _Element) -> None:
        for child in element:
            name = child.tag
            handler = handlers.get(name)
            if handler is not None:
                handler(draft, child)
            else:
                _withhold(draft, f"{tag}/{name}", child)

    return read


def _count(draft: Draft, element: _Element) -> None:
    text = element.text
    if text:
        draft.trial["number_of_arms"] = checked_count(draft, text, element.tag, line_of(element))


def _age(text: str) -> str | None:
    value = one_line(text)
    return None if value == "N/A" else value


def _yes(text: str) -> bool | None:
    return {"yes": True, "accepts healthy volunteers": True, "no": False}.get(text.strip().lower())


def _sex(text: str) -> str | None:
    value = one_line(text)
    return "All" if value == "Both" else value


def _masking(text: str) -> str | None:
    value = one_line(text)
    return "None (Open Label)" if value in ("Open Label", "No masking") else value


# --------------------------------------------------------------------------- composite fields


def _intervention(draft: Draft, element: _Element) -> None:
    name = kind = description = None
    labels: list[str] = []
    for child in element:
        tag, text = child.tag, child.text
        if tag == "intervention_name":
            name = text and one_line(text)
        elif tag == "intervention_type":
            kind = text and one_line(text)
        elif tag == "description":
            description = text and from_lines(text)
        elif tag == "arm_group_label":
            labels.append((text and one_line(text)) or "")
        else:
            _withhold(draft, f"intervention/{tag}", child)
    if name or kind or description:
        draft.append("interventions", Intervention(name or "", kind or None, description or None))
        draft.arm_labels.append(tuple(labels))


def _arm(draft: Draft, element: _Element) -> None:
    label = role = description = None
    for child in element:
        tag, text = child.tag, child.text
        if tag == "arm_group_label":
            label = text and one_line(text)
        elif tag == "arm_group_type":
            role = text and one_line(text)
        elif tag == "description":
            description = text and from_lines(text)
        else:
            _withhold(draft, f"arm_group/{tag}", child)
    if label or role or description:
        draft.append("arms", Arm(label or "", role or None, description or None))


def _outcome(field: str, path: str) -> _Handler:
    def read(draft: Draft, element: _Element) -> None:
        measure = time_frame = description = None
        for child in element:
            tag, text = child.tag, child.text
            if tag == "measure":
                measure = text and one_line(text)
            elif tag == "time_frame":
                time_frame = text and one_line(text)
            elif tag == "description":
                description = text and from_lines(text)
            else:
                _withhold(draft, f"{path}/{tag}", child)
        if measure or time_frame or description:
            draft.append(field, Outcome(measure or "", time_frame or None, description or None))

    return read


def _collaborator(draft: Draft, element: _Element) -> None:
    name = kind = None
    for child in element:
        tag, text = child.tag, child.text
        if tag == "agency":
            name = text and one_line(text)
        elif tag == "agency_class":
            kind = text and _codes.organisation_class(text.strip())
        else:
            _withhold(draft, f"sponsors/collaborator/{tag}", child)
    if name or kind:
        draft.append("collaborators", Collaborator(name or "", kind or None))


# ------------------------------------------------------------------------------- label side


def _label(field: str, convert: Callable[[str], object] = one_line) -> _Handler:
    """An element that only label rules may read."""

    def read(draft: Draft, element: _Element) -> None:
        text = element.text
        if text:
            draft.outcome[field] = convert(text.strip())
            draft.withhold(element.tag, text)

    return read


def _date(draft: Draft, element: _Element, text: str) -> str:
    iso = _codes.iso_date(text.strip())
    # Only an error needs the line, and asking for it costs as much as the rest.
    return iso or checked_date(draft, text, element.tag, line_of(element))


def _label_date(field: str) -> _Handler:
    def read(draft: Draft, element: _Element) -> None:
        text = element.text
        if text:
            draft.outcome[field] = _date(draft, element, text)
            kind = element.get("type")
            draft.withhold(element.tag, f"{text.strip()} ({kind})" if kind else text)

    return read


def _start(draft: Draft, element: _Element) -> None:
    text = element.text
    if not text:
        return
    value = _date(draft, element, text)
    kind = element.get("type")
    draft.outcome["start_date"] = value
    draft.outcome["start_date_type"] = kind
    if kind in _codes.PLANNED:
        draft.trial["planned_start"] = value
    else:
        draft.withhold("start_date", text, None if kind else UNSTATED)


def _enrolment(draft: Draft, element: _Element) -> None:
    text = element.text
    if not text:
        return
    value = checked_count(draft, text, "enrollment", line_of(element))
    kind = element.get("type")
    draft.outcome["enrolment"] = value
    draft.outcome["enrolment_type"] = kind
    if kind in _codes.PLANNED:
        draft.trial["planned_enrolment"] = value
    else:
        draft.withhold("enrollment", text, None if kind else UNSTATED)


def _results(draft: Draft, element: _Element) -> None:
    outcomes = element.find("outcome_list")
    _has_results(draft, 0 if outcomes is None else len(outcomes))


def _has_results(draft: Draft, number: int) -> None:
    draft.outcome["has_results"] = True
    draft.withhold("clinical_results", f"posted results with {number} outcome measures")


def _nct_id(draft: Draft, element: _Element) -> None:
    text = element.text
    if text:
        draft.nct_id = checked_nct_id(draft, text, "id_info/nct_id", line_of(element))
        draft.withhold("id_info/nct_id", text)


def _identifier(draft: Draft, element: _Element) -> None:
    text = element.text
    if text:
        draft.identifiers.append(text)
    _withhold(draft, f"id_info/{element.tag}", element)


def _header(draft: Draft, element: _Element) -> None:
    for child in element:
        text = child.text or ""
        if child.tag == "download_date":
            draft.processed = _codes.iso_date(text.partition(_PROCESSED)[2].strip())
            draft.withhold("required_header", text)


def _textblock(
    path: str, field: str, convert: Callable[[str], str | None] = from_textblock
) -> _Handler:
    return _inside(path, {"textblock": _value(field, convert)})


_HANDLERS: dict[str, _Handler] = {
    "phase": _coded("phase", lambda text: _codes.phase(text.strip())),
    "study_type": _coded("study_type"),
    "brief_title": _value("brief_title"),
    "official_title": _value("official_title"),
    "condition": _item("conditions"),
    "condition_browse": _inside("condition_browse", {"mesh_term": _item("condition_mesh")}),
    "keyword": _item("keywords"),
    "intervention": _intervention,
    "intervention_browse": _inside(
        "intervention_browse", {"mesh_term": _item("intervention_mesh")}
    ),
    "arm_group": _arm,
    "number_of_arms": _count,
    "number_of_groups": _count,
    "study_design_info": _inside(
        "study_design_info",
        {
            "allocation": _coded("allocation"),
            "intervention_model": _coded("intervention_model"),
            "masking": _coded("masking", _masking),
            "primary_purpose": _coded("primary_purpose"),
        },
    ),
    "primary_outcome": _outcome("primary_outcomes", "primary_outcome"),
    "secondary_outcome": _outcome("secondary_outcomes", "secondary_outcome"),
    "eligibility": _inside(
        "eligibility",
        {
            "criteria": _textblock("eligibility/criteria", "criteria", normal_criteria),
            "gender": _coded("sex", _sex),
            "minimum_age": _coded("minimum_age", _age),
            "maximum_age": _coded("maximum_age", _age),
            "healthy_volunteers": _coded("healthy_volunteers", _yes),
        },
    ),
    "sponsors": _inside(
        "sponsors",
        {
            "lead_sponsor": _inside(
                "sponsors/lead_sponsor",
                {
                    "agency_class": _coded(
                        "sponsor_class", lambda text: _codes.organisation_class(text.strip())
                    )
                },
            ),
            "collaborator": _collaborator,
        },
    ),
    "oversight_info": _inside("oversight_info", {"has_dmc": _coded("has_dmc", _yes)}),
    "enrollment": _enrolment,
    "start_date": _start,
    "brief_summary": _textblock("brief_summary", "brief_summary"),
    "detailed_description": _textblock("detailed_description", "detailed_description"),
    # The label side; nothing below reaches the trial.
    "id_info": _inside(
        "id_info",
        {"nct_id": _nct_id, "org_study_id": _identifier, "secondary_id": _identifier},
    ),
    "required_header": _header,
    "overall_status": _label("status", _codes.status),
    "why_stopped": _label("why_stopped"),
    "primary_completion_date": _label_date("primary_completion_date"),
    "completion_date": _label_date("completion_date"),
    "study_first_submitted": _label_date("first_submitted"),
    "clinical_results": _results,
}
