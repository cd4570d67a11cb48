import json

import pytest

from llm4top.errors import TaskError
from llm4top.tasks.task import Task
from llm4top.tasks.task_file import load_task

YAML = """
name: failure-reason
kind: multiclass
question: Why would this trial fail?
labels: [poor enrolment, efficacy, safety, other]
"""


def write(tmp_path, text, name="task.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_multiclass_from_yaml(tmp_path):
    task = load_task(write(tmp_path, YAML))
    assert task.labels == ("poor enrolment", "efficacy", "safety", "other")
    assert task.answers == ("A", "B", "C", "D")
    assert task.hidden_fields == ("planned_enrolment", "planned_start")


def test_binary_from_json(tmp_path):
    values = {
        "name": "approval",
        "kind": "binary",
        "question": "Will the drug be approved?",
        "labels": ["no", "yes"],
        "hidden_fields": [],
    }
    task = load_task(write(tmp_path, json.dumps(values), "task.json"))
    assert task.answers == ("No", "Yes")
    assert task.hidden_fields == ()


def test_the_labels_of_an_ordinal_task_follow_from_its_edges(tmp_path):
    text = "{name: days, kind: ordinal, question: 'How long?', bin_edges: [30, 90], unit: days}"
    task = load_task(write(tmp_path, text))
    assert task.labels == ("below 30 days", "30 to 90 days", "90 days or more")


def test_what_a_task_says_of_itself_can_be_loaded(tmp_path):
    task = Task("t", "ordinal", "Which?", ("low", "high"), ("L", "H"), (0.5,), "mg", ("phase",))
    assert load_task(write(tmp_path, json.dumps(task.to_dict()))) == task


def test_all_faults_at_once(tmp_path):
    path = write(tmp_path, "{name: t, kind: regression, labels: [no, yes], colour: red}")
    with pytest.raises(TaskError) as caught:
        load_task(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: is not a task:")
    for fault in (
        "line 1, kind: must be 'binary', 'multiclass' or 'ordinal', not 'regression'",
        "question: must be given (the question to the model",
        "line 1, colour: no such setting",
    ):
        assert f"\n  - {fault}" in text
    # YAML reads an unquoted no as false.
    assert 'line 1, labels.0: must be text, not False (put it in quotes: "no")' in text


def test_a_fault_names_its_line(tmp_path):
    text = YAML.replace("multiclass", "multi") + "hidden_feilds: [phase]\n"
    with pytest.raises(TaskError) as caught:
        load_task(write(tmp_path, text))
    assert "\n  - line 3, kind: must be" in str(caught.value)
    assert "\n  - line 6, hidden_feilds: no such setting" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: [", "is neither YAML nor JSON"),
        (
            "just words",
            "is not a task:\n  - file: must be lines of 'name: value', not 'just words'",
        ),
        (YAML.replace("safety", "efficacy"), "needs two or more different labels"),
        ("!!python/object/apply:os.system ['true']", "is neither YAML nor JSON"),
        ("#" * 1_000_001, "is too large for a task file"),
    ],
)
def test_files_that_are_no_task(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(TaskError, match=message) as caught:
        load_task(path)
    assert caught.value.where == str(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TaskError, match=r"cannot be read: No such file.*Check the path"):
        load_task(tmp_path / "none.yaml")


def test_a_file_nested_beyond_measure_is_refused(tmp_path):
    file = tmp_path / "deep.yaml"
    file.write_text("[" * 5000)
    with pytest.raises(TaskError, match="is nested too deeply for a task file"):
        load_task(file)
