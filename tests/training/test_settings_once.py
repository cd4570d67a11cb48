"""Fine-tuning settings have one home: every place that shows or takes them agrees with it."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest
import typer
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from llm4top.cli.app import app
from llm4top.cli.options import presets
from llm4top.cli.pretrain import Flags
from llm4top.cli.train import plain_value
from llm4top.forecasters.finetuning.settings import FORMER_NAMES, FinetuneSettings
from llm4top.forecasters.language import LanguageForecaster
from llm4top.training.config import PRESETS, TrainingConfig, describe_settings
from llm4top.training.pretrain import PretrainSettings
from llm4top.workspace.views.setting_fields import ELSEWHERE, setting_fields

FIELDS = FinetuneSettings.model_fields
# What ``LanguageForecaster`` takes besides: model, prompt and machine.
MODEL_ARGUMENTS = {"base", "task", "adapter", "max_tokens", "sections", "device", "dtype"}
MODEL_ARGUMENTS |= {"plain_text", "quantize", "batch_tokens"}


def test_a_training_takes_every_setting_as_fine_tuning_has_it() -> None:
    for name, field in FIELDS.items():
        assert TrainingConfig.model_fields[name].default == field.default, name
        assert TrainingConfig.model_fields[name].description == field.description, name


def test_presets_change_known_settings_and_standard_is_the_defaults() -> None:
    assert PRESETS["standard"] == {}
    for preset, values in PRESETS.items():
        assert values.keys() <= TrainingConfig.model_fields.keys(), preset


def test_the_language_forecaster_has_the_same_names_and_defaults() -> None:
    parameters = inspect.signature(LanguageForecaster.__init__).parameters
    own = parameters.keys() - MODEL_ARGUMENTS - {"self"}
    assert {FORMER_NAMES.get(name, name) for name in own} <= FIELDS.keys()
    for name in own & FIELDS.keys():
        assert parameters[name].default == FIELDS[name].default, name
    for name in ("max_tokens", "plain_text", "device", "dtype", "quantize"):
        assert parameters[name].default == TrainingConfig.model_fields[name].default, name


def test_the_language_forecaster_stays_an_estimator_of_scikit_learn() -> None:
    forecaster = LanguageForecaster("embedded", accumulation=2)
    for point in ParameterGrid({"lora_rank": [4, 8], "epochs": [0.5]}):
        other = clone(forecaster).set_params(**point)
        assert {**forecaster.get_params(), **point} == other.get_params()


def test_the_options_of_train_are_settings_in_the_words_of_the_settings() -> None:
    described = {setting.name: setting.description for setting in describe_settings()}
    command = typer.main.get_command(app).commands["train"]
    shown = {
        option.name: str(getattr(option, "help", ""))
        for option in command.get_params(typer.Context(command))
    }
    for name in shown.keys() & described.keys() - {"data", "base", "out", "preset"}:
        assert shown[name].rstrip(".").lower() == described[name].lower(), name


def test_the_form_of_the_studio_shows_every_setting() -> None:
    fields = {field.name: field for group in setting_fields().values() for field in group}
    assert fields.keys() | set(ELSEWHERE) == TrainingConfig.model_fields.keys()
    for name, field in fields.items():
        description = str(TrainingConfig.model_fields[name].description)
        assert field.help.rstrip(".").lower() == description.lower()
        assert field.defaults["standard"] == TrainingConfig.model_fields[name].default, name


def test_the_options_of_pretrain_have_the_defaults_of_its_settings() -> None:
    settings = PretrainSettings()
    for field in dataclasses.fields(Flags):
        assert field.default == getattr(settings, field.name), field.name


def test_every_place_that_offers_presets_offers_all() -> None:
    from llm4top.studio.components import train_form
    from llm4top.studio.pages import benchmark

    assert list(train_form.PRESETS) == list(benchmark.PRESETS) == list(PRESETS) == presets("")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_documentation_lists_every_setting_with_its_defaults(name: str) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
    row = re.search(rf"^\| `{name}` \|(.*)\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"docs/cli.md has no row for {name}"
    cells = [cell.strip(" `") for cell in row[1].split("|")]
    for preset, cell in zip(PRESETS, cells[-3:], strict=True):
        value = PRESETS[preset].get(name, FIELDS[name].default)
        assert cell == plain_value(value), preset
