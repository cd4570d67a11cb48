"""Blends as bundles: forecasts, reloading, export, tampering."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.read import confirm_reload, load_bundle
from llm4top.forecasters.bundles.store import export_bundle, import_bundle
from llm4top.forecasters.bundles.verify import read_manifest, verify_bundle
from llm4top.forecasters.bundles.write import render_card, save_bundle
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.pool import fit_pool, log_probabilities
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.registry.trial import Record, RegistryOutcome, Source
from llm4top.tasks.builtin import OUTCOME
from tests.forecasters.bundle_kit import GRADES, LABELS, TRIALS, facts, make, vouch


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
        self.fitted.save(self.baseline, name=baseline)
        logits = log_probabilities(self.fitted.predict_proba(TRIALS))
        self.sources = {"language": self.made.logits, "baseline": logits}
        self.pool = fit_pool(self.sources, LABELS)
        self.logits = self.pool.logits(list(self.sources.values()))
        self.calibration = make_calibrator("platt").fit(self.logits, LABELS)

    def blend(self, **changes):
        loaded = [load_bundle(p, device="cpu") for p in (self.bundle, self.baseline)]
        return Blend(**{"parts": tuple(loaded), "pool": self.pool, **changes})

    def stack(self, folder: Path, name: str = "blended", **changes):
        return save_bundle(
            folder,
            name=name,
            forecaster=self.blend(**changes),
            calibration=self.calibration,
            facts=facts(),
        )


@pytest.fixture(scope="module")
def parts(tiny_model_folder, tmp_path_factory):
    return Parts(tmp_path_factory.mktemp("parts"), tiny_model_folder, "lora", "tfidf")


@pytest.fixture(scope="module")
def stacked(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stacks") / "stacked"
    parts.stack(folder, "stacked")
    return folder


def test_a_stack_forecasts_with_both(parts, stacked):
    loaded = load_bundle(stacked, device="cpu")
    assert loaded.identity.startswith("stacked-")
    assert loaded.logits(TRIALS) == pytest.approx(parts.logits, abs=1e-5)
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


def test_manifest_and_card_describe_the_blend(parts, stacked):
    manifest = read_manifest(stacked)
    assert manifest.kind == "blend"
    assert [part.name for part in manifest.blend.parts] == ["language", "baseline"]
    assert [part.kind for part in manifest.blend.parts] == ["language", "baseline"]
    assert [part.label for part in manifest.blend.parts][1] == "TF-IDF + logistic regression"
    assert tuple(part.weight for part in manifest.blend.parts) == parts.pool.weights
    assert manifest.blend.n == len(TRIALS)
    assert manifest.calibration == "platt"
    assert "parts/baseline/manifest.json" in manifest.files
    assert manifest.reload_check is None
    card = (stacked / "MODEL_CARD.md").read_text()
    assert "- Part baseline: TF-IDF + logistic regression (tfidf-" in card
    assert f"fitted on {len(TRIALS)} validation trials" in card
    assert card == render_card(manifest)
    assert Manifest.from_json(manifest.to_json(), where="here") == manifest


def test_a_stack_travels_as_one_file(parts, stacked, tmp_path):
    packed = export_bundle(stacked, tmp_path / "s.zip")
    stored = import_bundle(packed, name="travelled")
    loaded = load_bundle(stored.folder, device="cpu")
    assert loaded.logits(TRIALS[:5]) == pytest.approx(parts.logits[:5], abs=1e-5)


@pytest.mark.parametrize("name", ["forest", "base-rate"])
def test_other_baselines_can_be_stacked(name, tiny_model_folder, tmp_path):
    parts = Parts(tmp_path, tiny_model_folder, "none", name)
    parts.stack(tmp_path / "s")
    loaded = load_bundle(tmp_path / "s", device="cpu")
    assert loaded.logits(TRIALS) == pytest.approx(parts.logits, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["blend.json", "parts/baseline/manifest.json", "parts/baseline/weights.safetensors"]
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
    (folder / "parts" / "baseline" / "weights.safetensors").write_bytes(b"\x80\x04K\x01.")
    vouch(folder)
    with pytest.raises(UnsafeBundleError, match="is a pickle"):
        load_bundle(folder, device="cpu")
    (folder / "parts" / "baseline" / "extra.pkl").write_bytes(b"x")
    with pytest.raises(UnsafeBundleError, match="can run code"):
        load_bundle(folder, device="cpu")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": ["a", "b"]}, "about other labels than the task"),
        ({"floor": 0.7}, "is wrong in 'floor'"),
        ({"more": 1}, "is wrong in 'more'"),
    ],
)
def test_a_stack_that_contradicts_itself_is_refused(changes, told, stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    values = json.loads((folder / "blend.json").read_text())
    (folder / "blend.json").write_text(json.dumps({**values, **changes}))
    vouch(folder)
    with pytest.raises(BundleError, match=told):
        load_bundle(folder, device="cpu")


def test_other_weights_than_the_manifest_says_are_refused(stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    values = json.loads((folder / "blend.json").read_text())
    values["pool"]["weights"] = [1.0, 0.0]
    (folder / "blend.json").write_text(json.dumps(values))
    vouch(folder)
    with pytest.raises(BundleError, match="has other weights than the manifest says"):
        load_bundle(folder, device="cpu")


def test_another_part_than_the_manifest_says_is_refused(stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    other = make_baseline("base-rate").fit(TRIALS, np.array(LABELS))
    shutil.rmtree(folder / "parts" / "baseline")
    other.save(folder / "parts" / "baseline", name="other")
    vouch(folder)
    with pytest.raises(BundleError, match="its part baseline is another one"):
        load_bundle(folder, device="cpu")


def test_files_of_a_part_that_is_not_listed_are_extra(stacked, tmp_path):
    folder = shutil.copytree(stacked, tmp_path / "b")
    values = json.loads((folder / "manifest.json").read_text())
    values["blend"]["parts"].pop()
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"'parts/baseline/.*' is extra"):
        load_bundle(folder, device="cpu")


def test_what_does_not_go_together_is_not_blended(parts, stacked, tmp_path):
    both = parts.blend().parts
    with pytest.raises(BundleError, match="a part of a blend is a blend itself"):
        parts.blend(parts=(both[0], load_bundle(stacked, device="cpu")))
    with pytest.raises(BundleError, match="the pool is of 1 forecasters, not 2"):
        parts.blend(pool=fit_pool({"language": parts.made.logits}, LABELS))
    with pytest.raises(BundleError, match="more than one language model"):
        parts.blend(parts=(both[0], both[0]))
    fitted = make_baseline("base-rate", "completion").fit(TRIALS, np.array(LABELS))
    with pytest.raises(BundleError, match="the parts answer completion and outcome"):
        parts.blend(parts=(both[0], as_forecaster(fitted)))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        parts.stack(tmp_path / "taken")


def test_equal_weights(tmp_path):
    parts = {name: make_baseline(name).fit(TRIALS, LABELS) for name in ("tfidf", "structured")}
    blend = Blend.equal(parts)
    logits = [log_probabilities(part.predict_proba(TRIALS)) for part in parts.values()]
    odds = np.mean([array[:, 1] - array[:, 0] for array in logits], axis=0)
    saved = blend.save(tmp_path / "b")
    np.testing.assert_allclose(saved.predict_proba(TRIALS)[:, 1], 1 / (1 + np.exp(-odds)))
    assert [part.weight for part in saved.manifest.blend.parts] == [0.5, 0.5]
    card = (tmp_path / "b" / "MODEL_CARD.md").read_text()
    assert "- The weights are equal: they were not fitted." in card
    assert "- Validation data fitted the calibration." in card


def test_more_than_two_labels(tiny_model_folder, tmp_path):
    made = make(tiny_model_folder, "none", task=GRADES)
    y = np.array([i % 3 for i in range(len(TRIALS))])
    fitted = make_baseline("tfidf", GRADES).fit(TRIALS, y)
    parts = {"language": as_forecaster(made.forecaster), "tfidf": as_forecaster(fitted)}
    blend = Blend.fit(parts, TRIALS, y)
    saved = as_forecaster(blend).save(tmp_path / "s")
    assert saved.predict_proba(TRIALS) == pytest.approx(
        softmax(blend.label_logits(TRIALS)), abs=1e-5
    )


def test_a_blend_leaves_unread_only_what_no_part_reads():
    read = {"a": ("phase", "criteria"), "b": ("phase", "brief_title")}
    parts = [
        SimpleNamespace(writer=SimpleNamespace(spec=SimpleNamespace(sections=sections)))
        for sections in read.values()
    ]
    blend = Forecaster(OUTCOME, "blend", "b", "b", "b-1", model=SimpleNamespace(parts=parts))
    assert blend.sections_read == ("phase", "criteria", "brief_title")
    parts[0].writer.spec.sections = None
    assert blend.sections_read is None
