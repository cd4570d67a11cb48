"""The reporting checklists: every item, filled from the report, open where it cannot know."""

from __future__ import annotations

import re

import pytest

from llm4top.evaluation.reports.checklist import OPEN, checklist, guideline_items
from tests.evaluation.report_kit import made_report


@pytest.fixture(scope="module")
def report():
    return made_report(("II", "III"))


@pytest.fixture(scope="module")
def answers(report):
    return {(item.guideline, item.item): item for item in checklist(report)}


def main_items(guideline: str) -> list[int]:
    return sorted({int(re.match(r"\d+", number).group()) for number in guideline_items(guideline)})


def test_all_main_items_of_both_statements():
    assert main_items("TRIPOD+AI") == list(range(1, 28))
    assert main_items("TRIPOD-LLM") == list(range(1, 20))
    assert len(guideline_items("TRIPOD+AI")) == 52


@pytest.mark.parametrize(
    "number", ["1", "2", "3c", "18a", "18b", "18c", "18d", "19", "14", "25", "27c"]
)
def test_what_only_authors_know_is_open(answers, number):
    item = answers["TRIPOD+AI", number]
    assert item.open
    assert item.answer == OPEN


def test_answers_come_from_the_report(report, answers):
    def answer(guideline, number):
        assert not answers[guideline, number].open
        return answers[guideline, number].answer

    assert "invented (SHA-256 5f5f5f5f5f5f…, 2 source files)" in answer("TRIPOD+AI", "5a")
    assert "train started 1995-03 to 2013-11" in answer("TRIPOD+AI", "5b")
    assert report.asked.question in answer("TRIPOD+AI", "8a")
    assert "Phase II, validation split: 446" in answer("TRIPOD+AI", "10")
    assert "completed before 2014 to learn from" in answer("TRIPOD+AI", "12a")
    assert "DeLong and paired bootstrap, Holm-adjusted" in answer("TRIPOD+AI", "12e")
    assert "Phase III, validation split: 67\u00a0% events" in answer("TRIPOD+AI", "13")
    assert report.reproduce in answer("TRIPOD+AI", "18f")
    assert "3\u202f542 failure" in answer("TRIPOD+AI", "21")
    assert "1 pass, 1 warn of 2 checks" in answer("TRIPOD-LLM", "5d")
    assert "Tiny model, fine-tuned with LoRA" in answer("TRIPOD-LLM", "6a")
    assert "for the authors to fill in" in answer("TRIPOD-LLM", "6a")
    assert "Sections left out of the prompt" in answer("TRIPOD-LLM", "9a")
    assert "cores 2, memory 24 GiB" in answer("TRIPOD-LLM", "12")


def test_an_empty_report_leaves_open_what_it_does_not_know():
    empty = made_report(
        ("II",),
        data=(),
        tables=(),
        curves=(),
        differences=(),
        slices=(),
        variants=(),
        audit=(),
        machine={},
    )
    answers = {(item.guideline, item.item): item for item in checklist(empty)}
    for number in ("5a", "5b", "10", "12a", "12c", "12d", "12e", "13", "16", "18e", "21", "23a"):
        assert answers["TRIPOD+AI", number].open, number
    for number in ("6a", "7e", "12"):
        assert answers["TRIPOD-LLM", number].open, number


def test_without_a_language_model_there_is_no_tripod_llm(report):
    table = report.tables[0]
    classical = table.model_copy(
        update={"rows": tuple(r for r in table.rows if r.kind in ("trivial", "baseline"))}
    )
    items = checklist(report.model_copy(update={"tables": (classical,)}))
    assert {item.guideline for item in items} == {"TRIPOD+AI"}


def test_open_items_and_only_they_say_nothing_else(report):
    for item in checklist(report):
        assert item.open == (item.answer == OPEN)
        assert item.topic
