"""Apply the leak guard's rules to the free text of a trial."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick, Implementation

from llm4top.registry import leak_grammar
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.leak_grammar import INSTEAD, MARKS, START, Mark, own_identifiers
from llm4top.registry.leak_rules import RULES, Rule
from llm4top.registry.normalize_text import excerpt
from llm4top.registry.trial import Withheld
from llm4top.registry.withheld_reasons import IDENTIFIER

_FREE_TEXT = tuple(field.name for field in ALLOWED_FIELDS if field.free_text)
_TITLES = ("brief_title", "official_title")
_LISTED_TEXT = ("conditions", "keywords")
_PARTS = {
    "interventions": ("name", "description"),
    "arms": ("label", "description"),
    "primary_outcomes": ("measure", "time_frame", "description"),
    "secondary_outcomes": ("measure", "time_frame", "description"),
}
_HEADINGS = frozenset({*_TITLES, *_LISTED_TEXT})
"""Where a single word before or behind the others states the status of the trial."""
_NEVER_NONE = frozenset({"name", "label", "measure"})
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[\"“])")
_CLAUSE_END = re.compile(r"(?<=;)\s+|\s+(?=\*\s)")
"""In criteria: of several conditions on one line only the telling one is cut."""
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_OUTER = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)+\)")
_BEFORE = 60
"""How many characters before a match may hold its veto."""
_NEAR = 24
_REACH = 300
"""How far from its literal a rule's match may reach; long sentences are not read throughout."""
_WINDOW = 60
"""How many characters around a literal a mark spans at most."""


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
_LITERALS = BytesAhoCorasick(
    [literal.encode() for literal, _ in _BY_LITERAL], implementation=Implementation.DFA
)
_STATUSES = AhoCorasick(leak_grammar.LITERALS, implementation=Implementation.DFA)


def guard_fields(values: dict[str, Any], identifiers: Sequence[str] = ()) -> list[Withheld]:
    """Cut what tells the outcome out of a trial's ``values``, in place; return what was cut.

    ``identifiers`` are the record's others besides its NCT id; where the text repeats them they are
    replaced.
    """
    headings = [values[title] for title in _TITLES if values.get(title)]
    for field in _LISTED_TEXT:
        headings += values.get(field, ())
    groups = _by_alphabet([*headings, *_other_text(values)])
    texts = ["\n".join(group) for group in groups]
    lowers = [_lower(text) for text in texts]
    places = [_literals(lower) for lower in lowers]
    own = own_identifiers(identifiers, lowers) if identifiers else None
    if not (
        own
        or _STATUSES.find_matches_as_indexes("\n".join(headings).lower())
        or any(map(_tells_anything, texts, lowers, places))
    ):
        return []
    called = {id(text) for group, held in zip(groups, places, strict=True)
              for text in _holding(group, held)}  # fmt: skip
    cut: list[Withheld] = []

    def guarded(text: str, field: str) -> str | None:
        left: str | None = text
        if own and own.stand_in(text):
            left = _replace(own.pattern, IDENTIFIER, INSTEAD, text, field, cut)
        if left is text and id(text) not in called and field not in _HEADINGS:
            return text
        return guard(left, field, cut) if left else left

    for field in _FREE_TEXT:
        found = values.get(field)
        if isinstance(found, str):
            values[field] = guarded(found, field)
        elif found:
            values[field] = [_guard_item(item, field, guarded) for item in found]
    for field in _LISTED_TEXT:
        if field in values:
            values[field] = [left for text in values[field] if (left := guarded(text, field))]
    return cut


def guard(text: str, field: str, cut: list[Withheld]) -> str | None:
    """``text`` without what it may not say; what was cut is added to ``cut``."""
    if field in _HEADINGS:
        text = _guard_heading(text, field, cut)
    lower = _lower(text)
    if not _tells_anything(text, lower, _literals(lower)):
        return text or None
    lines = [_guard_line(line, field, cut) for line in text.split("\n")]
    return "\n".join(line for line in lines if line.strip("- .;,:")) or None


