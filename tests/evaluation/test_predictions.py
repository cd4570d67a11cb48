"""What a forecaster said, checked before anything is measured on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llm4top.errors import EmptyClassError, ScoreError, TooFewRowsError
from llm4top.evaluation.predictions import Scores, same_rows


def scores(event: list[float], y: list[int], /, **changes: Any) -> Scores:
    p = np.array(event)
    values = {
        "forecaster": "model",
        "split": "valid",
        "labels": ("failure", "success"),
        "probabilities": np.column_stack([1 - p, p]),
        "y": np.array(y),
        "ids": tuple(f"t{i}" for i in range(len(y))),
    }
    return Scores(**{**values, **changes})


def test_scores_know_their_event_and_their_rows() -> None:
    given = scores([0.1, 0.8, 0.6], [0, 1, 1])
    assert len(given) == 3
    assert given.event.tolist() == [0.1, 0.8, 0.6]
    assert given.where == "model, valid split"
    taken = given.take(np.array([True, False, True]))
    assert taken.ids == ("t0", "t2")
    assert taken.event.tolist() == [0.1, 0.6]
    assert given.take([1, 0]).y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ([0.1, np.nan], "the score of t1 for 'failure' is nan, no probability (1 of 2 rows)"),
        ([np.inf, 0.2], "the score of t0 for 'failure' is -inf, no probability (1 of 2 rows)"),
        ([0.5, 1.2], "the score of t1 for 'failure' is -0.1999"),
    ],
)
def test_a_score_that_is_no_probability_is_named(event: list[float], said: str) -> None:
    with pytest.raises(ScoreError) as raised:
        scores(event, [0, 1])
    assert str(raised.value).startswith(f"model, valid split: {said}")
    assert raised.value.hint == "Scores are finite numbers from 0 to 1."


def test_scores_add_up_to_one() -> None:
    with pytest.raises(ScoreError, match=r"the scores of t1 add up to 0\.9, not to 1\."):
        scores([0.1, 0.2], [0, 1], probabilities=[[0.5, 0.5], [0.4, 0.5]])


def test_one_row_is_too_few() -> None:
    with pytest.raises(TooFewRowsError, match=r"valid split: 1 row; two or more are needed\."):
        scores([0.5], [1])


def test_a_label_without_a_row_is_named() -> None:
    with pytest.raises(EmptyClassError, match=r"no row with label 'failure'\. Measure on a split"):
        scores([0.5, 0.6], [1, 1])
    with pytest.raises(EmptyClassError, match="'success'"):
        scores([0.5, 0.6, 0.7], [0, 1, 0]).take([0, 2])


def test_a_row_is_there_once() -> None:
    with pytest.raises(ScoreError, match=r"t is there more than once\."):
        scores([0.5, 0.6], [0, 1], ids=("t", "t"))


def test_rows_line_up() -> None:
    with pytest.raises(ScoreError, match=r"shape \[2, 2\] and 3 ids for 2 rows and 2 labels"):
        scores([0.5, 0.6], [0, 1], ids=("a", "b", "c"))
    with pytest.raises(ScoreError, match="a row's label is none of the task's"):
        scores([0.5, 0.6], [0, 2])


def test_only_a_binary_task_has_an_event() -> None:
    many = scores(
        [0.1] * 3, [0, 1, 2], labels=("a", "b", "c"), probabilities=np.full((3, 3), 1 / 3)
    )
    with pytest.raises(ScoreError, match="only a binary task has an event"):
        _ = many.event


def test_the_same_rows_are_the_same_ids_labels_and_split() -> None:
    first = scores([0.1, 0.8], [0, 1])
    same_rows([first, scores([0.9, 0.3], [0, 1], forecaster="other")])
    for change in ({"ids": ("t1", "t0")}, {"y": np.array([1, 0])}, {"split": "test"}):
        with pytest.raises(ScoreError, match="model and other were not scored on the same rows"):
            same_rows([first, scores([0.1, 0.8], [0, 1], **{"forecaster": "other", **change})])
