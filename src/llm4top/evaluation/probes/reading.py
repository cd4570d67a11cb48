"""Whether a forecaster reads the trial: what changes of a record do to its forecast.

Changes of the layout keep every word, so they should move nothing. Changes of the phase, a drug, a
condition, the comparator or the size should, each as much as it has to do with the outcome; how
much that is nobody knows for a single trial, but a change of phase should on average move the
log-odds by about the difference of the phases' base rates.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import logit

from llm4top.evaluation.predictions import FloatArray
from llm4top.forecasters.bundles.figures import CardTable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.registry.trial import Intervention, Trial

MOST_BY_LAYOUT = 0.01
"""A change of layout that moves a chance by as much is a fault."""
_QUANTILE = 1.959963984540054
_LEAST = 1e-6
_PLACEBO = re.compile("placebo", re.IGNORECASE)

Change = Callable[[Trial, Trial], Trial]
"""Gives the changed trial, from it and from another trial; the trial itself where it has nothing
to change."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a trial. Those of the ``kind`` "layout" keep its words."""

    name: str
    kind: Literal["layout", "content"]
    change: Change


@dataclass(frozen=True, slots=True)
class Effect:
    """What an edit did to the forecasts of the ``n`` trials that it applies to.

    Attributes:
        edit: The edit's name.
        kind: The edit's kind.
        n: Trials that it changed.
        mean, most: Mean and largest absolute difference of the chances.
        log_odds: Mean difference of the log-odds, changed less unchanged.
        half_width: Half of the 95 % interval of ``log_odds``.
        expected: What ``log_odds`` would be by the base rates of the phases alone; None for edits
            of other fields.
    """

    edit: str
    kind: Literal["layout", "content"]
    n: int
    mean: float
    most: float
    log_odds: float
    half_width: float
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The effects of all edits, and the ``distinct`` chances among those of ``n`` trials."""

    effects: tuple[Effect, ...]
    distinct: int
    n: int

    def of(self, edit: str) -> Effect:
        """The effect of the edit of that name; ``KeyError`` where it was not measured."""
        return {effect.edit: effect for effect in self.effects}[edit]

    def card_table(self) -> CardTable:
        """The effects as a table of a bundle's card."""
        return CardTable(
            title="What it reads",
            text=(
                "How far a change of the record moves the forecast, on trials whose outcome plays "
                "no part here. Changes of the layout keep every word of the criteria. The last "
                "column is the difference that the base rates of the phases alone would make. "
                f"The {self.n} unchanged trials have {self.distinct} different chances."
            ),
            columns=(
                "change",
                "n",
                "mean |difference|, points",
                "largest, points",
                "mean log-odds [95 % interval]",
                "by base rates alone",
            ),
            rows=tuple(_cells(effect) for effect in self.effects),
        )


def _cells(effect: Effect) -> tuple[str, ...]:
    low, high = effect.log_odds - effect.half_width, effect.log_odds + effect.half_width
    expected = "" if effect.expected is None else f"{effect.expected:+.2f}"
    return (
        effect.edit,
        str(effect.n),
        f"{100 * effect.mean:.1f}",
        f"{100 * effect.most:.1f}",
        f"{effect.log_odds:+.2f} [{low:+.2f}, {high:+.2f}]",
        expected,
    )


def reading_probe(forecaster: Forecaster, trials: Sequence[Trial], *, seed: int = 0) -> Reading:
    """Forecast trials as they are and under each of ``EDITS``.

    Args:
        forecaster: Any forecaster of a task with two labels.
        trials: The trials; outcomes are not needed.
        seed: Draws the other trials that drugs, conditions and criteria are taken from.

    Raises:
        ValueError: There are fewer than two trials.
    """
    if len(trials) < 2:
        raise ValueError(f"{len(trials)} trial(s); the probe needs two or more.")
    order = np.random.default_rng(seed).permutation(len(trials))
    others = [trials[i] for i in np.roll(order, 1)[np.argsort(order)]]
    before = _chances(forecaster, trials)
    effects = []
    for edit in EDITS:
        changed = [edit.change(trial, other) for trial, other in zip(trials, others, strict=True)]
        there = [
            i for i, (old, new) in enumerate(zip(trials, changed, strict=True)) if new is not old
        ]
        if there:
            asked = [changed[i] for i in there]
            after = _chances(forecaster, asked)
            expected = None
            if "phase" in edit.name:
                expected = _expected(forecaster, [trials[i] for i in there], asked)
            effects.append(_effect(edit, before[there], after, expected))
    return Reading(tuple(effects), len(np.unique(before)), len(trials))


def _chances(forecaster: Forecaster, trials: Sequence[Trial]) -> FloatArray:
    found = forecaster.predict_proba(trials)
    if found.shape[1] != 2:
        raise ValueError("the probe is for tasks with two labels.")
    return found[:, 1]