def _guard_item(item: Any, field: str, guarded: Callable[[str, str], str | None]) -> Any:
    changed = {}
    for part in _PARTS[field]:
        text = getattr(item, part)
        if text:
            left = guarded(text, field)
            if left != text:
                changed[part] = left or ("" if part in _NEVER_NONE else None)
    return replace(item, **changed) if changed else item


def _guard_heading(text: str, field: str, cut: list[Withheld]) -> str:
    if not _STATUSES.find_matches_as_indexes(text.lower()):
        return text
    left, stated = leak_grammar.without_status(text)
    cut += [Withheld(field, leak_grammar.REASON, excerpt(words)) for words in stated]
    return left if stated else text


def _other_text(values: dict[str, Any]) -> list[str]:
    texts: list[str] = []
    for field in _FREE_TEXT:
        found = values.get(field)
        if found is None or field in _TITLES:
            continue
        if isinstance(found, str):
            texts.append(found)
        else:
            parts = _PARTS[field]
            texts += [text for item in found for part in parts if (text := getattr(item, part))]
    return texts


def _by_alphabet(texts: list[str]) -> list[list[str]]:
    """All text to be searched, pure ASCII apart: that is lower-cased ten times as fast."""
    others = [text for text in texts if not text.isascii()]
    return [[text for text in texts if text.isascii()], others] if others else [texts]


def _holding(texts: list[str], found: list[tuple[int, int]]) -> list[str]:
    """Those of ``texts`` in which a literal was found when they stood together."""
    begins = list(accumulate((len(text) + 1 for text in texts), initial=0))
    return [texts[bisect_right(begins, at) - 1] for _, at in found]


def _lower(text: str) -> str:
    """``text`` in lower case, letter by letter: a few letters have longer lower cases."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join([low if len(low := letter.lower()) == 1 else letter for letter in text])


def _literals(lower: str) -> list[tuple[int, int]]:
    """The literals in a text in lower case, with the place of each."""
    data = lower.encode()
    found = _LITERALS.find_matches_as_indexes(data, overlapping=True)
    if len(data) == len(lower):
        return [(number, at) for number, at, _ in found]
    return [(number, len(data[:at].decode())) for number, at, _ in found]


def _tells_anything(text: str, lower: str, found: list[tuple[int, int]]) -> bool:
    """Whether a rule or mark matches in the surroundings of a literal that was found."""
    for number, at in found:
        near = lower[max(0, at - _NEAR) : at + _NEAR]
        for rule in _BY_LITERAL[number][1]:
            if not rule.near.search(near):
                continue
            if isinstance(rule, Mark):
                if rule.pattern.search(text[max(0, at - _WINDOW) : at + _WINDOW]):
                    return True
            else:
                begin, end = _sentence(text, at)
                if _tells(rule, lower[begin:end], at - begin):
                    return True
    return False


def _sentence(text: str, at: int) -> tuple[int, int]:
    """Where the sentence around ``at`` begins and ends, or what is near enough of it.

    Sentences end as ``_SENTENCE_END`` has it; looking for a full stop first takes a tenth of the
    time.
    """
    begin = max(text.rfind("\n", 0, at) + 1, at - _REACH)
    end = text.find("\n", at, at + _REACH)
    end = min(len(text), at + _REACH) if end < 0 else end
    stop = at
    while (stop := text.rfind(". ", begin, stop)) >= 0:
        if _SENTENCE_END.match(text, stop + 1):
            begin = stop + 2
            break
    stop = at
    while (stop := text.find(". ", stop + 1, end)) >= 0:
        if _SENTENCE_END.match(text, stop + 1):
            end = stop + 1
            break
    return begin, end


def _tells(rule: Rule, sentence: str, at: int) -> bool:
    """Whether ``rule`` matches in a sentence in lower case, or in its bracket around ``at``."""
    if _found(rule, sentence):
        return True
    return ("(" in sentence or "[" in sentence) and any(
        _found(rule, sentence[begin:end].lstrip())
        for brackets in (_BRACKETS, _OUTER)
        for begin, end in _spans(brackets, sentence)
        if begin <= at < end
    )


def _spans(brackets: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Where brackets begin and end, each with the blank before it.

    A pattern that began with that blank could not be searched by its first sign, ten times as fast.
    """
    for bracket in brackets.finditer(text):
        begin, end = bracket.span()
        yield begin - (text[begin - 1 : begin] == " "), end


