"""What is said about the forecaster that a command loads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llm4top.cli.load_model import load_model
from llm4top.forecasters import load

SAID = "The base model's weights are in 8 bits: probabilities differ from those of the whole"


@pytest.mark.parametrize(
    ("quantize", "trained", "said"),
    [("8bit", None, True), ("8bit", "8bit", False), (None, None, False)],
)
def test_weights_in_fewer_bits_than_the_model_was_calibrated_with_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quantize: str | None,
    trained: str | None,
    said: bool,
) -> None:
    entry = SimpleNamespace(tuning=SimpleNamespace(quantize=trained))
    made: Any = SimpleNamespace(
        language=SimpleNamespace(quantize=quantize), manifest=SimpleNamespace(language=entry)
    )
    monkeypatch.setattr(load, "load_forecaster", lambda *_, **__: made)
    assert load_model("mine", quantize=quantize) is made
    assert (SAID in " ".join(capsys.readouterr().err.split())) is said
