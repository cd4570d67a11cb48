"""A trial as numbers and as text, for the baselines that read tables.

Only what the task does not hide is read: ``visible_trials`` empties every hidden field first.

The presence of a field can give the label away where records of several sources are joined (a
finished record has other fields than an open one), so nothing here says whether a field was given.
A value that is absent is NaN, and becomes the average of the trials that have one; whole groups
are absent together (no ICD code: all chapters are NaN). An imputed value is still not the same as
a measured one, and a tree can split off exact averages: what remains of presence is that.
The planned start is never read, since a date orders trials rather than describes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm4top.data.masked_copies import emptied
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

FloatArray = NDArray[np.float64]

_SETTINGS: dict[str, Any] = {"ngram_range": (1, 2), "sublinear_tf": True}


def new_vectoriser(rows: int, *, min_count: int, most: int) -> TfidfVectorizer:
    """An unfitted vectoriser of words and pairs that occur in ``min_count`` of ``rows`` texts.

    Only the ``most`` frequent terms are kept.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**_SETTINGS, min_df=min(min_count, rows), max_features=most)


NAN = math.nan

ICD_CHAPTERS: tuple[tuple[str, str, str], ...] = (
    ("infections", "A00", "B99"), ("neoplasms", "C00", "D49"), ("blood", "D50", "D89"),
    ("endocrine", "E00", "E89"), ("mental", "F01", "F99"), ("nervous", "G00", "G99"),
    ("eye", "H00", "H59"), ("ear", "H60", "H95"), ("circulatory", "I00", "I99"),
    ("respiratory", "J00", "J99"), ("digestive", "K00", "K95"), ("skin", "L00", "L99"),
    ("musculoskeletal", "M00", "M99"), ("genitourinary", "N00", "N99"),
    ("pregnancy", "O00", "O9A"), ("perinatal", "P00", "P96"), ("congenital", "Q00", "Q99"),
    ("symptoms", "R00", "R99"), ("injury", "S00", "T88"), ("special", "U00", "U85"),
    ("external", "V00", "Y99"), ("health status", "Z00", "Z99"),
)  # fmt: skip
"""Chapters of ICD-10-CM: name, first and last category."""

_STUDY_TYPES = ("Interventional", "Observational", "Expanded Access")
_INTERVENTION_TYPES = (
    "Drug", "Biological", "Device", "Procedure", "Behavioral", "Dietary Supplement", "Radiation",
    "Genetic", "Combination Product", "Diagnostic Test", "Other",
)  # fmt: skip
_MODELS = ("Single Group", "Parallel", "Crossover", "Factorial", "Sequential")
_MASKINGS = {"none": 0, "open": 0, "single": 1, "double": 2, "triple": 3, "quadruple": 4}
_PURPOSES = ("Treatment", "Prevention", "Diagnostic", "Supportive Care", "Basic Science")
_SPONSORS = ("Industry", "NIH", "U.S. Fed", "Other")
_ARM_ROLES = ("Experimental", "Active Comparator", "Placebo Comparator", "No Intervention")
_PHASE_VALUE = {"early phase 1": 0.5, "phase 1": 1, "phase 2": 2, "phase 3": 3, "phase 4": 4}
_YEARS = {"year": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}
_NO_UPPER_AGE = 100.0
_PLACEBO = re.compile(r"\b(placebo|sham|dummy|vehicle)\b", re.I)
_HEADING = re.compile(r"\b(in|ex)clusion", re.I)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def visible_trials(task: Task, trials: Sequence[Trial]) -> list[Trial]:
    """The trials with every field emptied that ``task.hidden_fields`` names."""
    return [emptied(trial, task.hidden_fields) for trial in trials]


