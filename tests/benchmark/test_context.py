"""How a benchmark loads its models."""

import pytest

from llm4top.benchmark.context import Loader, number_types
from llm4top.errors import ModelError
from llm4top.tasks.builtin import OUTCOME
from tests.benchmark.conftest import quick_settings

TYPES = {"dtype": "bfloat16", "quantize": "4bit"}


@pytest.mark.parametrize(
    ("training", "expected"), [({}, {}), (TYPES, TYPES), ({"quantize": None}, {})]
)
def test_an_untrained_model_is_loaded_as_it_is_for_fine_tuning(
    training, expected, tmp_path, monkeypatch
):
    """One that fits in bfloat16 or in 4 bits only must not be loaded larger to be prompted."""
    asked = []

    def loaded(folder, **options):
        asked.append(options)
        raise ModelError("all this test wants to know is how it was asked for")

    monkeypatch.setattr("llm4top.benchmark.context.load_base", loaded)
    settings = quick_settings(tmp_path, tmp_path / "out", training=training)
    with pytest.raises(ModelError):
        Loader(settings, OUTCOME).untrained(tmp_path)
    assert asked == [{"device": "cpu"} | expected]
    assert number_types(settings) == expected
