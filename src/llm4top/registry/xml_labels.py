"""The elements of the legacy XML that only label rules may read, and what is planned of them."""

from collections.abc import Callable
from typing import Any

from llm4top.registry import codes
from llm4top.registry.normalize_text import one_line
from llm4top.registry.record_builder import Draft, checked_count, checked_date, checked_nct_id
from llm4top.registry.withheld_reasons import UNSTATED
from llm4top.registry.xml_fields import Element, Handler, text_of, twice, withhold
from llm4top.registry.xml_safe import line_of


def _text(draft: Draft, element: Element) -> str | None:
    """The text of an element, unless it is blank."""
    text = text_of(draft, element)
    return text if text and not text.isspace() else None


def _set_once(draft: Draft, field: str, value: Any, element: Element) -> None:
    if draft.outcome.setdefault(field, value) != value:
        raise twice(draft, element)


def label(field: str, convert: Callable[[str], object] = one_line) -> Handler:
    """An element that only label rules may read."""

    def read(draft: Draft, element: Element) -> None:
        text = _text(draft, element)
        if text:
            _set_once(draft, field, convert(text.strip()), element)
            draft.withhold(element.tag, text)

    return read


def _date(draft: Draft, element: Element, text: str) -> str:
    iso = codes.iso_date(text.strip())
    # Only an error needs the line, and asking for it costs as much as the rest.
    return iso or checked_date(draft, text, element.tag, line_of(element))


def label_date(field: str) -> Handler:
    """A date that only label rules may read."""

    def read(draft: Draft, element: Element) -> None:
        text = _text(draft, element)
        if text:
            _set_once(draft, field, _date(draft, element, text), element)
            kind = element.get("type")
            draft.withhold(element.tag, f"{text.strip()} ({kind})" if kind else text)

    return read


def start(draft: Draft, element: Element) -> None:
    """The start: an input where it was only planned."""
    text = _text(draft, element)
    if text:
        value = _date(draft, element, text)
        _set_once(draft, "start_date", value, element)
        _planned(draft, element, "start_date", "planned_start", value)


def enrolment(draft: Draft, element: Element) -> None:
    """The enrolment: an input where it was only planned."""
    text = _text(draft, element)
    if text:
        value = checked_count(draft, text, "enrollment", line_of(element))
        _set_once(draft, "enrolment", value, element)
        _planned(draft, element, "enrolment", "planned_enrolment", value)


def _planned(draft: Draft, element: Element, name: str, field: str, value: Any) -> None:
    kind = element.get("type")
    draft.outcome[f"{name}_type"] = kind
    if kind in codes.PLANNED:
        draft.trial[field] = value
    else:
        draft.withhold(element.tag, element.text or str(value), None if kind else UNSTATED)


def results(draft: Draft, element: Element) -> None:
    """Posted results."""
    outcomes = element.find("outcome_list")
    has_results(draft, 0 if outcomes is None else len(outcomes))


def has_results(draft: Draft, number: int) -> None:
    """Note posted results with ``number`` outcome measures."""
    draft.outcome["has_results"] = True
    draft.withhold("clinical_results", f"posted results with {number} outcome measures")


def nct_id(draft: Draft, element: Element) -> None:
    """The record's identifier."""
    text = _text(draft, element)
    if text:
        found = checked_nct_id(draft, text, "id_info/nct_id", line_of(element))
        if draft.nct_id not in (None, found):
            raise twice(draft, element)
        draft.nct_id = found
        draft.withhold("id_info/nct_id", text)


def identifier(draft: Draft, element: Element) -> None:
    """Another identifier of the record, to be told where its text repeats it."""
    text = _text(draft, element)
    if text:
        draft.identifiers.append(text)
    withhold(draft, f"id_info/{element.tag}", element)


def header(draft: Draft, element: Element) -> None:
    """The day on which the registry wrote the record ("... processed this data on June 1, ...")."""
    for child in element:
        text = child.text or ""
        if child.tag == "download_date":
            draft.processed = codes.iso_date(text.rpartition(" on ")[2].strip())
            draft.withhold("required_header", text)
