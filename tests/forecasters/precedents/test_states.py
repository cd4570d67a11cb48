"""What an index's hidden states are bound to: model, prompt and layer, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.forecasters.forecaster import as_forecaster
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.precedents.precedents import Precedents
from llm4top.forecasters.precedents.states import representation_of
from llm4top.forecasters.precedents.store import CARD_FILE
from llm4top.prompts.prompt import PromptSpec
from tests.forecasters.bundle_kit import Made, make
from tests.forecasters.bundles.test_probe_files import made as probed
from tests.forecasters.precedents.kit import dataset, record, years


@pytest.fixture(scope="module")
def lora(tiny_model):
    """A tiny model with an adapter, its forecasts calibrated."""
    return make(tiny_model, "lora")


def saved(made, folder, **options):
    """The forecaster of a bundle that was just written."""
    made.save(folder, **options)
    return load_bundle(folder, device="cpu", weights=False)


def test_a_model_that_is_calibrated_again_reads_as_before(lora, tmp_path):
    before = saved(lora, tmp_path / "before")
    index = Precedents.build(dataset(years(60)), tmp_path / "index", model=before)
    again = replace(lora, calibration=NoCalibration())
    after = saved(again, tmp_path / "after", name="calibrated-again")
    assert after.identity != before.identity
    assert index.goes_with(after)
    found = index.find(record(99), 3, forecaster=after)
    assert found.notes == ()
    assert all(item.model is not None for item in found.neighbours)


def test_an_index_of_before_goes_with_the_very_bundle_alone(lora, tmp_path):
    before = saved(lora, tmp_path / "before")
    Precedents.build(dataset(years(60)), tmp_path / "index", model=before)
    card = tmp_path / "index" / CARD_FILE
    stored = json.loads(card.read_text())
    assert stored.pop("representation") == representation_of(before)
    card.write_text(json.dumps({**stored, "schema_version": 1}))
    old = Precedents.load(tmp_path / "index")
    assert old.goes_with(before)
    assert not old.goes_with(replace(before, identity="tiny-outcome-0123"))


def test_another_adapter_prompt_or_layer_is_another_representation(lora, tiny_model, tmp_path):
    seen = [representation_of(saved(lora, tmp_path / "lora"))]
    scorer = lora.forecaster.scorer
    shorter = LanguageForecaster.from_model(
        scorer.base, scorer.task, model=scorer.model, spec=PromptSpec(max_tokens=200)
    )
    asked = Made(shorter, NoCalibration(), lora.logits, "lora")
    seen.append(representation_of(saved(asked, tmp_path / "shorter")))
    for name, place in {
        "one": {},
        "answer": {"pooling": "answer"},
        "fitted again": {"intercept": np.ones(2)},
    }.items():
        seen.append(representation_of(saved(probed(tiny_model, **place), tmp_path / name)))
    # The probe's own numbers read the states and do not make them.
    assert seen[4] == seen[2]
    assert len({*seen}) == 4


def test_a_note_says_what_to_do_about_another_model(lora, tmp_path, tiny_model):
    built = saved(lora, tmp_path / "lora")
    index = Precedents.build(dataset(years(60)), tmp_path / "index", model=built)
    other = saved(probed(tiny_model), tmp_path / "probe", name="other")
    (note,) = index.find(record(99), 3, forecaster=other).notes
    assert note.startswith(
        f"Compared by words alone: the index was built with {built.identity}, and the language "
        f"model here ({other.identity}) reads trials in another way. To compare by the model as "
        "well, build the index again: `llm4top precedents build DATASET_OR_RECORDS --overwrite`"
    )
    (note,) = index.find(record(99), 3).notes
    assert f"{built.identity}, with which the index was built, is not on this machine." in note


def test_a_model_that_is_only_in_memory_reads_too(lora, tmp_path):
    forecaster = as_forecaster(lora.forecaster)
    index = Precedents.build(dataset(years(60)), tmp_path / "index", model=forecaster)
    assert index.find(record(99), 3, forecaster=forecaster).notes == ()
