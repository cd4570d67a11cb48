"""The legacy XML of ClinicalTrials.gov: one pass over the children of ``clinical_study``."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from xml.sax.saxutils import unescape

from lxml import etree

from llm4top.registry import codes
from llm4top.registry import xml_fields as fields
from llm4top.registry.criteria import normal_criteria
from llm4top.registry.limits import Limits
from llm4top.registry.normalize_text import one_line
from llm4top.registry.posted_results import rates_of_xml
from llm4top.registry.record_builder import (
    RecordBuilder,
    checked_count,
    checked_date,
    checked_nct_id,
)
from llm4top.registry.trial import Record, Source
from llm4top.registry.withheld_reasons import REASONS, UNSTATED, XML_ELEMENTS, unknown
from llm4top.registry.xml_fields import Element, Handler, text_of, twice, withhold
from llm4top.registry.xml_safe import Skipped, check_bytes, line_of, parse, skip

_FIRST_TEXT = re.compile(rb">([^<\s][^<]*)<")
_QUOTES = {"&quot;": '"', "&apos;": "'", "&#xD;": " "}


def read_xml(data: bytes, file: str, member: str | None, limits: Limits) -> Record:
    """One legacy XML record; raises a ``RegistryError`` that names ``file`` and ``member``."""
    name = f"{file}!{member}" if member else file
    check_bytes(data, name, limits)
    needed, skipped = skip(data)
    root = parse(needed, name, limits)
    draft = RecordBuilder(name)
    handlers = _HANDLERS
    for element in root:
        tag = element.tag
        handler = handlers.get(tag)
        if handler is not None:
            handler(draft, element)
        else:
            fields.withhold(draft, tag, element)
            if tag not in _ELEMENTS:
                draft.account.reasons[tag] = unknown(tag, _ELEMENTS, xml=True)
    for part in skipped:
        _skipped(draft, part)
    return draft.record(
        Source(file, member, "legacy-xml", draft.processed, hashlib.sha256(data).hexdigest())
    )


def _skipped(draft: RecordBuilder, part: Skipped) -> None:
    """Account for what was taken out before parsing."""
    if part.tag == "clinical_results":
        _has_results(draft, part.data.count(b"\n      <outcome>"), part.data)
        return
    found = _FIRST_TEXT.search(part.data)
    text = found[1].decode("utf-8", "replace") if found else ""
    draft.withhold(part.tag, unescape(text, _QUOTES) if "&" in text else text)
    if part.number > 1:
        draft.account.more[part.tag] = part.number - 1


# ------------------------------------------------------------------------- the label side


def _text(draft: RecordBuilder, element: Element) -> str | None:
    """The text of an element, unless it is blank."""
    text = text_of(draft, element)
    return text if text and not text.isspace() else None


def _set_once(draft: RecordBuilder, field: str, value: Any, element: Element) -> None:
    if draft.outcome.setdefault(field, value) != value:
        raise twice(draft, element)


def _label(field: str, convert: Callable[[str], object] = one_line) -> Handler:
    """An element that only label rules may read."""

    def read(draft: RecordBuilder, element: Element) -> None:
        text = _text(draft, element)
        if text:
            _set_once(draft, field, convert(text.strip()), element)
            draft.withhold(element.tag, text)

    return read


def _date(draft: RecordBuilder, element: Element, text: str) -> str:
    iso = codes.iso_date(text.strip())
    # Only an error needs the line, and asking for it costs as much as the rest.
    return iso or checked_date(draft, text, element.tag, line_of(element))


def _label_date(field: str) -> Handler:
    """A date that only label rules may read."""

    def read(draft: RecordBuilder, element: Element) -> None:
        text = _text(draft, element)
        if text:
            _set_once(draft, field, _date(draft, element, text), element)
            kind = element.get("type")
            draft.withhold(element.tag, f"{text.strip()} ({kind})" if kind else text)

    return read


def _start(draft: RecordBuilder, element: Element) -> None:
    """The start: an input where it was only planned."""
    text = _text(draft, element)
    if text:
        value = _date(draft, element, text)
        _set_once(draft, "start_date", value, element)
        _planned(draft, element, "start_date", "planned_start", value)


def _enrolment(draft: RecordBuilder, element: Element) -> None:
    """The enrolment: an input where it was only planned."""
    text = _text(draft, element)
    if text:
        value = checked_count(draft, text, "enrollment", line_of(element))
        _set_once(draft, "enrolment", value, element)
        _planned(draft, element, "enrolment", "planned_enrolment", value)


def _planned(draft: RecordBuilder, element: Element, name: str, field: str, value: Any) -> None:
    kind = element.get("type")
    draft.outcome[f"{name}_type"] = kind
    if kind in codes.PLANNED:
        draft.trial[field] = value
    else:
        draft.withhold(element.tag, element.text or str(value), None if kind else UNSTATED)


def _results(draft: RecordBuilder, element: Element) -> None:
    """Posted results."""
    outcomes = element.find("outcome_list")
    _has_results(draft, 0 if outcomes is None else len(outcomes), etree.tostring(element))


def _has_results(draft: RecordBuilder, number: int, data: bytes) -> None:
    """Note posted results with ``number`` outcome measures, and the rates in them."""
    draft.outcome |= {"has_results": True, **rates_of_xml(data)}
    draft.withhold("clinical_results", f"posted results with {number} outcome measures")


def _nct_id(draft: RecordBuilder, element: Element) -> None:
    """The record's identifier."""
    text = _text(draft, element)
    if text:
        found = checked_nct_id(draft, text, "id_info/nct_id", line_of(element))
        if draft.nct_id not in (None, found):
            raise twice(draft, element)
        draft.nct_id = found
        draft.withhold("id_info/nct_id", text)


