import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.forecasters.bundles.hub import hub_metadata, write_hub_folder
from llm4top.forecasters.bundles.manifest import DataEntry
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import verify_bundle
from tests.forecasters.bundle_kit import TRIALS, make
from tests.forecasters.bundles.test_manifest import manifest


@pytest.fixture(scope="module")
def lora(tiny_model_folder):
    return make(tiny_model_folder, "lora")


@pytest.fixture(scope="module")
def bundle(lora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "lora"
    lora.save(folder)
    return folder


@pytest.fixture
def pushed(bundle, tmp_path):
    write_hub_folder(bundle, tmp_path / "hub")
    return tmp_path / "hub"


def test_the_folder_is_the_bundle_and_a_card(lora, bundle, pushed):
    names = {p.relative_to(bundle) for p in bundle.rglob("*") if p.is_file()}
    found = {p.relative_to(pushed) for p in pushed.rglob("*") if p.is_file()}
    assert {str(name) for name in found - names} == {"README.md"}
    assert all((bundle / name).read_bytes() == (pushed / name).read_bytes() for name in names)
    assert not [n for n in found if n.suffix not in {".safetensors", ".json", ".md"}]
    loaded = load_bundle(pushed, device="cpu")
    assert loaded.identity == verify_bundle(bundle).manifest.identity
    assert np.abs(loaded.predict_proba(TRIALS) - lora.probabilities()).max() <= 1e-6


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_loads_it(lora, pushed, tiny_model_folder):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model = PeftModel.from_pretrained(base, str(pushed)).eval()
    ids = torch.tensor([[5, 9, 23, 40]])
    with torch.inference_mode():
        expected = lora.forecaster.scorer.model(ids).logits
        torch.testing.assert_close(model(ids).logits, expected, atol=1e-5, rtol=0)


def test_the_hubs_library_reads_the_card(bundle, pushed):
    card = ModelCard.load(pushed / "README.md")
    assert card.text.lstrip().startswith((bundle / "MODEL_CARD.md").read_text())
    data = card.data.to_dict()
    assert data["license"] == "other"
    assert data["license_name"] == "non-commercial"
    assert data["license_link"] == "README.md#licence"
    assert "TOP: non-commercial use only" in card.text
    assert data["library_name"] == "peft"
    assert data["pipeline_tag"] == "text-classification"
    # Neither is a repository: the base is carried, and the data are not on the Hub.
    assert "base_model" not in data
    assert "datasets" not in data
    first = card.data.eval_results[0]
    assert (first.metric_type, first.metric_value) == ("roc_auc", 0.612345)
    assert first.metric_name == "ROC-AUC (95 % interval 0.500 to 0.700; n = 40)"
    assert (first.dataset_name, first.dataset_split) == ("invented trials", "valid")
    second = card.data.eval_results[1]
    assert second.metric_name.endswith("n = 40; base rate of the phase 0.250)")


def test_what_is_on_the_hub_is_named():
    made = manifest()
    data = hub_metadata(made, made.language).to_dict()
    assert data["base_model"] == "Qwen/Qwen3-8B"
    assert data["base_model_relation"] == "adapter"


@pytest.mark.parametrize(
    ("licence", "of_data", "expected"),
    [
        ("Apache-2.0", "", "apache-2.0"),
        ("Apache-2.0", "Ask the owner.", "other"),
        ("My own terms", "", "other"),
        ("", "", "unknown"),
    ],
)
def test_a_licence_is_never_made_freer(licence, of_data, expected):
    data = DataEntry(name="top", sha256="a" * 64, counts={}, licence=of_data)
    made = manifest(licence=licence, data=data)
    assert hub_metadata(made, made.language).to_dict()["license"] == expected


def test_a_download_of_it_is_a_bundle(pushed):
    (pushed / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    notes = pushed / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    for name in verify_bundle(pushed).manifest.files:
        note = notes / f"{name}.metadata"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("11c5a3d5811f50298f278a704980280950aedb10\n")
        note.with_suffix(".lock").touch()
    (notes.parent / ".gitignore").write_text("*")
    assert verify_bundle(pushed).ok
    for held, what in ((b"\x80\x04K\x01.", "a pickle"), (b"#!/bin/sh\n", "a script")):
        (notes / "manifest.json.metadata").write_bytes(held)
        with pytest.raises(UnsafeBundleError, match=f"is {what}"):
            verify_bundle(pushed).raise_for_problems()


def test_another_file_beside_the_card_is_still_refused(pushed):
    (pushed / "NOTES.md").write_text("?")
    with pytest.raises(TamperedBundleError, match="is not in the manifest"):
        verify_bundle(pushed).raise_for_problems()


def test_a_folder_that_is_something_else_stays(bundle, pushed, tmp_path):
    with pytest.raises(BundleError, match="is in the bundle itself"):
        write_hub_folder(bundle, bundle / "hub")
    (pushed / ".git").mkdir()
    with pytest.raises(BundleError, match="exists and is not a bundle for the Hub"):
        write_hub_folder(bundle, pushed, replace=True)
    shutil.rmtree(pushed / ".git")
    write_hub_folder(bundle, pushed, replace=True)
    assert (pushed / "README.md").is_file()
