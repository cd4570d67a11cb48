"""What each section of a draft costs, or would cost, in the width of its forecast's interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from llm4top.data.masked_copies import GROUPS, emptied
from llm4top.forecasters.calibration.calibrated import Calibrated
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.support_facts import LACKS
from llm4top.prompts.sections import SECTION_FIELDS
from llm4top.registry.trial import Record, Trial
from llm4top.text import counted

_LACK_OF = {"titles": "title"}
"""What ``LACKS`` calls a group that it names otherwise; the others have one name in both."""


@dataclass(frozen=True, slots=True)
class SectionCost:
    """A section of a draft and the width of the forecast's interval with it and without it.

    Attributes:
        section: A name in ``GROUPS``.
        filled: Whether the draft has any of its fields.
        read: Whether the model reads any of its fields.
        given: Width of the interval, 0 to 1, with the section. Of a missing one it is what the
            support stage gives to such a chance with the section there: the widths of the copies
            it was learnt from, not of the words that would stand in it.
        lacking: Width without it.
    """

    section: str
    filled: bool
    read: bool
    given: float
    lacking: float

    @property
    def cost(self) -> float:
        """By how much the interval is wider without the section; it can be below 0."""
        return self.lacking - self.given

    @property
    def state(self) -> str:
        """Whether the draft has it, in words."""
        return "yes" if self.filled else "missing"

    @property
    def words(self) -> str:
        """The cost as a sentence without its full stop, in percentage points."""
        points = round(100 * self.cost)
        if not self.read and not points:  # the planned start counts for the width where it is far
            return "not read by this model"
        if self.filled:
            if not points:
                return "as wide without it"
            way = "wider" if points > 0 else "narrower"
            return f"{counted(abs(points), 'point')} {way} without it"
        if points:
            return f"missing it costs {counted(points, 'point')}"
        return "its absence does not widen the interval"


@dataclass(frozen=True, slots=True)
class DraftForecast:
    """The forecast of a draft as it is, and what each section costs.

    ``chance``, ``lower`` and ``upper`` are of the event of a task with two answers; ``note`` says
    why the forecast is drawn to the base rate and its interval wider, where it is.
    """

    chance: float
    lower: float
    upper: float
    note: str | None
    sections: tuple[SectionCost, ...]


def section_costs(forecaster: Forecaster, trial: Trial) -> DraftForecast | None:
    """Forecast a draft, and measure the width that each of its sections costs.

    A section that the draft has is taken out, and the copy forecast. One that it lacks cannot be
    put in: its cost is what the support stage adds for its absence. Where the support does not
    know the section, the interval does not depend on it, and the cost is 0.

    Args:
        forecaster: Answers a question with two answers.
        trial: The draft's trial.

    Returns:
        The forecast and the costs in the order of ``GROUPS``; None where the forecaster gives no
        interval, has more than two answers, or gives no forecast of such a trial at all.
    """
    support = forecaster.support
    if len(forecaster.task.labels) != 2 or (support is not None and support.refusal(trial)):
        return None
    filled = [name for name in GROUPS if _has(trial, name)]
    copies = [trial, *(emptied(trial, GROUPS[name]) for name in filled)]
    logits = forecaster.logits(copies)
    found = forecaster.supported(logits, copies)
    widths = _widths(found.calibrated)
    if np.isnan(widths).any():
        return None
    without = dict(zip(filled, widths[1:].tolist(), strict=True))
    own = float(widths[0])
    before = forecaster.calibration.predict(logits[:1], [trial.phase])
    costs = []
    for name, fields in GROUPS.items():
        read = _is_read(forecaster.sections_read, fields)
        if name in without:
            costs.append(SectionCost(name, True, read, own, without[name]))
        else:
            given = _width_with(forecaster, trial, before, name, own)
            costs.append(SectionCost(name, False, read, given, own))
    given_now = found.calibrated
    return DraftForecast(
        chance=float(given_now.probabilities[0, 1]),
        lower=float(given_now.lower[0]),
        upper=float(given_now.upper[0]),
        note=found.notes[0],
        sections=tuple(costs),
    )


def _width_with(
    forecaster: Forecaster, trial: Trial, before: Calibrated, name: str, own: float
) -> float:
    """The width if the draft had the section, at the same calibrated chance."""
    support = forecaster.support
    lack = _LACK_OF.get(name, name)
    if support is None or lack not in LACKS:
        return own
    facts = support.learned.facts(trial)
    there = replace(facts, missing=tuple(m for m in facts.missing if m != lack))
    drawn = support.apply(before, [trial], forecaster.base_rates, facts=[there])
    return float(_widths(drawn.calibrated)[0])


def _widths(calibrated: Calibrated) -> Any:
    return calibrated.upper - calibrated.lower


def _has(trial: Trial, name: str) -> bool:
    return any(getattr(trial, field) not in (None, ()) for field in GROUPS[name])


def _is_read(read: Sequence[str] | None, fields: Sequence[str]) -> bool:
    """Whether a section of the prompt that the model reads is made from one of the fields."""
    return read is None or any(set(SECTION_FIELDS[name]) & set(fields) for name in read)


def answer_draft(
    forecaster: Forecaster,
    record: Record,
    arguments: Mapping[str, Any],  # noqa: ARG001 - every kind of work has some
) -> dict[str, Any]:
    """``section_costs`` of a record as JSON-able values, for the process that holds the models.

    "why" says why there is no forecast with an interval, and is None where there is one.
    """
    found = section_costs(forecaster, record.trial)
    if found is None:
        refusal = None if forecaster.support is None else forecaster.support.refusal(record.trial)
        why = refusal or "this model gives no interval, or answers a question with several answers."
        return {"why": why}
    rows = [
        {"section": item.section, "state": item.state, "words": item.words}
        for item in found.sections
    ]
    values = {"chance": found.chance, "lower": found.lower, "upper": found.upper}
    return {"why": None, "note": found.note, "sections": rows, **values}
