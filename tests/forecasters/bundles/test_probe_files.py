"""Probes in bundles: the same forecasts after loading, and files that are no probe of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from llm4top.errors import BundleError, LLM4TOPError, UnsafeBundleError
from llm4top.forecasters.bundles.manifest import TuningEntry
from llm4top.forecasters.bundles.paths import PROBE_FILE
from llm4top.forecasters.bundles.probe_files import write_probe
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.forecasters.model.probe import Probe
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task import Task
from tests.forecasters.bundle_kit import GRADES, TRIALS, Made, edit_json, make, vouch

PLACE = {"layer": "1", "pooling": "mean"}


def random_probe(labels: int = 2, **changes: Any) -> Probe:
    """As fitted ones are: the tiny model has two layers and states of 32 numbers."""
    rng = np.random.default_rng(0)
    values = {
        "layer": 1,
        "pooling": "mean",
        "mean": rng.normal(size=32),
        "scale": rng.uniform(0.5, 2, size=32),
        "coefficients": rng.normal(size=(labels, 32)) / 8,
        "intercept": rng.normal(size=labels),
    } | changes
    arrays = {k: v.astype(np.float32) for k, v in values.items() if isinstance(v, np.ndarray)}
    return Probe(**{**values, **arrays})


def made(base: Path, task: Task = OUTCOME, **changes: Any) -> Made:
    probe = random_probe(len(task.labels), **changes)
    forecaster = LanguageForecaster.from_model(
        load_base(base, device="cpu"), task, probe=probe, spec=PromptSpec(max_tokens=256)
    )
    return Made(forecaster, NoCalibration(), forecaster.answer_logits(TRIALS), "probe")


@pytest.fixture
def bundle(tiny_model_folder: Path, tmp_path: Path) -> Path:
    made(tiny_model_folder).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("task", [OUTCOME, GRADES])
@pytest.mark.parametrize("pooling", ["answer", "mean"])
def test_a_loaded_probe_gives_identical_forecasts(
    task: Task, pooling: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    one = made(tiny_model_folder, task, layer=2, pooling=pooling)
    manifest = one.save(tmp_path / "bundle")
    assert manifest.language is not None
    assert manifest.language.tuning.method == "probe"
    assert manifest.language.base.carried
    assert PROBE_FILE in manifest.files
    loaded = load_bundle(tmp_path / "bundle", device="cpu")
    assert np.abs(loaded.logits(TRIALS) - one.logits).max() <= 1e-6
    few = load_bundle(tmp_path / "bundle", device="cpu", batch_tokens=1)
    assert np.abs(few.logits(TRIALS[::-1])[::-1] - one.logits).max() < 1e-4


def test_the_base_may_stay_outside(tiny_model_folder: Path, tmp_path: Path) -> None:
    one = made(tiny_model_folder)
    manifest = one.save(tmp_path / "bundle", carry_base=False)
    assert {name for name in manifest.files if "safetensors" in name} == {PROBE_FILE}
    loaded = load_bundle(tmp_path / "bundle", base=tiny_model_folder, device="cpu")
    assert np.abs(loaded.logits(TRIALS) - one.logits).max() <= 1e-6


def test_the_card_says_what_it_is(bundle: Path) -> None:
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "a logistic regression over the hidden states of the base model, which is not" in card


def test_a_probe_goes_with_its_tuning_only(tiny_model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="has a probe, which does not go with tuning 'none'"):
        made(tiny_model_folder).save(tmp_path / "a", tuning=TuningEntry(method="none"))
    with pytest.raises(BundleError, match="has no probe, which does not go with tuning 'probe'"):
        make(tiny_model_folder, "none").save(tmp_path / "b", tuning=TuningEntry(method="probe"))


def test_the_base_that_it_carries_can_be_trained(
    bundle: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    assert resolve_base(bundle) == bundle / "base"
    made(tiny_model_folder).save(tmp_path / "bare", carry_base=False)
    with pytest.raises(LLM4TOPError, match="a probe of a base model, and cannot itself be trained"):
        resolve_base(tmp_path / "bare")


def tensors(**changes: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        arrays = {**load_file(file), **changes}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        save_file(arrays, file, metadata=PLACE)

    return change


def place(**changes: str) -> Callable[[Path], None]:
    return lambda file: save_file(load_file(file), file, metadata={**PLACE, **changes})


ONES = np.ones(32, dtype=np.float32)
HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "layer of another model": (place(layer="3"), "reads layer '3' of a model that has 2"),
    "layer zero": (place(layer="0"), "reads layer '0' of a model that has 2"),
    "layer before the first": (place(layer="-1"), "reads layer '-1' of a model that has 2"),
    "endless layer": (place(layer="1" * 5000), "reads layer '1111111111111111111 of a model"),
    "layer in many digits": (place(layer="0000001"), "reads layer '0000001' of a model"),
    "pooling": (place(pooling="max"), "reads the pooling 'max', not answer or mean"),
    "nothing said": (lambda f: save_file(load_file(f), f), "reads layer '' of a model that has 2"),
    "missing": (tensors(mean=None), "holds other tensors than mean, scale, coefficients, int"),
    "more": (tensors(more=ONES), "holds other tensors than mean"),
    "hidden size": (tensors(mean=ONES[:31]), r"holds mean as float32 \[31\], not float32 \[32\]"),
    "labels": (
        tensors(coefficients=np.ones((3, 32), np.float32)),
        r"holds coefficients as float32 \[3, 32\], not float32 \[2, 32\]",
    ),
    "number type": (tensors(mean=ONES.astype(np.float16)), r"holds mean as float16 \[32\]"),
    "wide numbers": (tensors(mean=ONES.astype(np.float64)), "number type is 'F64', not F32"),
    "not finite": (tensors(intercept=np.float32([0, np.nan])), "a number in intercept that no"),
    "scale of zero": (tensors(scale=0 * ONES), "holds a number in scale that no probe has"),
    "a pickle": (lambda f: f.write_bytes(b"\x80\x04K\x01."), "is a pickle, which can run code"),
    "cut off": (lambda f: f.write_bytes(f.read_bytes()[:-4]), "shape does not fit|gaps|no tensor"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_probe_of_the_model_is_refused(name: str, bundle: Path) -> None:
    change, told = HOSTILE[name]
    change(bundle / PROBE_FILE)
    vouch(bundle)
    with pytest.raises(UnsafeBundleError, match=told) as caught:
        load_bundle(bundle, device="cpu")
    assert str(caught.value.where).endswith(f"/{PROBE_FILE}")


def test_a_manifest_that_leaves_it_out_is_refused(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    files = dict(read_manifest(bundle).stored["files"])
    del files[PROBE_FILE]
    edit_json(manifest, files=files)
    with pytest.raises(BundleError, match=f"files: '{PROBE_FILE}' is missing"):
        load_bundle(bundle)


def test_the_file_is_small_and_says_where_it_reads(tmp_path: Path) -> None:
    from safetensors import safe_open

    write_probe(tmp_path, random_probe())
    assert (tmp_path / PROBE_FILE).stat().st_size < 2000
    with safe_open(tmp_path / PROBE_FILE, framework="np") as file:
        assert file.metadata() == PLACE
