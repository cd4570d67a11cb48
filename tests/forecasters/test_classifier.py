"""What X and y may be: labels of the task in its own order, and trials."""

from __future__ import annotations

import numpy as np
import pytest

from llm4top.errors import TaskError
from llm4top.forecasters.classifier import as_trials, class_positions, weights_of
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.builtin import COMPLETION, OUTCOME
from llm4top.tasks.task import Task

THREE = Task("t", "multiclass", "?", ("high", "low", "none"), ("A", "B", "C"))


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["success", "failure", "success"], ["failure", "success"]),
        (np.array(["success", "failure", "success"]), ["failure", "success"]),
        (np.array(["success", "failure", "success"], dtype=object), ["failure", "success"]),
        ([1, 0, 1], [0, 1]),
        (np.array([1, 0, 1], dtype=np.int8), [0, 1]),
        ([True, False, True], [False, True]),
        (np.array([True, False, True]), [False, True]),
        ((np.bool_(1), np.bool_(0), np.bool_(1)), [False, True]),
    ],
    ids=["str", "str array", "objects", "int", "int array", "bool", "bool array", "bool tuple"],
)
def test_classes_are_of_the_kind_of_y_in_task_order(y, classes):
    found, positions = class_positions(OUTCOME, y)
    assert found.tolist() == classes
    assert positions.tolist() == [1, 0, 1]


def test_column_one_is_the_event_whatever_the_alphabet_says():
    with pytest.warns(UserWarning, match="not in alphabetical order.*pass positions instead"):
        classes, positions = class_positions(COMPLETION, ["completed", "stopped"])
    assert classes.tolist() == ["stopped", "completed"]
    assert positions.tolist() == [1, 0]


def test_positions_never_warn():
    assert class_positions(COMPLETION, [1, 0])[0].tolist() == [0, 1]


def test_labels_that_y_lacks_are_no_classes():
    classes, positions = class_positions(THREE, ["none", "high"])
    assert classes.tolist() == ["high", "none"]
    assert positions.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            ["success", "win"],
            "'win' is not a label of task 'outcome'. Its labels are: failure, succ",
        ),
        ([0, 2], "2 is not a label of task 'outcome'. Its labels are: 0, 1."),
        ([0.0, 1.0], "y holds float. Give labels of task 'outcome' (failure, success) or their"),
        (["success", 1], "y holds int, str."),
        ([True, 0], "y holds bool, int."),
        ([None, "success"], "y holds NoneType, str."),
        (["success", "success"], "y holds 1 of the labels of task 'outcome'; two or more"),
        ([], "y holds 0 of the labels"),
    ],
)
def test_what_is_no_label_is_named(y, message):
    with pytest.raises(TaskError) as caught:
        class_positions(OUTCOME, y)
    assert str(caught.value).startswith(message)


def test_booleans_are_for_binary_tasks():
    with pytest.raises(TaskError, match="y holds bool"):
        class_positions(THREE, [True, False])


def test_trials_come_in_any_sequence():
    trials = [Trial(phase="Phase 1"), Trial()]
    objects = np.empty(2, dtype=object)
    objects[:] = trials
    for X in (trials, tuple(trials), objects, iter(trials)):
        assert as_trials(X) == trials


def test_what_is_no_trial_is_named():
    record = Record(
        None, Trial(), RegistryOutcome(), (), Source("a.xml", None, "legacy-xml", None, "")
    )
    with pytest.raises(TypeError, match=r"X\[1\] is Record, not Trial\. Pass the records' trials"):
        as_trials([Trial(), record])
    with pytest.raises(TypeError, match=r"X\[0\] is str, not Trial\. Make trials of a table"):
        as_trials(["NCT00000000"])
    with pytest.raises(TypeError, match="X must be a sequence of Trial, not Trial"):
        as_trials(Trial())


def test_class_weights():
    classes, targets = np.array(["failure", "success"]), np.array([0, 1, 1, 1])
    assert weights_of(None, classes, targets) is None
    assert weights_of("balanced", classes, targets) == (2.0, pytest.approx(2 / 3))
    assert weights_of({"success": 3}, classes, targets) == (1.0, 3.0)
    assert weights_of({0: 2.0, 1: 1.0}, np.array([0, 1]), targets) == (2.0, 1.0)
    with pytest.raises(TaskError, match="no class weight 'even'"):
        weights_of("even", classes, targets)
    with pytest.raises(TaskError, match="class_weight names 'win', which y does not hold"):
        weights_of({"win": 3.0}, classes, targets)
