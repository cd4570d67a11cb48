import pytest

from llm4top.errors import TaskError
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.builtin import COMPLETION, LABEL_RULES, OUTCOME, TASKS, get_task

SOURCE = Source("f.xml", None, "legacy-xml", None, "0" * 64)


def record(study_type="Interventional", **outcome):
    return Record(
        "NCT99999901", Trial(study_type=study_type), RegistryOutcome(**outcome), (), SOURCE
    )


@pytest.mark.parametrize(
    ("status", "label"),
    [
        ("Completed", "completed"),
        ("Terminated", "stopped"),
        ("Withdrawn", "stopped"),
        ("Suspended", "stopped"),
        ("Recruiting", None),
        ("Unknown status", None),
        (None, None),
    ],
)
def test_completion_is_read_off_a_final_status(status, label):
    assert LABEL_RULES["completion"](record(status=status)) == label


def test_completion_is_asked_of_trials_only():
    assert LABEL_RULES["completion"](record("Observational", status="Completed")) is None


@pytest.mark.parametrize(
    ("brought", "label"),
    [("1", "success"), ("0", "failure"), ("success", "success"), (None, None)],
)
def test_outcome_is_brought_by_the_data_set(brought, label):
    assert LABEL_RULES["outcome"](record(label=brought)) == label


def test_every_built_in_task_has_a_label_rule():
    assert set(TASKS) == set(LABEL_RULES)


def test_plans_are_hidden_because_only_unfinished_records_hold_them():
    for task in (OUTCOME, COMPLETION):
        assert set(task.hidden_fields) == {"planned_enrolment", "planned_start"}


def test_get_task():
    assert get_task("outcome") is OUTCOME
    assert get_task(COMPLETION) is COMPLETION
    with pytest.raises(TaskError, match=r"no task 'approval'. Known tasks: completion, outcome."):
        get_task("approval")
