"""The legacy XML of ClinicalTrials.gov: one pass over the children of ``clinical_study``."""

import hashlib
import re
from functools import partial
from xml.sax.saxutils import unescape

from llm4top.registry import codes
from llm4top.registry import xml_fields as fields
from llm4top.registry import xml_labels as labels
from llm4top.registry.criteria import normal_criteria
from llm4top.registry.limits import Limits
from llm4top.registry.record_builder import Draft
from llm4top.registry.trial import Record, Source
from llm4top.registry.withheld_reasons import REASONS, XML_ELEMENTS, unknown
from llm4top.registry.xml_fields import Handler
from llm4top.registry.xml_safe import Skipped, check_bytes, parse, skip

_FIRST_TEXT = re.compile(rb">([^<\s][^<]*)<")
_QUOTES = {"&quot;": '"', "&apos;": "'", "&#xD;": " "}


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
            fields.withhold(draft, tag, element)
            if tag not in _ELEMENTS:
                draft.account.reasons[tag] = unknown(tag, _ELEMENTS, xml=True)
    for part in skipped:
        _skipped(draft, part)
    return draft.record(
        Source(file, member, "legacy-xml", draft.processed, hashlib.sha256(data).hexdigest())
    )


def _skipped(draft: Draft, part: Skipped) -> None:
    """Account for what was taken out before parsing."""
    if part.tag == "clinical_results":
        labels.has_results(draft, part.data.count(b"\n      <outcome>"))
        return
    found = _FIRST_TEXT.search(part.data)
    text = found[1].decode("utf-8", "replace") if found else ""
    draft.withhold(part.tag, unescape(text, _QUOTES) if "&" in text else text)
    if part.number > 1:
        draft.account.more[part.tag] = part.number - 1


_IDENTIFIERS = fields.inside(
    "id_info",
    {
        "nct_id": labels.nct_id,
        "org_study_id": labels.identifier,
        "secondary_id": labels.identifier,
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
    "enrollment": labels.enrolment,
    "start_date": labels.start,
    "brief_summary": fields.textblock("brief_summary", "brief_summary"),
    "detailed_description": fields.textblock("detailed_description", "detailed_description"),
    # The label side; nothing below reaches the trial.
    "id_info": _IDENTIFIERS,
    "study_id": _IDENTIFIERS,  # in the archive of histories
    "required_header": labels.header,
    "overall_status": labels.label("status", codes.status),
    "why_stopped": labels.label("why_stopped"),
    "primary_completion_date": labels.label_date("primary_completion_date"),
    "completion_date": labels.label_date("completion_date"),
    "study_first_submitted": labels.label_date("first_submitted"),
    "firstreceived_date": labels.label_date("first_submitted"),  # before 2018
    "clinical_results": labels.results,
}
_ELEMENTS = XML_ELEMENTS | _HANDLERS.keys() | {name for name in REASONS if name.islower()}
"""What a record may hold at its top."""
