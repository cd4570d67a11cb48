"""The acronym that a trial goes by, where its titles give it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llm4top.registry import Trial

_WORD = r"[A-Z0-9][A-Za-z0-9]*[A-Z][A-Za-z0-9]*(?:[-/+ ][A-Z0-9]{1,6})*"
_IN_BRACKETS = re.compile(rf"[(\[]\s*({_WORD})(?:\s+(?:[Ss]tudy|[Tt]rial))?\s*[)\]]")
_AT_THE_START = re.compile(rf"\A({_WORD})\s?(?::|\s[\u2013-]\s)")
_AS_A_STUDY = re.compile(rf"\b({_WORD})\s+(?:[Ss]tudy|[Tt]rial)\b")
_STUDY = re.compile(r"study|trial|registry|project|program(?:me)?|survey|cohort")
_NO_ACRONYM = re.compile(r"\A[IVX]+\Z|\d{3}")
_LETTERS = 3


def trial_acronyms(trial: Trial) -> tuple[str, ...]:
    """Acronyms of the trial itself, as its titles write them.

    Those are capitals in brackets, before a colon at the start, or before the word "study" or
    "trial". An abbreviation that belongs to the disease is none: one that the conditions or
    keywords hold, or that stands behind the words it abbreviates (unless these name a study).
    """
    ours: dict[str, None] = {}
    topics = " ; ".join((*trial.conditions, *trial.condition_mesh, *trial.keywords)).lower()
    for title in (trial.brief_title, trial.official_title):
        for name, before in _candidates(title or ""):
            known = re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", topics)
            if known or _NO_ACRONYM.search(name) or sum(c.isupper() for c in name) < _LETTERS:
                continue
            words = _abbreviated(name, before)
            if not words or any(map(_STUDY.fullmatch, words)):
                ours[name] = None
    return tuple(ours)


def _candidates(title: str) -> Iterator[tuple[str, str]]:
    """Each possible acronym with the text before it."""
    patterns = [_IN_BRACKETS]
    if not title.isupper():
        patterns += [_AT_THE_START, _AS_A_STUDY]
    for pattern in patterns:
        for match in pattern.finditer(title):
            yield match[1], title[: match.start()]


def _abbreviated(name: str, before: str) -> list[str]:
    """The words right before that give the letters: "Human Papilloma Virus (HPV)".

    The last of them alone may do: "Methotrexate (MTX)". Empty where none do.
    """
    letters = [c.lower() for c in name if c.isalpha()]
    words = re.findall(r"[^\W\d_]+", before.lower())
    if [word[0] for word in words[-len(letters) :]] == letters:
        return words[-len(letters) :]
    rest = iter(words[-1] if words else "")
    if words and words[-1][0] == letters[0] and all(letter in rest for letter in letters):
        return words[-1:]
    return []