def _why(sentence: str) -> str | None:
    """The reason for which a sentence is withheld; None if it tells nothing."""
    lower = _lower(sentence)
    tried: set[Rule | Mark] = set()
    for number, at in _literals(lower):
        near = lower[max(0, at - _NEAR) : at + _NEAR]
        for rule in _BY_LITERAL[number][1]:
            if rule not in tried and isinstance(rule, Rule) and rule.near.search(near):
                tried.add(rule)
                if _found(rule, lower):
                    return rule.reason
    return None


@lru_cache(maxsize=64)  # first asked of a record, then of its text and of its sentence
def _found(rule: Rule, lower: str) -> bool:
    """Whether ``rule`` matches anywhere in a sentence in lower case without its veto."""
    start = 0
    while match := rule.pattern.search(lower, start):
        before = lower[max(0, match.start() - _BEFORE) : match.start()]
        if not rule.veto.search(f"{before}{START}{match[0]}"):
            return rule.elsewhere is None or not rule.elsewhere.search(lower)
        start = match.start() + 1
    return False


def _guard_line(line: str, field: str, cut: list[Withheld]) -> str:
    found = _literals(_lower(line))
    if not found:
        return line
    called = {rule for number, _ in found for rule in _BY_LITERAL[number][1]}
    for mark in [mark for mark in MARKS if mark in called]:
        line = _replace(mark.pattern, mark.reason, mark.instead, line, field, cut)
    return _without_telling(line, field, cut)


def _replace(
    pattern: re.Pattern[str], reason: str, instead: str, text: str, field: str, cut: list[Withheld]
) -> str:
    found = [match[0] for match in pattern.finditer(text)]
    cut += [Withheld(field, reason, excerpt(words)) for words in found]
    return pattern.sub(instead, text) if found else text


def _without_telling(line: str, field: str, cut: list[Withheld]) -> str:
    """``line`` without the brackets, or else the sentences, that tell the outcome.

    Of a bracket with several sentences the others stay, and of a criterion the other clauses.
    """

    def telling(text: str) -> bool:
        reason = _why(text)
        if reason is not None:
            cut.append(Withheld(field, reason, excerpt(text)))
        return reason is not None

    def left_of(text: str) -> list[str]:
        kept = []
        for sentence in _SENTENCE_END.split(text):
            clauses = _CLAUSE_END.split(sentence) if field == "criteria" else [sentence]
            if len(clauses) > 1 and _why(sentence):
                kept += [clause for clause in clauses if not telling(clause)]
            elif not telling(sentence):
                kept.append(sentence)
        return kept

    def without(words: str) -> str:
        bracket = words.lstrip()
        inside = bracket[1:-1]
        if not (_SENTENCE_END.search(inside) or (field == "criteria" and "; " in inside)):
            return "" if telling(bracket) else words
        left = " ".join(left_of(inside)).rstrip("; ")
        return f" {bracket[0]}{left}{bracket[-1]}" if left else ""

    bullet = "- " if line.startswith("- ") else ""
    line = line[len(bullet) :]
    if "(" in line or "[" in line:
        while (left := _sub(_OUTER, without, _sub(_BRACKETS, without, line))) != line:
            line = left
    return bullet + " ".join(" ".join(left_of(line)).split())


def _sub(brackets: re.Pattern[str], replaced: Callable[[str], str], line: str) -> str:
    parts, place = [], 0
    for begin, end in _spans(brackets, line):
        parts += [line[place:begin], replaced(line[begin:end])]
        place = end
    return "".join([*parts, line[place:]]) if parts else line
