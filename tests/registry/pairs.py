"""An invented trial with every field, to be written out in both registry formats."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from llm4top.registry import codes
from llm4top.registry.criteria_marks import MARK

_TAG = re.compile(r"</?[a-z][^<]*>", re.IGNORECASE)
_LONG = 20  # with a backslash before each sign still shorter than a line that may be wrapped

_WORD = st.text(
    alphabet=st.sampled_from("abcdeghoprtuwxyzABC012349é≥µ<>&[]*~^_%()/,'\""),
    min_size=1,
    max_size=9,
).filter(lambda word: not re.fullmatch(r"[*~]+", word) and not MARK.match(f"{word} "))
_WORDS = st.lists(_WORD, min_size=1, max_size=30).map(" ".join)
# What a bullet or number at the head of a line would mean differs between the formats, and any word
# of a long line can come to stand there: the XML is wrapped. An HTML tag (<h1 0>) is a break whose
# meaning differs too, where a line that it shortens has been wrapped.
LINE = _WORDS.map(lambda text: "w" + text).filter(lambda text: not _TAG.search(text))


def _clear(paragraphs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Nested bullets only below a short item.

    Below a long one it could be a wrapped line of it in the JSON; below none it is no nested one.
    """
    found: list[tuple[str, str]] = []
    for bullet, text in paragraphs:
        nested = bool(found) and found[-1][0] != "" and len(found[-1][1]) <= _LONG
        found.append(("- " if bullet == "-- " and not nested else bullet, text))
    return found


PARAGRAPHS = st.lists(
    st.tuples(st.sampled_from(["", "", "- ", "-- "]), LINE), min_size=1, max_size=6
).map(_clear)
DATE = st.tuples(st.integers(1990, 2035), st.integers(1, 12), st.none() | st.integers(1, 28))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _code(table: dict[str, str]) -> st.SearchStrategy[Any]:
    return maybe(st.sampled_from(sorted(table)))


TRIAL = st.fixed_dictionaries(
    {
        "brief_title": LINE,
        "official_title": maybe(LINE),
        "acronym": maybe(LINE),
        "status": st.sampled_from(sorted(codes.STATUSES)),
        "why_stopped": maybe(LINE),
        "study_type": st.sampled_from(sorted(codes.STUDY_TYPES)),
        "registry": st.booleans(),
        "phases": st.sampled_from([[], ["NA"], ["PHASE1"], ["PHASE1", "PHASE2"], ["EARLY_PHASE1"]]),
        "conditions": st.lists(LINE, max_size=3),
        "keywords": st.lists(LINE, max_size=3),
        "condition_mesh": st.lists(LINE, max_size=3),
        "intervention_mesh": st.lists(LINE, max_size=3),
        "arms": st.lists(
            st.tuples(LINE, _code(codes.ARM_ROLES), maybe(PARAGRAPHS)),
            max_size=3,
            unique_by=lambda arm: arm[0],
        ),
        "interventions": st.lists(
            st.tuples(
                LINE,
                st.sampled_from(sorted(codes.INTERVENTION_TYPES)),
                maybe(PARAGRAPHS),
                st.sets(st.integers(0, 2)),
                maybe(LINE),
            ),
            max_size=3,
        ),
        "allocation": _code(codes.ALLOCATIONS),
        "model": _code(codes.MODELS),
        "masking": _code(codes.MASKINGS),
        "who": st.sets(st.sampled_from(sorted(codes.WHO_MASKED))),
        "purpose": _code(codes.PURPOSES),
        "primary": st.lists(st.tuples(LINE, maybe(LINE), maybe(PARAGRAPHS)), max_size=2),
        "secondary": st.lists(st.tuples(LINE, maybe(LINE), maybe(PARAGRAPHS)), max_size=2),
        "criteria": maybe(PARAGRAPHS),
        "sex": _code(codes.SEXES),
        "minimum_age": maybe(st.sampled_from(["18 Years", "6 Months", "1 Day"])),
        "maximum_age": maybe(st.sampled_from(["65 Years", "1 Year"])),
        "healthy": maybe(st.booleans()),
        "sponsor": st.tuples(LINE, st.sampled_from(["NIH", "FED", "INDUSTRY", "OTHER", "INDIV"])),
        "collaborators": st.lists(
            st.tuples(LINE, st.sampled_from(["NIH", "OTHER_GOV", "INDUSTRY"])), max_size=2
        ),
        "dmc": maybe(st.booleans()),
        "enrolment": maybe(
            st.tuples(st.integers(0, 9999), st.sampled_from(["ESTIMATED", "ACTUAL", None]))
        ),
        "start": st.tuples(DATE, st.sampled_from(["ESTIMATED", "ACTUAL", None])),
        "completion": maybe(DATE),
        "primary_completion": maybe(DATE),
        "submitted": DATE,
        "summary": PARAGRAPHS,
        "detailed": maybe(PARAGRAPHS),
        "results": st.booleans(),
    }
)
