"""The settings of a training as labelled fields."""

import pytest

from llm4top.errors import ConfigError
from llm4top.training.config import PRESETS, TrainingConfig, make_config
from llm4top.workspace.views.setting_fields import ELSEWHERE, GROUPS, entry_of, setting_fields

FIELDS = {field.name: field for group in setting_fields().values() for field in group}


def test_every_setting_has_a_field_or_is_chosen_elsewhere():
    named = [name for names in GROUPS.values() for name in names]
    assert len(named) == len(set(named))
    assert {*named, *ELSEWHERE} == set(TrainingConfig.model_fields)


def test_each_field_has_a_label_help_and_the_presets_defaults():
    for field in FIELDS.values():
        assert field.label
        assert field.help.endswith(".")
        assert set(field.defaults) == set(PRESETS)
    assert FIELDS["epochs"].default("thorough") == "5"
    assert FIELDS["max_tokens"].default("standard") == "2\u202f048"
    assert FIELDS["lora_rank"].label == "LoRA rank"
    assert FIELDS["quantize"].options == ("4bit", "none")
    assert FIELDS["gradient_checkpointing"].options == ("auto", "yes", "no")
    assert FIELDS["phases"].options == ("I", "II", "III", "IV")
    assert FIELDS["phases"].several
    assert FIELDS["patience"].options == ()


@pytest.mark.parametrize(
    ("name", "entry", "value"),
    [
        ("epochs", "2", 2),
        ("epochs", " 0.5 ", 0.5),
        ("learning_rate", "1e-4", 1e-4),
        ("max_tokens", "2\u202f048", 2048),
        ("max_tokens", "2 048", 2048),
        ("patience", "none", None),
        ("quantize", "none", None),
        ("gradient_checkpointing", "no", False),
        ("eval_trials", "auto", "auto"),
        ("eval_trials", "200", 200),
        ("class_weights", "balanced", "balanced"),
        ("class_weights", "failure: 1, success: 2.5", {"failure": 1, "success": 2.5}),
        ("sections", ["auto"], "auto"),
        ("sections", ["phase", "criteria"], ("phase", "criteria")),
        ("phases", ["II"], ("II",)),
        ("device", "cuda:1", "cuda:1"),
        ("context_of_use", "Research: 1 only", "Research: 1 only"),
    ],
)
def test_an_entry_is_read_as_the_setting_takes_it(name, entry, value):
    found = FIELDS[name].read(entry)
    assert found == value
    assert type(found) is type(value)
    made = make_config(None, {"data": "d", "base": "b", "out": "o", name: found})
    assert getattr(made, name) == value
    assert FIELDS[name].read(entry_of(FIELDS[name], getattr(made, name))) == value


@pytest.mark.parametrize("entry", ["banana", "1,5", "{", "--", "a: b"])
def test_what_is_no_value_is_told_with_what_the_setting_takes(entry):
    found = FIELDS["epochs"].read(entry)
    with pytest.raises(ConfigError) as caught:
        make_config(None, {"data": "d", "base": "b", "out": "o", "epochs": found})
    (fault,) = caught.value.faults
    assert fault.startswith("epochs: must be a number, not ")


def test_every_default_can_be_entered_again():
    for field in FIELDS.values():
        for preset, value in field.defaults.items():
            if value is None and field.several:
                continue
            assert field.read(entry_of(field, value)) == value, (field.name, preset)
