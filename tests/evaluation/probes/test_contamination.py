"""Contamination probes: what each table holds, and that it says what it cannot show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sklearn.metrics import log_loss

from llm4top.benchmark.language_models import few_shot
from llm4top.errors import EmptyClassError, EvaluationError
from llm4top.evaluation.probes.contamination import contamination_probes
from llm4top.evaluation.probes.masking import mask_names
from llm4top.prompts.prompt import PromptSpec
from tests.evaluation.asking_kit import LABELS, forecaster, quick, rows, tiny_base, trial


def probes(data, model=None, **more):
    return contamination_probes(model or quick(), data, draws=50, **more)


def by_name(table):
    return {row.variant: row for row in table.rows}


@pytest.fixture(scope="module")
def tables():
    return probes(rows(), forecaster(), cutoff="2006-12")


def test_the_three_tables(tables):
    assert [table.title for table in tables] == [
        "Contamination: names masked and unmasked",
        "Contamination: score by start year",
        "Contamination: recall from titles or names alone",
    ]
    assert {(table.forecaster, table.check) for table in tables} == {("tiny", "valid")}
    assert all("not calibrated" in table.reading for table in tables)


def test_masked_against_unmasked(tables):
    found = by_name(tables[0])
    assert list(found) == [
        "full prompt",
        "identifiers masked",
        "drug names masked",
        "sponsor names masked",
        "all of these masked",
    ]
    assert {row.n for row in found.values()} == {60}
    assert found["drug names masked"].note == "60 of 60 prompts changed."
    data = rows()
    p = forecaster().predict_proba([mask_names(t, ["drugs"]) for t in data.trials])
    # Equal prompts are answered once, so their ranks tie: the loss is what can be compared.
    loss = log_loss(list(data.label_indices), p)
    figure, apart = (
        getattr(found["drug names masked"], kind)["log_loss"] for kind in ("figures", "difference")
    )
    assert figure.value == pytest.approx(loss, abs=1e-4)
    full = found["full prompt"].figures["log_loss"].value
    assert apart.value == pytest.approx(figure.value - full)
    assert set(found["sponsor names masked"].difference) == {"roc_auc", "log_loss", "brier"}
    assert "does not tell which" in tables[0].reading


def test_where_nothing_is_there_to_mask_the_row_says_so():
    data = rows(30)
    bare = [replace(t, collaborators=(), brief_title=None) for t in data.trials]
    row = by_name(probes(replace(data, trials=bare))[0])["sponsor names masked"]
    assert row.note == "No prompt changed: these trials show nothing to mask."
    assert row.difference["roc_auc"].value == 0


def test_start_years_and_the_cut_off(tables):
    found = by_name(tables[1])
    spans = [name for name in found if name.startswith("started 2")]
    assert spans == ["started 2000 to 2003", "started 2004 to 2007", "started 2008 to 2011"]
    assert [found[name].n for name in spans] == [20, 20, 20]
    before, after = (found[f"started {w} the cut-off (2006-12)"] for w in ("by", "after"))
    assert (before.n, after.n) == (35, 25)
    assert before.difference == {}
    assert after.difference["brier"].value == pytest.approx(
        after.figures["brier"].value - before.figures["brier"].value
    )
    assert "25 trials started after the model's cut-off (2006-12)" in tables[1].reading
    assert "not paired" in tables[1].reading


def test_where_all_started_before_the_cut_off_nothing_can_be_shown():
    table = probes(rows(), cutoff="2024-10")[1]
    assert (
        "Every trial here started before the model's cut-off (2024-10): nothing in this data set "
        "can show that the model has not read the outcomes." in table.reading
    )
    assert not any("cut-off" in row.variant for row in table.rows)


def test_without_a_cut_off_or_dates_it_says_so():
    assert "The model's cut-off was not stated" in probes(rows(30))[1].reading
    undated = probes(rows(30, dates=False), cutoff="2024")[1]
    assert "The data set has no start dates: no comparison by year is possible." in undated.reading
    assert by_name(undated)["start year unknown"].n == 30
    assert by_name(undated)["start year unknown"].figures == {}


def test_too_few_rows_after_the_cut_off_are_not_measured():
    after = by_name(probes(rows(), cutoff="2010-01")[1])["started after the cut-off (2010-01)"]
    assert after.figures == {}
    assert after.note.startswith("too small to measure: 10 rows")


def test_a_coarse_cut_off_counts_its_own_year_as_before():
    found = by_name(probes(rows(), cutoff="2006")[1])
    assert found["started by the cut-off (2006)"].n == 35


def test_titles_and_names_alone(tables):
    found = by_name(tables[2])
    assert list(found) == ["full prompt", "title alone", "names of drugs and conditions alone"]
    data = rows()
    p = forecaster(sections=("brief_title",)).predict_proba(data.trials)
    loss = log_loss(list(data.label_indices), p)
    assert found["title alone"].figures["log_loss"].value == pytest.approx(loss, abs=1e-4)
    assert "could not be made" not in tables[2].reading


def test_without_titles_the_names_take_their_place():
    table = probes(rows(30, titled=False))[2]
    assert "These rows have no titles, so the probe by title could not be made" in table.reading
    assert list(by_name(table)) == ["full prompt", "names of drugs and conditions alone"]


def test_titles_of_some_rows_only_are_measured_on_those():
    data = rows(60)
    some = [replace(t, brief_title=None) if i < 20 else t for i, t in enumerate(data.trials)]
    row = by_name(probes(replace(data, trials=some))[2])["title alone"]
    assert row.n == 40
    assert row.note.startswith("40 of 60 trials have one")
    few = [replace(t, brief_title=None) if i < 50 else t for i, t in enumerate(data.trials)]
    row = by_name(probes(replace(data, trials=few))[2])["title alone"]
    assert row.figures == {}
    assert row.note.startswith("too small to measure: 10 rows")


def test_sections_that_the_model_has_not_learnt_from_are_named():
    told = "The model's usual prompts do not have some of these sections."
    data = rows(30)
    assert told in probes(data, quick(sections=("phase", "criteria")))[2].reading
    shown = quick(sections=("brief_title", "conditions", "interventions"))
    assert told not in probes(data, shown)[2].reading


def test_examples_of_a_few_shot_model_keep_their_names():
    pool = [trial(i) for i in range(100, 110)]
    labels = [LABELS[i % 2] for i in range(10)]
    few = few_shot(tiny_base(), "outcome", pool, labels, shots=2, spec=PromptSpec(1500))
    assert "labelled examples in the prompts keep their names" in probes(rows(20), few)[0].reading


def test_the_same_seed_gives_the_same_tables(tables):
    again = probes(rows(), forecaster(), cutoff="2006-12")
    assert again == tables
    assert probes(rows(), limit=30, seed=1)[0].rows[0].n == 30


def test_progress_reaches_the_end():
    seen = []
    probes(rows(20), on_progress=seen.append)
    assert seen[-1].done == seen[-1].total == 7 * 20


@pytest.mark.parametrize("cutoff", ["soon", "2024-13", "24", "2024/10"])
def test_a_cut_off_that_is_no_date(cutoff):
    with pytest.raises(EvaluationError, match=r"is not a date\. Write it as 2025, 2025-04 or"):
        probes(rows(20), cutoff=cutoff)


def test_rows_without_a_label_are_an_error():
    data = rows(20)
    with pytest.raises(EmptyClassError, match="no row with label 'success'"):
        probes(data.take([i for i in range(20) if data.labels[i] == "failure"]))
