"""Questions with other answers than success: their words, bars, sums and exports."""

import csv
import io
import json

import pytest
from lxml import etree
from openpyxl import load_workbook

from llm4top.workspace.views.exports import to_csv, to_html, to_xlsx
from llm4top.workspace.views.label_bars import (
    answer_bars,
    answer_named,
    answers_chart,
    event_count,
    event_verb,
    expected_by_answer,
)
from tests.workspace.views.test_portfolio import item

LABELS = ("under a year", "1 to 2 years", "over 2 years")


def of_three(*chances, **more):
    best = max(range(3), key=lambda k: chances[k])
    said = {
        "task": "duration",
        "labels": LABELS,
        "probabilities": chances,
        "label": LABELS[best],
        "base": None,
        "lower": None,
        "upper": None,
    }
    return item(chances[best], **{**said, **more})


def completed(chance, **more):
    return item(
        chance, task="completion", labels=("stopped", "completed"), label="completed", **more
    )


def test_success_is_spoken_of_plainly_and_other_events_by_their_label():
    assert (event_verb("success"), event_count("success")) == ("succeed", "Number of successes")
    assert event_verb("completed") == "be “completed”"
    assert event_count("completed") == "Number of trials that are “completed”"
    assert answer_named(item()) == ""
    assert answer_named(completed(0.7)) == "“completed”:"
    assert answer_named(of_three(0.2, 0.5, 0.3)) == "Most likely “1 to 2 years”:"


def test_every_answer_has_a_bar_and_the_likeliest_is_in_full_colour():
    drawn = etree.fromstring(answer_bars(of_three(0.2, 0.5, 0.3)))
    assert drawn.get("aria-label") == (
        "under a year: 20\u00a0%; 1 to 2 years: 50\u00a0%; over 2 years: 30\u00a0%"
    )
    bars = [r for r in drawn.iterfind(".//{*}rect") if "accent" in r.get("style")]
    assert [bar.get("width") for bar in bars] == ["20.00%", "50.00%", "30.00%"]
    assert ["opacity: 1" in bar.get("style") for bar in bars] == [False, True, False]


def test_of_many_answers_the_likeliest_are_drawn_in_their_order_and_the_rest_together():
    labels = tuple(f"answer {k}" for k in range(8))
    chances = (0.05, 0.3, 0.01, 0.01, 0.4, 0.03, 0.1, 0.1)
    many = item(0.4, labels=labels, probabilities=chances, label="answer 4")
    said = etree.fromstring(answer_bars(many, 2)).get("aria-label")
    assert said == "answer 1: 30\u00a0%; answer 4: 40\u00a0%; 6 other answers: 30\u00a0%"
    assert "other answers" not in answer_bars(many)


def test_labels_are_text_and_long_ones_are_cut():
    hostile = "<script>alert(1)</script>" + 40 * "x"
    one = item(0.6, labels=(hostile, "b", "c"), probabilities=(0.6, 0.3, 0.1), label=hostile)
    drawn = answer_bars(one)
    assert "<script" not in drawn
    shown = [t.text for t in etree.fromstring(drawn).iterfind(".//{*}text")]
    assert len(shown[0]) == 40
    assert shown[0].endswith("…")


def test_trials_add_up_answer_by_answer():
    pair = [of_three(0.2, 0.5, 0.3), of_three(0.1, 0.2, 0.7, nct_id=None)]
    assert expected_by_answer(pair) == [
        ("under a year", pytest.approx(0.3)),
        ("1 to 2 years", pytest.approx(0.7)),
        ("over 2 years", pytest.approx(1.0)),
    ]
    assert "over 2 years: 1.0 of 2" in answers_chart(pair)
    assert expected_by_answer(pair[:1]) == []
    assert expected_by_answer([item(), item()]) == []
    assert expected_by_answer([pair[0], of_three(0.2, 0.5, 0.3, bundle="other-0123")]) == []
    assert answers_chart([]) == ""


def test_exports_hold_every_answer_and_do_not_speak_of_success():
    pair = [of_three(0.2, 0.5, 0.3), of_three(0.1, 0.2, 0.7, nct_id=None)]
    (row, _) = csv.DictReader(io.StringIO(to_csv(pair).decode()))
    assert json.loads(row["probabilities"]) == dict(zip(LABELS, (0.2, 0.5, 0.3), strict=True))
    page = to_html(pair).decode()
    assert "How many trials are expected to have each answer" in page
    assert "Most likely “1 to 2 years”" in page
    assert "succe" not in page.split("</style>")[1].lower()
    about = load_workbook(io.BytesIO(to_xlsx(pair)))["About"]
    assert not any("succe" in str(cell.value) for row in about for cell in row)


def test_a_report_of_another_event_names_it():
    page = to_html([completed(0.7), completed(0.6, nct_id=None)]).decode()
    assert "About 1.3 of 2 trials can be expected to be “completed”" in page
    assert "“completed”: <span" in page
