import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import TaskError
from llm4top.tasks.task_file import task_from_labels


def test_multiclass_answers_are_letters():
    task = task_from_labels(
        "why", "Why?", ["safety", "efficacy", "", "safety", "other"], "multiclass"
    )
    assert task.labels == ("efficacy", "other", "safety")
    assert task.answers == ("A", "B", "C")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "0", "1"], ("0", "1")),
        (["yes", "no"], ("no", "yes")),
        (["True", "False"], ("False", "True")),
        (["success", "failure"], ("failure", "success")),
    ],
)
def test_the_event_of_a_binary_task_is_known(labels, expected):
    task = task_from_labels("t", "Will it?", labels, "binary")
    assert task.labels == expected
    assert task.answers == ("No", "Yes")


def test_the_event_of_a_binary_task_is_named():
    task = task_from_labels("t", "Will it?", ["a", "b"], "binary", event="a")
    assert task.labels == ("b", "a")


def test_given_edges():
    task = task_from_labels(
        "duration", "How long?", ["3", "14.5", "40"], "ordinal", edges=(12, 24), unit="months"
    )
    assert task.labels == ("below 12 months", "12 to 24 months", "24 months or more")
    assert task.answers == ("A", "B", "C")
    assert [task.label_of_value(v) for v in (11.9, 12, 24)] == list(task.labels)


def test_quantile_edges_cut_bins_of_equal_size():
    values = [str(v) for v in range(100)]
    task = task_from_labels("days", "How long?", values, "ordinal", bins=4, unit="days")
    bins = [task.label_of_value(float(v)) for v in values]
    assert [bins.count(label) for label in task.labels] == [25, 25, 25, 25]


def test_a_value_that_many_share_leaves_fewer_bins_and_none_empty():
    values = ["0"] * 80 + ["1"] * 10 + ["2"] * 10
    task = task_from_labels("rate", "How often?", values, "ordinal", bins=10)
    assert task.bin_edges == (0.2, 1.1)
    assert {task.label_of_value(float(v)) for v in values} == set(task.labels)


@given(
    st.lists(st.floats(-1e6, 1e6) | st.integers(0, 3).map(float), min_size=1, max_size=60),
    st.integers(2, 8),
)
def test_no_quantile_bin_is_empty(values, bins):
    try:
        task = task_from_labels("t", "Which?", map(repr, values), "ordinal", bins=bins)
    except TaskError:
        return  # no edge between the values, or edges too close to name the bins
    assert {task.label_of_value(v) for v in values} == set(task.labels)
    assert len(task.labels) <= bins


@pytest.mark.parametrize(
    ("labels", "kind", "options", "message"),
    [
        (["a", "b", "c"], "binary", {}, "is binary, but its labels are 'a', 'b', 'c'"),
        (["a", "b"], "binary", {}, "not clear whether 'a', 'b' is the event"),
        (["a", "b"], "binary", {"event": "c"}, "event 'c' is none of 'a', 'b'"),
        ([str(n) for n in range(27)], "multiclass", {}, "27 labels; the answers A to Z serve"),
        (["a"], "multiclass", {}, "two or more different labels"),
        (["a", "b"], "multiclass", {"unit": "days"}, "only ordinal tasks have edges and a unit"),
        (["1", "x", "nan"], "ordinal", {}, "2 labels are not finite numbers: 'x', 'nan'"),
        (["", " "], "ordinal", {}, "there is no label to make it from"),
        (["1", "1"], "ordinal", {}, "no edge lies between its values"),
        (["1"], "ordinal", {}, "no edge lies between its values"),
        (["1", "2"], "ordinal", {"bins": 1}, "1 bins; it needs two or more"),
        (["1", "2"], "ordinal", {"edges": (2, 1)}, "do not rise"),
    ],
)
def test_labels_that_do_not_suit_the_kind_are_refused(labels, kind, options, message):
    with pytest.raises(TaskError, match=message):
        task_from_labels("t", "Which?", labels, kind, **options)
