"""What if the record read otherwise: edited copies of a trial, forecast side by side.

See ``variants`` for what a difference is, and ``paired_noise`` for its interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from llm4top.errors import EditError
from llm4top.forecasters.base_rate_shift import BaseRateArgument
from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.calibration.calibrated import FloatArray
from llm4top.forecasters.forecast import as_record
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.paired_noise import difference_bounds, drawn_probabilities
from llm4top.forecasters.variants import Comparison, Difference, Variant
from llm4top.prompts.sections import SECTION_FIELDS
from llm4top.registry.edit_fields import EDITABLE, EditableField, editable_field
from llm4top.registry.edits import Edit, Edited, apply_edits, read_edits
from llm4top.registry.trial import Record, Trial

MOST_VARIANTS = 6
MOST_VALUES = 24
"""Of a sweep."""
ORIGINAL = "as registered"
EditForms = Edit | str | Mapping[str, Any]
Variants = Mapping[str, Iterable[EditForms]] | Sequence[Iterable[EditForms]]

_GRIDS: dict[str, tuple[str, ...]] = {
    "planned_enrolment": ("10", "25", "50", "100", "200", "400", "800", "1600", "3200"),
    "minimum_age": ("N/A", "2 Years", "12 Years", "18 Years", "40 Years", "65 Years"),
    "maximum_age": ("17 Years", "45 Years", "55 Years", "65 Years", "75 Years", "N/A"),
    "number_of_arms": ("1", "2", "3", "4", "5", "6"),
}


def what_if(
    forecaster: Forecaster,
    record: Record | Trial,
    variants: Variants,
    *,
    base_rate: BaseRateArgument | None = None,
) -> Comparison:
    """Forecast a trial as it is and as variants of it would read.

    ``what_if(forecaster, record, {"larger": ["phase=Phase 3", "masking=Double"]})``

    Args:
        forecaster: The forecaster.
        record: A record or a trial. It is not changed.
        variants: Up to six lists of edits by name, or lists alone, which are named by their edits.
            An edit is a text ("criteria-=3"), its JSON form, or an ``Edit``; see
            ``llm4top.registry.edits``.
        base_rate: As ``forecast_records`` takes it.

    Returns:
        The forecasts, and each variant's difference to the original with a paired 95 % interval.

    Raises:
        EditError: An edit that cannot be made, or more than six variants.
    """
    named = _named(variants)
    if len(named) > MOST_VARIANTS:
        raise EditError(
            f"there are {len(named)}; {MOST_VARIANTS} are the most that are compared.",
            where="variants",
            hint="Leave some out, or sweep over one field.",
        )
    return _compared(forecaster, as_record(record, 1), {ORIGINAL: (), **named}, base_rate)


def sweep(
    forecaster: Forecaster,
    record: Record | Trial,
    name: str,
    values: Sequence[Any] | None = None,
    *,
    edits: Iterable[EditForms] = (),
    base_rate: BaseRateArgument | None = None,
) -> Comparison:
    """Forecast a trial with each of the values of one field, all else as it is.

    Args:
        forecaster: The forecaster.
        record: A record or a trial.
        name: The field: "phase", "masking", "planned_enrolment", "minimum_age" and so on.
        values: What it is set to, 24 at most; None for the registry's choices, or a grid of sizes
            or ages.
        edits: What is changed beforehand, in the original of the comparison as well.
        base_rate: As ``forecast_records`` takes it.

    Raises:
        EditError: The field cannot be swept, a value is not one of it, or an edit cannot be made.
    """
    swept = editable_field(name)
    given = _values(swept) if values is None else list(values)
    if not 0 < len(given) <= MOST_VALUES:
        raise EditError(
            f"{len(given)} values to sweep over.",
            where=swept.name,
            hint=f"Give some; {MOST_VALUES} are the most.",
        )
    before = read_edits(edits)
    start = {ORIGINAL if not before else "as edited": before}
    steps = {str(value): (*before, Edit(swept.name, "set", value)) for value in given}
    return _compared(forecaster, as_record(record, 1), {**start, **steps}, base_rate, swept.name)


def sweepable_fields() -> tuple[EditableField, ...]:
    """The fields that have values to sweep over."""
    return tuple(one for one in EDITABLE.values() if one.choices or _grid(one))


def _grid(swept: EditableField) -> tuple[str, ...]:
    return ("yes", "no") if swept.kind == "flag" else _GRIDS.get(swept.name, ())


def _values(swept: EditableField) -> list[str]:
    found = swept.choices or _grid(swept)
    if not found:
        listed = ", ".join(one.name for one in sweepable_fields())
        raise EditError(
            "it has no list of values to sweep over.",
            where=swept.name,
            hint=f"Give the values, or sweep over one of: {listed}.",
        )
    return list(found)


def _named(variants: Variants) -> dict[str, tuple[Edit, ...]]:
    """Edits by name; a variant without a name is called as its edits are written."""
    if isinstance(variants, Mapping):
        return {str(name): read_edits(edits) for name, edits in variants.items()}
    named: dict[str, tuple[Edit, ...]] = {}
    for given in variants:
        edits = read_edits([given] if isinstance(given, str | Edit | Mapping) else given)
        name = ", ".join(edit.text for edit in edits) or f"variant {len(named) + 1}"
        named[name] = edits
    return named


def _compared(
    forecaster: Forecaster,
    record: Record,
    named: Mapping[str, tuple[Edit, ...]],
    base_rate: BaseRateArgument | None,
    swept: str | None = None,
) -> Comparison:
    edited = [_edited(record, name, edits) for name, edits in named.items()]
    records = [_with(record, one) for one in edited]
    forecasts = list(forecaster.forecast(records, base_rate=base_rate))
    differences = _differences(forecaster, edited, forecasts)
    found = [
        Variant(
            name,
            edits,
            one.trial,
            forecast,
            difference,
            one.withheld,
            _unread(forecaster, record.trial, one.trial, edits),
        )
        for (name, edits), one, forecast, difference in zip(
            named.items(), edited, forecasts, differences, strict=True
        )
    ]
    return Comparison(found[0], tuple(found[1:]), swept)


def _edited(record: Record, name: str, edits: Sequence[Edit]) -> Edited:
    try:
        return apply_edits(record.trial, edits)
    except EditError as error:
        if name == ORIGINAL:
            raise
        where = f"{name}, {error.where}" if error.where and error.where not in name else error.where
        raise EditError(error.message, where=where, hint=error.hint) from None


def _with(record: Record, edited: Edited) -> Record:
    withheld = (*record.withheld, *edited.withheld)
    outcome = record.registry_outcome
    return Record(record.nct_id, edited.trial, outcome, withheld, record.source)


def _differences(
    forecaster: Forecaster,
    edited: Sequence[Edited],
    forecasts: Sequence[Forecast | NotApplicable],
) -> list[Difference | None]:
    """Of each forecast to the first, None for the first and where there is none."""
    found: list[Difference | None] = [None] * len(edited)
    rows = [n for n, one in enumerate(forecasts) if isinstance(one, Forecast)]
    given = [one for one in forecasts if isinstance(one, Forecast)]
    if rows[:1] != [0] or len(rows) < 2:
        return found
    label = given[0].labels.index(given[0].label)
    chances = np.array([one.probabilities[label] for one in given])
    values = chances[1:] - chances[0]
    trials = [edited[n].trial for n in rows]
    drawn = drawn_probabilities(forecaster, _logits(forecaster, given, trials), trials)
    if drawn is None:
        bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(values)
    else:
        lower, upper = difference_bounds(_adapted(drawn, given), values, label)
        bounds = list(zip(lower.tolist(), upper.tolist(), strict=True))
    for n, value, (low, high) in zip(rows[1:], values.tolist(), bounds, strict=True):
        found[n] = Difference(value, low, high, *_agreeing(forecasts[0], forecasts[n], value))
    return found


def _agreeing(
    first: Forecast | NotApplicable, other: Forecast | NotApplicable, value: float
) -> tuple[int | None, int]:
    """How many parts of a blend move as its forecast does, and how many there are."""
    if not (isinstance(first, Forecast) and isinstance(other, Forecast) and first.parts):
        return None, 0
    before = dict(first.parts)
    moves = [chance - before[name] for name, chance in other.parts if name in before]
    return sum(move * value > 0 for move in moves), len(moves)


def _logits(
    forecaster: Forecaster, given: Sequence[Forecast], trials: Sequence[Trial]
) -> FloatArray:
    """``[n, K]``; of two labels a forecast's score says all that the calibration looks at."""
    scores = [one.score for one in given]
    if len(given[0].labels) == 2 and None not in scores:
        return np.array([[0.0, score] for score in scores], dtype=np.float64)
    return forecaster.logits(trials)


