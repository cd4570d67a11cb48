"""Selection, thresholds and calibration have no way to a test split: by reading, and by trying."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import llm4top
from llm4top.data.scopes import newest_check
from llm4top.errors import ConfigError, SealedTestError
from llm4top.evaluation.evaluate import compare, evaluate
from llm4top.evaluation.ledger import TestLedger
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.threshold import choose_threshold, cross_fitted_decisions
from llm4top.registry.trial import Trial
from tests.evaluation.evaluate_kit import by_condition, invented, source

pytestmark = pytest.mark.slow

PACKAGE = Path(llm4top.__file__).parent
DATA = invented()

MAY_SPEAK_OF_TEST = {
    "evaluation/score_split.py",
    "evaluation/evaluate.py",
    "evaluation/ledger.py",
    "evaluation/mlflow_report.py",
    "evaluation/reports/table.py",
    "evaluation/threshold.py",
    "evaluation/reports/report.py",
    "evaluation/reports/checklist.py",
    "evaluation/reports/formatting.py",
    "evaluation/reports/published.py",
}
"""The modules of the room that may name the split "test": to measure or refuse it, or to say so."""


def strings(path):
    """Line and value of each string in the code.

    Left out are docstrings and what something is unequal to: ``!= "test"`` leaves test rows out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    docs |= {
        id(right)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for operator, right in zip(node.ops, node.comparators, strict=True)
        if isinstance(operator, ast.NotEq)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


class TestByReading:
    @pytest.mark.parametrize(
        "path", sorted((PACKAGE / "training").glob("*.py")), ids=lambda p: p.stem
    )
    def test_training_and_selection_never_name_the_test_split(self, path):
        assert [line for line, value in strings(path) if value == "test"] == []

    @pytest.mark.parametrize(
        "path", sorted((PACKAGE / "forecasters").glob("*.py")), ids=lambda p: p.stem
    )
    def test_forecasters_know_no_test_split(self, path):
        assert [line for line, value in strings(path) if value == "test"] == []

    @pytest.mark.parametrize(
        "path", sorted((PACKAGE / "evaluation").glob("*.py")), ids=lambda p: p.stem
    )
    def test_few_modules_of_the_evaluation_name_it(self, path):
        named = [line for line, value in strings(path) if value == "test"]
        assert not named or f"evaluation/{path.name}" in MAY_SPEAK_OF_TEST

    def test_test_rows_are_scored_in_one_place_behind_the_look(self):
        """Each `.logits(` of the room is in `_raw`, which calls `before_test` first.

        But for one: what parts add is measured on logits that its caller made, which a pool
        averages, in a module that knows no data set.
        """
        room = PACKAGE / "evaluation"
        found = set()
        for path in sorted(room.rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(function, ast.FunctionDef):
                    found |= {
                        (path.relative_to(room).as_posix(), node.lineno, ast.unparse(node))
                        for node in ast.walk(function)
                        if isinstance(node, ast.Call)
                        and isinstance(node.func, ast.Attribute)
                        and node.func.attr == "logits"
                    }
        assert [(path, call) for path, _, call in sorted(found)] == [
            ("metrics/ablation.py", "pool.logits([arrays[name] for name in names])"),
            ("score_split.py", "forecaster.logits(rows.trials, on_progress=on_progress)"),
        ]
        ablation = ast.parse((room / "metrics/ablation.py").read_text(encoding="utf-8"))
        imported = {n.module for n in ast.walk(ablation) if isinstance(n, ast.ImportFrom)}
        assert not any(name.startswith("llm4top.data") for name in imported if name)
        raw = next(
            node
            for node in ast.walk(ast.parse((PACKAGE / "evaluation/score_split.py").read_text()))
            if isinstance(node, ast.FunctionDef) and node.name == "_raw"
        )
        calls = [
            n.func.attr
            for n in ast.walk(raw)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
        ]
        assert "before_test" in calls
        assert "logits" in calls


def scores_of(split):
    rows = DATA.select(split)
    return Scores(
        "mine",
        split,
        rows.task.labels,
        by_condition(rows.trials),
        np.array(rows.label_indices),
        rows.nct_ids,
    )


class TestByTrying:
    @pytest.mark.parametrize("choose", [choose_threshold, cross_fitted_decisions])
    @pytest.mark.parametrize("metric", ["f1", "mcc"])
    def test_no_threshold_is_chosen_on_test_scores(self, choose, metric):
        with pytest.raises(SealedTestError) as caught:
            choose(scores_of("test"), metric=metric)
        assert str(caught.value) == (
            "mine, test split: a threshold is never chosen on a test split. Choose it on the "
            "validation split and decide by it here."
        )
        choose(scores_of("valid"), metric=metric)

    def test_test_scores_stay_test_scores(self):
        with pytest.raises(SealedTestError):
            choose_threshold(scores_of("test").take(range(40)))

    def test_the_check_by_time_has_no_test_row(self):
        test = set(DATA.select("test").nct_ids)
        check = newest_check(DATA)
        assert not test & set(check.nct_ids)
        assert "test" not in check.splits

    @pytest.mark.parametrize("field", ["train_split", "valid_split"])
    def test_a_run_cannot_be_told_to_look(self, field, tmp_path):
        from llm4top.training.config import make_config

        with pytest.raises(ConfigError, match=field):
            make_config(None, {"data": tmp_path, "base": "b", "out": tmp_path, field: "test"})


class TouchedError(AssertionError):
    """A test row was asked for."""


class Sealed(tuple):
    """Trials of which those of the test split cannot be taken out."""

    sealed: frozenset[int]

    def __getitem__(self, index):
        if isinstance(index, int) and index in self.sealed:
            raise TouchedError(index)
        return super().__getitem__(index)

    def __iter__(self):
        raise TouchedError("all")


def sealed(data):
    """The data set with trials that raise when a test row is touched; its hash is known."""
    trials = Sealed(data.trials)
    trials.sealed = frozenset(i for i, split in enumerate(data.splits) if split == "test")
    made = replace(data, trials=trials)
    made.__dict__["sha256"] = data.sha256  # the identity of all rows is no look at them
    return made


class TestValidationTouchesNoTestRow:
    def test_the_seal_holds(self):
        with pytest.raises(TouchedError):
            sealed(DATA).select("test")

    def test_evaluate_and_compare(self, tmp_path):
        plain = evaluate(source(), DATA, draws=100)
        assert evaluate(source(), sealed(DATA), draws=100).tables == plain.tables
        compare([source(), source(name="other")], sealed(DATA), draws=100)
        ledger = TestLedger(tmp_path / "ledger")
        with pytest.raises(TouchedError):
            evaluate(source(), sealed(DATA), split="test", ledger=ledger, draws=100)

    def test_other_test_rows_change_no_figure_on_validation(self):
        rows = [i for i, split in enumerate(DATA.splits) if split == "test"]
        labels, trials = list(DATA.labels), list(DATA.trials)
        for i in rows:
            labels[i] = "success" if labels[i] == "failure" else "failure"
            trials[i] = Trial(phase="Phase 3", conditions=("another",))
        other = replace(DATA, labels=tuple(labels), trials=tuple(trials))
        first, second = (evaluate(source(), data, draws=100) for data in (DATA, other))
        assert first.tables == second.tables
        assert first.slices == second.slices
        assert first.differences == second.differences


def test_training_decodes_no_test_trial(tmp_path, monkeypatch):
    """A whole run on a stored data set whose test trials cannot be decoded."""
    from llm4top.data import parquet
    from llm4top.testing import make_tiny_model
    from llm4top.training.config import make_config
    from llm4top.training.run import train

    data = invented(train=24, valid=30, test=10)
    trials = [
        replace(t, brief_title="SEALED") if split == "test" else t
        for t, split in zip(data.trials, data.splits, strict=True)
    ]
    replace(data, trials=tuple(trials)).save(tmp_path / "data")
    decode = parquet.decode_trial

    def guarded(text):
        if "SEALED" in text:
            raise TouchedError("a test trial was decoded")
        return decode(text)

    monkeypatch.setattr(parquet, "decode_trial", guarded)
    config = make_config(
        None,
        {
            "data": tmp_path / "data",
            "base": str(make_tiny_model(tmp_path / "tiny")),
            "out": tmp_path / "run",
            "preset": "quick",
            "device": "cpu",
            "max_tokens": 128,
            "lora_rank": 4,
            "lora_alpha": 8,
            "epochs": 1,
            "batch_size": 8,
            "accumulation": 1,
            "gradient_checkpointing": False,
        },
    )
    result = train(config)
    assert result.metrics["split"] == "valid"
    assert result.metrics["n"] == 30
