"""Bundles of baselines: the same probabilities after loading; hostile folders are refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline
from llm4top.forecasters.baselines.classical import ClassicalForecaster
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.bundles.paths import is_bundle
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.forecaster import as_forecaster
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import OUTCOME
from tests.forecasters.baseline_kit import THREE, make_tiny_bert, planted

X, Y = planted(50)
STORED = [name for name in BASELINES if name != "sentence"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A stored forest, to be copied before it is spoilt."""
    folder = tmp_path_factory.mktemp("stored") / "forest"
    make_baseline("forest").fit(X, Y).save(folder, name="top-forest")
    return folder


@pytest.fixture
def spoilt(stored, tmp_path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "copy"))


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("labels", [2, 3])
def test_the_same_probabilities_after_loading(name, labels, tmp_path):
    trials, y = planted(40, labels=labels)
    task = OUTCOME if labels == 2 else THREE
    forecaster = make_baseline(name, task, seed=7).fit(trials, [task.labels[i] for i in y])
    loaded = forecaster.save(tmp_path / "b", name="x")
    check = loaded.manifest.reload_check
    assert (check.n, check.max_difference) == (3, 0)
    np.testing.assert_allclose(
        loaded.predict_proba(trials), forecaster.predict_proba(trials), rtol=0, atol=1e-14
    )
    assert loaded.forecaster.classes_.tolist() == list(task.labels)
    assert (loaded.task, loaded.label) == (task, BASELINES[name].label)
    assert loaded.identity == read_manifest(tmp_path / "b").identity
    assert loaded.identity.startswith("x-")
    assert len(loaded.identity) == len("x-") + 12
    params = {k: v for k, v in forecaster.get_params().items() if k != "task"}
    assert {k: v for k, v in loaded.forecaster.get_params().items() if k != "task"} == params
    assert loaded.predict_proba([]).shape == (0, labels)


def test_only_json_safetensors_and_a_card(stored):
    assert {p.name for p in stored.iterdir()} == {
        "manifest.json", "weights.safetensors", "words.json", "MODEL_CARD.md", "calibration.json",
    }  # fmt: skip
    manifest = json.loads((stored / "manifest.json").read_text())
    assert manifest["kind"] == "baseline"
    assert manifest["calibration"] == "none"
    assert manifest["base_rates"]["all"]["shares"] == [0.5, 0.5]
    assert manifest["baseline"]["baseline"] == "forest"
    assert manifest["seed"] == 0
    assert {"llm4top", "scikit-learn", "numpy", "xgboost"} <= set(manifest["versions"])
    card = (stored / "MODEL_CARD.md").read_text()
    assert "A random forest over" in card
    assert "- Baseline: Random forest" in card
    assert "Do not read them as chances" in card
    assert is_bundle(stored)
    assert not is_bundle(stored.parent)


def test_another_seed_is_another_identity(stored, tmp_path):
    other = make_baseline("forest", seed=1).fit(X, Y)
    saved = other.save(tmp_path / "b", name="top-forest")
    assert saved.identity != load_bundle(stored).identity


def test_a_label_without_trials_has_probability_zero(tmp_path):
    trials, y = planted(20)
    forecaster = BaseRateForecaster(THREE).fit(trials, [2 * i for i in y])
    loaded = forecaster.save(tmp_path / "b", name="two-of-three")
    assert loaded.forecaster.classes_.tolist() == [0, 2]
    found = loaded.predict_proba(trials)
    assert found.shape == (20, 3)
    assert (found[:, 1] < 1e-14).all()


def test_booleans_stay_booleans(tmp_path):
    forecaster = TfidfForecaster(class_weight={True: 2.0}).fit(X, [bool(i) for i in Y])
    loaded = forecaster.save(tmp_path / "b", name="b").forecaster
    assert loaded.classes_.tolist() == [False, True]
    np.testing.assert_array_equal(loaded.predict_proba(X), forecaster.predict_proba(X))


