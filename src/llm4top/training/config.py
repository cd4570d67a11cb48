"""The settings of a training run: one model, filled from a preset, a YAML file and flags."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, model_validator

from llm4top.errors import ConfigError
from llm4top.forecasters.finetuning.settings import FinetuneSettings, current_names
from llm4top.prompts.prompt import PromptSpec
from llm4top.prompts.sections import SECTION_NAMES, SECTIONS_BEYOND_RECORDS, trial_sections
from llm4top.registry.trial import Trial
from llm4top.schema import FAULT_MARK, did_you_mean, validate_settings
from llm4top.tasks.task import Task

PresetName = Literal["quick", "standard", "thorough"]

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"max_tokens": 1024, "lora_rank": 8, "lora_alpha": 16, "epochs": 1.0, "patience": 2},
    "standard": {},
    "thorough": {
        "max_tokens": 4096,
        "lora_rank": 32,
        "lora_alpha": 64,
        "learning_rate": 1e-4,
        "epochs": 5.0,
        "batch_size": 2,
        "accumulation": 8,
        "evals_per_epoch": 4,
        "patience": 6,
    },
}
"""What each preset changes of the settings' defaults, which are *standard*. For Qwen3-8B with LoRA:

============  ==========  ============  ============  ==========================================
setting       quick       standard      thorough      what it moves
============  ==========  ============  ============  ==========================================
max_tokens    1024        2048          4096          how much of a record is read; time and memory
lora_rank     8           16            32            what the adapter can hold
learning_rate 2e-4        2e-4          1e-4          a tenth of it where every weight is trained
epochs        1           3             5             passes at most; early stopping may end sooner
batch x acc.  4 x 4       4 x 4         2 x 8         16 rows a step; memory goes with the batch
evaluations   2           2             4             looks at validation in each epoch
patience      2           3             6             looks without a gain before stopping
============  ==========  ============  ============  ==========================================

