"""A bundle calibrated again: what changes, what may not, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4top.data.dataset import Dataset
from llm4top.errors import BundleError, CalibrationError
from llm4top.forecasters.bundles.manifest import BundleFacts, DataEntry
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import verify_bundle
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.prompts.prompt import PromptSpec
from llm4top.training.recalibrate import recalibrate
from tests.training.conftest import invented_dataset

NEW = {"calibration.json", "learnt_from.json", "MODEL_CARD.md"}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return invented_dataset()


@pytest.fixture
def bundle(tiny_model_folder: Path, dataset: Dataset, tmp_path: Path) -> Path:
    """An untuned model without a calibration, made from the data set."""
    base = load_base(tiny_model_folder, device="cpu")
    save_bundle(
        tmp_path / "old",
        name="old",
        forecaster=LanguageForecaster.from_model(base, spec=PromptSpec(max_tokens=192)),
        calibration=make_calibrator("none"),
        facts=BundleFacts(
            data=DataEntry(name="data", sha256="c" * 64, counts={"train": 48, "valid": 40}),
        ),
        carry_base=True,
    )
    return tmp_path / "old"


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def again(bundle: Path, dataset: Dataset, out: Path, **options: Any) -> Any:
    return recalibrate(bundle, dataset, out, method="platt", device="cpu", **options)


def test_only_the_calibration_its_figures_and_the_known_trials_are_new(
    bundle: Path, dataset: Dataset, tmp_path: Path
) -> None:
    before = hashes(bundle)
    done = again(bundle, dataset, tmp_path / "new")
    after = hashes(tmp_path / "new")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == NEW | {"manifest.json"}
    assert hashes(bundle) == before
    assert verify_bundle(tmp_path / "new").ok
    assert done.calibration.by_phase
    valid = dataset.select("valid")
    figures = done.manifest.evaluations[0]
    assert (figures.split, figures.n, set(figures.phases)) == ("valid", len(valid), {"all"})
    assert "Calibrated again on" in figures.note
    assert done.manifest.reload_check.n == min(32, len(valid))


def test_a_bundle_may_be_exchanged_in_its_own_place(bundle: Path, dataset: Dataset) -> None:
    done = again(bundle, dataset, bundle)
    loaded = load_bundle(bundle, device="cpu")
    assert loaded.identity == done.identity
    trials = dataset.select("valid").trials
    expected = loaded.calibration.predict(
        loaded.logits(trials), [trial.phase for trial in trials]
    ).probabilities
    np.testing.assert_allclose(loaded.predict_proba(trials), expected, atol=1e-6)


def test_the_trials_it_has_learnt_from_are_known_then(bundle: Path, dataset: Dataset) -> None:
    assert load_bundle(bundle, device="cpu").trained_on_part(dataset.nct_ids[0]) is None
    done = again(bundle, dataset, bundle)
    for split, part in (("train", "train"), ("valid", "valid"), ("test", None)):
        assert {done.trained_on_part(i) for i in dataset.select(split).nct_ids} == {part}


def test_a_second_calibration_on_other_trials_keeps_those_it_knew(
    bundle: Path, dataset: Dataset
) -> None:
    again(bundle, dataset, bundle)
    other = invented_dataset(train=30, valid=70)  # its valid rows begin among the train rows
    with pytest.raises(CalibrationError, match="18 of the validation trials were used"):
        again(bundle, other, bundle)
    later = dataset.take([i for i, s in enumerate(dataset.splits) if s != "train" or i < 40])
    done = again(bundle, later, bundle)
    assert {done.trained_on_part(i) for i in dataset.select("train").nct_ids} == {"train"}


def test_another_question_is_refused(bundle: Path, dataset: Dataset) -> None:
    from dataclasses import replace

    from llm4top.tasks.builtin import get_task

    task = get_task("completion")
    names = dict(zip(dataset.task.labels, task.labels, strict=True))
    other = replace(dataset, task=task, labels=tuple(names[label] for label in dataset.labels))
    with pytest.raises(BundleError, match="answers 'outcome', and the data set asks 'completion'"):
        again(bundle, other, bundle)


def test_a_baseline_is_calibrated_again_and_a_blend_is_not(
    dataset: Dataset, tmp_path: Path
) -> None:
    from llm4top.errors import BundleError
    from llm4top.forecasters.baselines.catalog import make_baseline
    from llm4top.forecasters.blend import Blend
    from llm4top.forecasters.forecaster import as_forecaster

    train, valid = dataset.select("train"), dataset.select("valid")
    fitted = make_baseline("tfidf").fit(train.trials, train.labels)
    fitted.save(tmp_path / "tfidf")
    done = recalibrate(tmp_path / "tfidf", dataset, tmp_path / "new", method="platt")
    assert (done.kind, done.calibration.method) == ("baseline", "platt")
    assert done.manifest is not None
    assert done.manifest.evaluations[0].split == "valid"
    blend = Blend.fit({"tfidf": as_forecaster(fitted)}, valid.trials, valid.labels)
    as_forecaster(blend).save(tmp_path / "blend")
    with pytest.raises(BundleError, match="a blend cannot be calibrated again"):
        recalibrate(tmp_path / "blend", dataset, tmp_path / "again")
