import ast
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_predict

import llm4top
from llm4top.data.dataset import load_dataset, make_dataset
from llm4top.data.parquet import ContentHash, batch_rows
from llm4top.errors import DatasetError, SplitError
from llm4top.prompts.sections import trial_sections
from llm4top.registry.trial import TRIAL_FIELDS, Arm, Intervention, Outcome, Trial
from llm4top.tasks.builtin import OUTCOME

FULL = Trial(
    phase="Phase 2",
    brief_title="A “quoted” title — µg ≥ 3",
    conditions=("asthma", "cough"),
    interventions=(Intervention("compound", "Drug", "twice daily", ("Experimental",)),),
    arms=(Arm("one", "Experimental"),),
    primary_outcomes=(Outcome("FEV1", "12 weeks"),),
    criteria="Inclusion:\n- adults",
    healthy_volunteers=False,
    planned_enrolment=120,
)


def small(**changes):
    values = {
        "trials": [FULL, Trial(brief_title="second"), Trial(phase="Phase 1")],
        "labels": ["success", "failure", "success"],
        "nct_ids": ["NCT1", "NCT2", "NCT3"],
        "splits": ["train", "train", "valid"],
        "task": "outcome",
        "start_dates": ["2001-05", None, "2003-01-02"],
        "completion_dates": ["2002-05-06", None, "2004"],
        "statuses": ["Completed", "Terminated", None],
        "why_stopped": [None, "too few came forward", None],
    }
    return make_dataset(**{**values, **changes})


def test_what_is_saved_is_read_back(tmp_path):
    made = small()
    card = made.save(tmp_path / "set")
    loaded = load_dataset(tmp_path / "set")
    assert list(loaded.trials) == list(made.trials)
    assert loaded.trials[0] == FULL
    assert loaded.trials[-1] == Trial(phase="Phase 1")
    assert loaded.trials[1:] == made.trials[1:]
    names = ("labels", "nct_ids", "splits", "start_dates", "first_submitted", "files")
    for name in (*names, "completion_dates"):
        assert getattr(loaded, name) == getattr(made, name)
    assert loaded.statuses == ("Completed", "Terminated", None)
    assert loaded.why_stopped == (None, "too few came forward", None)
    assert loaded.sources == made.sources
    assert loaded.task == OUTCOME
    assert loaded.card == card == made.card
    assert loaded.sha256 == made.sha256 == card.sha256
    with pytest.raises(IndexError, match="no trial 3 among 3"):
        loaded.trials[3]


LABEL_SIDE = {"statuses", "why_stopped"}
WITHOUT_LABEL_SIDE = ("prompts", "forecasters", "training")


def test_the_label_side_reaches_no_trial_and_no_prompt(tmp_path):
    why = ["sponsor ran out of exemplamab"] * 3
    made = small(statuses=["Terminated"] * 3, why_stopped=why)
    made.save(tmp_path / "set")
    loaded = load_dataset(tmp_path / "set")
    plain = small(statuses=None, why_stopped=None)
    for told, untold in zip(loaded.trials, plain.trials, strict=True):
        assert told == untold
        assert trial_sections(told) == trial_sections(untold)
    assert not {"status", "statuses", "why_stopped", "why_stop"} & set(TRIAL_FIELDS)
    with pytest.raises(TypeError, match="why_stopped"):
        Trial.from_dict({"why_stopped": why[0]})


@pytest.mark.parametrize("room", WITHOUT_LABEL_SIDE)
def test_the_rooms_that_show_trials_to_a_model_never_name_the_label_side(room):
    for path in (Path(llm4top.__file__).parent / room).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not named & LABEL_SIDE, path


def test_selecting_a_split():
    chosen = small().select("train")
    assert len(chosen) == 2
    assert chosen.nct_ids == ("NCT1", "NCT2")
    assert chosen.label_indices == (1, 0)
    assert len(small().select("test")) == 0
    with pytest.raises(
        DatasetError, match=r"'dev' is not a split. Splits are: train, valid, test."
    ):
        small().select("dev")


def test_selecting_from_disk_decodes_nothing_else(tmp_path):
    small().save(tmp_path / "set")
    chosen = load_dataset(tmp_path / "set").select("valid")
    assert list(chosen.trials) == [Trial(phase="Phase 1")]
    assert chosen.sha256 == small().select("valid").sha256


def test_counts():
    assert small().counts() == {
        "train": {"failure": 1, "success": 1},
        "valid": {"failure": 0, "success": 1},
    }


def test_the_hash_does_not_depend_on_the_order_of_rows():
    made = small()
    assert made.take([2, 0, 1]).sha256 == made.sha256
    assert made.take([0, 1]).sha256 != made.sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["success", "success", "success"]},
        {"splits": ["train", "valid", "valid"]},
        {"nct_ids": ["NCT1", "NCT2", "NCT4"]},
        {"trials": [FULL, Trial(brief_title="Second"), Trial(phase="Phase 1")]},
        {"start_dates": [None, None, None]},
        {"statuses": ["Completed", "Withdrawn", None]},
        {"why_stopped": None},
        {"task": "completion", "labels": ["stopped", "stopped", "completed"]},
    ],
)
def test_whatever_counts_changes_the_hash(changes):
    assert small(**changes).sha256 != small().sha256


def test_a_part_that_is_saved_has_a_card_of_its_own(tmp_path):
    card = small().select("train").save(tmp_path / "part")
    assert card.rows == 2
    assert load_dataset(tmp_path / "part").card.balance == {"train": {"failure": 1, "success": 1}}


