"""Reasons as bars and as words."""

from dataclasses import replace

from llm4top import explain
from llm4top.forecasters.reasons.explanation import Step
from llm4top.workspace.views.reasons import reason_rows, way_to_the_chance
from tests.forecasters.reasons.test_explain import LINES, TRIAL, planted_forecaster


def test_rows_say_what_their_bars_show():
    made = explain(planted_forecaster(), TRIAL)
    rows = reason_rows(made, made.sections)
    assert rows[0].name == "Eligibility criteria"
    interval = ", 95\u00a0% interval +3.00 to +3.00" if not made.exact else ""
    words = f"Lifts the chance from 38\u00a0% to 92\u00a0% (log-odds +3.00{interval})."
    assert rows[0].words in (words, words.replace(interval, ""))
    assert 'x="50.00%" width="48.00%"' in rows[0].drawing
    assert 'aria-label="Eligibility criteria: lifts the chance from 38' in rows[0].drawing
    assert [row.name for row in reason_rows(made, made.pieces)] == LINES


def test_bars_point_left_where_the_chance_is_lowered_and_texts_are_escaped():
    made = explain(planted_forecaster(), TRIAL)
    (row,) = reason_rows(made, [replace(made.pieces[2], text="<b>", log_odds=-3.0, lower=-4.0)])
    assert "&lt;b&gt;" in row.drawing
    assert "<b>" not in row.drawing
    assert 'x="14.00%" width="36.00%"' in row.drawing


def test_the_way_to_the_chance():
    made = replace(explain(planted_forecaster(), TRIAL), steps=(Step("Support", -0.2, "Why."),))
    first, step, last = way_to_the_chance(made)
    assert first.startswith(
        "Without these sections the chance is 27\u00a0%. Together they add +3.50"
    )
    assert (step, last) == ("Support adds -0.20. Why.", "The result is 92\u00a0%.")
