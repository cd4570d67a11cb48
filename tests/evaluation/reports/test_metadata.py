"""What a report says of its rows' age is so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm4top.evaluation.reports.metadata import age_note
from tests.evaluation.evaluate_kit import invented

NEWER = "These rows are newer than the training rows."
SAME = "These rows are from the same years as the training rows, not later."


def dated(train: list[str | None], valid: list[str | None]):
    data = invented(train=40, valid=20, test=0)
    return replace(data, start_dates=(*train, *valid), first_submitted=(None,) * 60)


OLD = [f"{year}-05" for year in range(1990, 2010) for _ in range(2)]


@pytest.mark.parametrize(
    ("valid", "said"),
    [
        ([f"{year}-07" for year in range(1990, 2010)], SAME),
        ([f"{year}" for year in range(2010, 2030)], NEWER),
        (["2008"] * 20, ""),  # late among those learnt from, not later
        ([None] * 15 + ["2012"] * 5, ""),
    ],
)
def test_the_age_of_the_rows_is_told_where_it_is_known(valid, said):
    assert age_note(dated(OLD, valid), "valid") == said


def test_the_first_submission_stands_for_an_unknown_start():
    data = dated([None] * 40, ["2012"] * 20)
    assert age_note(data, "valid") == ""
    assert age_note(replace(data, first_submitted=(*OLD, *[None] * 20)), "valid") == NEWER
