"""The pieces of a trial: its sections, and within a section its lines, sentences and items."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

from llm4top.data.masked_copies import GROUPS
from llm4top.registry.trial import Trial

HEADINGS: dict[str, str] = {
    "phase": "Phase",
    "conditions": "Conditions",
    "interventions": "Interventions",
    "criteria": "Eligibility criteria",
    "titles": "Titles",
    "arms": "Arms",
    "endpoints": "Endpoints",
    "design": "Design",
    "population": "Population",
    "sponsor": "Sponsor",
    "descriptions": "Descriptions",
}
"""What people call each of ``GROUPS``, the sections of an explanation."""

MOST_PIECES = 16
"""A section has so many pieces at most: short neighbours are joined."""

_LONG_LINE = 240
_LINE_END = re.compile(r"(?<=\n)")
_SENTENCE_END = re.compile(r"(?<=[.;])(?=\s+\S)")
_LABEL = re.compile(r"(?=\s[A-Z][a-z]+(?: [a-z]+){0,2}: )")
"""Where an old record's next label begins: "Renal: Creatinine ... Hepatic: Bilirubin ..."."""
_EMPTY: dict[str, Any] = {field.name: field.default for field in fields(Trial)}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a trial's field: ``text`` is what people see of it.

    ``start`` and ``end`` are positions in a text, or in a tuple of items; both are 0 where the
    piece is the whole field.
    """

    field: str
    start: int
    end: int
    text: str


def filled_sections(trial: Trial) -> list[str]:
    """Names in ``GROUPS`` of which the trial has anything."""
    return [
        name
        for name, names in GROUPS.items()
        if any(getattr(trial, field) != _EMPTY[field] for field in names)
    ]


def pieces_of(trial: Trial, section: str, *, most: int = MOST_PIECES) -> list[Piece]:
    """The pieces of a section in the order of its fields.

    A text is cut at its lines, and long lines at their sentences; a list is cut into its items.
    Any other value is one piece.
    """
    found: list[Piece] = []
    for name in GROUPS[section]:
        value = getattr(trial, name)
        if value == _EMPTY[name]:
            continue
        if isinstance(value, str):
            found += _of_text(name, value)
        elif isinstance(value, tuple):
            found += [Piece(name, i, i + 1, _shown(item)) for i, item in enumerate(value)]
        else:
            found.append(Piece(name, 0, 0, f"{name.replace('_', ' ')} {_shown(value)}"))
    return _joined(found, most)


def without(trial: Trial, pieces: Iterable[Piece]) -> Trial:
    """The trial without those pieces."""
    gone: dict[str, list[Piece]] = {}
    for piece in pieces:
        gone.setdefault(piece.field, []).append(piece)
    changed: dict[str, Any] = {}
    for name, cut in gone.items():
        value = getattr(trial, name)
        for piece in sorted(cut, key=lambda piece: -piece.start):
            whole = not piece.end
            value = _EMPTY[name] if whole else value[: piece.start] + value[piece.end :]
        empty = not value or (isinstance(value, str) and not value.strip())
        changed[name] = _EMPTY[name] if empty else value
    return replace(trial, **changed) if changed else trial


def _of_text(name: str, text: str) -> list[Piece]:
    pieces, start = [], 0
    for line in _LINE_END.split(text):
        for part in _cut(line):
            end = start + len(part)
            if part.strip():
                pieces.append(Piece(name, start, end, _one_line(part)))
            elif pieces:
                last = pieces[-1]
                pieces[-1] = Piece(name, last.start, end, last.text)
            start = end
    return pieces


def _cut(line: str) -> list[str]:
    """A long line in its sentences, and a long sentence where labels begin."""
    if len(line) <= _LONG_LINE:
        return [line]
    sentences = _SENTENCE_END.split(line)
    return [part for s in sentences for part in (_LABEL.split(s) if len(s) > _LONG_LINE else [s])]


def _joined(pieces: Sequence[Piece], most: int) -> list[Piece]:
    """At most ``most`` pieces: again and again the two shortest neighbours of a field are one."""
    found = list(pieces)
    while len(found) > most:
        sizes = [
            (len(a.text) + len(b.text), i)
            for i, (a, b) in enumerate(pairwise(found))
            if a.field == b.field and a.end == b.start
        ]
        if not sizes:
            break
        _, i = min(sizes)
        a, b = found[i : i + 2]
        found[i : i + 2] = [Piece(a.field, a.start, b.end, f"{a.text} {b.text}")]
    return found


def _shown(value: Any) -> str:
    """A value or an item of a list in words."""
    for name in ("name", "label", "measure"):
        if hasattr(value, name):
            return _one_line(str(getattr(value, name)))
    return {True: "yes", False: "no"}.get(value, str(value)) if value is not None else ""


def _one_line(text: str) -> str:
    return " ".join(text.split()).removeprefix("- ")
