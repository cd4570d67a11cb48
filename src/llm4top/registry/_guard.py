"""Apply the leak guard's rules to the free text of a trial."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ahocorasick_rs import AhoCorasick, Implementation

from llm4top.registry._fields import ALLOWED_FIELDS
from llm4top.registry._telling import MARKS, RULES, Mark, Rule
from llm4top.registry._text import excerpt
from llm4top.registry._trial import Withheld

_FREE_TEXT = tuple(field.name for field in ALLOWED_FIELDS if field.free_text)
_LISTED_TEXT = ("conditions", "keywords")  # short, but an identifier may stand in them
_PARTS = {
    "interventions": ("name", "description"),
    "arms": ("label", "description"),
    "primary_outcomes": ("measure", "time_frame", "description"),
    "secondary_outcomes": ("measure", "time_frame", "description"),
}
_NEVER_NONE = frozenset({"name", "label", "measure"})
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[\"“])")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_BEFORE = 60
"""How many characters before a match may hold its veto."""
_NEAR = 24
_WINDOW = 150
"""How many characters around a literal are looked at first; no match spans more."""


def _by_literal() -> dict[str, tuple[Rule | Mark, ...]]:
    """The rules and marks that each literal calls for."""
    table: dict[str, tuple[Rule | Mark, ...]] = {}
    everything: tuple[Rule | Mark, ...] = (*MARKS, *RULES)
    for rule in everything:
        for literal in rule.literals:
            table[literal] = (*table.get(literal, ()), rule)
    return table


_BY_LITERAL = tuple(_by_literal().items())
# All literals in one pass over the text, about the time of three searches for one of them.
_LITERALS = AhoCorasick([literal for literal, _ in _BY_LITERAL], implementation=Implementation.DFA)


def guard_fields(values: dict[str, Any]) -> list[Withheld]:
    """Cut what tells the outcome out of a trial's ``values``, in place; return what was cut."""
    if not any(map(_tells_anything, _all_text(values))):
        return []
    cut: list[Withheld] = []
    for field in _FREE_TEXT:
        found = values.get(field)
        if isinstance(found, str):
            values[field] = guard(found, field, cut)
        elif found:
            values[field] = [_guard_item(item, field, cut) for item in found]
    for field in _LISTED_TEXT:
        if field in values:
            guarded = [guard(text, field, cut) for text in values[field]]
            values[field] = [text for text in guarded if text]
    return cut


def guard(text: str, field: str, cut: list[Withheld]) -> str | None:
    """``text`` without what it may not say; what was cut is added to ``cut``."""
    if not _tells_anything(text):
        return text
    lines = [_guard_line(line, field, cut) for line in text.split("\n")]
    return "\n".join(line for line in lines if line.strip("- .;,:")) or None


def _guard_item(item: Any, field: str, cut: list[Withheld]) -> Any:
    changed = {}
    for part in _PARTS[field]:
        text = getattr(item, part)
        if text:
            guarded = guard(text, field, cut)
            if guarded != text:
                changed[part] = guarded or ("" if part in _NEVER_NONE else None)
    return replace(item, **changed) if changed else item


def _all_text(values: dict[str, Any]) -> list[str]:
    """All text to be searched, pure ASCII apart: that is lower-cased ten times as fast."""
    texts: list[str] = []
    for field in _FREE_TEXT:
        found = values.get(field)
        if found is None:
            continue
        if isinstance(found, str):
            texts.append(found)
        else:
            parts = _PARTS[field]
            texts += [text for item in found for part in parts if (text := getattr(item, part))]
    for field in _LISTED_TEXT:
        texts += values.get(field, ())
    joined = "\n".join(texts)
    if joined.isascii():
        return [joined]
    return [
        "\n".join([text for text in texts if text.isascii()]),
        "\n".join([text for text in texts if not text.isascii()]),
    ]


def _tells_anything(text: str) -> bool:
    """Whether a rule or mark may match: literals are searched, then only their surroundings."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters have longer lower cases
        lower = "".join([low if len(low := letter.lower()) == 1 else letter for letter in text])
    for number, at, _ in _LITERALS.find_matches_as_indexes(lower, overlapping=True):
        literal, rules = _BY_LITERAL[number]
        if literal == "nct" and "NCT" not in text:
            continue
        near = lower[max(0, at - _NEAR) : at + _NEAR]
        for rule in rules:
            if rule.near.search(near):
                begin, end = _window(lower, at)
                if (
                    rule.pattern.search(text[begin:end])
                    if isinstance(rule, Mark)
                    else _found(rule, lower[begin:end])
                ):
                    return True
    return False


def _window(text: str, at: int) -> tuple[int, int]:
    """Where the line around ``at`` begins and ends, or what is near enough of it."""
    begin = max(text.rfind("\n", 0, at) + 1, at - _WINDOW)
    end = text.find("\n", at, at + _WINDOW)
    return begin, end if end >= 0 else at + _WINDOW


def _found(rule: Rule, lower: str) -> bool:
    """Whether ``rule`` matches anywhere in a text in lower case without its veto."""
    start = 0
    while match := rule.pattern.search(lower, start):
        before = lower[max(0, match.start() - _BEFORE) : match.start()]
        if not rule.veto.search(before) and not rule.veto.search(match[0]):
            return True
        start = match.start() + 1
    return False


def _guard_line(line: str, field: str, cut: list[Withheld]) -> str:
    lower = line.lower()
    found = _LITERALS.find_matches_as_indexes(lower, overlapping=True)
    if not found:
        return line
    called = {rule for number, _, _ in found for rule in _BY_LITERAL[number][1]}
    for mark in MARKS:
        if mark in called:
            cut += [
                Withheld(field, mark.reason, excerpt(match[0]))
                for match in mark.pattern.finditer(line)
            ]
            line = mark.pattern.sub(mark.instead, line)
    for rule in RULES:
        if rule in called and rule.near.search(lower) and _found(rule, line.lower()):
            line = _cut(rule, line, field, cut)
    return line


def _cut(rule: Rule, line: str, field: str, cut: list[Withheld]) -> str:
    """``line`` without the brackets, or else the sentences, in which ``rule`` matches."""

    def without(match: re.Match[str]) -> str:
        if not _found(rule, match[0].lower()):
            return match[0]
        cut.append(Withheld(field, rule.reason, excerpt(match[0])))
        return ""

    bullet = "- " if line.startswith("- ") else ""
    line = _BRACKETS.sub(without, line[len(bullet) :])
    kept = []
    for sentence in _SENTENCE_END.split(line):
        if _found(rule, sentence.lower()):
            cut.append(Withheld(field, rule.reason, excerpt(sentence)))
        else:
            kept.append(sentence)
    return bullet + " ".join(" ".join(kept).split())
