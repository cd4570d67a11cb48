"""The prompt ablation: one row a section that occurs, each what the model says without it."""

from __future__ import annotations

import pytest
from sklearn.metrics import log_loss, roc_auc_score

from llm4top.benchmark.language_models import few_shot
from llm4top.errors import EmptyClassError
from llm4top.evaluation.probes.variants import prompt_ablation
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.prompts.prompt import PromptSpec
from llm4top.prompts.sections import SECTION_NAMES
from tests.evaluation.asking_kit import LABELS, forecaster, quick, rows, tiny_base, trial

SECTIONS = [
    "Phase",
    "Title",
    "Conditions",
    "Interventions",
    "Collaborators",
    "Arms",
    "Intervention details",
    "Eligibility criteria",
]


def test_each_section_that_occurs_is_left_out():
    table = prompt_ablation(quick(), rows(), draws=50, name="mine")
    assert [row.variant for row in table.rows] == [
        "full prompt",
        *(f"without {heading}" for heading in SECTIONS),
    ]
    assert (table.title, table.forecaster, table.check) == ("Prompt ablation", "mine", "valid")
    assert all(row.n == 60 for row in table.rows)
    assert table.rows[0].difference == {}
    notes = {row.variant: row.note for row in table.rows}
    assert notes["without Arms"] == "30 of 60 trials have this section."
    assert notes["without Phase"] == "60 of 60 trials have this section."
    # Hidden by the task, so never shown.
    assert "without Planned start" not in notes


def test_a_row_is_the_model_asked_without_that_section():
    data = rows(40)
    table = prompt_ablation(forecaster(), data, draws=50)
    left = next(row for row in table.rows if row.variant == "without Eligibility criteria")
    kept = tuple(name for name in SECTION_NAMES if name != "criteria")
    p = forecaster(sections=kept).predict_proba(data.trials)
    y = list(data.label_indices)
    assert left.figures["roc_auc"].value == pytest.approx(roc_auc_score(y, p[:, 1]), abs=1e-3)
    assert left.figures["log_loss"].value == pytest.approx(log_loss(y, p), abs=1e-4)
    full = forecaster().predict_proba(data.trials)
    assert left.difference["log_loss"].value == pytest.approx(
        log_loss(y, p) - log_loss(y, full), abs=1e-4
    )
    assert left.difference["log_loss"].lower <= left.difference["log_loss"].value


def test_only_the_models_own_sections_are_left_out():
    table = prompt_ablation(forecaster(sections=("phase", "keywords")), rows(30), draws=20)
    assert [row.variant for row in table.rows] == ["full prompt", "without Phase"]
    # The question alone is the same for every trial.
    assert table.rows[1].figures["roc_auc"].value == 0.5


def test_the_reading_says_what_it_cannot_show():
    reading = prompt_ablation(quick(200), rows(30), draws=20).reading
    assert "Nothing is retrained" in reading
    assert "full prompts are cut to 200 tokens" in reading
    assert "8 sections are compared" in reading
    assert reading.endswith("Probabilities are the model's own, not calibrated.")
    whole = prompt_ablation(quick(), rows(30), draws=20, calibration=NoCalibration())
    assert "are cut to" not in whole.reading
    assert "Probabilities are calibrated (" in whole.reading


def test_a_limit_and_a_seed_make_the_same_table():
    def table(seed):
        return prompt_ablation(quick(), rows(), limit=20, seed=seed, draws=20)

    assert table(3) == table(3)
    assert table(3).rows[0].n == 20
    assert table(3) != table(4)


def test_few_shot_models_lose_the_section_in_their_examples_too():
    pool = [trial(i) for i in range(100, 110)]
    few = few_shot(
        tiny_base(),
        "outcome",
        pool,
        [LABELS[i % 2] for i in range(10)],
        shots=2,
        spec=PromptSpec(1500, ("phase", "conditions")),
    )
    table = prompt_ablation(few, rows(20), draws=20)
    assert [row.variant for row in table.rows] == [
        "full prompt",
        "without Phase",
        "without Conditions",
    ]
    assert table.rows[2].difference["log_loss"].value != 0


def test_progress_reaches_the_end():
    seen = []
    prompt_ablation(quick(), rows(20), draws=20, on_progress=seen.append)
    assert seen[-1].done == seen[-1].total == 9 * 20


def test_rows_without_a_label_are_an_error():
    data = rows(20)
    with pytest.raises(EmptyClassError, match="no row with label 'failure'"):
        prompt_ablation(quick(), data.take([i for i in range(20) if data.labels[i] == "success"]))
