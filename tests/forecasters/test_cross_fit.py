import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from llm4top.data.dataset import make_dataset
from llm4top.errors import TooFewRowsError
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.calibration.methods import cross_calibrate
from llm4top.forecasters.calibration.pool import FLOOR, log_probabilities
from llm4top.forecasters.calibration.venn_abers import VennAbersCalibrator
from llm4top.forecasters.cross_fit import (
    LearningRows,
    assign_folds,
    calibrate_out_of_fold,
    cross_fit,
)
from llm4top.registry.trial import Trial


class Memory(BaseEstimator):
    """Remembers every title and weight that it was fitted on; its logits tell what it knows."""

    def fit(self, X, y, sample_weight=None):
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        self.known_ = {
            trial.brief_title: weight * (2 * label - 1)
            for trial, label, weight in zip(X, y, weights, strict=True)
        }
        self.groups_ = {title.split()[0] for title in self.known_}
        return self

    def label_logits(self, trials):
        seen = [self.known_.get(trial.brief_title, 0.0) for trial in trials]
        group = [50.0 * (trial.brief_title.split()[0] in self.groups_) for trial in trials]
        return np.stack([np.zeros(len(trials)), np.add(seen, group)], axis=1)


def titled(text, phase=None):
    return Trial(brief_title=text, phase=phase)


def rows_of(groups, labels=None, phases=None, weights=None):
    labels = [i % 2 for i in range(len(groups))] if labels is None else labels
    phases = phases or [None] * len(groups)
    trials = [titled(f"{g} row {i}", phases[i]) for i, g in enumerate(groups)]
    return LearningRows(trials, np.array(labels), groups, weights)


SHAPES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 1), st.sampled_from(["Phase 2", "Phase 3", None])),
    min_size=5,
    max_size=40,
).filter(lambda rows: len({group for group, _, _ in rows}) >= 3)


@given(SHAPES, st.integers(0, 5), st.integers(2, 3))
def test_no_model_has_seen_the_row_it_judges_nor_its_group(shape, seed, folds):
    groups = [f"G{group}" for group, _, _ in shape]
    rows = rows_of(groups, [label for _, label, _ in shape], [phase for _, _, phase in shape])
    copies = [titled(f"{group} copy") for group in groups]
    extra = LearningRows(copies, rows.labels, groups).plus(rows_of(["E1", "E2"]))
    found = cross_fit(Memory(), rows, extra=extra, also={"copy": copies}, folds=folds, seed=seed)
    even = np.full(len(rows), np.log(0.5))
    assert found.logits[:, 1] == pytest.approx(even)
    assert found.also["copy"][:, 1] == pytest.approx(even)
    assert (
        found.folds.tolist()
        == assign_folds(
            groups,
            list(zip(rows.labels.tolist(), rows.phases, strict=True)),
            folds=folds,
            seed=seed,
        ).tolist()
    )


@given(SHAPES, st.randoms())
def test_folds_keep_groups_together_are_even_and_do_not_depend_on_the_order(shape, random):
    groups = [f"G{group}" for group, _, _ in shape]
    strata = [f"{group % 2}" for group, _, _ in shape]
    folds = assign_folds(groups, strata, folds=3, seed=1)
    fold_of = dict(zip(groups, folds.tolist(), strict=True))
    assert [fold_of[group] for group in groups] == folds.tolist()
    for stratum in (None, "0", "1"):
        of = {g for g, s in zip(groups, strata, strict=True) if stratum in (None, s)}
        sizes = np.bincount([fold_of[group] for group in of], minlength=3)
        assert sizes.max() - sizes.min() <= 1
    order = list(range(len(groups)))
    random.shuffle(order)
    again = assign_folds([groups[i] for i in order], [strata[i] for i in order], folds=3, seed=1)
    assert again.tolist() == [folds[i] for i in order]


