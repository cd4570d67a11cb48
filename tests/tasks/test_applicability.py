"""Whether a question can be asked of a study."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm4top.errors import TaskError
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import COMPLETION, OUTCOME, why_not_applicable
from llm4top.tasks.task import Task
from llm4top.tasks.task_file import load_task

OWN = Task("dropout", "binary", "Will many drop out?", ("few", "many"), ("No", "Yes"))


@pytest.mark.parametrize("task", [OUTCOME, COMPLETION, OWN])
@pytest.mark.parametrize("kind", ["Interventional", None])
def test_a_trial_and_an_unknown_kind_of_study_can_be_asked_anything(task, kind):
    assert why_not_applicable(task, Trial(study_type=kind)) is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Observational", "an observational study"),
        ("Observational [Patient Registry]", "a patient registry"),
        ("Expanded Access", "an expanded-access programme"),
    ],
)
def test_other_kinds_of_study_are_not_asked_about_success(kind, words):
    assert why_not_applicable(OUTCOME, Trial(study_type=kind)) == (
        f"{words}: 'outcome' is a question about interventional studies; only a question of your "
        "own can be used for it."
    )
    assert why_not_applicable(OWN, Trial(study_type=kind)) is None


def test_an_own_question_says_what_it_is_about():
    registries = replace(OWN, study_types=("Observational",))
    assert (
        why_not_applicable(registries, Trial(study_type="Observational [Patient Registry]")) is None
    )
    assert why_not_applicable(registries, Trial(study_type="Interventional")) == (
        "an interventional study: 'dropout' is a question about observational studies; 'outcome' "
        "and 'completion' can be used for it."
    )


def test_a_task_from_before_there_were_study_types_is_the_same_question():
    values = OUTCOME.to_dict()
    del values["study_types"]
    old = Task.from_dict(values)
    assert old == OUTCOME
    assert why_not_applicable(old, Trial(study_type="Observational")) is not None
    assert old.to_dict() == values


def test_a_task_file_may_name_them(tmp_path):
    file = tmp_path / "task.yaml"
    text = "name: dropout\nkind: binary\nquestion: Will many drop out?\nlabels: [few, many]\n"
    file.write_text(text + "study_types: [Observational]\n")
    assert load_task(file).study_types == ("Observational",)
    file.write_text(text + "study_types: [Registry]\n")
    with pytest.raises(
        TaskError,
        match="study types that the registry does not have: Registry; "
        "it has Interventional, Observational, Expanded Access",
    ):
        load_task(file)