def _identifier(draft: RecordBuilder, element: Element) -> None:
    """Another identifier of the record, to be removed where the text repeats it."""
    text = _text(draft, element)
    if text:
        draft.identifiers.append(text)
    withhold(draft, f"id_info/{element.tag}", element)


def _header(draft: RecordBuilder, element: Element) -> None:
    """The day on which the registry wrote the record ("... processed this data on June 1, ...")."""
    for child in element:
        text = child.text or ""
        if child.tag == "download_date":
            draft.processed = codes.iso_date(text.rpartition(" on ")[2].strip())
            draft.withhold("required_header", text)


_IDENTIFIERS = fields.inside(
    "id_info",
    {
        "nct_id": _nct_id,
        "org_study_id": _identifier,
        "secondary_id": _identifier,
    },
)
_HANDLERS: dict[str, Handler] = {
    "phase": fields.phase,
    "study_type": fields.coded("study_type"),
    "brief_title": fields.value("brief_title"),
    "official_title": fields.value("official_title"),
    "condition": fields.item("conditions"),
    "condition_browse": fields.inside(
        "condition_browse", {"mesh_term": fields.item("condition_mesh")}
    ),
    "keyword": fields.item("keywords"),
    "intervention": fields.intervention,
    "intervention_browse": fields.inside(
        "intervention_browse", {"mesh_term": fields.item("intervention_mesh")}
    ),
    "arm_group": fields.arm,
    "number_of_arms": fields.count,
    "number_of_groups": fields.count,
    "study_design_info": fields.inside(
        "study_design_info",
        {
            "allocation": fields.coded("allocation", partial(codes.design, codes.ALLOCATIONS)),
            "intervention_model": fields.coded(
                "intervention_model", partial(codes.design, codes.MODELS)
            ),
            "masking": fields.coded("masking", codes.masking),
            "primary_purpose": fields.coded(
                "primary_purpose", partial(codes.design, codes.PURPOSES)
            ),
        },
    ),
    "study_design": fields.design,  # before 2017
    "primary_outcome": fields.outcome("primary_outcomes", "primary_outcome"),
    "secondary_outcome": fields.outcome("secondary_outcomes", "secondary_outcome"),
    "eligibility": fields.inside(
        "eligibility",
        {
            "criteria": fields.textblock("eligibility/criteria", "criteria", normal_criteria),
            "gender": fields.coded("sex", fields.sex),
            "minimum_age": fields.coded("minimum_age", fields.age),
            "maximum_age": fields.coded("maximum_age", fields.age),
            "healthy_volunteers": fields.coded("healthy_volunteers", fields.yes),
        },
    ),
    "sponsors": fields.inside(
        "sponsors",
        {
            "lead_sponsor": fields.inside(
                "sponsors/lead_sponsor",
                {
                    "agency_class": fields.coded(
                        "sponsor_class", lambda text: codes.organisation_class(text.strip())
                    )
                },
            ),
            "collaborator": fields.collaborator,
        },
    ),
    "oversight_info": fields.inside(
        "oversight_info", {"has_dmc": fields.coded("has_dmc", fields.yes)}
    ),
    "enrollment": _enrolment,
    "start_date": _start,
    "brief_summary": fields.textblock("brief_summary", "brief_summary"),
    "detailed_description": fields.textblock("detailed_description", "detailed_description"),
    # The label side; nothing below reaches the trial.
    "id_info": _IDENTIFIERS,
    "study_id": _IDENTIFIERS,  # in the archive of histories
    "required_header": _header,
    "overall_status": _label("status", codes.status),
    "why_stopped": _label("why_stopped"),
    "primary_completion_date": _label_date("primary_completion_date"),
    "completion_date": _label_date("completion_date"),
    "study_first_submitted": _label_date("first_submitted"),
    "firstreceived_date": _label_date("first_submitted"),  # before 2018
    "clinical_results": _results,
}
_ELEMENTS = XML_ELEMENTS | _HANDLERS.keys() | {name for name in REASONS if name.islower()}
"""What a record may hold at its top."""