def all_text(trial: Trial) -> str:
    """Every text and code of a trial, one a line. Phase and codes are one word each."""
    lines = [
        code_word("phase", trial.phase or "none"),
        *(code_word("icd", code) for code in trial.icd_codes),
        *trial.conditions,
        *trial.condition_mesh,
        *trial.keywords,
        *(item.name for item in trial.interventions),
        *trial.intervention_mesh,
        trial.brief_title,
        trial.official_title,
        *(arm.label for arm in trial.arms),
        *(outcome.measure for outcome in (*trial.primary_outcomes, *trial.secondary_outcomes)),
        *(organisation.name for organisation in trial.collaborators),
        trial.brief_summary,
        trial.detailed_description,
        *(item.description for item in trial.interventions),
        *(arm.description for arm in trial.arms),
        trial.criteria,
    ]
    return "\n".join(line for line in lines if line)


def code_word(kind: str, code: str) -> str:
    """A coded value as one word that no text holds: phase_phase_1_phase_2, icd_J45_9."""
    return kind + "_" + "_".join(re.findall(r"\w+", code if kind == "icd" else code.lower()))


def icd_chapter(code: str) -> str | None:
    """The chapter of ICD-10-CM that a code belongs to; None where it belongs to none."""
    category = code.strip().upper()[:3]
    for name, first, last in ICD_CHAPTERS:
        if first <= category <= last:
            return name
    return None


def trial_features(trial: Trial) -> dict[str, float]:
    """The numbers of a trial by name, the same names for every trial; NaN where it has none.

    Counts and lengths are logarithms, ``log(1 + n)``; flags are 0 or 1; ages are in years.
    """
    numbers: dict[str, float] = {}
    for part in _PARTS:
        numbers.update(part(trial))
    return numbers


def feature_table(trials: Sequence[Trial]) -> FloatArray:
    """``trial_features`` of each trial: ``[n, F]``, columns as ``FEATURE_NAMES``."""
    rows = [list(trial_features(trial).values()) for trial in trials]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURE_NAMES))


def _phase(trial: Trial) -> dict[str, float]:
    parts = (trial.phase or "").lower().split("/")
    values = [_PHASE_VALUE[part] for part in parts if part in _PHASE_VALUE]
    given = trial.phase is not None
    return {
        "phase, lowest": min(values, default=NAN),
        "phase, highest": max(values, default=NAN),
        "phase is mixed": float(len(values) > 1) if given else NAN,
        "phase does not apply": float(not values) if given else NAN,
    }


def _condition(trial: Trial) -> dict[str, float]:
    found = {chapter for code in trial.icd_codes if (chapter := icd_chapter(code))}
    coded = bool(trial.icd_codes)
    chapters = {
        f"ICD chapter: {name}": float(name in found) if coded else NAN for name, *_ in ICD_CHAPTERS
    }
    return {
        "conditions": _size(trial.conditions),
        "ICD codes": _size(trial.icd_codes),
        "ICD categories": _size({code[:3] for code in trial.icd_codes}),
        **chapters,
    }


def _intervention(trial: Trial) -> dict[str, float]:
    items = trial.interventions
    types = [item.type for item in items if item.type]
    lengths = [len(molecule) for molecule in trial.smiles]
    return {
        "interventions": _size(items),
        "placebo among interventions": (
            float(any(_PLACEBO.search(item.name) for item in items)) if items else NAN
        ),
        **{
            f"interventions: {name}": _count(types.count(name) if types else None)
            for name in _INTERVENTION_TYPES
        },
        "molecules": _size(trial.smiles),
        "longest molecule": _count(max(lengths, default=None)),
        "shortest molecule": _count(min(lengths, default=None)),
    }


