"""Other questions of a trial in words."""

from dataclasses import replace

from llm4top.tasks.builtin import COMPLETION, DURATION, WHY_IT_FAILS
from llm4top.workspace.views.other_questions import answer_of
from tests.forecasters.test_forecast_format import FORECAST

NBSP = "\N{NO-BREAK SPACE}"


def plain(answer):
    return answer.answer.replace(NBSP, " "), answer.usual.replace(NBSP, " ")


def test_a_quantity_has_its_median_and_that_of_its_phase():
    forecast = replace(
        FORECAST,
        task="duration",
        labels=DURATION.labels,
        probabilities=(0.1,) * 10,
        base_rates=(0.0, 1.0, *[0.0] * 8),
        unit="months",
        median=26.2,
        p10=14.0,
        p90=51.0,
    )
    found = answer_of(forecast, "embedded:duration")
    assert found.question == DURATION.question
    assert plain(found) == ("median 26 months, 80 % 14 to 51", "median 9 months, 80 % 6.6 to 11")


def test_a_chance_has_its_interval_and_reasons_are_ranked():
    chance = replace(
        FORECAST, task="completion", labels=COMPLETION.labels, label="completed",
        probabilities=(0.2, 0.8), probability=0.8, lower=0.7, upper=0.9, base_rate=0.87, unit=None,
    )  # fmt: skip
    assert plain(answer_of(chance, "embedded:completion")) == ("80 % (70 to 90 %)", "87 %")
    reason = replace(
        FORECAST, task="why-it-fails", labels=WHY_IT_FAILS.labels, unit=None,
        probabilities=(0.2, 0.1, 0.1, 0.6), base_rates=(0.4, 0.1, 0.1, 0.4),
    )  # fmt: skip
    first, usual = plain(answer_of(reason, "embedded:why-it-fails"))
    assert first == "other 60 %, poor enrolment 20 %, efficacy 10 %, safety 10 %"
    assert usual.startswith("poor enrolment 40 %")
