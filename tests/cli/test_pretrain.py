from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

import llm4top
from llm4top.cli.app import app
from llm4top.forecasters.model.base_model import load_base

EXAMPLES = Path(llm4top.__file__).parent / "examples"
SMALL = ["--vocab-size", "400", "--hidden", "32", "--layers", "1", "--heads", "2",
         "--context", "64", "--batch-size", "1", "--precision", "fp32"]  # fmt: skip


def run(*arguments: object):
    return CliRunner().invoke(app, ["pretrain", *map(str, arguments)])


def test_records_become_a_base_model(tmp_path: Path):
    out = tmp_path / "base"
    result = run(EXAMPLES, "--out", out, *SMALL)
    assert result.exit_code == 0, result.output
    assert f"llm4top train --base {out}" in result.stderr
    config = load_base(out, device="cpu").model.config
    assert (config.num_hidden_layers, config.num_attention_heads) == (1, 2)


def test_trials_can_be_left_out(tmp_path: Path):
    result = run(EXAMPLES, "--without", EXAMPLES, "--out", tmp_path / "base", *SMALL)
    assert result.exit_code == 1
    assert "0 tokens of text do not fill one block of 64" in result.stderr


def test_wrong_settings_are_one_sentence_each(tmp_path: Path):
    result = run(EXAMPLES, "--out", tmp_path / "base", "--layers", 0, "--precision", "int8")
    assert result.exit_code == 2
    assert "layers: must be 1 or more" in result.stderr
    assert "precision: 'int8' is none of auto, bf16, fp32" in result.stderr
    assert "Traceback" not in result.output


def test_bfloat16_that_the_machine_only_emulates_is_warned_of(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("llm4top.forecasters.model.device.emulates_bf16", lambda device: True)
    asked = [EXAMPLES, "--out", tmp_path / "base", "--layers", 0]
    assert "up to 100 times slower than float32. Use --precision auto." in " ".join(
        run(*asked, "--precision", "bf16").stderr.split()
    )
    assert "slower" not in run(*asked).stderr
