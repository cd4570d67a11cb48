"""The settings of a training as labelled fields: made from ``TrainingConfig``, its only home."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from llm4top.text import thousands

GROUPS: dict[str, tuple[str, ...]] = {
    "What the model reads": ("phases", "sections", "max_tokens", "plain_text"),
    "Learning": (
        "tuning",
        "epochs",
        "learning_rate",
        "batch_size",
        "accumulation",
        "max_steps",
        "schedule",
        "warmup_ratio",
        "weight_decay",
        "max_grad_norm",
        "class_weights",
        "section_dropout",
        "lora_rank",
        "lora_alpha",
        "lora_dropout",
        "seed",
    ),
    "Evaluation and calibration": (
        "calibration",
        "final_fit",
        "folds",
        "evals_per_epoch",
        "eval_trials",
        "patience",
        "checkpoint_steps",
        "log_steps",
    ),
    "Machine": ("device", "quantize", "gradient_checkpointing", "precision", "dtype", "storage"),
    "Model card": ("context_of_use", "licence"),
}
"""The fields in the order of the page. What is not named here is chosen elsewhere on it."""

ELSEWHERE = ("data", "base", "out", "task", "train_split", "valid_split", "preset", "name", "shard")
"""Chosen elsewhere on the page, or not at all: the Studio trains in one process."""

NONE = "none"
"""How a field says that a setting has no value, where it may have none."""

_SPELT_OUT = {
    "dtype": "number type of the base model",
    "eval": "evaluation",
    "evals": "evaluations",
    "grad": "gradient",
    "lora": "LoRA",
    "max": "maximum",
    "warmup": "warm-up",
}


@dataclass(frozen=True, slots=True)
class SettingField:
    """One field: ``options`` are its words to choose from, empty where something is typed.

    ``several`` of the options may be chosen. ``takes`` and ``help`` say in words what it takes
    and does; ``defaults`` are the values of the presets by their names.
    """

    name: str
    label: str
    help: str
    takes: str
    options: tuple[str, ...]
    several: bool
    defaults: Mapping[str, Any]

    def default(self, preset: str) -> str:
        """The preset's value as it is shown."""
        return shown(self.defaults.get(preset))

    def read(self, entry: Any) -> Any:
        """The setting's value for what a person entered.

        What is not one is given back as it is: ``make_config`` says what is wrong with it.
        """
        if self.several:
            chosen = tuple(entry)
            words = [word for word in chosen if word in _ALONE.get(self.name, ())]
            return words[0] if len(chosen) == 1 and words else chosen
        text = str(entry).strip()
        if self.options:
            return {NONE: None, "yes": True, "no": False}.get(text, text)
        if text.lower() == NONE:
            return None
        if self.takes.startswith("text") or self.name == "device":
            return text
        try:
            return _number(text) if "{" not in text and ":" not in text else _weights(text)
        except (ValueError, yaml.YAMLError):
            return text


_ALONE = {"sections": ("auto", "all")}
"""Words that stand alone in a field of several, not in a list."""


def setting_fields() -> dict[str, tuple[SettingField, ...]]:
    """The fields by the titles of their groups."""
    from llm4top.training.config import TrainingConfig, describe_settings

    found = {}
    for setting in describe_settings():
        if setting.name in ELSEWHERE:
            continue
        options, several = _options(setting.name, TrainingConfig.model_fields[setting.name])
        found[setting.name] = SettingField(
            setting.name,
            _label(setting.name),
            setting.description[:1].upper() + setting.description[1:] + ".",
            setting.takes,
            options,
            several,
            setting.values,
        )
    return {title: tuple(found[name] for name in names) for title, names in GROUPS.items()}


def shown(value: Any) -> str:
    """A value as a field shows it: "none", "yes", "0.0002", "2 048", "I, II"."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return thousands(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def entry_of(field: SettingField, value: Any) -> Any:
    """What a person would have entered for a value: the other way round to ``read``."""
    if field.several:
        return [value] if isinstance(value, str) else list(value or ())
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {weight}" for name, weight in value.items())
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def _options(name: str, field: Any) -> tuple[tuple[str, ...], bool]:
    if name == "sections":
        from llm4top.prompts.sections import SECTION_NAMES

        return ("auto", "all", *SECTION_NAMES), True
    found: list[str] = []
    several = False
    parts = [field.annotation]
    while parts:
        part = parts.pop(0)
        kind = get_origin(part)
        if kind in (Union, UnionType):
            parts = [*get_args(part), *parts]
        elif kind is Literal:
            found += map(str, get_args(part))
        elif kind is tuple:
            several, parts = True, [get_args(part)[0], *parts]
        elif part is bool:
            found += ["yes", "no"]
        elif part is type(None):
            found += [] if several else [NONE]
        else:
            return (), False
    return tuple(found), several


def _label(name: str) -> str:
    words = [_SPELT_OUT.get(word, word) for word in name.split("_")]
    label = " ".join(words)
    return label[:1].upper() + label[1:]


def _number(text: str) -> Any:
    plain = text.replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
    if plain in ("auto", "all", "balanced"):
        return plain
    number = float(plain)
    return int(number) if number.is_integer() and "." not in plain and "e" not in plain else number


def _weights(text: str) -> Any:
    return yaml.safe_load(text if text.startswith("{") else f"{{{text}}}")