*quick* shows within minutes whether data and machine work. *standard* is the one to use: it fits
one GPU of 24 GB with ``quantize: 4bit`` and one of 40 GB or more without. *thorough* reads long
records whole and is worth its several times longer run once *standard* has shown a gain.
Gradient checkpointing is automatic in all three: on where the memory would not do without.
"""


Calibration = Literal["venn-abers", "platt", "none"]
FinalFit = Literal["train", "all"]


class _DataSettings(BaseModel):
    """What a training run reads and where it writes: the first fields of ``TrainingConfig``."""

    data: Path = Field(description="folder of a data set that `llm4top ingest` made")
    base: str = Field(
        min_length=1,
        description="the base model: a folder, the name of a downloaded one, or `embedded`, the "
        "model that ships with LLM4TOP",
    )
    out: Path = Field(
        description="folder of the run; it gets the settings, events, checkpoints and the bundle"
    )
    task: str | None = Field(
        None, description="name of the data set's task, as a check; none takes the data set's own"
    )
    train_split: Literal["train", "valid"] = Field(
        "train", description="the rows to learn from; never test, which is sealed from every choice"
    )
    valid_split: Literal["train", "valid"] = Field(
        "valid", description="the rows that select the weights, stop the training and calibrate"
    )
    phases: tuple[Literal["I", "II", "III", "IV"], ...] | None = Field(
        None,
        min_length=1,
        description="train and validate on the trials of these phases alone; I/II counts as both. "
        "None takes all",
        json_schema_extra={"takes": "none, or a list of I, II, III and IV"},
    )
    preset: PresetName = Field(
        "standard", description="a set of values for the settings below; each can be overridden"
    )


class TrainingConfig(FinetuneSettings, _DataSettings):
    """Everything that decides a training run. Make one with ``make_config``.

    Each field's description says what it does; ``describe_settings`` lists them with what they
    take and their values in each preset. The settings of fine-tuning, with their defaults, are
    those of ``FinetuneSettings``.
    """

    eval_trials: Literal["auto", "all"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="validation trials in each evaluation, the same ones every time, with the "
        "labels' shares; auto keeps all evaluations together to a tenth of the training's time. "
        "Calibration and the card's figures use all of them in any case",
        json_schema_extra={"takes": "auto, all, or a whole number of 1 or more"},
    )
    max_tokens: int = Field(
        2048,
        ge=64,
        le=1_000_000,
        description="maximum tokens of a prompt; a longer record is shortened, section by section",
    )
    sections: Literal["auto", "all"] | tuple[str, ...] = Field(
        "auto",
        description="what the prompt shows: names of sections; all; or auto, the sections that a "
        "registry record can carry and at least 1 % of the training trials have",
        json_schema_extra={"takes": "auto, all, or a list of names of sections"},
    )

    plain_text: bool = Field(
        False,
        description="whether the prompt shows the words alone, in lower case, on one line and "
        "without bullets, so that another layout of a record gets the same forecast",
    )

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="where to train: auto (a GPU where there is one), cpu, mps, cuda or cuda:N",
        json_schema_extra={"takes": "auto, cpu, mps, cuda or cuda:N"},
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="number type in which the base model's weights are held; auto is bfloat16 on "
        "GPUs that have it, else float32",
    )
    quantize: Literal["4bit"] | None = Field(
        None,
        description="4bit keeps the frozen base model in 4 bits (lora and probe on a GPU only)",
    )
    shard: bool = Field(
        False,
        description="under torchrun: spread the model's weights, and what is trained in full, over "
        "the processes (FSDP2), for a model that one GPU does not hold. The weights it ends at are "
        "the same",
    )
    calibration: Calibration = Field(
        "venn-abers",
        description="how probabilities are calibrated on the validation trials; none leaves the "
        "model's own, without intervals",
    )
    final_fit: FinalFit = Field(
        "train",
        description="the rows that the bundle's model learns from. train: the training trials, and "
        "the validation trials calibrate it. all: once both have chosen the steps, training and "
        "validation trials together, and out-of-fold predictions of all of them calibrate it; that "
        "takes folds + 2 trainings",
    )
    folds: int = Field(
        5, ge=2, le=20, description="folds of the out-of-fold predictions, with final_fit all"
    )
    storage: Literal["bfloat16", "float16"] | None = Field(
        None,
        description="number type of a fully trained model's file; weights are rounded to it before "
        "they are calibrated and measured. None keeps the type they were trained in",
    )

    name: str | None = Field(
        None, min_length=1, max_length=120, description="name of the bundle; none is the folder's"
    )
    context_of_use: str | None = Field(
        None, description="what the forecasts are meant for, in the bundle's card"
    )
    licence: str | None = Field(None, description="licence of the bundle, in its card")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        faults = []
        if self.train_split == self.valid_split:
            faults.append("valid_split: must differ from train_split")
        if self.tuning == "full" and self.quantize:
            faults.append("quantize: a model in 4 bits cannot be trained in full; use tuning lora")
        if self.tuning != "full" and self.storage:
            faults.append("storage: goes with tuning full; adapters and probes are small as it is")
        if self.shard and self.quantize:
            faults.append("shard: weights in 4 bits cannot be sharded; choose one of the two")
        if self.shard and self.tuning == "probe":
            faults.append("shard: a probe is fitted by one process; use tuning lora or full")
        if not isinstance(self.sections, str):
            faults += [
                f"sections: no section {name!r}{did_you_mean(name, SECTION_NAMES)}"
                for name in self.sections
                if name not in SECTION_NAMES
            ]
            if not self.sections:
                faults.append("sections: name one or more, or use auto or all")
        if faults:
            raise ValueError(FAULT_MARK.join(faults))
        return self

    @property
    def trainings(self) -> int:
        """How many trainings a run makes: ``final_fit: all`` fits folds and all rows too."""
        return self.folds + 2 if self.final_fit == "all" else 1

    def to_yaml(self) -> str:
        """Every setting with its value, as ``config.yaml`` in the run's folder holds it."""
        text: str = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        )
        return text


def preset_value(preset: str, name: str) -> Any:
    """A setting's value where only the preset was chosen; "standard" stands in for unknown ones."""
    return PRESETS.get(preset, {}).get(name, TrainingConfig.model_fields[name].default)


