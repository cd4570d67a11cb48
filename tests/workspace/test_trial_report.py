"""What was asked about a forecast is kept with it, and its report holds all of it."""

import pytest

from llm4top.errors import NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.prompts.prompt import SectionAccount
from llm4top.workspace.trial_report import (
    keep_answers,
    keep_comparison,
    keep_precedents,
    kept_answers,
    kept_comparison,
    kept_precedents,
    report_of,
)
from llm4top.workspace.views.other_questions import Answer
from tests.workspace.views.test_portfolio import item
from tests.workspace.views.test_trial_report import compared, found, neighbour

ANSWER = Answer("How long?", "median 26 months", "", "embedded:duration", "Little skill.")


@pytest.fixture
def stored(local):
    batch = local.forecasts.add(None, [item()])
    return local.forecasts.list(batch=batch)[0]


def test_nothing_is_there_before_it_was_asked(local, stored):
    report = report_of(local, stored.id)
    assert report.forecast == Forecast.from_dict(stored.values, id=stored.id)
    assert (report.model, report.reasons, report.comparison, report.precedents) == (None,) * 4
    assert list(report.answers) == []


def test_what_was_asked_is_in_the_report(local, stored):
    precedents, comparison = found(neighbour("An earlier study")), compared("larger")
    keep_precedents(local, stored.id, precedents, ("Terms.",))
    keep_answers(local, stored.id, [ANSWER])
    keep_comparison(local, stored.id, comparison)
    again = local.forecasts.get(stored.id)
    assert kept_precedents(again)[0]["neighbours"][0]["title"] == "An earlier study"
    assert kept_precedents(again)[1] == ("Terms.",)
    assert kept_answers(again) == [ANSWER]
    assert kept_comparison(again)["variants"][0]["name"] == "larger"
    section = SectionAccount("criteria", "Eligibility criteria", 1, 1, "Adults only")
    page = report_of(local, stored.id, [section]).to_html().decode()
    for words in ("An earlier study", "Terms.", "median 26", "larger", "Adults only"):
        assert words in page
    keep_comparison(local, stored.id, {**comparison, "variants": []})
    assert kept_comparison(local.forecasts.get(stored.id)) is None


def test_a_forecast_that_was_deleted_meanwhile_keeps_nothing(local):
    keep_answers(local, "0" * 32, [ANSWER])
    with pytest.raises(NotFoundError):
        report_of(local, "0" * 32)
