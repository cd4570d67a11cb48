"""The report of one trial: one HTML page that asks for nothing else and prints.

It shows what the trial's page in the Studio shows, drawn by the same functions: the chance, and
of what moves it, variants, earlier trials and other questions those that were computed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm4top.forecasters.distribution import in_words
from llm4top.forecasters.forecast_format import Forecast
from llm4top.forecasters.reasons.explanation import ASSOCIATIONS, Explanation
from llm4top.forecasters.reasons.pieces import HEADINGS
from llm4top.registry.edit_fields import EDITABLE
from llm4top.tasks.builtin import TASKS
from llm4top.text import DISCLAIMER, counted, interval, percent
from llm4top.workspace.views import label_bars, precedents, trial, what_if
from llm4top.workspace.views.caveats import sentence, sorted_warnings
from llm4top.workspace.views.exports import environment
from llm4top.workspace.views.other_questions import Answer
from llm4top.workspace.views.portfolio import name_of
from llm4top.workspace.views.reasons import feature_table, reason_rows, way_to_the_chance
from llm4top.workspace.views.skill import skill_of

MEDIA_TYPE = "text/html; charset=utf-8"


def report_name(forecast: Forecast) -> str:
    """What the file of a trial's report is called: "NCT01234567.html"."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", forecast.nct_id or forecast.title)[:60].strip("-")
    return f"{words or 'forecast'}.html"


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What is known of one trial; what was not asked for is None or empty.

    Attributes:
        forecast: Its forecast.
        model: The manifest of the model, for names, weights and measured skill.
        reasons: What moves the chance.
        comparison: The trial beside edited copies, as ``Comparison.to_dict`` writes it.
        precedents: Earlier trials like it, as ``Found.to_dict`` writes them.
        terms: The terms of the data that the earlier trials are from.
        answers: Answers of other models to other questions.
    """

    forecast: Forecast
    model: Mapping[str, Any] | None = None
    reasons: Explanation | None = None
    comparison: Mapping[str, Any] | None = None
    precedents: Mapping[str, Any] | None = None
    terms: Sequence[str] = ()
    answers: Sequence[Answer] = ()

    def to_html(self, *, made: datetime | None = None) -> bytes:
        """The page: no script, no request. Every text is shown as text.

        ``made`` is the time it bears; now where it is None.
        """
        page = environment().get_template("trial.html")
        return page.render(
            **self._chance(),
            **_read(self.forecast),
            made=(made or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
            reasons=_reasons(self.reasons),
            comparison=_comparison(self.comparison),
            precedents=_precedents(self.precedents, self.terms),
            answers=[(one.question, one.answer, one.usual or "not known") for one in self.answers],
            skills=[(one.bundle, one.skill) for one in self.answers],
            disclaimer=DISCLAIMER,
        ).encode()

    def _chance(self) -> dict[str, Any]:
        """The heading, the chance and what it consists of."""
        item, model = self.forecast, self.model
        grave, routine = sorted_warnings(item.warnings)
        skill = skill_of(model) if model is not None else ""
        known = TASKS.get(item.task)
        asked = known.question if known else f"Question: {item.task}."
        return {
            "forecast": item,
            "title": name_of(item),
            "facts": trial.trial_facts(item),
            "question": model["task"]["question"] if model is not None else asked,
            "grave": [sentence(warning) for warning in grave],
            "drawing": label_bars.scale_of(item, large=True),
            "named": label_bars.answer_named(item),
            "chance": percent(item.probability),
            "bounds": interval(item.lower, item.upper),
            "reading": " ".join(label_bars.reading_of(item)),
            "quantity": f"{item.task}: {in_words(item)}." if item.unit is not None else "",
            "interval_note": trial.INTERVAL_NOTE,
            "notes": [*([skill] if skill else []), *map(sentence, routine)],
            "parts": trial.part_rows(item, model),
            "said_by_parts": trial.said_by_parts(item) if item.parts else "",
            "part_columns": trial.PART_COLUMNS,
            "parts_note": trial.PARTS_NOTE,
        }


def _read(item: Forecast) -> dict[str, Any]:
    """What the model read, and what was hidden from it."""
    unit = "token" if item.prompt_sha256 else "word"
    kept = sum(part.kept for part in item.sections)
    words = f"{counted(item.tokens or kept, unit)} in total"
    if item.tokens_cut:
        words += f"; {counted(item.tokens_cut, unit)} more did not fit and were not read"
    hashes = [("prompt", item.prompt_sha256), ("record", item.source_sha256)]
    known = [f"{name} {digest}" for name, digest in hashes if digest]
    return {
        "read": {
            "words": f"{words}. Percentages are shares of the trial's text.",
            "sections": [
                {
                    "heading": part.heading,
                    "text": part.text,
                    "length": f"{counted(part.kept, unit)}, {percent(part.kept / max(kept, 1))}"
                    + (f", the last {counted(part.cut, unit)} not read" if part.cut else ""),
                }
                for part in item.sections
            ],
        },
        "unread": item.unread,
        "withheld": [(trial.field_name(w.field), w.reason, w.excerpt) for w in item.withheld],
        "identity": ", ".join([f"bundle {item.bundle}", *known]),
    }


def _reasons(made: Explanation | None) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        "sections": reason_rows(made, made.sections),
        "way": way_to_the_chance(made),
        "heading": HEADINGS[made.pieces_of] if made.pieces_of is not None else "",
        "pieces": reason_rows(made, made.pieces),
        "features": [(part.part, *feature_table(part)) for part in made.parts],
        "note": ASSOCIATIONS,
    }


def _comparison(shown: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if shown is None:
        return None
    swept = shown["sweep"] and EDITABLE[shown["sweep"]].heading
    return {
        "heading": f"Sweep over {swept.lower()}" if swept else "What if the record read otherwise?",
        "chart": what_if.sweep_chart(shown, swept or "variant"),
        "columns": what_if.COLUMNS,
        "rows": [what_if.variant_cells(one) for one in (shown["original"], *shown["variants"])],
        "notes": shown["notes"],
    }


def _precedents(found: Mapping[str, Any] | None, terms: Sequence[str]) -> dict[str, Any] | None:
    if found is None:
        return None
    columns = precedents.columns_of(found)
    return {
        "considered": precedents.considered(found),
        "notes": found["notes"],
        "shares": precedents.share_sentences(found),
        "columns": columns,
        "rows": [
            {
                "rank": one["rank"],
                "title": one["title"],
                "link": one["link"],
                "cells": precedents.cells_of(one, columns),
                "differences": precedents.differences_of(one),
            }
            for one in found["neighbours"]
        ],
        "note": precedents.no_cause(found),
        "terms": terms,
    }
