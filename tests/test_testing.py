"""The test kit: the same arguments give the same model, and it is put together as Qwen3 is."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from llm4top.testing import QWEN3_SPECIAL_TOKENS, make_tiny_model


def test_the_same_arguments_give_the_same_files(tmp_path):
    state = torch.random.get_rng_state()
    one = make_tiny_model(tmp_path / "one", seed=7)
    assert torch.equal(torch.random.get_rng_state(), state)
    two, other = make_tiny_model(tmp_path / "two", seed=7), make_tiny_model(tmp_path / "other")
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    name = "model.safetensors"
    assert (one / name).read_bytes() != (other / name).read_bytes()


def test_the_tokenizer_knows_the_chat_format_and_the_answers(tmp_path):
    folder = make_tiny_model(tmp_path / "tiny", words=("Yes", "No", "Maybe"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for word in (*QWEN3_SPECIAL_TOKENS, "Yes", "No", "Maybe"):
        assert len(tokenizer(word)["input_ids"]) == 1
    text = "<|im_start|>user\nPhase 2, naïve Größe 12<|im_end|>\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == "qwen3"
    assert model.get_input_embeddings().num_embeddings == len(tokenizer) + 16
