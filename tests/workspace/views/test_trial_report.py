"""The report of one trial: everything that its page shows, and nothing but text and drawings."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from llm4top import explain
from llm4top.forecasters.forecast_format import NotApplicable
from llm4top.forecasters.reasons import explanation
from llm4top.forecasters.variants import ASSOCIATIONS, NOISE, Comparison, Difference, Variant
from llm4top.prompts.prompt import SectionAccount
from llm4top.registry.edits import Edit
from llm4top.registry.trial import Trial, Withheld
from llm4top.workspace.views.other_questions import Answer
from llm4top.workspace.views.trial_report import TrialReport, report_name
from tests.forecasters.reasons.test_explain import TRIAL, planted_forecaster
from tests.workspace.views.test_portfolio import item

HOSTILE = '<script>alert("x")</script>'
MOMENT = datetime(2031, 5, 1, 12, 0, tzinfo=UTC)


def read(report):
    return report.to_html(made=MOMENT).decode().replace("\u00a0", " ")


def compared(name, *edits):
    changed = Variant(name, edits, Trial(), item(0.62), Difference(0.12, 0.02, 0.2))
    left_out = NotApplicable("a.xml", None, "outcome", "it is observational")
    more = Variant("observed", (), Trial(), left_out)
    return Comparison(Variant("as registered", (), Trial(), item(0.5)), (changed, more)).to_dict()


def neighbour(title, **values):
    difference = {"field": "phase", "heading": "Phase", "here": ("Phase 2",), "there": ("Phase 3",)}
    known = {"rank": 1, "nct_id": "NCT99999902", "title": title, "phase": None, "words": 0.5}
    known |= {"outcome": "success", "completion_date": "2029-01", "model": None}
    known |= {"link": "https://example.org/NCT99999902"}
    return {**known, "differences": [difference | {"shared": ()}], **values}


def found(*neighbours):
    share = {"label": "success", "count": 1, "share": 1.0, "lower": 0.2, "upper": 1.0}
    shares = [share | {"label": "failure"}, share | {"base_rate": 0.4}]
    of = {"before": "2030-01-01", "before_is": "planned start", "earlier": 1, "later": 3}
    of |= {"n": len(neighbours), "shares": shares, "base_phase": "all", "base_n": 9}
    return of | {"neighbours": neighbours, "index": "i-1", "task": "outcome", "notes": ["A note."]}


def test_a_forecast_alone_has_its_chance_and_what_was_read_and_hidden():
    page = read(
        TrialReport(
            item(
                0.5,
                warnings=("the record has no criteria",),
                sections=(SectionAccount("criteria", "Eligibility criteria", 12, 10, "Adults"),),
                withheld=(Withheld("results/p_value", "tells the outcome", "p < 0.01"),),
            )
        )
    )
    for words in (
        "<strong>50 %</strong>",
        "95 % interval 40 to 60 %",
        "⚠ The record has no criteria.",
        "2031-05-01 12:00 UTC",
        "Eligibility criteria",
        "10 tokens, 100 %, the last 2 tokens not read",
        "<pre>Adults</pre>",
        "P value (results)",
        "not medical or investment advice",
    ):
        assert words in page
    for absent in ("What moves the chance", "What if the record", "Earlier trials", "Other quest"):
        assert absent not in page


def test_reasons_variants_precedents_and_answers_are_there_once_they_were_computed():
    made = explain(planted_forecaster(), TRIAL)
    page = read(
        TrialReport(
            item(),
            model={"task": {"question": "Will it?"}, "evaluations": []},
            reasons=made,
            comparison=compared("larger", Edit("phase", "set", "Phase 3")),
            precedents=found(neighbour("An earlier study")),
            terms=("Terms of the data.",),
            answers=(Answer("How long?", "median 26 months", "", "embedded:duration", "Little."),),
        )
    )
    for words in (
        "Will it?",
        "<h3>Within “Eligibility criteria”</h3>",
        "Lifts the chance from 38 % to 92 %",
        explanation.ASSOCIATIONS,
        "larger: phase=Phase 3",
        "12.0 points higher (+2.0 to +20.0)",
        "it is observational",
        ASSOCIATIONS,
        NOISE,
        "1 trial of the index was completed before 2030-01-01",
        "1 of the 1 most alike ended with success",
        "Phase: Phase 2 here, Phase 3 there",
        "Terms of the data.",
        "median 26 months",
        "not known",
        "Little.",
    ):
        assert words in page, words
    assert page.count("<svg") == 2 + len(made.sections) + len(made.pieces)


def test_every_text_is_shown_as_text_and_nothing_is_asked_for():
    made = explain(planted_forecaster(), replace(TRIAL, brief_title=HOSTILE))
    page = read(
        TrialReport(
            item(title=HOSTILE, warnings=(HOSTILE,), unread=(HOSTILE,)),
            reasons=replace(made, pieces=tuple(replace(one, text=HOSTILE) for one in made.pieces)),
            comparison=compared(HOSTILE),
            precedents=found(neighbour(HOSTILE, outcome=HOSTILE)),
            answers=(Answer(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert not re.findall(r"<(?:link|img|iframe|object|a)\b|@import|url\(", page)


def test_the_file_is_called_as_the_trial():
    assert report_name(item()) == "NCT99999901.html"
    assert report_name(item(nct_id=None, title="Exemplamab: a study")) == "Exemplamab-a-study.html"
    assert report_name(item(nct_id=None, title="試験")) == "forecast.html"
