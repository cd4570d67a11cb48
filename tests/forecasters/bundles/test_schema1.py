"""Bundles that version 0.1.0 wrote: baselines and a stack. (The embedded bundle is one too.)"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from llm4top.errors import TamperedBundleError
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.store import export_bundle, import_bundle, list_bundles
from llm4top.forecasters.bundles.verify import read_manifest, verify_bundle
from llm4top.forecasters.forecaster import as_forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.trial import Record, RegistryOutcome, Source
from tests.forecasters.bundle_kit import LABELS, TRIALS

OLD = Path(__file__).parents[1] / "data" / "bundles-0.1.0.zip"
KINDS = {"tfidf": "baseline", "xgboost": "baseline", "base-rate": "baseline", "stack": "blend"}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("name", KINDS)
def test_it_still_loads_and_forecasts_the_same(name, old):
    expected = json.loads((old / "expected.json").read_text())[name]
    loaded = load_forecaster(old / name, device="cpu")
    assert (loaded.kind, loaded.manifest.schema_version) == (KINDS[name], 1)
    assert loaded.identity == expected["identity"]
    calibrated = loaded.calibrated(TRIALS)
    np.testing.assert_allclose(calibrated.probabilities[:, 1], expected["p"], atol=1e-6)
    if "lower" in expected:
        np.testing.assert_allclose(calibrated.lower, expected["lower"], atol=1e-6)
    record = Record(
        "NCT99999901", TRIALS[0], RegistryOutcome(), (), Source("a.xml", None, "xml", None, "")
    )
    (forecast,) = loaded.forecast([record])
    assert forecast.probability == pytest.approx(expected["p"][0], abs=1e-6)
    assert ("not calibrated" in " ".join(forecast.warnings)) is (name != "stack")


@pytest.mark.parametrize("name", KINDS)
def test_it_is_verified_listed_exported_and_imported(name, old, tmp_path):
    report = verify_bundle(old / name)
    assert report.ok
    assert (
        report.manifest.to_json()
        == json.dumps(json.loads(report.manifest.to_json()), indent=2, ensure_ascii=False) + "\n"
    )
    packed = export_bundle(old / name, tmp_path / "packed.zip")
    stored = import_bundle(packed, name="again")
    assert stored.identity == read_manifest(old / name).identity
    assert "again" in [bundle.name for bundle in list_bundles()]
    loaded = load_forecaster("again", device="cpu")
    assert loaded.predict_proba(TRIALS[:3]).shape == (3, 2)


def test_a_changed_file_is_refused(old, tmp_path):
    import shutil

    folder = shutil.copytree(old / "tfidf", tmp_path / "copy")
    (folder / "words.json").write_text("{}")
    with pytest.raises(TamperedBundleError):
        load_forecaster(folder)


def test_a_baseline_saved_again_is_calibrated(old, tmp_path):
    y = [int(i % 3 > 0) for i in range(len(TRIALS))]
    saved = load_forecaster(old / "tfidf").save(tmp_path / "new", validation=(TRIALS, y))
    assert saved.manifest.schema_version == 2
    assert saved.calibration.method == "venn-abers"
    assert not np.isnan(saved.calibrated(TRIALS).lower).any()


def test_it_becomes_a_part_of_a_blend(old, tmp_path):
    parts = {name: load_forecaster(old / name) for name in ("tfidf", "xgboost")}
    blend = as_forecaster(Blend.fit(parts, TRIALS, LABELS)).save(tmp_path / "blend")
    assert [part.name for part in blend.manifest.blend.parts] == ["tfidf", "xgboost"]
    for name, part in parts.items():
        written = load_forecaster(tmp_path / "blend" / "parts" / name)
        assert written.manifest.schema_version == 2
        assert written.manifest.facts() == part.manifest.facts()
        np.testing.assert_array_equal(written.logits(TRIALS), part.logits(TRIALS))


def test_it_can_be_saved_in_the_form_of_this_version(tmp_path):
    embedded = load_forecaster("embedded", device="cpu")
    saved = embedded.save(tmp_path / "again")
    assert saved.manifest.schema_version == 2
    assert saved.manifest.facts() == embedded.manifest.facts()
    assert saved.kind == embedded.kind
    np.testing.assert_array_equal(
        saved.predict_proba(TRIALS[:4]), embedded.predict_proba(TRIALS[:4])
    )
