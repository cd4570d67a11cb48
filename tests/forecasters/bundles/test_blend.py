"""Stacks as bundles: forecasts, reloading, export, tampering."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.baselines.store import save_baseline
from llm4top.forecasters.bundles.blend import stack_bundle
from llm4top.forecasters.bundles.card import render_card
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.read import confirm_reload, load_bundle
from llm4top.forecasters.bundles.store import export_bundle, import_bundle
from llm4top.forecasters.bundles.verify import read_manifest, verify_bundle
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.pool import fit_pool, log_probabilities
from llm4top.registry.trial import Record, RegistryOutcome, Source
from tests.forecasters.bundle_kit import GRADES, LABELS, TRIALS, make, vouch


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))


class Parts:
    """A bundle, a baseline and the pool of the two, as model selection leaves them."""

    def __init__(self, folder: Path, base: Path, method: str, baseline: str):
        self.made = make(base, method)
        self.bundle = folder / "alone"
        self.made.save(self.bundle)
        self.baseline = folder / "baseline"
        self.fitted = make_baseline(baseline).fit(TRIALS, np.array(LABELS))
        save_baseline(self.baseline, self.fitted, name=baseline)
        self.said = log_probabilities(self.fitted.predict_proba(TRIALS))
        self.pool = fit_pool({"language": self.made.logits, "baseline": self.said}, LABELS)
        self.logits = self.pool.logits([self.made.logits, self.said])
        self.calibration = make_calibrator("platt").fit(self.logits, LABELS)

    def stack(self, folder: Path, **changes):
        values = {"baseline": self.baseline, "pool": self.pool, "calibration": self.calibration}
        return stack_bundle(self.bundle, folder, **{**values, **changes})


@pytest.fixture(scope="module")
def parts(tiny_model_folder, tmp_path_factory):
    return Parts(tmp_path_factory.mktemp("parts"), tiny_model_folder, "lora", "tfidf")


@pytest.fixture(scope="module")
def stacked(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stacks") / "stacked"
    parts.stack(folder, name="stacked")
    return folder


def test_a_stack_forecasts_with_both(parts, stacked):
    loaded = load_bundle(stacked, device="cpu")
    assert loaded.identity.startswith("stacked-")
    assert loaded.answer_logits(TRIALS) == pytest.approx(parts.logits, abs=1e-5)
    expected = parts.calibration.predict(parts.logits)
    calibrated = loaded.calibrated(TRIALS)
    assert calibrated.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    assert calibrated.lower == pytest.approx(expected.lower, abs=1e-5)
    # The baseline knows these labels, so the stack differs from the model alone.
    alone = load_bundle(parts.bundle, device="cpu").forecaster.predict_proba(TRIALS)
    assert np.abs(softmax(parts.logits) - alone).max() > 0.1


def test_records_are_forecast_with_their_trials(parts, stacked):
    loaded = load_bundle(stacked, device="cpu")
    records = [
        Record(None, t, RegistryOutcome(status=""), (), Source("x.zip", f"{i}", "json", None, ""))
        for i, t in enumerate(TRIALS)
    ]
    forecasts = list(loaded.forecast(records))
    expected = parts.calibration.predict(parts.logits)
    assert [f.probability for f in forecasts] == pytest.approx(
        expected.probabilities[:, 1].tolist(), abs=1e-5
    )
    assert forecasts[0].bundle == loaded.identity


def test_reloading_is_confirmed_on_the_pooled_logits(parts, tmp_path):
    parts.stack(tmp_path / "s")
    loaded = confirm_reload(tmp_path / "s", TRIALS, parts.logits, parts.calibration, device="cpu")
    assert loaded.manifest.reload_check.max_difference < 1e-5
    assert verify_bundle(tmp_path / "s").ok
    with pytest.raises(BundleError, match="gives other probabilities"):
        confirm_reload(tmp_path / "s", TRIALS, parts.made.logits, parts.calibration, device="cpu")


def test_manifest_and_card_tell_of_the_stack(parts, stacked):
    manifest = read_manifest(stacked)
    assert manifest.stack.baseline == "TF-IDF + logistic regression"
    assert manifest.stack.weights == dict(
        zip(("language", "baseline"), parts.pool.weights, strict=True)
    )
    assert manifest.stack.n == len(TRIALS)
    assert manifest.calibration == "platt"
    assert "baseline/baseline.json" in manifest.files
    assert manifest.reload_check is None
    card = (stacked / "MODEL_CARD.md").read_text()
    assert "Stack: the model's log-odds are added to those of a baseline, TF-IDF" in card
    assert card == render_card(manifest)
    assert Manifest.from_json(manifest.to_json(), where="here") == manifest


def test_a_bundle_without_a_stack_says_nothing_of_it(parts):
    manifest = read_manifest(parts.bundle)
    assert manifest.stack is None
    assert '"stack"' not in manifest.to_json()
    assert "Stack:" not in render_card(manifest)


def test_a_stack_travels_as_one_file(parts, stacked, tmp_path):
    packed = export_bundle(stacked, tmp_path / "s.zip")
    stored = import_bundle(packed, name="travelled")
    loaded = load_bundle(stored.folder, device="cpu")
    assert loaded.answer_logits(TRIALS[:5]) == pytest.approx(parts.logits[:5], abs=1e-5)


@pytest.mark.parametrize("name", ["forest", "base-rate"])
def test_other_baselines_can_be_stacked(name, tiny_model_folder, tmp_path):
    parts = Parts(tmp_path, tiny_model_folder, "none", name)
    parts.stack(tmp_path / "s")
    loaded = load_bundle(tmp_path / "s", device="cpu")
    assert loaded.answer_logits(TRIALS) == pytest.approx(parts.logits, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["stack.json", "baseline/baseline.json", "baseline/weights.safetensors"]
)
def test_a_changed_file_is_found(name, stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert [c.name for c in verify_bundle(folder).problems] == [name]
    with pytest.raises(TamperedBundleError, match=r"has .* bytes where the manifest says"):
        load_bundle(folder, device="cpu")
    (folder / name).unlink()
    with pytest.raises(TamperedBundleError, match="is missing"):
        load_bundle(folder, device="cpu")


def test_a_pickle_among_the_baselines_files_is_refused(stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    (folder / "baseline" / "weights.safetensors").write_bytes(b"\x80\x04K\x01.")
    vouch(folder)
    with pytest.raises(UnsafeBundleError, match="is a pickle"):
        load_bundle(folder, device="cpu")
    (folder / "baseline" / "extra.pkl").write_bytes(b"x")
    with pytest.raises(UnsafeBundleError, match="can run code"):
        load_bundle(folder, device="cpu")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": ["a", "b"]}, "about other labels than the task"),
        ({"baseline_identity": "other-000000000000"}, "its baseline is another one"),
        ({"floor": 0.7}, "is wrong in 'floor'"),
        ({"more": 1}, "is wrong in 'more'"),
    ],
)
def test_a_stack_that_contradicts_itself_is_refused(changes, told, stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    values = json.loads((folder / "stack.json").read_text())
    (folder / "stack.json").write_text(json.dumps({**values, **changes}))
    vouch(folder)
    with pytest.raises(BundleError, match=told):
        load_bundle(folder, device="cpu")


def test_other_weights_than_the_manifest_says_are_refused(stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    values = json.loads((folder / "stack.json").read_text())
    values["pool"]["weights"] = [1.0, 0.0]
    (folder / "stack.json").write_text(json.dumps(values))
    vouch(folder)
    with pytest.raises(BundleError, match="has other weights than the manifest says"):
        load_bundle(folder, device="cpu")


def test_baseline_files_without_a_stack_are_extra(stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    values = json.loads((folder / "manifest.json").read_text())
    del values["stack"]
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"'baseline/.*' is extra"):
        load_bundle(folder, device="cpu")


def test_what_does_not_go_together_is_not_stacked(parts, stacked, tiny_model_folder, tmp_path):
    with pytest.raises(BundleError, match="the bundle is a stack already"):
        stack_bundle(
            stacked,
            tmp_path / "s",
            baseline=parts.baseline,
            pool=parts.pool,
            calibration=parts.calibration,
        )
    one = fit_pool({"language": parts.made.logits}, LABELS)
    with pytest.raises(BundleError, match="the pool is of language, not of language, baseline"):
        parts.stack(tmp_path / "s", pool=one)
    other = tmp_path / "other"
    fitted = make_baseline("base-rate", "completion").fit(TRIALS, np.array(LABELS))
    save_baseline(other, fitted, name="other")
    with pytest.raises(BundleError, match="the baseline answers 'completion', the bundle"):
        parts.stack(tmp_path / "s", baseline=other)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(BundleError, match="something else here already"):
        parts.stack(tmp_path / "taken")
    assert not (tmp_path / "s").exists()


def test_more_than_two_labels(tiny_model_folder, tmp_path):
    made = make(tiny_model_folder, "none", task=GRADES)
    made.save(tmp_path / "alone")
    y = np.array([i % 3 for i in range(len(TRIALS))])
    fitted = make_baseline("tfidf", GRADES).fit(TRIALS, y)
    save_baseline(tmp_path / "baseline", fitted, name="grades")
    said = log_probabilities(fitted.predict_proba(TRIALS))
    pool = fit_pool({"language": made.logits, "baseline": said}, y)
    logits = pool.logits([made.logits, said])
    stack_bundle(
        tmp_path / "alone",
        tmp_path / "s",
        baseline=tmp_path / "baseline",
        pool=pool,
        calibration=make_calibrator("none"),
    )
    loaded = load_bundle(tmp_path / "s", device="cpu")
    assert loaded.predict_proba(TRIALS) == pytest.approx(softmax(logits), abs=1e-5)
