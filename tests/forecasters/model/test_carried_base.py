"""A trained model from a bundle as a base model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm4top.errors import ModelError
from llm4top.forecasters.bundles.paths import embedded_folder
from llm4top.forecasters.bundles.verify import language_part
from llm4top.forecasters.model.model_files import carried_base, earlier_training, resolve_base


def test_embedded_is_a_base_model_by_name() -> None:
    place, _ = language_part(embedded_folder()) or (embedded_folder(), None)
    assert resolve_base("embedded") == place / "base"
    assert resolve_base(embedded_folder()) == place / "base"


def test_the_training_of_an_embedded_base_is_known() -> None:
    _, entry = language_part(embedded_folder()) or (None, None)
    if entry is None or entry.tuning.method != "full":
        pytest.skip("the base that the embedded model carries was not trained on labels")
    manifest = earlier_training(resolve_base("embedded"))
    assert manifest is not None
    assert manifest.data is not None
    assert manifest.data.name == "top"


def test_other_folders_are_not_bundles(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    assert carried_base(tmp_path) is None
    assert carried_base("Qwen/Qwen3-8B") is None
    assert earlier_training(tmp_path / "base") is None


def test_an_adapter_is_not_trained_further_without_itself(tmp_path: Path) -> None:
    place, _ = language_part(embedded_folder()) or (embedded_folder(), None)
    values = json.loads((place / "manifest.json").read_text())
    entry = values if values["schema_version"] == 1 else values["language"]
    entry["tuning"]["method"] = "lora"
    entry["base"]["id"] = "Qwen/Qwen3-8B"
    values["files"].pop("probe.safetensors", None)
    entry = {"sha256": "0" * 64, "size": 1}
    values["files"] |= {"adapter_config.json": entry, "adapter_model.safetensors": entry}
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"an adapter .* Train its base model: Qwen/Qwen3-8B"):
        resolve_base(tmp_path)