def test_columns_can_be_queried_without_reading_trials(tmp_path):
    small().save(tmp_path / "set")
    table = pq.read_table(tmp_path / "set" / "trials.parquet", columns=["phase", "label"])
    assert table.column("phase").to_pylist() == ["Phase 2", None, "Phase 1"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labels": ["success"]}, DatasetError, "columns of the data set differ in length"),
        ({"labels": ["a", "b", "a"]}, DatasetError, "'a', 'b': no label of task 'outcome'"),
        ({"statuses": ["Completed"]}, DatasetError, "columns of the data set differ in length"),
        ({"splits": ["train", "dev", "dev"]}, DatasetError, "'dev': no split"),
        ({"nct_ids": ["NCT1", "NCT2", "NCT1"]}, SplitError, "1 trials are in more than one sp"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes)


def test_a_folder_that_is_taken_is_left_alone(tmp_path):
    folder = tmp_path / "set"
    small().save(folder)
    with pytest.raises(DatasetError, match=r"already holds a data set. Choose another folder"):
        small().save(folder)
    small().select("train").save(folder, overwrite=True)
    assert len(load_dataset(folder)) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["set"]

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(DatasetError, match="exists and is not a data set"):
        small().save(tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    made = small()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("llm4top.data.dataset.described", fail)
    with pytest.raises(DatasetError, match=r"set: cannot be written: disk full. Check the disk"):
        made.save(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_overwrite_leaves_the_old_one(tmp_path, monkeypatch):
    made = small()
    made.save(tmp_path / "set")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("llm4top.data.dataset.described", fail)
    with pytest.raises(DatasetError, match=r"set: cannot be written: disk full. Check the disk"):
        made.select("train").save(tmp_path / "set", overwrite=True)
    assert len(load_dataset(tmp_path / "set")) == 3


def edit_card(folder, **changes):
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_column(folder, name, values):
    path = folder / "trials.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index(name)
    field = table.schema.field(index)
    pq.write_table(table.set_column(index, field, pa.array(values, field.type)), path)


def damage_rows(folder):
    replace_column(folder, "label", ["failure", "success", "success"])


def other_rows(folder):
    small(labels=["failure", "failure", "success"]).save(folder.parent / "other")
    (folder.parent / "other" / "trials.parquet").replace(folder / "trials.parquet")


def add_label_side(folder):
    replace_column(folder, "trial", ['{"why_stopped":"slow accrual"}'] * 3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "card.json").unlink(), "is not a data set: it has no card.json"),
        (lambda f: (f / "trials.parquet").unlink(), "is not a data set: it has no trials.parquet"),
        (lambda f: (f / "card.json").write_text("{"), r"card\.json: the card is not JSON"),
        (lambda f: (f / "card.json").write_text("[]"), "the card is not a JSON object"),
        (
            lambda f: edit_card(f, schema_version=1),
            "the card has schema version 1; this LLM4TOP reads version 2",
        ),
        (lambda f: edit_card(f, rows="many"), "the card is wrong in 'rows'"),
        (lambda f: edit_card(f, task={"name": "x"}), "cannot be read"),
        (lambda f: (f / "trials.parquet").write_bytes(b"PAR1"), "cannot be read"),
        (damage_rows, "do not match the hash on its card"),
        (other_rows, "do not match the hash on its card"),
        (add_label_side, "do not match the hash on its card"),
    ],
)
def test_a_damaged_data_set_is_refused(tmp_path, damage, message):
    small().save(tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(tmp_path / "set")
    assert "llm4top ingest" in str(caught.value)


def test_a_trial_with_more_than_a_trial_holds_is_refused_even_with_a_matching_hash(tmp_path):
    folder = tmp_path / "set"
    small().save(folder)
    add_label_side(folder)
    table = pq.read_table(folder / "trials.parquet")
    content = ContentHash(OUTCOME.to_dict())
    for batch in table.to_batches():
        for row in batch_rows(batch):
            content.add(row)
    edit_card(folder, sha256=content.hexdigest())
    with pytest.raises(DatasetError, match=r"a stored trial is not one: .*why_stopped"):
        load_dataset(folder).trials[0]


def test_scikit_learn_reads_trials_from_disk(tmp_path):
    trials = [Trial(brief_title=str(n)) for n in range(12)]
    labels = ["success", "failure"] * 6
    ids = [f"NCT{n}" for n in range(12)]
    made = make_dataset(trials, labels, ids, ["train"] * 12, task="outcome")
    made.save(tmp_path / "set")
    loaded = load_dataset(tmp_path / "set")
    seen = cross_val_predict(
        DummyClassifier(), loaded.trials, loaded.label_indices, cv=3, method="predict_proba"
    )
    assert seen.shape == (12, 2)


@pytest.mark.slow
def test_thousands_of_rows_are_kept_in_their_order(tmp_path):
    text = "Adults who have given written informed consent. " * 20
    trials = [Trial(phase="Phase 2", brief_title=str(n), criteria=text) for n in range(5_000)]
    made = make_dataset(
        trials,
        ["success", "failure"] * 2_500,
        [f"NCT{n:08d}" for n in range(5_000)],
        ["train"] * 4_000 + ["valid"] * 1_000,
        task="outcome",
    )
    made.save(tmp_path / "set")
    loaded = load_dataset(tmp_path / "set")
    assert loaded.sha256 == made.sha256
    assert loaded.select("valid").trials[0].brief_title == "4000"


def test_a_data_set_prints_as_one_line():
    assert repr(small()) == "<Dataset 'dataset', task 'outcome': train 2, valid 1>"


def test_a_data_set_from_before_there_were_completion_dates_is_read(tmp_path):
    small().save(tmp_path / "set")
    file = tmp_path / "set" / "trials.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["completion_date"]), file)
    assert load_dataset(tmp_path / "set").completion_dates == (None, None, None)
