"""What a record gives a forecaster to go by, beside what the learning rows gave it."""

import base64
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from llm4top.prompts.sections import SECTION_HEADINGS, plain_words, trial_sections
from llm4top.registry.trial import Trial
from llm4top.schema import Strict

LACKS: dict[str, tuple[str, ...]] = {
    "criteria": ("criteria",),
    "phase": ("phase",),
    "conditions": ("conditions", "condition_mesh"),
    "interventions": ("interventions", "intervention_mesh"),
    "title": ("brief_title", "official_title"),
}
"""What a record may lack: the sections of which it then has none."""

NOT_MEDICINES = ("Device", "Behavioral", "Procedure", "Diagnostic Test")
_MOSTLY = 0.5
_SEEN = 0.01
_BITS = 1 << 18
_OTHERS = 2  # learning rows besides its own in which a known word occurs
_WORD = re.compile(r"[^\W\d_]{2,}")
_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a trial gives to go by.

    Attributes:
        missing: Names in ``LACKS`` that most learning rows had and this trial lacks.
        words: Words of the sections that the forecaster reads, the phase apart.
        letters: Letters of these words.
        thin: 0 from ``Learned.few_words`` on, 1 where there is no word at all.
        known: Share of the words' letters that are of words of the learning rows.
        study_type: The study type, where the learning rows had none like it.
        medicine: False where all interventions are of kinds that are no medicines and that the
            learning rows did not have.
        healthy: Whether healthy volunteers are accepted, and the learning rows had none.
        years: Years by which the planned start is outside those of the learning rows.
    """

    missing: tuple[str, ...]
    words: int
    letters: int
    thin: float
    known: float
    study_type: str | None
    medicine: bool
    healthy: bool
    years: int


class Learned(Strict):
    """What the learning rows had.

    ``sections`` are those that the forecaster reads (None: all), ``fields`` the names in ``LACKS``
    that most rows had. ``few_words`` and ``many_words`` are the 5 % and the 99 % quantile of the
    rows' words, ``known`` is the 1 % quantile of their share of known words, each judged by the
    other rows. ``words`` is the vocabulary: a bit for each hash of a word. ``kinds`` are the study
    and intervention types of at least one per cent of the rows, ``years`` those of their starts.
    """

    sections: tuple[str, ...] | None
    fields: tuple[str, ...]
    few_words: Annotated[int, Field(gt=0)]
    many_words: Annotated[int, Field(gt=0)]
    known: Annotated[float, Field(gt=0, le=1)]
    kinds: tuple[str, ...]
    healthy: bool
    years: tuple[int, int] | None
    words: Annotated[str, Field(max_length=2 * _BITS // 8)]

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        *,
        sections: Sequence[str] | None,
        starts: Sequence[str | None] | None = None,
    ) -> Self:
        """Learn from the learning rows' ``trials``; ``starts`` are their start dates (ISO)."""
        read = None if sections is None else tuple(sections)
        texts = [_Text(trial, read) for trial in trials]
        counts = Counter(word for text in texts for word in set(text.words))
        known = [text.share_of(lambda word: counts[word] > _OTHERS) for text in texts if text.words]
        sizes = [len(text.words) for text in texts]
        bits = np.zeros(_BITS, dtype=bool)
        bits[[_hashed(word) for word, n in counts.items() if n >= _OTHERS]] = True
        years = [int(start[:4]) for start in starts or () if start]
        n = len(trials)
        kinds = Counter(kind for trial in trials for kind in {trial.study_type, *_types(trial)})
        fields = [f for f in LACKS if sum(f not in t.missing for t in texts) >= _MOSTLY * n]
        return cls(
            sections=read,
            fields=tuple(fields),
            few_words=max(1, round(float(np.quantile(sizes, 0.05)))),
            many_words=max(1, round(float(np.quantile(sizes, 0.99)))),
            known=max(0.01, float(np.quantile(known, 0.01))) if known else 1.0,
            kinds=tuple(sorted(kind for kind, m in kinds.items() if kind and m >= _SEEN * n)),
            healthy=sum(bool(trial.healthy_volunteers) for trial in trials) >= _SEEN * n,
            years=(min(years), max(years)) if years else None,
            words=base64.b64encode(zlib.compress(np.packbits(bits).tobytes(), 9)).decode(),
        )

    @field_validator("words")
    @classmethod
    def _holds_the_bits(cls, words: str) -> str:
        if len(_unpacked(words)) != _BITS // 8:
            raise ValueError("words: is no vocabulary")
        return words

    def facts(self, trial: Trial) -> Facts:
        """What ``trial`` gives to go by."""
        text = _Text(trial, self.sections)
        types = _types(trial)
        kind = trial.study_type or "Interventional"
        year = _YEAR.match(trial.planned_start or "")
        n = len(text.words)
        return Facts(
            missing=tuple(name for name in self.fields if name in text.missing),
            words=n,
            letters=sum(map(len, text.words)),
            thin=max(0.0, 1 - math.log1p(n) / math.log1p(self.few_words)),
            known=text.share_of(lambda word: bool(self._bits[_hashed(word)])),
            study_type=None if kind in (*self.kinds, "Interventional") else kind,
            medicine=not types or not types <= {*NOT_MEDICINES} - {*self.kinds},
            healthy=bool(trial.healthy_volunteers) and not self.healthy,
            years=self._beyond(int(year[0])) if year else 0,
        )

    def _beyond(self, year: int) -> int:
        if self.years is None:
            return 0
        return max(self.years[0] - year, year - self.years[1], 0)

    @cached_property
    def _bits(self) -> NDArray[np.bool_]:
        return np.unpackbits(np.frombuffer(_unpacked(self.words), dtype=np.uint8)).astype(bool)


def named(missing: Sequence[str]) -> str:
    """What a record lacks, in words: "no eligibility criteria and no phase"."""
    found = [f"no {SECTION_HEADINGS.get(name, name).lower()}" for name in missing]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


class _Text:
    """The words of a trial that a forecaster reads, and what it lacks."""

    def __init__(self, trial: Trial, sections: Sequence[str] | None):
        found = trial_sections(trial, only=sections)
        there = {section.name for section in found}
        self.missing = {name for name, held in LACKS.items() if not there.intersection(held)}
        self.words: list[str] = [
            word
            for section in found
            if section.name not in ("phase", "study_type")
            for word in _WORD.findall(plain_words(section.text))
        ]

    def share_of(self, is_known: Callable[[str], bool]) -> float:
        """The share of the words' letters that are of known words; 1 without any word."""
        letters = sum(map(len, self.words))
        return sum(len(w) for w in self.words if is_known(w)) / letters if letters else 1.0


def _types(trial: Trial) -> set[str]:
    return {item.type for item in trial.interventions if item.type}


def _unpacked(words: str) -> bytes:
    """The bits of a vocabulary; empty where they cannot be read."""
    try:
        return zlib.decompressobj().decompress(base64.b64decode(words), _BITS // 8 + 1)
    except (ValueError, zlib.error):
        return b""


def _hashed(word: str) -> int:
    return zlib.crc32(word.encode()) % _BITS