def _effect(edit: Edit, before: FloatArray, after: FloatArray, expected: float | None) -> Effect:
    moved = np.abs(after - before)
    odds = _logit(after) - _logit(before)
    spread = float(odds.std(ddof=1)) if len(odds) > 1 else 0.0
    return Effect(
        edit=edit.name,
        kind=edit.kind,
        n=len(odds),
        mean=float(moved.mean()),
        most=float(moved.max()),
        log_odds=float(odds.mean()),
        half_width=_QUANTILE * spread / len(odds) ** 0.5,
        expected=expected,
    )


def _expected(forecaster: Forecaster, old: Sequence[Trial], new: Sequence[Trial]) -> float | None:
    """Mean difference of the log-odds of the phases' base rates."""
    found = []
    for before, after in zip(old, new, strict=True):
        rates = [forecaster.base_rate_of(trial.phase) for trial in (before, after)]
        if rates[0] is None or rates[1] is None:
            return None
        first, second = (np.array([rate[1][1]]) for rate in rates if rate is not None)
        found.append(float(_logit(second)[0] - _logit(first)[0]))
    return float(np.mean(found))


def _logit(chance: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(chance, _LEAST, 1 - _LEAST)), dtype=np.float64)


def _layout(lay_out: Callable[[list[str]], str]) -> Change:
    """An edit of the layout of the criteria, from their lines in normal form."""

    def change(trial: Trial, _other: Trial) -> Trial:
        if not trial.criteria:
            return trial
        return replace(trial, criteria=lay_out(trial.criteria.split("\n")))

    return change


def _words(line: str) -> str:
    return line.removeprefix("- ")


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(
        f"{n}. {_words(line)}" if line.startswith("- ") else line for n, line in enumerate(lines, 1)
    )


def _phase(old: str, new: str) -> Change:
    return lambda trial, _: replace(trial, phase=new) if trial.phase == old else trial


def _no_phase(trial: Trial, _other: Trial) -> Trial:
    return replace(trial, phase=None) if trial.phase else trial


def _from_other(*names: str, keep: bool = True) -> Change:
    """Another trial's fields, or none where ``keep`` is false."""
    empty = Trial()

    def change(trial: Trial, other: Trial) -> Trial:
        source = other if keep else empty
        new = {name: getattr(source, name) for name in names}
        same = all(getattr(trial, name) == value for name, value in new.items())
        return trial if same or (keep and not new[names[0]]) else replace(trial, **new)

    return change


def _placebo(trial: Trial, _other: Trial) -> Trial:
    """With a placebo if there is none; without if there is one."""
    items = trial.interventions
    kept = tuple(item for item in items if not _PLACEBO.search(item.name))
    if not kept:
        return trial
    return replace(
        trial, interventions=kept if len(kept) < len(items) else (*items, Intervention("placebo"))
    )


def _size(trial: Trial, _other: Trial) -> Trial:
    return replace(trial, planned_enrolment=10 * (trial.planned_enrolment or 50))


_DRUGS = ("interventions", "intervention_mesh", "smiles")
_CONDITIONS = ("conditions", "condition_mesh", "icd_codes")

EDITS: tuple[Edit, ...] = (
    Edit("bullets taken off", "layout", _layout(lambda ls: "\n".join(map(_words, ls)))),
    Edit(
        "other bullets, blank lines",
        "layout",
        _layout(lambda ls: "\n\n".join(re.sub("^- ", "  * ", line) for line in ls)),
    ),
    Edit("numbered", "layout", _layout(_numbered)),
    Edit("wide spaces", "layout", _layout(lambda ls: "\n".join(ls).replace(" ", "   "))),
    Edit("lower case", "layout", _layout(lambda ls: "\n".join(ls).lower())),
    Edit("upper case", "layout", _layout(lambda ls: "\n".join(ls).upper())),
    Edit("one paragraph", "layout", _layout(lambda ls: " ".join(map(_words, ls)))),
    Edit("phase 1 as phase 2", "content", _phase("Phase 1", "Phase 2")),
    Edit("phase 2 as phase 3", "content", _phase("Phase 2", "Phase 3")),
    Edit("phase 3 as phase 2", "content", _phase("Phase 3", "Phase 2")),
    Edit("no phase", "content", _no_phase),
    Edit("another trial's drugs", "content", _from_other(*_DRUGS)),
    Edit("no drugs", "content", _from_other(*_DRUGS, keep=False)),
    Edit("another trial's conditions", "content", _from_other(*_CONDITIONS)),
    Edit("no conditions", "content", _from_other(*_CONDITIONS, keep=False)),
    Edit("another trial's criteria", "content", _from_other("criteria")),
    Edit("no criteria", "content", _from_other("criteria", keep=False)),
    Edit("placebo added, or taken out", "content", _placebo),
    Edit("ten times the planned size", "content", _size),
)
"""All edits, in the order of the table."""
