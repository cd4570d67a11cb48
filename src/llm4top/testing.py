"""A test kit: a random Qwen3 that fits in a test, with a tokenizer of its own.

Anyone who builds on LLM4TOP can test against it without weights or a network::

    from llm4top.testing import make_tiny_model
    folder = make_tiny_model(tmp_path / "tiny")
    forecaster = LanguageForecaster(folder, tuning="none")

Its forecasts mean nothing; its mechanics are those of the real model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

QWEN3_SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
)
"""The tokens of Qwen3's chat format; the last four are added tokens, not special ones."""

_WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 and Qwen3 split text before the merges."""

# Enough clinical prose for merges that shorten prompts about as a real tokenizer's do.
_CORPUS = """
This is a clinical trial's registry record as it stood before the trial began.
Phase: Phase 1/Phase 2, Phase 3, Phase 4, N/A. Study type: Interventional, Observational.
Title: A randomised, double-blind, placebo-controlled study of the safety and efficacy of the
study drug in patients with moderate to severe disease. Conditions: hypertension; asthma; breast
cancer; type 2 diabetes mellitus; rheumatoid arthritis; depression. Interventions: placebo tablet
once daily for twelve weeks; intravenous infusion every three weeks. Sponsor class: INDUSTRY, NIH.
Design: Randomized, Parallel Assignment, masking Double, purpose Treatment, 2 arms.
Population: sex All, ages 18 Years to 75 Years, no healthy volunteers.
Primary outcome measures: change from baseline in the mean score; overall survival.
Eligibility criteria: Inclusion Criteria: adults who have given written informed consent; adequate
renal function. Exclusion Criteria: pregnant or breast-feeding women; known hypersensitivity.
Will this trial succeed, that is, be completed and meet its primary endpoint? Answer Yes or No.
Will this trial be completed, rather than terminated, withdrawn or suspended? Answer Yes or No.
"""


def make_tiny_tokenizer(
    folder: Path | str, *, vocab: int = 512, words: Sequence[str] = ("Yes", "No")
) -> int:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` into ``folder``.

    A byte-level BPE of at most ``vocab`` tokens that splits text as Qwen3's does, holds its
    chat tokens and knows each of ``words`` as one token. Returns the number of tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(QWEN3_SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The words come often, so that the first merges are theirs.
    tokenizer.train_from_iterator([_CORPUS, *(f"\n{word}" * 200 for word in words)], trainer)
    tokenizer.add_special_tokens(list(QWEN3_SPECIAL_TOKENS[:3]))
    tokenizer.add_tokens(list(QWEN3_SPECIAL_TOKENS[3:]))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "model_max_length": 4096,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return int(tokenizer.get_vocab_size())


def make_tiny_model(
    folder: Path | str,
    *,
    seed: int = 0,
    hidden: int = 32,
    layers: int = 2,
    vocab: int = 512,
    words: Sequence[str] = ("Yes", "No"),
    max_positions: int = 4096,
    tied: bool = False,
) -> Path:
    """Write a random Qwen3 with its tokenizer into ``folder``, as ``from_pretrained`` reads it.

    ``hidden`` is a multiple of 16. ``vocab`` bounds the tokenizer (320 or more); the embedding has
    16 rows more, as real Qwen3 models have more rows than tokens. ``words`` are single tokens.
    The same arguments give the same weights; the caller's random state is left as it was.
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from llm4top.forecasters.model.base_model import quietly

    folder = Path(folder)
    tokens = make_tiny_tokenizer(folder, vocab=vocab, words=words)
    config = Qwen3Config(
        vocab_size=tokens + 16,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=max(hidden // 4, 8),
        max_position_embeddings=max_positions,
        tie_word_embeddings=tied,
        # Wider than a trained model's: random logits then differ enough to tell prompts apart.
        initializer_range=0.2,
        eos_token_id=tokens - len(QWEN3_SPECIAL_TOKENS) + 2,
        pad_token_id=tokens - len(QWEN3_SPECIAL_TOKENS),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    with quietly():
        model.save_pretrained(folder)
    return folder
