"""What moves a forecast, by section, by sentence and by feature, for any forecaster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm4top.data.masked_copies import GROUPS, emptied
from llm4top.errors import TaskError
from llm4top.forecasters.base_rate_shift import BaseRateArgument, target_rates
from llm4top.forecasters.calibration.calibrated import FloatArray
from llm4top.forecasters.forecast import as_record
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.log_odds import expit
from llm4top.forecasters.reasons.chance import LEAST, Event, copies_logits, event_log_odds, log_odds
from llm4top.forecasters.reasons.explanation import Contribution, Explanation, Step
from llm4top.forecasters.reasons.features import part_features
from llm4top.forecasters.reasons.pieces import HEADINGS, Piece, filled_sections, pieces_of, without
from llm4top.forecasters.reasons.shapley import SAMPLES, Masks, ShapleyValues, shapley_values
from llm4top.prompts.sections import SECTION_NAMES, trial_sections
from llm4top.registry.trial import Record, Trial

PIECE_SAMPLES = 4
"""Permutations of the pieces of a section at least: each asks for as many copies as pieces."""


def explain(
    forecaster: Forecaster,
    record: Record | Trial,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    base_rate: BaseRateArgument | None = None,
) -> Explanation:
    """What moves the forecast of one record.

    The values are Shapley values of the calibrated log-odds, before support: of the sections,
    where the reference is the record with all of them empty; then of the lines, sentences or items
    of the strongest section that has two or more, with the rest of the record as it is. They are
    associations that the model has learnt, not causes.

    Args:
        forecaster: Any forecaster.
        record: The record, or a trial.
        samples: Permutations of more than six sections: an even number from 4. Pieces of a
            section take a quarter of it, 4 at least.
        seed: Of the permutations. The same arguments give the same explanation.
        base_rate: As for ``forecast_records``.

    Returns:
        The explanation.

    Raises:
        TaskError: There is no forecast of this record: the question does not apply to it.
        ValueError: ``samples`` is odd or below 4.
    """
    found = as_record(record, 1)
    (forecast,) = forecaster.forecast([found], base_rate=base_rate)
    if isinstance(forecast, NotApplicable):
        raise TaskError(
            f"there is nothing to explain: {forecast.reason}",
            where=forecast.record,
            hint="Choose a record that gets a forecast.",
        )
    return _Explaining(forecaster, found.trial, forecast, samples, seed).explanation()


def explanation_of(
    forecaster: Forecaster, record: Record, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """``explain`` as the process that holds the models calls it: JSON in, JSON out.

    ``arguments`` may have "samples", "seed" and "base_rate", the text of a base rate.
    """
    stated = arguments.get("base_rate")
    rates = None if stated is None else target_rates(stated, forecaster.task, files=False)
    return explain(
        forecaster,
        record,
        samples=int(arguments.get("samples", SAMPLES)),
        seed=int(arguments.get("seed", 0)),
        base_rate=rates,
    ).to_dict()


@dataclass(slots=True)
class _Explaining:
    """The explanation of one forecast; ``asked`` counts the different copies."""

    forecaster: Forecaster
    trial: Trial
    forecast: Forecast
    samples: int
    seed: int
    asked: int = 0

    def explanation(self) -> Explanation:
        """See ``explain``."""
        forecaster, trial, forecast = self.forecaster, self.trial, self.forecast
        own = forecaster.supported(copies_logits(forecaster, [trial]), [trial])
        before = forecast.unadapted_probabilities or forecast.probabilities
        event = Event.of(forecaster, np.array(before))
        sections = _sections_that_count(forecaster, trial)
        by_section = self._values(event, lambda gone: _without(trial, gone), sections, self.samples)
        chance = event.chance(np.array([forecast.probabilities]))
        scale = float(log_odds(chance)[0]), float(own.shares[0])
        contributions = _contributions(by_section, sections, _headings(sections), *scale)
        strongest = sorted(contributions, key=lambda c: -abs(c.log_odds))
        moving = [c.name for c in strongest if abs(c.log_odds) > LEAST]
        section, pieces = _strongest_pieces(trial, moving)
        few = max(PIECE_SAMPLES, self.samples // 8 * 2)
        by_piece = self._values(event, lambda gone: without(trial, gone), pieces, few)
        names = [str(n) for n in range(1, len(pieces) + 1)]
        return Explanation(
            record=forecast.record,
            nct_id=forecast.nct_id,
            title=forecast.title,
            task=forecast.task,
            event=event.name,
            chance=float(chance[0]),
            start=by_section.empty,
            sections=tuple(strongest),
            pieces_of=section,
            pieces=tuple(_contributions(by_piece, names, [p.text for p in pieces], *scale)),
            pieces_total=by_piece.full - by_piece.empty,
            steps=_steps(event, forecast, before, by_section.full, own.notes[0]),
            parts=tuple(part_features(forecaster, event, trial)),
            exact=by_section.exact,
            samples=self.samples,
            seed=self.seed,
            asked=self.asked,
            bundle=forecast.bundle,
            source_sha256=forecast.source_sha256,
        )

    def _values(
        self,
        event: Event,
        copy: Callable[[Sequence[Any]], Trial],
        players: Sequence[Any],
        samples: int,
    ) -> ShapleyValues:
        """Shapley values of ``players``; ``copy`` makes the trial without some of them."""

        def function(masks: Masks) -> FloatArray:
            copies = [
                copy([player for player, there in zip(players, mask, strict=True) if not there])
                for mask in masks.tolist()
            ]
            return event_log_odds(self.forecaster, event, copies)

        found = shapley_values(function, len(players), samples=samples, seed=self.seed)
        self.asked += found.asked
        return found


def _sections_that_count(forecaster: Forecaster, trial: Trial) -> list[str]:
    """The sections that the record fills and the forecaster reads.

    A baseline may read more than it names, so what it does not name is emptied to see.
    """
    read = forecaster.sections_read
    filled = filled_sections(emptied(trial, forecaster.task.hidden_fields))
    if read is None:
        return filled
    names = set(SECTION_NAMES) & set(read)
    fields = {f for s in trial_sections(trial, only=tuple(names)) for f in s.fields}
    named = {section for section in filled if fields & set(GROUPS[section])}
    others = [section for section in filled if section not in named]
    if others:
        logits = copies_logits(forecaster, [trial, *(_without(trial, [o]) for o in others)])
        moved = (logits[1:] != logits[0]).any(axis=1)
        named |= {other for other, moves in zip(others, moved.tolist(), strict=True) if moves}
    return [section for section in filled if section in named]


def _without(trial: Trial, sections: Sequence[str]) -> Trial:
    return emptied(trial, [field for section in sections for field in GROUPS[section]])


def _strongest_pieces(trial: Trial, sections: Sequence[str]) -> tuple[str | None, list[Piece]]:
    """The first of the sections that has two pieces or more, and its pieces."""
    for section in sections:
        pieces = pieces_of(trial, section)
        if len(pieces) > 1:
            return section, pieces
    return None, []


def _headings(sections: Sequence[str]) -> list[str]:
    return [HEADINGS[section] for section in sections]


def _contributions(
    found: ShapleyValues, names: Sequence[str], texts: Sequence[str], shown: float, weight: float
) -> list[Contribution]:
    """The values by name; ``shown`` are the forecast's log-odds, ``weight`` is its support."""
    rows = zip(names, texts, found.values, found.lower, found.upper, strict=True)
    return [
        Contribution(
            name,
            text,
            float(value),
            float(lower),
            float(upper),
            float(expit(shown - weight * value)),
        )
        for name, text, value, lower, upper in rows
    ]


def _steps(
    event: Event, forecast: Forecast, before: Sequence[float], own: float, note: str | None
) -> tuple[Step, ...]:
    """From the calibrated log-odds ``own`` to those that are shown."""
    supported, shown = (
        float(log_odds(event.chance(np.array([values])))[0])
        for values in (before, forecast.probabilities)
    )
    steps = []
    if note is not None or abs(supported - own) > 1e-9:
        steps.append(Step("Support", supported - own, note or ""))
    if forecast.unadapted_probabilities:
        words = f"The forecast is adapted to a base rate of {forecast.adapted_to}."
        steps.append(Step("Base rate", shown - supported, words))
    return tuple(steps)
