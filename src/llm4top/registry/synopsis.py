"""A synopsis of a study protocol as values of a draft, each with the text that it came from.

Sections are told by their headings. What a section says is mapped to a field only where it says it
in one way; what is ambiguous is left empty and listed, and so is all text under headings that are
not known. A person confirms the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llm4top.registry import synopsis_values as values
from llm4top.registry.document_text import Passage
from llm4top.registry.draft_fields import CHOICES_OF, DRAFT_FIELDS, value_of
from llm4top.registry.synopsis_headings import (
    NEVER_READ,
    UNKNOWN,
    FoundSection,
    paragraph,
    sections_in,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read for one field.

    Attributes:
        field: The field of the draft.
        text: The value as ``value_of`` reads it.
        source: The text of the synopsis that it came from.
        where: Where in the document that stands, with its heading.
        note: How it was mapped, where it was; else empty.
    """

    field: str
    text: str
    source: str
    where: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """Text that gave no value: ``why`` says so, ``field`` names the field that it is about."""

    source: str
    where: str
    why: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Synopsis:
    """All that was read of a synopsis, for confirmation.

    ``readings`` are in the order of the document; several may be of one field, whose parts they
    then are. ``unread`` is what gave no value.
    """

    readings: tuple[Reading, ...]
    unread: tuple[Unread, ...]

    @property
    def values(self) -> dict[str, str]:
        """The text of each field that was read, in the order of ``Trial``."""
        parts: dict[str, list[str]] = {}
        for reading in self.readings:
            parts.setdefault(reading.field, []).append(reading.text)
        texts = {name: "\n".join(dict.fromkeys(found)) for name, found in parts.items()}
        return {name: texts[name] for name in DRAFT_FIELDS if name in texts}


def read_synopsis(passages: Sequence[Passage]) -> Synopsis:
    """Read the fields of a draft from a document; it never raises for what it does not know."""
    sections = sections_in(passages)
    readings: list[Reading] = []
    unread: list[Unread] = []
    for section in sections:
        for item in _read(section):
            (readings if isinstance(item, Reading) else unread).append(item)  # type: ignore[arg-type]
    return _settled(readings + _criteria(sections), unread)


def _place(section: FoundSection) -> str:
    return f"{section.where}, “{section.heading}”" if section.heading else section.where


def _read(section: FoundSection) -> Iterator[Reading | Unread]:
    """What one section gives; the criteria are put together later."""
    if section.key in ("inclusion", "exclusion", "criteria"):
        return
    place = _place(section)
    if section.key == UNKNOWN:
        why = "no known heading" if section.heading else "it stands before the first heading"
        yield Unread(section.text or section.heading, place, why)
        return
    if section.key == NEVER_READ:
        why = "no input of a forecast: identifiers, people, places and results are never read"
        yield Unread(section.text, place, why)
        return
    if not section.text:
        yield Unread(section.heading, place, "nothing stands below this heading")
        return
    for found in _reader_of(section.key)(section.text):
        if isinstance(found, values.Doubt):
            field = found.field
            known = CHOICES_OF.get(field or "")
            choices = f" Choose one of: {', '.join(known)}." if known else ""
            yield Unread(section.text, place, found.why + choices, field)
        else:
            yield Reading(found.field, found.text, section.text, place, found.note)


def _reader_of(key: str) -> Callable[[str], Iterator[values.Found]]:
    known = values.READERS.get(key)
    if known is not None:
        return known
    return lambda text: iter([values.Value(key, paragraph(text))])


def _criteria(sections: Sequence[FoundSection]) -> list[Reading]:
    """The criteria of all sections that hold some, inclusion before exclusion."""
    headings = {"inclusion": "Inclusion Criteria:\n", "exclusion": "Exclusion Criteria:\n"}
    return [
        Reading("criteria", headings.get(key, "") + section.text, section.text, _place(section))
        for key in ("criteria", "inclusion", "exclusion")
        for section in sections
        if section.key == key and section.text
    ]


def _settled(readings: list[Reading], unread: list[Unread]) -> Synopsis:
    """Without fields that were read in two ways, and values that the field may not have."""
    single = {name for name, field in DRAFT_FIELDS.items() if not field.lines}
    texts: dict[str, set[str]] = {}
    for reading in readings:
        texts.setdefault(reading.field, set()).add(reading.text)
    kept = []
    for reading in readings:
        name = reading.field
        if name in single and len(texts[name]) > 1:
            told = " and ".join(f"“{text:.60}”" for text in sorted(texts[name])[:4])
            why = f"the synopsis says {told}"
            unread.append(Unread(reading.source, reading.where, why, name))
            continue
        try:
            value_of(name, reading.text)
        except ValueError as error:
            unread.append(Unread(reading.source, reading.where, str(error), name))
        else:
            kept.append(reading)
    return Synopsis(tuple(kept), tuple(unread))
