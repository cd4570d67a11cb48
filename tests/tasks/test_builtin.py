import pytest

from llm4top.errors import TaskError
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.builtin import COMPLETION, LABEL_RULES, OUTCOME, TASKS, get_task, label_of_text

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


def test_only_enrolment_needs_a_file_of_labels():
    assert set(TASKS) - set(LABEL_RULES) == {"enrolment"}


@pytest.mark.parametrize(
    ("status", "reason", "label"),
    [
        ("Terminated", "Slow accrual and lack of drug", "poor enrolment"),
        ("Withdrawn", "No participants", "poor enrolment"),
        ("Terminated", "Two serious adverse events", "safety"),
        ("Terminated", "Futility at the interim analysis", "efficacy"),
        ("Suspended", "Business decision, not related to safety or efficacy", "other"),
        ("Terminated", None, None),
        ("Completed", "Slow accrual", None),
    ],
)
def test_why_it_fails_is_read_off_the_reason_of_a_stopped_trial(status, reason, label):
    found = LABEL_RULES["why-it-fails"](record(status=status, why_stopped=reason))
    assert found == label


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        ({"start_date": "2030-01", "completion_date": "2031-01"}, "6 to 12 months"),
        ({"start_date": "2030-01-01", "completion_date": "2031-01-02"}, "12 to 18 months"),
        ({"start_date": "2030-01", "completion_date": "2045-01"}, "120 months or more"),
        ({"start_date": "2031-01", "completion_date": "2030-01"}, None),
        ({"start_date": "2030", "completion_date": "2031-01"}, None),
        ({"completion_date": "2031-01"}, None),
        (
            {
                "start_date": "2030-01",
                "start_date_type": "Anticipated",
                "completion_date": "2031-01",
            },
            None,
        ),
    ],
)
def test_the_duration_is_from_the_actual_start_to_completion(outcome, label):
    assert LABEL_RULES["duration"](record(status="Completed", **outcome)) == label
    assert LABEL_RULES["duration"](record(status="Recruiting", **outcome)) is None


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ("dropout", "dropout_rate"),
        ("serious-adverse-events", "serious_event_rate"),
        ("mortality", "mortality_rate"),
    ],
)
def test_rates_are_read_off_posted_results(task, field):
    rule, labels = LABEL_RULES[task], TASKS[task].labels
    assert rule(record()) is None
    assert rule(record(**{field: 0.0})) == labels[0] == "none"
    assert rule(record(**{field: 1.0})) == labels[-1]
    assert rule(record("Observational", **{field: 0.5})) is None


def test_labels_of_trialbench_are_understood():
    why = TASKS["why-it-fails"]
    assert label_of_text(why, "poor enrollment") == "poor enrolment"
    assert label_of_text(why, "Others") == "other"
    assert label_of_text(TASKS["duration"], "77") == "60 to 84 months"
    assert label_of_text(TASKS["dropout"], "0.0416666666666666") == "up to 5 %"


def test_plans_are_hidden_because_only_unfinished_records_hold_them():
    for task in TASKS.values():
        assert set(task.hidden_fields) == {"planned_enrolment", "planned_start"}


def test_get_task():
    assert get_task("outcome") is OUTCOME
    assert get_task(COMPLETION) is COMPLETION
    with pytest.raises(TaskError, match=r"no task 'approval'. Known tasks: completion, dr"):
        get_task("approval")
