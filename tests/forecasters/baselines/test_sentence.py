"""Sentence embeddings: mean pooling, two architectures, and folders that are refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm4top.errors import ModelError, ModelNotFoundError, TaskError, UnsafeModelError
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.baselines.sentence import MAX_TOKENS, SentenceForecaster, load_encoder
from tests.forecasters.baseline_kit import THREE, make_tiny_bert, planted


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("encoders") / "tiny-bert")


def copied(folder: Path, to: Path) -> Path:
    import shutil

    shutil.copytree(folder, to)
    return to


def test_it_learns_and_repeats(tiny_bert):
    X, y = planted(40)
    forecaster = SentenceForecaster(encoder=tiny_bert, regularisation=1.0).fit(X, y)
    assert forecaster.score(X, y) > 0.9
    found = forecaster.predict_proba(X)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    again = SentenceForecaster(encoder=tiny_bert, regularisation=1.0).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), found)
    assert forecaster.predict_proba([]).shape == (0, 2)


def test_a_language_model_can_be_the_encoder(tiny_model_folder):
    X, y = planted(24, labels=3)
    forecaster = make_baseline("sentence", THREE, encoder=tiny_model_folder)
    assert forecaster.fit(X, y).predict_proba(X).shape == (24, 3)
    with pytest.raises(TaskError, match="9 is not a label"):
        forecaster.fit(X, [9] * 24)


def test_the_embedding_is_the_mean_of_the_last_states(tiny_bert):
    encoder = load_encoder(tiny_bert)
    ids = encoder.tokenizer("Adults with asthma")["input_ids"]
    with torch.no_grad():
        states = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    found = encoder.encode(["Adults with asthma", "", "much longer " * 300])
    np.testing.assert_allclose(found[0], states.mean(dim=0).numpy(), atol=1e-5)
    assert np.isfinite(found).all()
    # 66 positions, of which two may be kept back.
    assert encoder.max_tokens == 64 < MAX_TOKENS


def test_padding_and_order_do_not_matter(tiny_bert):
    encoder = load_encoder(tiny_bert)
    texts = ["a", "Adults with asthma", "words " * 50, "Phase 2"]
    alone = np.vstack([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], alone, atol=1e-5)


def test_an_old_layout_keeps_the_transformer_in_a_folder(tiny_bert, tmp_path):
    copied(tiny_bert, tmp_path / "old" / "0_Transformer")
    old = load_encoder(tmp_path / "old")
    assert old.identity.sha256 == load_encoder(tiny_bert).identity.sha256


def test_no_folder(tmp_path):
    with pytest.raises(ModelNotFoundError, match="there is no encoder here"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="'sentence' needs a text encoder"):
        make_baseline("sentence")


def test_code_in_the_config_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path / "bad")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(UnsafeModelError, match="'auto_map' would make the model bring code"):
        load_encoder(folder)


def test_pickled_weights_are_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path / "bad")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(UnsafeModelError, match="LLM4TOP reads safetensors only"):
        load_encoder(folder)


def test_missing_weights_are_refused_except_an_unused_pooler(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path / "no-pooler")
    weights = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in weights.items() if not k.startswith("pooler.")}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    load_encoder(folder)
    kept.pop("encoder.layer.0.output.dense.weight")
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights are missing.*layer\.0\.output\.dense\.weight"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "never-heard"}, "'never-heard' is not a model that transformers knows"),
        ({"model_type": ["bert"]}, "is not a model that transformers knows"),
        ({"is_encoder_decoder": True}, "encodes and decodes"),
        ({"num_attention_heads": 7}, "the encoder cannot be loaded"),
        ({"vocab_size": 8}, "missing or of another shape|cannot be loaded|has 512 tokens"),
    ],
)
def test_configs_that_do_not_fit(tiny_bert, tmp_path, change, message):
    folder = copied(tiny_bert, tmp_path / "bad")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=message):
        load_encoder(folder)


def test_damaged_weights(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path / "bad")
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match="the encoder cannot be loaded"):
        load_encoder(folder)
