import pytest

from llm4top.errors import TaskError
from llm4top.tasks.builtin import COMPLETION, OUTCOME, label_of_text, labels_of
from llm4top.tasks.task_file import task_from_labels

STAGES = task_from_labels("stage", "Which?", ["1", "2", "3"], "multiclass")
CASES = task_from_labels("case", "Which?", ["a", "A", "b"], "multiclass")
DAYS = task_from_labels("days", "How long?", ["1"], "ordinal", edges=(100.0,), unit="days")


@pytest.mark.parametrize(
    ("task", "text", "label"),
    [
        (OUTCOME, " Success ", "success"),
        (OUTCOME, "0.0", "failure"),
        (OUTCOME, "TRUE", "success"),
        (COMPLETION, "No", "stopped"),
        (STAGES, "2.0", "2"),
        (CASES, "A", "A"),
        (CASES, "B", "b"),
        (DAYS, "99.5", "below 100 days"),
    ],
)
def test_a_label_in_another_spelling(task, text, label):
    assert label_of_text(task, text) == label


@pytest.mark.parametrize(
    ("task", "text"),
    [(OUTCOME, "2"), (OUTCOME, ""), (OUTCOME, "nan"), (STAGES, "2.5"), (STAGES, "yes"),
     (DAYS, "inf"), (DAYS, "nan"), (DAYS, "long")],
)  # fmt: skip
def test_what_means_no_label(task, text):
    with pytest.raises(
        TaskError, match=f"'{text}' is not a label of task '{task.name}'. Its labels"
    ):
        label_of_text(task, text)


def test_labels_in_words():
    assert labels_of(OUTCOME) == "Its labels are failure (or 0) and success (or 1)"
    assert labels_of(STAGES) == "Its labels are: 1, 2, 3"
    assert labels_of(DAYS) == (
        "Its labels are numbers of days, or one of: below 100 days, 100 days or more"
    )
