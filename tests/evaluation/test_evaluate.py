"""Evaluations and comparisons: what is measured, what stands beside, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import EmptyClassError, EvaluationError, ScoreError, SplitError, TooFewRowsError
from llm4top.evaluation.evaluate import compare, evaluate
from llm4top.evaluation.ledger import TestLedger
from llm4top.evaluation.metrics.metrics import measure
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.reports.report import DataFacts, Report
from llm4top.evaluation.score_split import CROSS_FITTED, IN_SAMPLE
from llm4top.evaluation.threshold import cross_fitted_decisions
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.calibration.calibrated import Calibrated
from llm4top.forecasters.calibration.methods import cross_calibrate, make_calibrator
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task
from tests.evaluation.evaluate_kit import by_condition, invented, source

pytestmark = pytest.mark.slow

ALWAYS, BASE, TFIDF = "Always success", "Base rate by phase", "TF-IDF + logistic regression"
RULE, ORACLE = "Leak oracle: registry status", "Leak oracle: TF-IDF + registry status"
DATA = invented()


@pytest.fixture
def ledger(tmp_path):
    return TestLedger(tmp_path / "ledger.jsonl")


def run(data=DATA, who=None, **kwargs):
    return evaluate(who or source(), data, draws=100, **kwargs)


@pytest.fixture(scope="module")
def on_valid():
    return run(reproduce="llm4top evaluate mine --data d --split valid", seed=4)


def row(report, forecaster, table=0):
    return next(r for r in report.tables[table].rows if r.forecaster == forecaster)


def constant(value):
    return lambda trials: np.tile([1 - value, value], (len(trials), 1))


class TestWhatStandsBeside:
    def test_the_trivial_ones_tfidf_and_the_oracle(self, on_valid):
        rows = on_valid.tables[0].rows
        assert [r.forecaster for r in rows] == ["mine", ALWAYS, BASE, TFIDF, RULE, ORACLE]
        assert [r.kind for r in rows] == [
            "language",
            "trivial",
            "trivial",
            "baseline",
            "cheating",
            "cheating",
        ]
        assert rows[1].figures["recall_at_half"].value == 1
        assert rows[3].learnt_from == "train split, 60 trials"
        assert "Cheating on purpose" in rows[4].note

    def test_no_status_no_oracle(self):
        bare = replace(DATA, statuses=(None,) * len(DATA))
        assert [r.forecaster for r in run(bare).tables[0].rows] == ["mine", ALWAYS, BASE, TFIDF]

    def test_no_training_rows_no_baselines(self):
        report = run(invented(train=0))
        assert [r.kind for r in report.tables[0].rows] == ["language", "cheating"]
        assert "no training rows with two labels" in report.notes[0]
        assert (
            row(report, "mine").figures["brier_skill"].value is None
            if ("brier_skill" in row(report, "mine").figures)
            else True
        )

    def test_a_name_that_is_taken_is_told_apart(self):
        rows = run(who=source(name=TFIDF)).tables[0].rows
        assert [r.forecaster for r in rows][:4] == [TFIDF, ALWAYS, BASE, f"{TFIDF} (fitted here)"]

    def test_skill_is_against_the_base_rate(self, on_valid):
        assert row(on_valid, BASE).figures["brier_skill"].value == pytest.approx(0)
        assert row(on_valid, "mine").figures["brier_skill"].value > 0


class TestOnValidation:
    def test_the_threshold_is_cross_fitted(self, on_valid):
        valid = DATA.select("valid")
        scores = Scores(
            "mine",
            "valid",
            valid.task.labels,
            by_condition(valid.trials),
            np.array(valid.label_indices),
            valid.nct_ids,
        )
        decisions = cross_fitted_decisions(scores, seed=4)
        expected = measure(scores, decisions=decisions, draws=100, seed=4)
        assert row(on_valid, "mine").figures["f1"] == expected.figures["f1"]

    def test_no_look_is_written_down(self, ledger):
        report = run(ledger=ledger)
        assert not ledger.path.exists()
        assert (report.looks, report.looks_note) == ((), "")

    @pytest.mark.parametrize("method", ["platt", "venn-abers"])
    @pytest.mark.parametrize("by_phase", [True, False])
    def test_a_calibration_fitted_on_these_rows_is_cross_fitted(self, method, by_phase):
        valid = DATA.select("valid")
        y = np.array(valid.label_indices)
        logits = np.log(by_condition(valid.trials))
        # A bundle of before there were phases is measured as it is.
        phases = [trial.phase for trial in valid.trials] if by_phase else None
        calibration = make_calibrator(method).fit(logits, y, phases)
        assert calibration.by_phase == by_phase
        mine = source(
            lambda trials: np.log(by_condition(trials)),
            calibration=calibration,
            data_sha256=DATA.sha256,
        )
        report = run(who=mine, seed=2)
        fitted = cross_calibrate(calibration, logits, y, phases, seed=2).probabilities
        expected = Scores("mine", "valid", valid.task.labels, fitted, y, valid.nct_ids)
        figures = measure(expected, draws=100, seed=2).figures
        assert row(report, "mine").figures["log_loss"] == figures["log_loss"]
        assert row(report, "mine").note == CROSS_FITTED
        assert "mine was made from this very data set." in report.notes

    def test_the_learning_part_and_its_phases_count_as_these_rows(self):
        from llm4top.data.scopes import scope
        from llm4top.evaluation.score_split import SplitScorer

        scorer = SplitScorer(DATA, "valid", lambda: None)
        learning = DATA.take([i for i, split in enumerate(DATA.splits) if split != "test"])
        for part in (DATA, learning, scope(DATA, "II"), scope(learning, "I")):
            assert scorer.made_from_this(source(data_sha256=part.sha256))
        assert not scorer.made_from_this(source(data_sha256=DATA.select("valid").sha256))
        assert not scorer.made_from_this(source())

    def test_as_many_rows_in_each_split_count_as_these_rows_too(self):
        from llm4top.evaluation.score_split import SplitScorer

        scorer = SplitScorer(DATA, "valid", lambda: None)

        def counts(**counts):
            made = source(data_sha256="f" * 64)
            return replace(made, data=made.data.model_copy(update={"counts": counts}))

        assert scorer.made_from_this(counts(train=60, valid=60))
        assert scorer.made_from_this(counts(train=40, valid=40))  # a phase
        assert not scorer.made_from_this(counts(train=60, valid=61))
        assert not scorer.made_from_this(counts(train=60))

    def test_on_other_data_the_calibration_is_measured_as_it_is(self):
        valid = DATA.select("valid")
        y = np.array(valid.label_indices)
        calibration = make_calibrator("platt").fit(np.log(by_condition(valid.trials)), y)
        mine = source(
            lambda trials: np.log(by_condition(trials)),
            calibration=calibration,
            data_sha256="f" * 64,
        )
        report = run(who=mine)
        said = calibration.predict(np.log(by_condition(valid.trials))).probabilities
        expected = Scores("mine", "valid", valid.task.labels, said, y, valid.nct_ids)
        assert row(report, "mine").figures["brier"] == measure(expected, draws=100).figures["brier"]
        assert row(report, "mine").note == ""
        assert any("made from another data set" in note for note in report.notes)

    def test_rows_that_it_has_learnt_from_are_counted(self):
        valid = DATA.select("valid").nct_ids
        learnt = TrainedOn.of(valid[:7], valid[7:10], data_sha256="b" * 64)
        report = run(who=source(data_sha256="b" * 64, learnt=learnt))
        assert (
            "mine was trained on 7 of the 60 rows measured here and tuned on 3: its figures "
            "are optimistic."
        ) in report.notes
        other = TrainedOn.of(["NCT1"], ["NCT2"], data_sha256="b" * 64)
        report = run(who=source(data_sha256="b" * 64, learnt=other))
        assert "mine was trained on none of the 60 rows measured here." in report.notes

    def test_a_model_that_learned_from_all_rows_is_not_judged_by_them(self):
        learnt = TrainedOn.of_dataset(DATA, fitted_on_all=True)
        report = run(who=source(data_sha256=DATA.sha256, learnt=learnt))
        assert row(report, "mine").note.startswith("In-sample: the model was fitted on these very")
        assert any("mine learned from all 60 rows measured here" in n for n in report.notes)

    def test_the_trials_that_it_was_tuned_on_count_as_these_rows_whatever_the_hash(self):
        from llm4top.evaluation.score_split import SplitScorer

        scorer = SplitScorer(DATA, "valid", lambda: None)
        valid = DATA.select("valid").nct_ids
        all_of_them = TrainedOn.of([], valid, data_sha256="b" * 64)
        assert scorer.made_from_this(source(data_sha256="b" * 64, learnt=all_of_them))
        some = TrainedOn.of([], valid[1:], data_sha256="b" * 64)
        assert not scorer.made_from_this(source(data_sha256=DATA.sha256, learnt=some))

    def test_too_few_rows_to_cross_fit_say_so(self):
        few = invented(train=40, valid=12, test=0, seed=3)
        calibration = make_calibrator("platt").fit(
            np.log(by_condition(DATA.select("valid").trials)),
            np.array(DATA.select("valid").label_indices),
        )
        mine = source(
            lambda trials: np.log(by_condition(trials)),
            calibration=calibration,
            data_sha256=few.sha256,
        )
        assert IN_SAMPLE in row(run(few, mine), "mine").note

    def test_one_row_of_a_label_decides_at_half(self):
        labels = ["success"] * 9 + ["failure"]
        few = make_dataset(
            [Trial(conditions=("hypertension",))] * 10,
            labels,
            [f"NCT9{i:07d}" for i in range(10)],
            ["valid"] * 10,
            task="outcome",
        )
        assert row(run(few), "mine").note.startswith("Decided at .5: no threshold could be chosen")


class TestOnTheTest:
    def test_the_threshold_comes_from_validation(self, ledger):
        """Validation rows score above .8 or below, test rows all below: none is decided for."""
        marked = {id(t) for t in DATA.select("test").trials}

        def score(trials):
            base = by_condition(trials)[:, 1]
            event = np.where([id(t) in marked for t in trials], base * 0.5, base)
            return np.stack([1 - event, event], axis=1)

        report = run(who=source(score), split="test", ledger=ledger)
        figures = row(report, "mine").figures
        assert figures["recall"].value == 0
        assert "Threshold 0." in row(report, "mine").note
        assert "chosen on the validation split" in row(report, "mine").note
        assert report.tables[0].check == "test"

    def test_validation_rows_that_it_learned_from_choose_no_threshold(self, ledger):
        learnt = TrainedOn.of_dataset(DATA, fitted_on_all=True)
        mine = source(data_sha256=DATA.sha256, learnt=learnt)
        report = run(who=mine, split="test", ledger=ledger)
        assert row(report, "mine").note == (
            "Decided at .5: no threshold could be chosen on validation rows (it has learned from "
            "them)."
        )

    def test_without_validation_rows_it_is_half(self, ledger):
        data = invented(valid=0)
        report = run(data, split="test", ledger=ledger)
        mine = row(report, "mine")
        assert mine.note == (
            "Decided at .5: no threshold could be chosen on validation rows (there is no "
            "validation split)."
        )
        assert mine.figures["f1"] == mine.figures["f1_at_half"]

    def test_looks_are_written_down_and_counted(self, ledger):
        first = run(split="test", ledger=ledger)
        second = compare(
            [source(), source(constant(0.4), name="flat")],
            DATA,
            split="test",
            ledger=ledger,
            draws=100,
        )
        assert [look.what for look in first.looks] == ["evaluate"]
        assert [look.what for look in second.looks] == ["evaluate", "compare"]
        assert second.looks[1].bundle == "mine-0123, flat-0123"
        assert second.looks[1].n == 60
        assert second.looks_note.startswith("2 looks at these test rows so far")
        assert second.summary[-1] == second.looks_note
        ledger.verify()

    def test_other_training_rows_are_the_same_test(self, ledger):
        run(split="test", ledger=ledger)
        fewer = DATA.take([i for i in range(len(DATA)) if i >= 30])
        assert len(run(fewer, split="test", ledger=ledger).looks) == 2

    def test_a_damaged_ledger_is_told_and_stops_nothing(self, ledger):
        run(split="test", ledger=ledger)
        ledger.path.write_text("scribble\n" + ledger.path.read_text())
        report = run(split="test", ledger=ledger)
        assert len(report.looks) == 2
        assert "The ledger is damaged from line 1 on" in report.looks_note
        assert ledger.path.read_text().startswith("scribble\n")

    def test_the_look_is_written_before_a_test_row_is_scored(self, ledger):
        test = {id(t) for t in DATA.select("test").trials}
        seen = []

        def score(trials):
            asked = sum(id(t) in test for t in trials)
            seen.append((asked, len(ledger.looks_of_all())))
            return by_condition(trials)

        ledger.looks_of_all = lambda: (  # type: ignore[attr-defined]
            ledger.path.read_text().splitlines() if ledger.path.exists() else []
        )
        run(who=source(score), split="test", ledger=ledger)
        assert seen == [(0, 0), (60, 1)]

    def test_what_is_refused_is_no_look(self, ledger):
        with pytest.raises(EvaluationError):
            run(who=source(task=invented(task="completion")), split="test", ledger=ledger)
        with pytest.raises(TooFewRowsError):
            run(invented(test=1), split="test", ledger=ledger)
        assert not ledger.path.exists()


class TestReport:
    def test_it_is_a_whole_report(self, on_valid):
        report = on_valid
        assert Report.model_validate_json(report.model_dump_json()) == report
        assert report.title == "mine on invented, validation split"
        assert report.reproduce == "llm4top evaluate mine --data d --split valid"
        assert (report.seed, report.draws, report.asked.event) == (4, 100, "success")
        assert report.settings == {"split": "valid", "forecasters": ["mine-0123"]}
        assert report.checklist
        facts = report.data[0]
        assert isinstance(facts, DataFacts)
        assert facts.sha256 == DATA.sha256
        assert facts.counts == DATA.counts()
        assert facts.time_span["valid"].endswith("6 without a start date")

    def test_versions_and_machine_name_nobody(self, on_valid):
        import getpass
        import platform

        assert {"llm4top", "python", "torch", "scikit-learn"} <= set(on_valid.versions)
        assert set(on_valid.machine) == {"cores", "memory", "device", "platform"}
        text = " ".join([*on_valid.versions.values(), *on_valid.machine.values()])
        assert platform.node() not in text
        assert "/" not in text
        assert getpass.getuser() not in text.split()

    def test_a_table_for_all_phases_and_for_each(self, on_valid):
        tables = on_valid.tables
        assert [t.phase for t in tables] == ["pooled", "I", "II"]
        assert [t.n for t in tables] == [60, 40, 40]
        assert [t.title for t in tables][:2] == [
            "All phases, validation split",
            "Phase I, validation split",
        ]
        assert {d.phase for d in on_valid.differences} == {"pooled", "I", "II"}
        assert [c.phase for c in on_valid.curves] == ["pooled", "I", "II"]

    def test_a_phase_that_is_too_small_has_no_table(self):
        trials = [
            replace(t, phase="Phase 3") if i % 11 == 0 else t for i, t in enumerate(DATA.trials)
        ]
        report = run(replace(DATA, trials=tuple(trials)))
        assert [t.phase for t in report.tables] == ["pooled", "I", "II"]
        assert any(
            note.startswith("Phase III has no table of its own: too small to measure: ")
            for note in report.notes
        )

    def test_a_single_phase_has_a_single_table(self):
        trials = tuple(replace(t, phase="Phase 2") for t in DATA.trials)
        assert [t.phase for t in run(replace(DATA, trials=trials)).tables] == ["II"]

    def test_slices_are_of_all_but_always(self, on_valid):
        names = {r.forecaster for r in on_valid.slices[0].rows}
        assert names == {"mine", BASE, TFIDF, RULE, ORACLE}
        assert {"phase", "start year", "sponsor class"} <= {r.by for r in on_valid.slices[0].rows}

    def test_published_results_stand_beside_top_rows_only(self, on_valid):
        assert on_valid.published == ()
        files = (("phase_I_valid.csv",),) * len(DATA)
        assert run(replace(DATA, files=files)).published

    def test_the_same_seed_gives_the_same_figures(self, on_valid):
        again = run(seed=4)
        assert again.tables == on_valid.tables
        assert again.differences == on_valid.differences
        assert again.slices == on_valid.slices
        assert run(seed=5).tables != on_valid.tables

    def test_progress_is_told(self):
        stages = []
        run(on_progress=lambda p: stages.append(p.stage))
        assert stages[0] == "Baselines"
        assert {"Measuring All phases", "Slices"} <= set(stages)

    def test_the_summary_has_figures_with_intervals(self, on_valid):
        text = "\n".join(on_valid.summary)
        assert text.startswith("Measured on 60 trials of the validation split: ")
        assert "mine: ROC-AUC ." in text
        assert f"{ALWAYS} (trivial): F1 at the chosen threshold ." in text
        assert f"{ORACLE}: cheating, it reads the outcome's status. ROC-AUC ." in text
        assert f"ROC-AUC, {TFIDF} minus mine: " in text


class TestMoreLabels:
    def test_three_labels(self):
        task = Task("why", "multiclass", "Why?", ("a", "b", "c"), ("A", "B", "C"))
        n = 120
        data = make_dataset(
            [Trial(phase="Phase 2", conditions=("abc"[i % 3] * 4,)) for i in range(n)],
            ["abc"[(i + (i % 7 == 0)) % 3] for i in range(n)],
            [f"NCT9{i:07d}" for i in range(n)],
            ["train" if i < 60 else "valid" for i in range(n)],
            task=task,
        )

        def score(trials):
            return np.array(
                [[0.6 if t.conditions[0][0] == c else 0.2 for c in "abc"] for t in trials]
            )

        report = run(data, source(score, task=data))
        assert report.curves == ()
        assert [r.forecaster for r in report.tables[0].rows] == [
            "mine",
            "Always the commonest label",
            BASE,
            TFIDF,
        ]
        assert "macro_f1" in report.tables[0].rows[0].figures
        assert report.asked.event is None


class TestCompare:
    def test_each_is_compared_with_the_first(self):
        report = compare(
            [source(), source(constant(0.4), name="flat")], DATA, draws=100, reproduce="x"
        )
        assert report.kind == "comparison"
        assert report.title == "mine and flat on invented, validation split"
        pairs = {(d.first, d.second) for d in report.differences if d.phase == "pooled"}
        assert pairs == {(name, "mine") for name in ("flat", ALWAYS, BASE, TFIDF)}
        text = "\n".join(report.summary)
        assert "ROC-AUC, flat minus mine: \N{MINUS SIGN}." in text
        assert "corrected for 4 comparisons; mine is better." in text

    def test_what_chance_explains_is_no_difference(self):
        def nearly(trials):
            event = by_condition(trials)[:, 1] ** 1.01
            return np.stack([1 - event, event], axis=1)

        report = compare([source(), source(nearly, name="twin")], DATA, draws=100)
        line = next(s for s in report.summary if s.startswith("ROC-AUC, twin minus mine"))
        assert line.endswith("no detectable difference (n = 60).")

    def test_one_alone_is_no_comparison(self):
        with pytest.raises(EvaluationError, match="a comparison needs two forecasters or more"):
            compare([source()], DATA)

    def test_only_one_is_in_memory_at_a_time(self):
        read = []

        def on_disk(name):
            made = source(name=name)
            model = made.model

            def load():
                assert not [one for one in opened if one.model is not None]
                read.append(name)
                return model

            return replace(made, model=None, read=load)

        opened = [on_disk("a"), on_disk("b"), on_disk("c")]
        compare(opened, DATA, draws=100)
        assert read == ["a", "b", "c"]


class NotAProbability:
    method, by_phase = "none", False

    def predict(self, logits, phases=None):
        del phases
        return Calibrated(np.asarray(logits), *np.zeros((2, len(logits))))


class TestRefusals:
    def test_a_trial_in_two_splits(self):
        with pytest.raises(SplitError) as caught:
            make_dataset(
                [Trial()] * 2,
                ["success"] * 2,
                ["NCT90000001"] * 2,
                ["train", "valid"],
                task="outcome",
            )
        assert "1 trials are in more than one split: NCT90000001" in str(caught.value)
        torn = replace(DATA, nct_ids=(DATA.nct_ids[60], *DATA.nct_ids[1:]))
        with pytest.raises(SplitError, match="are in more than one split: NCT90000060"):
            run(torn)

    @pytest.mark.parametrize("split", ["valid", "test"])
    def test_an_empty_class(self, split, ledger):
        labels = tuple(
            "success" if own == split else label
            for label, own in zip(DATA.labels, DATA.splits, strict=True)
        )
        with pytest.raises(EmptyClassError) as caught:
            run(replace(DATA, labels=labels), split=split, ledger=ledger)
        assert str(caught.value) == (
            f"invented, {split} split: no row with label 'failure'. Measure on a split, or a "
            "slice, that has every label."
        )

    @pytest.mark.parametrize("split", ["valid", "test"])
    def test_a_split_of_one_row(self, split, ledger):
        with pytest.raises(TooFewRowsError) as caught:
            run(invented(**{split: 1}), split=split, ledger=ledger)
        assert str(caught.value) == (
            f"invented, {split} split: 1 row; two or more are needed. Measure on a larger split."
        )

    def test_a_split_that_is_not_there(self, ledger):
        with pytest.raises(TooFewRowsError, match="there is no test split") as caught:
            run(invented(test=0), split="test", ledger=ledger)
        assert "It has train, valid." in str(caught.value)

    def test_scores_that_are_not_numbers(self):
        def score(trials):
            said = by_condition(trials)
            said[3] = np.nan
            return said

        with pytest.raises(ScoreError) as caught:
            run(who=source(score))
        assert str(caught.value) == (
            "mine, valid split: the score of NCT90000063 is not a finite number (1 of 60 rows). "
            "The model's weights are broken or its number type overflows: try float32."
        )

    def test_scores_that_are_no_probabilities(self):
        with pytest.raises(ScoreError, match="mine, valid split: the score of NCT90000060"):
            run(who=source(constant(1.2), calibration=NotAProbability()))

    def test_a_trial_twice_in_one_split(self):
        twice = DATA.take([*range(len(DATA)), len(DATA) - 1])
        with pytest.raises(ScoreError, match="NCT90000179 is there more than once"):
            run(twice, split="test")

    def test_training_rows_are_not_measured_on(self):
        with pytest.raises(EvaluationError, match="nothing is evaluated on 'train'"):
            run(split="train")

    def test_another_question(self):
        with pytest.raises(EvaluationError, match="it answers 'outcome'"):
            run(invented(task="completion"))


def test_a_base_rate_that_is_far_from_the_rows_own_share_is_told():
    from dataclasses import replace

    data = invented(seed=3)
    fewer = tuple(
        "failure" if split == "train" and i % 3 else label
        for i, (label, split) in enumerate(zip(data.labels, data.splits, strict=True))
    )
    skewed = replace(data, labels=fewer)
    notes = [note for note in run(skewed, source(task=skewed)).notes if "base rate" in note]
    assert any(note.startswith("All phases: ") for note in notes)
    assert all("of the training rows are success, and" in note for note in notes)
    even = replace(data, labels=tuple(data.labels))
    shares = [
        sum(label == "success" for label, s in zip(even.labels, even.splits, strict=True) if s == p)
        for p in ("train", "valid")
    ]
    told = any("All phases" in note for note in run(even).notes if "base rate" in note)
    assert told == (abs(shares[0] / 60 - shares[1] / 60) >= 0.05)
