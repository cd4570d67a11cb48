"""Invented trials that the baselines can learn something from, and small encoders."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from llm4top.registry.trial import Intervention, Outcome, Trial
from llm4top.tasks.task import Task
from llm4top.testing import make_tiny_tokenizer

THREE = Task("t", "multiclass", "?", ("high", "low", "none"), ("A", "B", "C"))
PLAIN = Task("plain", "binary", "?", ("bad", "good"), ("No", "Yes"))


def planted(count: int, labels: int = 2) -> tuple[list[Trial], list[int]]:
    """Trials whose words, and whose number of drugs, tell their label; some fields are absent."""
    words = ("risky and new", "safe and well known", "tried before")
    y = [i % labels for i in range(count)]
    drugs = [Intervention(f"compound {i}", "Drug") for i in range(5)]
    X = [
        Trial(
            phase=("Phase 1", "Phase 2", "Phase 3", None)[(i // 2) % 4],
            conditions=("asthma", "malaria")[: 1 + i % 2],
            icd_codes=("J45.909",) if i % 3 else (),
            interventions=tuple(drugs[: 1 + 2 * label]),
            brief_title=f"Study {i % 7} of a compound",
            primary_outcomes=(Outcome("Change from baseline"),),
            number_of_arms=2 if i % 5 else None,
            criteria=f"Inclusion Criteria:\n- Adults of {18 + i % 9} years\n- {words[label]}",
        )
        for i, label in enumerate(y)
    ]
    return X, y


def make_tiny_bert(folder: Path, *, seed: int = 0, hidden: int = 32) -> Path:
    """A random BERT in the layout of sentence-transformers."""
    from transformers import BertConfig, BertModel

    tokens = make_tiny_tokenizer(folder)
    config = BertConfig(
        vocab_size=tokens,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=66,
        # Wider than a trained model's, so that texts differ.
        initializer_range=0.5,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    pooling = folder / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "modules.json").write_text("[]")
    return folder
