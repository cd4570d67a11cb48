"""A forecaster of every kind is saved, loaded again, and forecasts records the same."""

import numpy as np
import pytest

from llm4top.errors import BundleError, CalibrationError
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.bundles.store import export_bundle, import_bundle, list_bundles
from llm4top.forecasters.bundles.verify import verify_bundle
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.load import load_forecaster, load_writer
from llm4top.registry.trial import Record, RegistryOutcome, Source
from tests.forecasters.kinds_kit import KINDS, TRAIN, VALID, fitted

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))


def record(trial, number):
    source = Source("a.xml", str(number), "legacy-xml", None, "0" * 64)
    return Record(f"NCT{number:08}", trial, RegistryOutcome(), (), source)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_saved_loaded_and_forecasts_records(name, tiny_model_folder, tmp_path):
    made = fitted(name, tiny_model_folder)
    saved = made.save(tmp_path / name, validation=VALID)
    assert saved.kind == made.kind == KINDS[name]
    assert (saved.calibration.method, saved.manifest.calibration) == ("venn-abers",) * 2
    check = saved.manifest.reload_check
    assert (check.n, check.max_difference <= check.tolerance) == (30, True)

    loaded = load_forecaster(tmp_path / name, device="cpu")
    before, after = saved.calibrated(VALID[0]), loaded.calibrated(VALID[0])
    for one, other in ((before.probabilities, after.probabilities), (before.lower, after.lower)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    if name not in ("always",):  # whose certain zeros the calibration lifts to its floor
        np.testing.assert_allclose(made.logits(VALID[0]), loaded.logits(VALID[0]), atol=1e-5)

    forecasts = list(loaded.forecast(record(t, n) for n, t in enumerate(VALID[0][:6])))
    for row, forecast in enumerate(forecasts):
        assert forecast.lower <= forecast.probability <= forecast.upper
        # A language model's batches are other ones here.
        assert forecast.probability == pytest.approx(after.probabilities[row, 1], abs=1e-4)
        assert forecast.bundle == loaded.identity
        assert not [w for w in forecast.warnings if "not calibrated" in w]
        assert (forecast.prompt_sha256 is None) is (loaded.language is None)
    if name != "language":
        assert forecasts[0].base_rate is not None


@pytest.mark.parametrize("name", ["tfidf", "xgboost", "baselines"])
def test_without_validation_trials_it_is_not_calibrated(name, tmp_path):
    saved = fitted(name).save(tmp_path / name)
    assert saved.calibration.method == "none"
    (forecast,) = load_forecaster(tmp_path / name).forecast([record(VALID[0][0], 1)])
    assert (forecast.lower, forecast.upper) == (None, None)
    assert "not calibrated: the model's own probability" in forecast.warnings


@pytest.mark.parametrize("name", ["tfidf", "language-and-tfidf"])
def test_it_is_verified_exported_imported_and_listed(name, tiny_model_folder, tmp_path):
    saved = fitted(name, tiny_model_folder).save(tmp_path / name, name="mine", validation=VALID)
    assert verify_bundle(tmp_path / name).ok
    stored = import_bundle(export_bundle(tmp_path / name, tmp_path / "mine.zip"))
    assert stored.identity == saved.identity
    assert ("mine", KINDS[name]) in [(b.name, b.manifest.kind) for b in list_bundles()]
    loaded = load_forecaster("mine", device="cpu")
    np.testing.assert_allclose(
        loaded.predict_proba(VALID[0]), saved.predict_proba(VALID[0]), atol=1e-12
    )


@pytest.mark.parametrize("name", KINDS)
def test_what_it_reads_is_known_without_its_weights(name, tiny_model_folder, tmp_path):
    saved = fitted(name, tiny_model_folder).save(tmp_path / name)
    writer = load_writer(tmp_path / name)
    prompt = writer.write(VALID[0][1])
    assert prompt == saved.writer.write(VALID[0][1])
    assert prompt.tokens_cut == 0
    read = {section.name for section in prompt.sections}
    if name == "tfidf":
        assert read == {"phase", "conditions", "icd_codes", "interventions", "criteria"}
    assert (name == "always") is (not read)


def test_codes_that_no_training_trial_had_are_not_missed(tmp_path):
    from dataclasses import replace

    bare = [replace(trial, icd_codes=()) for trial in TRAIN[0]]
    make_baseline("tfidf").fit(bare, TRAIN[1]).save(tmp_path / "bare")
    make_baseline("tfidf").fit(*TRAIN).save(tmp_path / "coded")
    trial = record(bare[0], 1)
    for name, missed in (("bare", False), ("coded", True)):
        (forecast,) = load_forecaster(tmp_path / name).forecast([trial])
        assert any("ICD-10 codes" in warning for warning in forecast.warnings) is missed


def test_too_few_validation_trials_are_refused_and_nothing_is_written(tmp_path):
    few = (VALID[0][:10], VALID[1][:10])
    with pytest.raises(CalibrationError, match="10 rows are too few"):
        fitted("tfidf").save(tmp_path / "b", validation=few)
    assert not (tmp_path / "b").exists()


def test_a_calibration_of_its_own_is_kept(tmp_path):
    from llm4top.forecasters.forecaster import as_forecaster

    model = make_baseline("tfidf").fit(*TRAIN)
    platt = make_calibrator("platt").fit(model.label_logits(VALID[0]), VALID[1])
    saved = as_forecaster(model, calibration=platt).save(tmp_path / "b")
    assert saved.calibration.method == "platt"


def test_a_bundle_of_another_question_is_refused(tmp_path):
    fitted("tfidf").save(tmp_path / "b")
    with pytest.raises(BundleError, match="it answers 'outcome'"):
        load_forecaster(tmp_path / "b", task="completion")