def test_sentence_needs_its_own_encoder(tmp_path):
    one, two = (make_tiny_bert(tmp_path / f"bert-{seed}", seed=seed) for seed in (0, 1))
    forecaster = make_baseline("sentence", encoder=one).fit(X, Y)
    loaded = forecaster.save(tmp_path / "b", name="s")
    assert loaded.manifest.baseline.encoder.id == "bert-0"
    assert str(tmp_path) not in (tmp_path / "b" / "manifest.json").read_text()
    loaded = load_bundle(tmp_path / "b", encoder=one)
    np.testing.assert_allclose(loaded.predict_proba(X), forecaster.predict_proba(X), atol=1e-6)
    with pytest.raises(BundleError, match=r"reads with the text encoder bert-0.*Name the"):
        load_bundle(tmp_path / "b")
    with pytest.raises(BundleError, match=r"is not the bert-0 that it was fitted with"):
        load_bundle(tmp_path / "b", encoder=two)


def test_a_taken_folder_is_kept(stored, spoilt, tmp_path):
    forecaster = make_baseline("base-rate").fit(X, Y)
    with pytest.raises(BundleError, match="already holds a bundle"):
        forecaster.save(spoilt, name="b")
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        forecaster.save(other, name="b", replace=True)
    forecaster.save(spoilt, name="b", replace=True)
    assert load_bundle(spoilt).manifest.baseline.baseline == "base-rate"
    with pytest.raises(BundleError, match="cannot name a bundle"):
        forecaster.save(tmp_path / "new", name="../b")


def test_nothing_is_kept_that_does_not_come_back(tmp_path, monkeypatch):
    forecaster = make_baseline("base-rate").fit(X, Y)
    right = BaseRateForecaster.restore

    def wrong(self: BaseRateForecaster, state: Any) -> None:
        right(self, state)
        self.rates_ = dict.fromkeys(self.rates_, np.array([0.9, 0.1]))

    monkeypatch.setattr(BaseRateForecaster, "restore", wrong)
    with pytest.raises(BundleError, match="other probabilities"):
        forecaster.save(tmp_path / "b", name="b")
    assert not (tmp_path / "b").exists()
    assert list(tmp_path.iterdir()) == []


def test_only_known_baselines_are_stored(tmp_path):
    class Own(BaselineForecaster):
        task = "outcome"

        def predict_proba(self, X: Any) -> Any:
            return np.full((len(list(X)), 2), 0.5)

        def state(self) -> Any:
            raise AssertionError

    with pytest.raises(BundleError, match="Own is not a baseline that can be stored"):
        as_forecaster(Own()).save(tmp_path / "b", name="b")


# Hostile folders.


