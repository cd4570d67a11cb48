"""Variants of a trial side by side, and their written forms.

A difference between two variants is an association that the model has learnt from earlier trials.
That a model gives records with a certain phrase better chances does not mean that writing the
phrase into a protocol improves a trial: every written form has the sentence that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from llm4top.forecasters.forecast_format import Cell, Forecast, NotApplicable
from llm4top.registry.edits import Edit
from llm4top.registry.trial import Trial, Withheld
from llm4top.text import DISCLAIMER

ASSOCIATIONS = (
    "These are associations that the model has learnt from earlier trials. They tell what it says "
    "of a record that reads so, not what a change of the trial would do."
)
NOISE = (
    "The interval of a difference is paired: both chances are by the same model and calibration, "
    "and what they share is not noise between them. It covers the calibration and what the model "
    "does not know of such trials, not what it would say had it learnt from others."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a variant's chance is from the original's.

    Attributes:
        value: In shares of 1.
        lower, upper: Its paired 95 % interval, see ``paired_noise``; None where the calibration
            stores too little for one.
        agreeing: Of a blend, how many of its parts move the same way; None for other forecasters.
        parts: How many parts there are.
    """

    value: float
    lower: float | None
    upper: float | None
    agreeing: int | None = None
    parts: int = 0

    @property
    def told_from_noise(self) -> bool | None:
        """Whether the interval excludes 0; None without an interval."""
        if self.lower is None or self.upper is None:
            return None
        return self.lower > 0 or self.upper < 0

    @property
    def words(self) -> str:
        """The difference and whether it can be told from noise: "5 points higher (2 to 9)"."""
        if self.value == 0:
            return "no difference"
        way = "higher" if self.value > 0 else "lower"
        size = f"{_points(abs(self.value))} {way}"
        if self.lower is None or self.upper is None:
            return f"{size}; the model stores nothing to tell it from noise"
        bounds = f"{_signed(self.lower)} to {_signed(self.upper)}"
        if not self.told_from_noise:
            return f"{size} ({bounds}): cannot be told from noise"
        if self.agreeing is None:
            return f"{size} ({bounds})"
        all_of = f"all {self.parts} parts of the model move this way"
        some = f"only {self.agreeing} of {self.parts} parts of the model move this way"
        return f"{size} ({bounds}); {all_of if self.agreeing == self.parts else some}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One edited copy of the trial, and its forecast.

    Attributes:
        name: What it is called.
        edits: What was changed, in order.
        trial: The trial that was forecast.
        forecast: Its forecast, or why it gets none.
        difference: To the original; None where one of the two has no forecast, and for the
            original.
        withheld: What of the edits the model does not see, because it tells an outcome.
        unread: Headings of edited fields that this model does not read.
    """

    name: str
    edits: tuple[Edit, ...]
    trial: Trial
    forecast: Forecast | NotApplicable
    difference: Difference | None = None
    withheld: tuple[Withheld, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What there is to say of it, in one line."""
        if isinstance(self.forecast, NotApplicable):
            return self.forecast.reason
        said = [self.difference.words] if self.difference else []
        if self.unread and not (self.difference and self.difference.value):
            said.append(f"not read by this model: {', '.join(self.unread)}")
        if self.withheld:
            said.append("withheld, because it tells an outcome: " + self.withheld[0].excerpt)
        return "; ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the forecast without the texts that were read."""
        of = self.forecast
        told = self.difference
        return {
            "name": self.name,
            "edits": [edit.to_dict() for edit in self.edits],
            "forecast": of.to_dict(sections=False) if isinstance(of, Forecast) else of.to_dict(),
            "difference": told and {**asdict(told), "told_from_noise": told.told_from_noise},
            "withheld": [asdict(item) for item in self.withheld],
            "unread": list(self.unread),
            "words": self.words,
        }


COLUMNS = (
    *("variant", "edits", "label", "probability", "lower", "upper", "difference"),
    *("difference_lower", "difference_upper", "told_from_noise", "words", "note"),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A trial as it is, and its variants.

    Attributes:
        original: The trial as registered, or as a sweep starts from.
        variants: In the order in which they were given.
        sweep: The field that was swept; None for other comparisons.
    """

    original: Variant
    variants: tuple[Variant, ...]
    sweep: str | None = None
    notes: tuple[str, ...] = field(default=(ASSOCIATIONS, NOISE))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; has the sentence that these are associations."""
        return {
            "original": self.original.to_dict(),
            "variants": [variant.to_dict() for variant in self.variants],
            "sweep": self.sweep,
            "notes": list(self.notes),
            "disclaimer": DISCLAIMER,
        }


def rows_of(comparison: Mapping[str, Any]) -> list[list[Cell]]:
    """The table of a comparison in its JSON form, the headings first."""
    shown = [comparison["original"], *comparison["variants"]]
    return [list(COLUMNS), *map(_row, shown)]


def _row(variant: Mapping[str, Any]) -> list[Cell]:
    forecast, told = variant["forecast"], variant["difference"] or {}
    edits = [Edit.from_dict(edit).text for edit in variant["edits"]]
    values: dict[str, Cell] = {
        "variant": variant["name"],
        "edits": json.dumps(edits, ensure_ascii=False),
        **{name: forecast.get(name) for name in ("label", "probability", "lower", "upper")},
        "difference": told.get("value"),
        "difference_lower": told.get("lower"),
        "difference_upper": told.get("upper"),
        "told_from_noise": told.get("told_from_noise"),
        "words": variant["words"],
        "note": ASSOCIATIONS,
    }
    return [values[name] for name in COLUMNS]


def _points(share: float) -> str:
    text = f"{100 * share:.1f}"
    if float(text) == 0:
        return "less than 0.1 points"
    return "1.0 point" if text == "1.0" else f"{text} points"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")
