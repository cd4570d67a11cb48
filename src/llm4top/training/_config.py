"""The settings of a training run: one model, filled from a preset, a YAML file and flags."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llm4top.errors import ConfigError
from llm4top.forecasters._finetune_settings import FinetuneSettings
from llm4top.prompts import SECTION_NAMES
from llm4top.training._presets import PRESETS, PresetName

Tuning = Literal["lora", "full"]
Calibration = Literal["venn-abers", "platt", "none"]


class TrainingConfig(BaseModel):
    """Everything that decides a training run. Make one with ``make_config``.

    data: folder of a data set that ``llm4top ingest`` made.
    base: folder of the base model, or the name of a downloaded one.
    out: the run's folder; it gets the settings, events, checkpoints and the bundle.
    task: name of the data set's task, as a check; None takes whatever the data set asks.
    train_split, valid_split: which rows teach, and which choose, stop and calibrate. "test" is
        neither: it is sealed from every choice.
    preset: see ``PRESETS``; the settings below override it one by one.
    tuning ... seed: as in ``FinetuneSettings``, whose defaults the presets replace.
    class_weights: None, "balanced", or a weight for each label by name.
    max_tokens, sections: the prompt's budget, and what it shows: "auto" (the sections that at
        least one per cent of the training trials have, so that the model is later shown only
        what it has learnt), "all", or names.
    device: "auto", "cpu", "cuda" or "mps". dtype: "auto", "float32" or "bfloat16".
    quantize: "4bit" keeps the frozen base model in 4 bits (LoRA only).
    precision: what to compute in while training; "auto" follows the device.
    calibration: fitted on the validation split; "none" leaves the model's own probabilities.
    storage: number type in which a fully trained model's weights are kept; they are rounded
        before they are calibrated and measured. None keeps the type they were trained in.
    name, context_of_use, licence: for the bundle's manifest and card.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: Path
    base: str = Field(min_length=1)
    out: Path
    task: str | None = None
    train_split: Literal["train", "valid"] = "train"
    valid_split: Literal["train", "valid"] = "valid"
    preset: PresetName = "standard"

    tuning: Tuning = "lora"
    lora_rank: int = Field(16, ge=1, le=512)
    lora_alpha: int = Field(32, ge=1, le=4096)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    learning_rate: float = Field(2e-4, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    epochs: float = Field(3.0, gt=0, le=1000)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(4, ge=1, le=4096)
    accumulation: int = Field(4, ge=1, le=4096)
    evals_per_epoch: int = Field(2, ge=1, le=1000)
    patience: int | None = Field(3, ge=1)
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    gradient_checkpointing: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_steps: int | None = Field(None, ge=1)
    log_steps: int = Field(10, ge=1)
    seed: int = Field(0, ge=0, lt=2**32)

    max_tokens: int = Field(2048, ge=64, le=1_000_000)
    sections: Literal["auto", "all"] | tuple[str, ...] = "auto"

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quantize: Literal["4bit"] | None = None
    calibration: Calibration = "venn-abers"
    storage: Literal["bfloat16", "float16"] | None = None

    name: str | None = Field(None, min_length=1, max_length=120)
    context_of_use: str | None = None
    licence: str | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        faults = []
        if self.train_split == self.valid_split:
            faults.append("valid_split: must differ from train_split")
        if self.tuning == "full" and self.quantize:
            faults.append("quantize: a model in 4 bits cannot be trained in full; use tuning lora")
        if self.tuning != "full" and self.storage:
            faults.append("storage: goes with tuning full; an adapter is small as it is")
        if (
            isinstance(self.class_weights, dict)
            and min(self.class_weights.values(), default=0) <= 0
        ):
            faults.append("class_weights: must all be above 0")
        if not isinstance(self.sections, str):
            faults += [
                f"sections: no section {name!r}{_did_you_mean(name, SECTION_NAMES)}"
                for name in self.sections
                if name not in SECTION_NAMES
            ]
            if not self.sections:
                faults.append("sections: name one or more, or use auto or all")
        if faults:
            # pydantic carries one message an error; ours are split again at the mark.
            raise ValueError(_MARK.join(faults))
        return self

    def finetune_settings(self, labels: tuple[str, ...]) -> FinetuneSettings:
        """The part that ``finetune`` takes, for a task with these labels.

        Raises ``ConfigError`` where ``class_weights`` names other labels.
        """
        weights: tuple[float, ...] | Literal["balanced"] | None = None
        if isinstance(self.class_weights, dict):
            if set(self.class_weights) != set(labels):
                raise ConfigError(
                    "the settings do not go with the task.",
                    [
                        f"class_weights: names {', '.join(sorted(self.class_weights))}; "
                        f"the labels are {', '.join(labels)}"
                    ],
                )
            weights = tuple(self.class_weights[label] for label in labels)
        else:
            weights = self.class_weights
        shared = FinetuneSettings.__dataclass_fields__.keys() & set(type(self).model_fields)
        values = {name: getattr(self, name) for name in shared}
        return FinetuneSettings(**{**values, "class_weights": weights})

    def to_yaml(self) -> str:
        """Every setting with its value, as ``config.yaml`` in the run's folder holds it."""
        text: str = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        )
        return text


def make_config(
    file: Path | str | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Settings from a preset, overridden by a YAML file, overridden by ``overrides``.

    ``overrides`` are flags; None is a value like any other (``patience=None``: never stop early),
    so leave out what was not given. Where every weight is trained and no learning
    rate is given, the preset's is divided by ten. Raises ``ConfigError`` with every fault at once.
    """
    given = {**_read(file), **(overrides or {})}
    preset = given.get("preset", "standard")
    values = {**PRESETS.get(str(preset), PRESETS["standard"]), **given}
    if given.get("tuning") == "full" and "learning_rate" not in given:
        values["learning_rate"] /= 10
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            "the training settings are wrong.",
            _sentences(error),
            hint="All settings: llm4top train --help",
        ) from None


def read_settings_file(file: Path | str) -> Any:
    """What a YAML file of settings holds; ``ConfigError`` names the line where it is broken."""
    try:
        return yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the settings file cannot be read.", [f"{file}: {error}"]) from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        problem = getattr(error, "problem", None) or "broken"
        raise ConfigError("the settings file is no YAML.", [f"{file}{line}: {problem}"]) from None


def _read(file: Path | str | None) -> dict[str, Any]:
    values = None if file is None else read_settings_file(file)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            "the settings file holds no settings.", [f"{file}: must hold lines of 'name: value'"]
        )
    return {str(key): value for key, value in values.items()}


_MARK = "\x1f"


def _sentences(error: ValidationError) -> list[str]:
    faults: list[str] = []
    for item in error.errors(include_url=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "extra_forbidden":
            faults.append(
                f"{name}: no such setting{_did_you_mean(name, TrainingConfig.model_fields)}"
            )
        elif item["type"] == "missing":
            faults.append(f"{name}: must be given")
        elif not name:
            faults += str(item["ctx"]["error"]).split(_MARK)
        else:
            faults.append(f"{name}: {_plain(item['msg'])}, not {_short(item['input'])}")
    # Alternatives of one field give a fault each; the first says enough.
    seen: dict[str, str] = {}
    for fault in faults:
        seen.setdefault(
            fault.split(":")[0] if not fault.startswith("sections: no") else fault, fault
        )
    return list(seen.values())


def _plain(message: str) -> str:
    text = message.removeprefix("Input ").removeprefix("should be ")
    return f"must be {text[0].lower()}{text[1:]}" if not text.startswith("should") else text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