SETTINGS_HINT = "List all settings with: llm4top train --list-settings"


def make_config(
    file: Path | str | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Make the settings of a training run from a preset, a YAML file and flags.

    The file overrides the preset, and ``overrides`` override both. Where every weight is trained
    and no learning rate is given, the preset's is divided by ten.

    Args:
        file: A YAML file with lines of ``name: value``; None for none.
        overrides: Settings by name. None is a value (``patience=None`` never stops early), so
            leave out what is not given.

    Raises:
        ConfigError: With every fault at once: unknown names, values out of range, settings that
            contradict each other.
    """
    given = {**current_names(_read(file)), **current_names(overrides or {})}
    preset = given.get("preset", "standard")
    values = {**PRESETS.get(str(preset), {}), **given}
    if given.get("tuning") == "full" and "learning_rate" not in given:
        values["learning_rate"] = preset_value(str(preset), "learning_rate") / 10
    return validate_settings(
        TrainingConfig, values, message="the training settings are wrong.", hint=SETTINGS_HINT
    )


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
        raise ConfigError(
            "the settings file is not valid YAML.", [f"{file}{line}: {problem}"]
        ) from None


def _read(file: Path | str | None) -> dict[str, Any]:
    values = None if file is None else read_settings_file(file)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            "the settings file holds no settings.", [f"{file}: must hold lines of 'name: value'"]
        )
    return {str(key): value for key, value in values.items()}


_WORDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true, false",
    Path: "folder",
    type(None): "none",
}


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting of ``TrainingConfig``.

    ``takes`` says in words which values it takes and ``description`` what it does. ``values`` maps
    each preset to the value there, which is the default of a run with that preset; it is empty
    where the setting ``must_be_given``.
    """

    name: str
    takes: str
    description: str
    must_be_given: bool
    values: Mapping[str, Any]

    @property
    def default(self) -> Any:
        """Its value where nothing is chosen: that of the preset "standard"."""
        return self.values.get("standard")


def describe_settings() -> tuple[SettingInfo, ...]:
    """All settings of a training run, in the order in which ``TrainingConfig`` has them."""
    found = []
    for name, field in TrainingConfig.model_fields.items():
        extra = field.json_schema_extra
        takes = extra["takes"] if isinstance(extra, Mapping) else None
        values = {preset: preset_value(preset, name) for preset in PRESETS}
        found.append(
            SettingInfo(
                name=name,
                takes=str(takes or _takes(field.annotation)),
                description=str(field.description),
                must_be_given=field.is_required(),
                values={} if field.is_required() else values,
            )
        )
    return tuple(found)


def _takes(annotation: Any) -> str:
    """A type in words: "4bit or none", "whole number", "text"."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, parts))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_takes(part) for part in parts)
    if get_origin(annotation) is Annotated:
        return _takes(parts[0])
    return _WORDS[annotation]


_RARE = 0.01


def prompt_spec(config: TrainingConfig, trials: Sequence[Trial], task: Task) -> PromptSpec:
    """What prompts hold, where these trials are learned from."""
    sections = chosen_sections(config, trials, task)
    return PromptSpec(config.max_tokens, sections, config.plain_text)


def chosen_sections(
    config: TrainingConfig, trials: Sequence[Trial], task: Task
) -> tuple[str, ...] | None:
    """The sections that prompts show.

    "auto" keeps those that a registry record can carry, at least one per cent of trials have and
    the task does not hide.
    """
    if config.sections == "all":
        return None
    if config.sections != "auto":
        return tuple(name for name in SECTION_NAMES if name in config.sections)
    return tuple(n for n in common_sections(trials, task) if n not in SECTIONS_BEYOND_RECORDS)


def common_sections(trials: Sequence[Trial], task: Task) -> tuple[str, ...]:
    """The sections that at least one per cent of the trials have and the task does not hide."""
    counts = Counter(
        section.name
        for trial in trials
        for section in trial_sections(trial, hidden_fields=task.hidden_fields)
    )
    least = max(1, _RARE * len(trials))
    return tuple(name for name in SECTION_NAMES if counts[name] >= least)