def _design(trial: Trial) -> dict[str, float]:
    masking = (trial.masking or "").lower().split("(")[0].split()
    roles = [arm.role for arm in trial.arms if arm.role]
    return {
        **_one_of("study type", trial.study_type, _STUDY_TYPES),
        **_one_of("model", trial.intervention_model, _MODELS),
        **_one_of("purpose", trial.primary_purpose, _PURPOSES),
        "randomised": _flag(trial.allocation, trial.allocation == "Randomized"),
        "parties masked": float(_MASKINGS[masking[0]]) if masking[:1] and masking[0] in _MASKINGS
        else NAN,
        "arms": _count(trial.number_of_arms),
        **{f"arms: {role}": _count(roles.count(role) if roles else None) for role in _ARM_ROLES},
        "data monitoring committee": _flag(trial.has_dmc, bool(trial.has_dmc)),
        "planned enrolment": _count(trial.planned_enrolment),
        "primary outcomes": _size(trial.primary_outcomes),
        "secondary outcomes": _count(
            len(trial.secondary_outcomes) if trial.primary_outcomes else None
        ),
    }  # fmt: skip


def _sponsor(trial: Trial) -> dict[str, float]:
    known = trial.sponsor_class is not None
    industrial = any(c.organisation_class == "Industry" for c in trial.collaborators)
    return {
        **_one_of("sponsor", trial.sponsor_class, _SPONSORS),
        "collaborators": _count(len(trial.collaborators) if known else None),
        "collaborator from industry": float(industrial) if known else NAN,
    }


def _population(trial: Trial) -> dict[str, float]:
    # Readers drop the age limit "N/A": with a coded sex it means that there is none.
    coded = trial.sex is not None
    lowest = years_of(trial.minimum_age)
    highest = years_of(trial.maximum_age)
    return {
        **_one_of("sex", trial.sex, ("Female", "Male")),
        "minimum age": 0.0 if lowest is None and coded else NAN if lowest is None else lowest,
        "maximum age": (
            _NO_UPPER_AGE if highest is None and coded else NAN if highest is None else highest
        ),
        "healthy volunteers": _flag(trial.healthy_volunteers, bool(trial.healthy_volunteers)),
    }


def _text(trial: Trial) -> dict[str, float]:
    criteria = trial.criteria or ""
    counts = {"in": 0, "ex": 0}
    side = "in"
    for line in criteria.splitlines():
        heading = _HEADING.search(line)
        if heading and len(line) < 80:
            side = heading.group(1).lower()
        elif line.strip():
            counts[side] += 1
    title = trial.official_title or trial.brief_title or ""
    return {
        "criteria, characters": _size(criteria),
        "criteria, numbers": _count(len(_NUMBER.findall(criteria)) if criteria else None),
        "inclusion criteria": _count(counts["in"] if criteria else None),
        "exclusion criteria": _count(counts["ex"] if criteria else None),
        "title, words": _count(len(title.split()) if title else None),
        "summary, characters": _size(trial.brief_summary),
        "description, characters": _size(trial.detailed_description),
    }


_PARTS: tuple[Callable[[Trial], dict[str, float]], ...] = (
    _phase, _condition, _intervention, _design, _sponsor, _population, _text,
)  # fmt: skip


def _count(number: int | None) -> float:
    return NAN if number is None else math.log1p(max(number, 0))


def _size(items: Sized | None) -> float:
    return _count(len(items)) if items else NAN


def _flag(value: object, meaning: bool) -> float:
    return NAN if value is None else float(meaning)


def _one_of(name: str, value: str | None, choices: Sequence[str]) -> dict[str, float]:
    """A flag for each choice: the one that the value begins with."""
    return {
        f"{name}: {choice}": _flag(value, (value or "").startswith(choice)) for choice in choices
    }


def years_of(text: str | None) -> float | None:
    """The years of an age as registered ("18 Years"); None where it is no age."""
    words = (text or "").lower().split()
    if len(words) != 2 or not words[0].isascii() or not words[0].isdigit() or len(words[0]) > 6:
        return None
    unit = _YEARS.get(words[1].rstrip("s"))
    return None if unit is None else int(words[0]) * unit


def varies(column: FloatArray) -> bool:
    """Whether the numbers that are given in a column differ."""
    given = column[~np.isnan(column)]
    return given.size > 0 and bool(np.ptp(given) > 1e-9)


FEATURE_NAMES: tuple[str, ...] = tuple(trial_features(Trial()))
"""The columns of ``feature_table``."""
