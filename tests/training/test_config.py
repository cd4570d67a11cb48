"""Settings: presets, files and flags, and every fault at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from llm4top.errors import ConfigError
from llm4top.training.config import PRESETS, TrainingConfig, make_config

NEEDED = {"data": "d", "base": "b", "out": "o"}


def test_the_standard_preset_is_what_no_preset_means() -> None:
    assert make_config(None, NEEDED) == make_config(None, {**NEEDED, "preset": "standard"})


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_are_complete_and_sixteen_rows_a_step(preset: str) -> None:
    config = make_config(None, {**NEEDED, "preset": preset})
    assert {name: getattr(config, name) for name in PRESETS[preset]} == PRESETS[preset]
    assert config.batch_size * config.accumulation == 16


def test_flags_go_before_the_file_and_the_file_before_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: thorough\nlora_rank: 5\nepochs: 2\nbase: from-file\n")
    config = make_config(file, {"data": "d", "out": "o", "epochs": 1, "patience": None})
    assert (config.base, config.epochs, config.lora_rank) == ("from-file", 1.0, 5)
    assert config.lora_alpha == PRESETS["thorough"]["lora_alpha"]
    assert config.patience is None


def test_full_tuning_takes_a_tenth_of_the_preset_learning_rate() -> None:
    assert make_config(None, {**NEEDED, "tuning": "full"}).learning_rate == pytest.approx(2e-5)
    given = make_config(None, {**NEEDED, "tuning": "full", "learning_rate": 3e-4})
    assert given.learning_rate == 3e-4


def test_the_settings_as_used_make_the_same_settings_again(tmp_path: Path) -> None:
    chosen = {"sections": ["phase", "criteria"], "class_weights": {"failure": 1.0, "success": 2.0}}
    config = make_config(None, {**NEEDED, **chosen, "preset": "quick"})
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml())
    assert make_config(file) == config
    assert set(yaml.safe_load(file.read_text())) == set(TrainingConfig.model_fields)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(
            None,
            {
                "data": "d",
                "out": "o",
                "lora_rnak": 8,
                "epochs": -1,
                "calibration": "magic",
                "batch-size": 2,
                "class_weights": "heavy",
                "seed": "x",
            },
        )
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "base",
        "epochs",
        "class_weights",
        "seed",
        "calibration",
        "lora_rnak",
        "batch-size",
    ]
    text = str(caught.value)
    assert "base: must be given (the base model: " in text
    assert "epochs: must be more than 0, not -1" in text
    assert "lora_rnak: no such setting (did you mean lora_rank?)" in text
    assert "batch-size: no such setting (did you mean batch_size?)" in text
    assert "'venn-abers', 'platt' or 'none', not 'magic'" in text
    assert text.endswith("\nList all settings with: llm4top train --list-settings")


@pytest.mark.parametrize(
    ("chosen", "fault"),
    [
        ({"tuning": "full", "quantize": "4bit"}, "quantize: a model in 4 bits cannot be trained"),
        (
            {"shard": True, "quantize": "4bit"},
            "shard: weights in 4 bits cannot be sharded; choose one of the two",
        ),
        ({"shard": True, "tuning": "probe"}, "shard: a probe is fitted by one process"),
        ({"valid_split": "train"}, "valid_split: must differ from train_split"),
        ({"train_split": "test"}, "train_split: must be 'train' or 'valid', not 'test'"),
        ({"sections": ["criteris"]}, r"no section 'criteris' \(did you mean criteria\?\)"),
        ({"sections": []}, "sections: name one or more"),
        ({"class_weights": {"success": 0.0}}, "class_weights: must all be above 0"),
        ({"device": "tpu"}, "device: must be auto, cpu, mps, cuda or cuda:N, not 'tpu'"),
        (
            {"eval_trials": 0},
            "eval_trials: must be auto, all, or a whole number of 1 or more, not 0",
        ),
        ({"epochs": "banana"}, "epochs: must be a number, not 'banana'"),
        ({"sections": "criteria"}, "sections: must be auto, all, or a list of names of sections"),
        ({"patience": 0}, "patience: must be 1 or more, not 0"),
        ({"learning_rate": float("nan")}, "learning_rate: must be a number, not nan"),
    ],
)
def test_settings_that_cannot_be_are_refused(chosen: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        make_config(None, {**NEEDED, **chosen})


def test_faults_between_settings_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(None, {**NEEDED, "valid_split": "train", "sections": ["x", "y"]})
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a\n- b\n", "must hold lines of 'name: value'"),
        ("a: [1\nb: 2\n", "line 2"),
        ("data: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
    ],
)
def test_files_that_hold_no_settings_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        make_config(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        make_config(tmp_path / "nowhere.yaml")


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing\n")
    assert make_config(file, NEEDED) == make_config(None, NEEDED)


@pytest.mark.parametrize(
    ("former", "today", "value"),
    [("gradient_accumulation", "accumulation", 8), ("class_weight", "class_weights", "balanced")],
)
def test_former_names_of_settings_still_open(
    tmp_path: Path, former: str, today: str, value: object
) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(yaml.safe_dump({**NEEDED, former: value}))
    assert make_config(file) == make_config(None, {**NEEDED, today: value})
    assert getattr(make_config(None, {**NEEDED, former: value}), today) == value
    with pytest.raises(ConfigError, match=f"{former}: no such setting"):
        make_config(None, {**NEEDED, former: value, today: value})


def test_class_weights_follow_the_labels_of_the_task() -> None:
    config = make_config(None, {**NEEDED, "class_weights": {"success": 2, "failure": 1}})
    assert config.for_labels(("failure", "success")).class_weights == (1.0, 2.0)
    with pytest.raises(ConfigError, match="names failure, success; the labels are no, yes"):
        config.for_labels(("no", "yes"))
    config = make_config(None, {**NEEDED, "class_weights": [1, 2, 3]})
    with pytest.raises(ConfigError, match="3 numbers; the task has 2 labels"):
        config.for_labels(("no", "yes"))


def test_every_setting_of_fine_tuning_is_handed_on() -> None:
    config = make_config(None, {**NEEDED, "lora_rank": 3, "max_steps": 7, "precision": "fp32"})
    made = config.for_labels(("failure", "success"))
    assert (made.lora_rank, made.max_steps, made.precision, made.seed) == (3, 7, "fp32", 0)
    assert (made.patience, made.evals_per_epoch, made.gradient_checkpointing) == (3, 2, "auto")