def _adapted(drawn: FloatArray, given: Sequence[Forecast]) -> FloatArray:
    """The draws at the base rates that the forecasts were adapted to; see ``base_rate_shift``."""
    even = np.ones(drawn.shape[2])
    factors = np.array(
        [
            np.array(one.target_rates) / np.array(one.base_rates) if one.target_rates else even
            for one in given
        ]
    )
    weighted = drawn * factors
    return np.asarray(weighted / weighted.sum(axis=2, keepdims=True))


def _unread(
    forecaster: Forecaster, before: Trial, after: Trial, edits: Sequence[Edit]
) -> tuple[str, ...]:
    """Headings of changed fields that the forecaster does not read."""
    changed = {e.field for e in edits if getattr(before, e.field) != getattr(after, e.field)}
    unread = changed - fields_read(forecaster)
    return tuple(EDITABLE[name].heading for name in EDITABLE if name in unread)


def fields_read(forecaster: Forecaster) -> frozenset[str]:
    """The ``Trial`` fields that can move a forecast or its interval.

    Besides the sections that are read: the phase, for its base rate; what baselines take from
    other fields; and what the support looks at.
    """
    only, hidden = forecaster.sections_read, set(forecaster.task.hidden_fields)
    read = {"phase"}
    for name, fields in SECTION_FIELDS.items():
        if only is None or name in only:
            read.update(fields)
    model: Any = forecaster.forecaster
    for part in model.parts if forecaster.kind == "blend" else (forecaster,):
        if isinstance(part.forecaster, BaselineForecaster):
            read.update(part.forecaster.also_reads)
    read -= hidden
    if forecaster.support is not None:
        read.update(("study_type", "healthy_volunteers", "planned_start"))
    return frozenset(read)


def answer_what_if(
    forecaster: Forecaster, record: Record, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """``what_if`` or ``sweep`` with JSON-able arguments and result; work on one trial.

    Args:
        forecaster: The forecaster.
        record: The record.
        arguments: "variants", a list of objects with "name" and "edits"; or "sweep", a field, with
            "values" and "edits" where wanted. "base_rate" is a text or None.

    Returns:
        ``Comparison.to_dict``, the record's "trial", and the fields that the forecaster "reads".

    Raises:
        EditError: As those two raise, and for two variants of one name.
    """
    base_rate = arguments.get("base_rate")
    if arguments.get("sweep"):
        compared = sweep(
            forecaster,
            record,
            arguments["sweep"],
            arguments.get("values"),
            edits=arguments.get("edits") or (),
            base_rate=base_rate,
        )
    else:
        names = [one["name"] for one in arguments["variants"]]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise EditError("two variants have this name.", where=twice, hint="Rename one.")
        named = {one["name"]: one["edits"] for one in arguments["variants"]}
        compared = what_if(forecaster, record, named, base_rate=base_rate)
    read = sorted(fields_read(forecaster))
    return {**compared.to_dict(), "trial": record.trial.to_dict(), "reads": read}
