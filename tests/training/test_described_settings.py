"""Every training setting in words."""

from __future__ import annotations

from llm4top.training.config import PRESETS, TrainingConfig, describe_settings


def test_every_setting_is_described() -> None:
    found = {setting.name: setting for setting in describe_settings()}
    assert list(found) == list(TrainingConfig.model_fields)
    for setting in found.values():
        assert len(setting.description) > 15, setting.name
        assert setting.description[-1] != "."
        assert setting.takes
    needed = [setting.name for setting in found.values() if setting.must_be_given]
    assert needed == ["data", "base", "out"]


def test_defaults_are_those_of_each_preset() -> None:
    found = {setting.name: setting for setting in describe_settings()}
    assert found["epochs"].values == {"quick": 1.0, "standard": 3.0, "thorough": 5.0}
    assert found["epochs"].default == 3.0
    assert found["seed"].values == dict.fromkeys(PRESETS, 0)
    assert found["data"].values == {}


def test_what_a_setting_takes_is_said_in_words() -> None:
    takes = {setting.name: setting.takes for setting in describe_settings()}
    assert takes["quantize"] == "4bit or none"
    assert takes["max_steps"] == "whole number or none"
    assert takes["sections"] == "auto, all, or a list of names of sections"
    assert takes["gradient_checkpointing"] == "auto, true, false"