def test_a_seed_draws_other_folds():
    groups = [f"G{i}" for i in range(40)]
    first, second = (assign_folds(groups, [0] * 40, seed=seed) for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_too_many_folds():
    with pytest.raises(TooFewRowsError, match=r"2 trials cannot be divided into 5 folds. Give a"):
        cross_fit(Memory(), rows_of(["A", "A", "B"]))


def test_a_function_gets_each_fold_and_its_progress_is_shown():
    rows = rows_of([f"G{i}" for i in range(10)], weights=np.arange(10.0))
    extra = rows_of(["E1"])
    folds, seen = [], []

    def fit(fold):
        folds.append(fold)
        return lambda trials: np.full((len(trials), 3), float(fold.number))

    found = cross_fit(fit, rows, extra=extra, seed=7, on_progress=lambda p: seen.append(p.done))
    assert found.logits[:, 2].tolist() == found.folds.tolist()
    assert seen == [0, 1, 2, 3, 4, 5]
    for fold in folds:
        others = np.flatnonzero(found.folds != fold.number)
        assert (fold.of, fold.seed, fold.indices.tolist()) == (5, 7, others.tolist())
        assert fold.learn.weights.tolist() == [*others.tolist(), 1.0]
        assert fold.learn.trials[-1] is extra.trials[0]


def test_weights_reach_the_estimator():
    rows = rows_of([f"G{i}" for i in range(6)])
    weights = []

    class Weighed(Memory):
        def fit(self, X, y, sample_weight=None):
            weights.append(sample_weight)
            return super().fit(X, y, sample_weight)

    cross_fit(Weighed(), rows, folds=2)
    heavy = LearningRows(rows.trials, rows.labels, rows.groups, np.full(6, 2.0))
    cross_fit(Weighed(), heavy, folds=2)
    assert weights[:2] == [None, None]
    assert [w.tolist() for w in weights[2:]] == [[2.0] * 3] * 2


def test_an_interrupted_call_goes_on_where_it_was(tmp_path):
    rows = rows_of([f"G{i}" for i in range(10)])
    fitted = []

    def fit(fold):
        fitted.append(fold.number)
        if fitted == [0, 1, 2]:
            raise KeyboardInterrupt
        return lambda trials: np.full((len(trials), 2), float(fold.number))

    with pytest.raises(KeyboardInterrupt):
        cross_fit(fit, rows, store=tmp_path, identity={"settings": 1})
    found = cross_fit(fit, rows, store=tmp_path, identity={"settings": 1})
    assert fitted == [0, 1, 2, 2, 3, 4]
    assert found.logits[:, 0].tolist() == found.folds.tolist()
    (tmp_path / "fold_3.safetensors").write_bytes(b"broken")
    cross_fit(fit, rows, store=tmp_path, identity={"settings": 1})
    assert fitted[6:] == [3]
    cross_fit(fit, rows, store=tmp_path, identity={"settings": 2})
    assert fitted[7:] == [0, 1, 2, 3, 4]
    changed = LearningRows(rows.trials, 1 - rows.labels, rows.groups)
    cross_fit(fit, changed, store=tmp_path, identity={"settings": 2})
    assert fitted[12:] == [0, 1, 2, 3, 4]


def test_rows_must_fit_together():
    with pytest.raises(ValueError, match="differ in length"):
        LearningRows([titled("A")], np.array([0, 1]), ["A"])
    with pytest.raises(ValueError, match="the variant 'thin' does not have one trial for each"):
        cross_fit(Memory(), rows_of(["A", "B"]), also={"thin": []}, folds=2)


def learning_set(n=60):
    labels = ["failure" if i % 3 else "success" for i in range(n)]
    phases = ["Phase 2" if i % 2 else "Phase 3" for i in range(n)]
    trials = [
        Trial(phase=phase, criteria=f"arm {label} {i % 7}")
        for i, (phase, label) in enumerate(zip(phases, labels, strict=True))
    ]
    ids = [f"NCT{i:08d}" for i in range(n)]
    return make_dataset(trials, labels, ids, ["train"] * n, task="outcome")


def test_the_calibration_is_that_of_a_loop_written_by_hand():
    data = learning_set()
    rows = LearningRows.of(data)
    found = cross_fit(make_baseline("tfidf"), rows, folds=4, seed=3)
    logits = np.zeros((len(rows), 2))
    for number in range(4):
        rest, held = np.flatnonzero(found.folds != number), np.flatnonzero(found.folds == number)
        fitted = make_baseline("tfidf").fit([data.trials[i] for i in rest], rows.labels[rest])
        logits[held] = log_probabilities(
            fitted.predict_proba([data.trials[i] for i in held]), floor=FLOOR
        )
    assert found.logits == pytest.approx(logits, abs=1e-12)
    phases = [trial.phase for trial in data.trials]
    expected = VennAbersCalibrator().fit(logits, rows.labels, phases)
    calibration = calibrate_out_of_fold(found, rows)
    assert calibration.to_dict() == expected.to_dict()
    assert calibration.to_dict()["n"] == len(rows)

    crossed = cross_calibrate(calibration, found.logits, rows.labels, phases, folds=found.folds)
    rest, held = np.flatnonzero(found.folds != 2), np.flatnonzero(found.folds == 2)
    fitted = VennAbersCalibrator().fit(logits[rest], rows.labels[rest], [phases[i] for i in rest])
    judged = fitted.predict(logits[held], [phases[i] for i in held])
    assert crossed.probabilities[held] == pytest.approx(judged.probabilities)
