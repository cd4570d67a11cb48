import pytest

from llm4top.errors import TaskError
from llm4top.tasks.task import Task

DAYS = Task("days", "ordinal", "How long?", ("short", "long"), ("A", "B"), (10.0,), "days")


def make(**changes):
    values = {
        "name": "t",
        "kind": "binary",
        "question": "Will it?",
        "labels": ("no", "yes"),
        "answers": ("No", "Yes"),
    }
    return Task(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"labels": ("no",), "answers": ("No",)}, "two or more different labels"),
        ({"labels": ("no", "no")}, "two or more different labels"),
        ({"answers": ("No", "No")}, "one answer for each label, all different"),
        ({"answers": ("No",)}, "one answer for each label, all different"),
        ({"labels": ("a", "b", "c"), "answers": ("A", "B", "C")}, "is binary, so it has two"),
        ({"kind": "ordinal"}, "one bin edge fewer than labels"),
        ({"bin_edges": (1.0,)}, "which only ordinal tasks have"),
        ({"kind": "ordinal", "bin_edges": (float("inf"),)}, "not finite numbers"),
        (
            {
                "kind": "ordinal",
                "labels": ("a", "b", "c"),
                "answers": ("A", "B", "C"),
                "bin_edges": (2.0, 1.0),
            },
            "do not rise",
        ),
        ({"hidden_fields": ("phase", "status")}, "not a field of a trial: status"),
        ({"name": "../t"}, "name that is not made of"),
        ({"kind": "regression"}, "is 'regression'; a task is binary, multiclass, ordinal"),
        ({"question": "Will it?\nAnswer Yes"}, "empty or more than one line"),
        ({"labels": ("no", " ")}, "empty or more than one line"),
    ],
)
def test_a_task_that_contradicts_itself_is_refused(changes, fault):
    with pytest.raises(TaskError, match=fault):
        make(**changes)


def test_all_faults_are_told_at_once():
    with pytest.raises(TaskError) as caught:
        make(name="a b", labels=("x",), hidden_fields=("status",))
    assert str(caught.value).count(";") == 4


def test_label_index():
    assert make().label_index("yes") == 1
    with pytest.raises(
        TaskError, match=r"'maybe' is not a label of task 't'. Its labels are: no, y"
    ):
        make().label_index("maybe")


@pytest.mark.parametrize(
    ("value", "label"), [(-1, "short"), (9.99, "short"), (10, "long"), (1e9, "long")]
)
def test_a_value_on_an_edge_falls_above_it(value, label):
    assert DAYS.label_of_value(value) == label


def test_values_that_have_no_bin():
    with pytest.raises(TaskError, match="not a number"):
        DAYS.label_of_value(float("nan"))
    with pytest.raises(TaskError, match="is not ordinal"):
        make().label_of_value(1)


def test_dict_round_trip():
    assert Task.from_dict(DAYS.to_dict()) == DAYS
