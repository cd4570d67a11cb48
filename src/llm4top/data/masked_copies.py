"""Copies of trials that lack whole fields, to train on and to measure with.

Which fields a record has tells where it comes from, and where records of several sources are
joined it tells the label as well. A forecaster that is trained on copies with fields emptied at
random learns what to say of a thin record, and nothing from what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.registry.trial import Trial

_EMPTY: dict[str, Any] = {field.name: field.default for field in fields(Trial)}

GROUPS: dict[str, tuple[str, ...]] = {
    "phase": ("phase",),
    "conditions": ("conditions", "condition_mesh", "icd_codes", "keywords"),
    "interventions": ("interventions", "intervention_mesh", "smiles"),
    "criteria": ("criteria",),
    "titles": ("brief_title", "official_title"),
    "arms": ("arms", "number_of_arms"),
    "endpoints": ("primary_outcomes", "secondary_outcomes"),
    "design": (
        "study_type",
        "allocation",
        "intervention_model",
        "masking",
        "primary_purpose",
        "has_dmc",
        "planned_enrolment",
        "planned_start",
    ),
    "population": ("sex", "minimum_age", "maximum_age", "healthy_volunteers"),
    "sponsor": ("sponsor_class", "collaborators"),
    "descriptions": ("brief_summary", "detailed_description"),
}
"""Fields that are given, or missing, together; every field of a ``Trial`` is in one group."""


def _all_but(*groups: str) -> tuple[str, ...]:
    return tuple(name for name in GROUPS if name not in groups)


AT_RANDOM = "at random"
_SHARE_AT_RANDOM = 0.3

PATTERNS: dict[str, tuple[str, ...]] = {
    "full": (),
    "no criteria": ("criteria",),
    "no phase": ("phase",),
    "no criteria, no phase": ("criteria", "phase"),
    "no conditions": ("conditions",),
    "no interventions": ("interventions",),
    "no conditions, no interventions": ("conditions", "interventions"),
    "phase, conditions, interventions and criteria only": _all_but(
        "phase", "conditions", "interventions", "criteria"
    ),
    "title, arms and endpoints only": _all_but("titles", "arms", "endpoints"),
    "title only": _all_but("titles"),
    "criteria only": _all_but("criteria"),
    "phase only": _all_but("phase"),
    "empty": _all_but(),
    AT_RANDOM: (),
}
"""The groups that each pattern empties, by name; "at random" empties each with a chance of .3."""


THIN: dict[str, float] = {
    "no criteria": 0.25,
    "no criteria, no phase": 0.2,
    "no phase": 0.15,
    "no conditions": 0.05,
    "no interventions": 0.05,
    "title only": 0.05,
    "phase only": 0.05,
    "empty": 0.05,
    AT_RANDOM: 0.15,
}
"""The patterns of the thin copies that baselines learn from, each with its chance.

With these, forecasts of later TOP trials without criteria are better than with "at random" alone,
and those of whole records no worse."""


@dataclass(frozen=True, eq=False)
class MaskedCopies:
    """Copies of trials. ``rows`` ``[n]`` are the positions of the trials that they are copies of.

    ``patterns`` ``[n]`` are the names of what was emptied: a label's copy is ``y[rows]``.
    """

    trials: list[Trial]
    rows: NDArray[np.int64]
    patterns: list[str]


def emptied(trial: Trial, names: Sequence[str]) -> Trial:
    """The trial with the fields of those ``names`` empty; the trial itself where there are none.

    Raises ``KeyError`` for a name that is no field.
    """
    return replace(trial, **{name: _EMPTY[name] for name in names}) if names else trial


def masked(trial: Trial, pattern: str) -> Trial:
    """The trial as one of ``PATTERNS`` leaves it; not for "at random", which needs a seed.

    Raises:
        ValueError: There is no such pattern.
    """
    if pattern not in PATTERNS or pattern == AT_RANDOM:
        known = ", ".join(name for name in PATTERNS if name != AT_RANDOM)
        raise ValueError(f"no pattern {pattern!r}; known: {known}.")
    return emptied(trial, _fields_of(PATTERNS[pattern]))


def masked_copies(
    trials: Sequence[Trial],
    *,
    seed: int,
    patterns: Mapping[str, float] | Sequence[str] = (AT_RANDOM,),
    copies: int = 1,
) -> MaskedCopies:
    """Copies of trials with whole fields emptied; nothing is ever added or changed.

    Args:
        trials: The trials.
        seed: The same trials and seed give the same copies.
        patterns: Names in ``PATTERNS``, each as likely as the others, or names with their
            chances, which need not sum to 1.
        copies: The number of copies of each trial; each draws a pattern of its own.

    Returns:
        ``len(trials) * copies`` copies: one of each trial in order, then the next of each.

    Raises:
        ValueError: There is no such pattern, or no chance is above 0.
    """
    chances = patterns if isinstance(patterns, Mapping) else dict.fromkeys(patterns, 1.0)
    for name in chances:
        if name not in PATTERNS:
            raise ValueError(f"no pattern {name!r}; known: {', '.join(PATTERNS)}.")
    shares = np.array([*chances.values()], dtype=np.float64)
    if not shares.size or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError("no pattern has a chance above 0.")
    rng = np.random.default_rng(seed)
    rows = np.tile(np.arange(len(trials)), copies)
    drawn = rng.choice(len(shares), size=len(rows), p=shares / shares.sum())
    dropped = rng.random((len(rows), len(GROUPS))) < _SHARE_AT_RANDOM
    names = list(chances)
    chosen = [names[i] for i in drawn]
    made = []
    for row, pattern, at_random in zip(rows.tolist(), chosen, dropped, strict=True):
        groups = PATTERNS[pattern]
        if pattern == AT_RANDOM:
            groups = tuple(g for g, gone in zip(GROUPS, at_random, strict=True) if gone)
        made.append(emptied(trials[row], _fields_of(groups)))
    return MaskedCopies(made, rows, chosen)


def _fields_of(groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for group in groups for name in GROUPS[group])
