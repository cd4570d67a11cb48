"""Write an invented trial as the registry's legacy XML."""

from __future__ import annotations

import textwrap
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from llm4top.registry import codes

_MONTHS = "January February March April May June July August September October November December"
_PLACE = """  <location>
    <facility>
      <name>A &amp; B</name>
    </facility>
  </location>
"""
_RESULTS = """  <clinical_results>
    <outcome_list>
      <outcome>
      </outcome>
    </outcome_list>
  </clinical_results>
"""


def _tag(tag: str, text: str | None, attributes: str = "") -> str:
    return "" if text is None else f"<{tag}{attributes}>{escape(text)}</{tag}>\n"


def _group(tag: str, *inside: str) -> str:
    return f"<{tag}>\n{''.join(inside)}</{tag}>\n" if any(inside) else ""


def _block(tag: str, paragraphs: Any) -> str:
    """Hard-wrapped and indented, with blank lines between, as the registry writes it."""
    if paragraphs is None:
        return ""
    parts = []
    for bullet, text in paragraphs:
        indent = {"": 6, "- ": 10, "-- ": 15}[bullet]
        mark = "-  " if bullet else ""
        parts.append(
            textwrap.fill(
                mark + text,
                90,
                initial_indent=" " * indent,
                subsequent_indent=" " * (indent + len(mark)),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    text = escape("\n\n".join(parts)).replace("\n", "&#xD;\n")
    return f"<{tag}>\n<textblock>\n{text}&#xD;\n    </textblock>\n</{tag}>\n"


def _plain(paragraphs: Any) -> str | None:
    if paragraphs is None:
        return None
    return "\r\n".join(("- " if bullet else "") + text for bullet, text in paragraphs)


def _long_date(date: Any) -> str | None:
    if date is None:
        return None
    year, month, day = date
    name = _MONTHS.split()[month - 1]
    return f"{name} {year}" if day is None else f"{name} {day}, {year}"


def _kind(kind: str | None) -> str:
    return f" type={quoteattr(codes.DATE_TYPES[kind])}" if kind else ""


def _legacy(table: dict[str, str], code: str | None) -> str | None:
    return None if code is None else table[code]


_LEGACY_CLASS = {"NIH": "NIH", "FED": "U.S. Fed", "INDUSTRY": "Industry"}


def _agency(tag: str, organisation: tuple[str, str]) -> str:
    name, code = organisation
    return _group(tag, _tag("agency", name), _tag("agency_class", _LEGACY_CLASS.get(code, "Other")))


def to_xml(t: dict[str, Any]) -> bytes:
    study_type = codes.STUDY_TYPES[t["study_type"]]
    masking = codes.masking(t["masking"] or "", sorted(t["who"]))
    start, enrolment = t["start"], t["enrolment"]
    yes = {True: "Yes", False: "No", None: None}
    parts = [
        _group(
            "required_header",
            _tag("download_date", "ClinicalTrials.gov processed this data on May 09, 2023"),
        ),
        _group("id_info", _tag("org_study_id", "X-1"), _tag("nct_id", "NCT90000001")),
        _tag("brief_title", t["brief_title"]),
        _tag("acronym", t["acronym"]),
        _tag("official_title", t["official_title"]),
        _group(
            "sponsors",
            _agency("lead_sponsor", t["sponsor"]),
            *[_agency("collaborator", c) for c in t["collaborators"]],
        ),
        _tag("source", t["sponsor"][0]),
        _group("oversight_info", _tag("has_dmc", yes[t["dmc"]])),
        _block("brief_summary", t["summary"]),
        _block("detailed_description", t["detailed"]),
        _tag("overall_status", codes.STATUSES[t["status"]]),
        _tag("why_stopped", t["why_stopped"]),
        _tag("start_date", _long_date(start[0]), _kind(start[1])) if start else "",
        _tag("completion_date", _long_date(t["completion"])),
        _tag("primary_completion_date", _long_date(t["primary_completion"])),
        _tag("phase", "/".join(codes.PHASES[p] for p in t["phases"]) or None),
        _tag("study_type", study_type + codes.PATIENT_REGISTRY * t["registry"]),
        _group(
            "study_design_info",
            _tag("allocation", _legacy(codes.ALLOCATIONS, t["allocation"])),
            _tag("intervention_model", _legacy(codes.MODELS, t["model"])),
            _tag("primary_purpose", _legacy(codes.PURPOSES, t["purpose"])),
            _tag("masking", masking),
        ),
    ]
    for tag in ("primary", "secondary"):
        for measure, frame, description in t[tag]:
            parts.append(
                _group(
                    f"{tag}_outcome",
                    _tag("measure", measure),
                    _tag("time_frame", frame),
                    _tag("description", _plain(description)),
                )
            )
    parts.append(_tag("number_of_arms", str(len(t["arms"])) if t["arms"] else None))
    if enrolment:
        parts.append(_tag("enrollment", str(enrolment[0]), _kind(enrolment[1])))
    parts += [_tag("condition", text) for text in t["conditions"]]
    for label, role, description in t["arms"]:
        parts.append(
            _group(
                "arm_group",
                _tag("arm_group_label", label),
                _tag("arm_group_type", _legacy(codes.ARM_ROLES, role)),
                _tag("description", _plain(description)),
            )
        )
    for name, kind, description, arms, other_name in t["interventions"]:
        labels = [
            _tag("arm_group_label", t["arms"][n][0]) for n in sorted(arms) if n < len(t["arms"])
        ]
        parts.append(
            _group(
                "intervention",
                _tag("intervention_type", codes.INTERVENTION_TYPES[kind]),
                _tag("intervention_name", name),
                _tag("description", _plain(description)),
                *labels,
                _tag("other_name", other_name),
            )
        )
    parts += [
        _group(
            "eligibility",
            _block("criteria", t["criteria"]),
            _tag("gender", _legacy(codes.SEXES, t["sex"])),
            _tag("minimum_age", t["minimum_age"] or "N/A"),
            _tag("maximum_age", t["maximum_age"] or "N/A"),
            _tag(
                "healthy_volunteers",
                {True: "Accepts Healthy Volunteers", False: "No", None: None}[t["healthy"]],
            ),
        ),
        _PLACE * 2,
        _tag("study_first_submitted", _long_date(t["submitted"])),
        *[_tag("keyword", text) for text in t["keywords"]],
        _group("condition_browse", *[_tag("mesh_term", text) for text in t["condition_mesh"]]),
        _group(
            "intervention_browse", *[_tag("mesh_term", text) for text in t["intervention_mesh"]]
        ),
        _RESULTS if t["results"] else "",
    ]
    return f"<clinical_study>\n{''.join(parts)}</clinical_study>\n".encode()
