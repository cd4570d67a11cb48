from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.language_files import _write_model, round_weights
from llm4top.forecasters.model.base_model import load_base
from llm4top.testing import make_tiny_model


def test_tied_weights_are_written_once(tmp_path):
    base = load_base(make_tiny_model(tmp_path / "model", tied=True), device="cpu")
    round_weights(base.model, "bfloat16")
    (tmp_path / "out").mkdir()
    _write_model(tmp_path / "out", base.model, base, "bfloat16")
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "model.embed_tokens.weight" in names
    assert "lm_head.weight" not in names
    again = load_base(tmp_path / "out", device="cpu", dtype="float32").model.state_dict()
    before = base.model.state_dict()
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_storage_that_would_change_the_weights_is_refused(tmp_path):
    base = load_base(make_tiny_model(tmp_path / "model"), device="cpu")
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="bfloat16"):
        _write_model(tmp_path / "out", base.model, base, "bfloat16")