def rewritten(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """The manifest with ``change`` applied, as someone who forges hashes too would write it."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    for name in values["files"]:
        content = (folder / name).read_bytes()
        values["files"][name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
    change(values)
    path.write_text(json.dumps(values))


def reject(folder: Path, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "words.json", "MODEL_CARD.md"])
def test_a_changed_byte(spoilt, name):
    content = bytearray((spoilt / name).read_bytes())
    content[-2] ^= 1
    (spoilt / name).write_bytes(content)
    reject(spoilt, TamperedBundleError, f"copy/{name}: does not match its hash")


def test_a_missing_file(spoilt):
    (spoilt / "words.json").unlink()
    reject(spoilt, TamperedBundleError, r"copy/words\.json: is missing")


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/never-made-by-a-baseline",)


@pytest.mark.parametrize("name", ["model.pkl", "extra.json", "deep/file.txt", ".hidden"])
def test_a_file_that_does_not_belong(spoilt, name):
    (spoilt / name).parent.mkdir(exist_ok=True)
    (spoilt / name).write_bytes(pickle.dumps(Payload()))
    reject(spoilt, UnsafeBundleError, "is a pickle|can run code")


@pytest.mark.parametrize("name", ["weights.safetensors", "words.json", "MODEL_CARD.md"])
def test_a_pickle_in_the_place_of_a_file(spoilt, name):
    (spoilt / name).write_bytes(pickle.dumps(Payload()))
    rewritten(spoilt, lambda values: None)
    reject(spoilt, UnsafeBundleError, "is not a safetensors file|is a pickle")
    assert not Path("/tmp/never-made-by-a-baseline").exists()


def test_a_link_in_the_place_of_a_file(spoilt, tmp_path):
    (tmp_path / "secret").write_bytes((spoilt / "words.json").read_bytes())
    (spoilt / "words.json").unlink()
    (spoilt / "words.json").symlink_to(tmp_path / "secret")
    reject(spoilt, UnsafeBundleError, r"copy/words\.json: is a link")
    shutil.move(spoilt / "manifest.json", tmp_path / "manifest")
    (spoilt / "manifest.json").symlink_to(tmp_path / "manifest")
    reject(spoilt, UnsafeBundleError, r"copy/manifest\.json: is a link")


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/passwd", "a\\b", "C:x", "a//b"])
def test_a_path_that_leads_outside(spoilt, name):
    rewritten(spoilt, lambda v: v["files"].update({name: {"sha256": "0" * 64, "size": 1}}))
    reject(spoilt, UnsafeBundleError, "points outside the bundle")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema_version=3), "schema version 3; this LLM4TOP reads versions 1"),
        (lambda v: v["baseline"].update(baseline="oracle"), "no baseline 'oracle'"),
        (lambda v: v.update(surprise=1), "wrong in 'surprise'"),
        (lambda v: v["baseline"].update(classes=[0]), "are not labels of the task"),
        (lambda v: v["baseline"].update(classes=[1, 0]), "are not labels of the task"),
        (lambda v: v["baseline"].update(classes=["success", 0]), "are not labels of the task"),
        (lambda v: v["baseline"].update(classes=[0, 5]), "are not labels of the task"),
        (
            lambda v: v["baseline"].update(encoder={"id": "x", "sha256": "0" * 64}),
            "is for 'sentence'",
        ),
        (lambda v: v.update(name="../x"), "wrong in 'name'"),
        (lambda v: v["files"].pop("words.json"), "'words.json' is missing"),
        (lambda v: v["files"].update(x={"sha256": "0" * 64, "size": 0}), "'x' is extra"),
        (lambda v: v["baseline"].update(probe=[[0.5]]), "one probability for each class"),
        (lambda v: v["base_rates"].update(all={"n": 3, "shares": [1.0]}), "one share for each"),
        (lambda v: v["task"].update(kind="oracle"), "wrong in 'task.kind'"),
    ],
)
def test_a_manifest_that_is_wrong(spoilt, change, message):
    rewritten(spoilt, change)
    reject(spoilt, BundleError, message)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"[]", BundleError, "not a JSON object"),
        (b"{", BundleError, "not JSON"),
        (b"[" * 100_000, BundleError, "not JSON"),
        (b"\xff\xfe", UnsafeBundleError, "is not text"),
        (b" " * (9 << 20), UnsafeBundleError, "far larger"),
    ],
)
def test_a_manifest_that_is_none(spoilt, content, kind, message):
    (spoilt / "manifest.json").write_bytes(content)
    reject(spoilt, kind, message)


def test_no_manifest(tmp_path):
    reject(tmp_path, BundleError, "this folder is not a bundle")


def test_settings_cannot_name_other_files(spoilt):
    change = {"encoder": "/somewhere", "learner": "xgboost", "task": "completion", "fit": "x"}
    rewritten(spoilt, lambda values: values["baseline"]["settings"].update(change))
    loaded = load_bundle(spoilt).forecaster
    assert isinstance(loaded, ClassicalForecaster)
    assert (loaded.learner, loaded.task, callable(loaded.fit)) == ("forest", OUTCOME, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update({"learnt.left": a["learnt.left"] * 0}), "do not fit together"),
        (lambda a: a.update({"learnt.feature": a["learnt.feature"] + 10**9}), "do not fit"),
        (lambda a: a.update({"learnt.roots": a["learnt.roots"] - 1}), "other indices"),
        (lambda a: a.update({"topics": a["topics"][:, :-1]}), "features that do not fit"),
        (lambda a: a.update({"scales": a["scales"] * 0}), "features that do not fit"),
        (lambda a: a.update({"idf": a["idf"][:-1]}), "terms that do not fit"),
        (lambda a: a.update({"means": a["means"] * np.inf}), "other numbers"),
        (lambda a: a.pop("means"), "lacks means"),
        (lambda a: a.update({"extra": a["means"]}), "more than its baseline has learned"),
        (lambda a: a.update({"learnt.value": 1 - a["learnt.value"]}), "gives other probabilities"),
    ],
)
def test_arrays_that_do_not_fit(spoilt, change, message):
    arrays = load_file(spoilt / "weights.safetensors")
    change(arrays)
    save_file(
        {name: np.ascontiguousarray(a) for name, a in arrays.items()},
        spoilt / "weights.safetensors",
    )
    rewritten(spoilt, lambda values: None)
    with np.errstate(all="ignore"):
        reject(spoilt, BundleError, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.update(terms=w["terms"][:-1]), "features|terms that do not fit"),
        (lambda w: w.update(terms=w["terms"][:-1] + w["terms"][:1]), "terms that do not fit"),
        (lambda w: w.update(terms="abc"), "'terms' is not a list of words"),
        (lambda w: w.update(terms=[1, 2]), "'terms' is not a list of words"),
        (
            lambda w: w.update(numbers=[*w["numbers"][:-1], "status"]),
            "reads 'status', which",
        ),
        (lambda w: w.pop("numbers"), "lacks numbers"),
        (lambda w: w.update(more=[]), "more than its baseline"),
    ],
)
def test_words_that_do_not_fit(spoilt, change, message):
    words = json.loads((spoilt / "words.json").read_text())
    change(words)
    (spoilt / "words.json").write_text(json.dumps(words))
    rewritten(spoilt, lambda values: None)
    reject(spoilt, BundleError, message)


def test_words_of_another_kind(spoilt):
    (spoilt / "words.json").write_text("[]")
    rewritten(spoilt, lambda values: None)
    reject(spoilt, UnsafeBundleError, "is not a JSON object")


def test_a_version_that_forecasts_otherwise_is_named(spoilt):
    def change(values: dict[str, Any]) -> None:
        values["baseline"]["probe"] = [[0.25, 0.75]] * 3
        values["versions"]["scikit-learn"] = "0.1.2"

    rewritten(spoilt, change)
    reject(spoilt, BundleError, r"Stored with .*scikit-learn 0\.1\.2.*; here .*scikit-learn 1\.")


def test_a_base_rate_of_other_phases(tmp_path):
    folder = tmp_path / "b"
    make_baseline("base-rate").fit(X, Y).save(folder, name="b")
    words = json.loads((folder / "words.json").read_text())
    words["phases"].append("Phase 9")
    (folder / "words.json").write_text(json.dumps(words))
    rewritten(folder, lambda values: None)
    reject(folder, BundleError, "rates of other phases")


def test_an_always_forecaster_of_no_label(tmp_path):
    folder = tmp_path / "b"
    make_baseline("always").fit(X, Y).save(folder, name="b")
    save_file({"certain": np.array([2])}, folder / "weights.safetensors")
    rewritten(folder, lambda values: None)
    reject(folder, BundleError, "names no label as the certain one")


def test_an_empty_trial_can_be_forecast(stored):
    assert load_bundle(stored).predict_proba([Trial()]).shape == (1, 2)
