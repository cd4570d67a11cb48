"""Options that several commands take, written once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llm4top.cli.completion import model_names, presets, task_names

if TYPE_CHECKING:
    from llm4top.tasks.task import Task

TableFormat = Annotated[
    Literal["table", "json"], typer.Option("--format", help="A table for people, or JSON.")
]
TextFormat = Annotated[
    Literal["text", "json"], typer.Option("--format", help="Text for people, or JSON.")
]
ReportFormat = Literal["text", "json", "csv"]

ModelOption = Annotated[
    str,
    typer.Option(
        help="A bundle's name or folder, the folder of a run, or a base model.",
        metavar="MODEL",
        autocompletion=model_names,
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        help="The question. Default: the bundle's own, or outcome for a base model.",
        metavar="TASK",
        autocompletion=task_names,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="quick, standard or thorough.",
        show_default="standard",
        metavar="PRESET",
        autocompletion=presets,
    ),
]
BaselinesOption = Annotated[
    str | None, typer.Option(help="Baselines by name, separated by commas.", show_default="all")
]
EncoderOption = Annotated[
    Path | None, typer.Option(help="Folder of a sentence encoder, for the baseline 'sentence'.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done and what it costs, and exit.")
]


@dataclass(frozen=True)
class ModelChoice:
    """Which forecaster answers which question."""

    model: ModelOption = "embedded"
    task: TaskOption = None


@dataclass(frozen=True)
class ModelLoading:
    """How a forecaster is loaded."""

    device: DeviceOption = "auto"
    quantize: Annotated[
        str | None, typer.Option(help="4bit loads the base model in 4 bits, for less memory.")
    ] = None
    batch_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens in one batch. Default: by the device's free memory."),
    ] = None


@dataclass(frozen=True)
class Measuring:
    """What forecasters are measured on, and where the report goes."""

    data: Annotated[Path, typer.Option(help="Folder of a data set made by `llm4top ingest`.")]
    split: Annotated[
        Literal["valid", "test"],
        typer.Option(help="valid, or test: each look at a test split is recorded permanently."),
    ] = "valid"
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, report.json and report.md.", file_okay=False),
    ] = None
    output: Annotated[
        ReportFormat,
        typer.Option("--format", help="Tables for people, or a format for programs."),
    ] = "text"
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of cross-fitting.")] = 0
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap draws behind each interval.")] = (
        1000
    )


def named_task(name: str | None) -> Task | None:
    """The built-in task of that name, or the one of a YAML or JSON file; None where not given."""
    from llm4top.tasks.builtin import get_task
    from llm4top.tasks.task_file import load_task

    if name is None:
        return None
    return load_task(name) if name.endswith((".yaml", ".yml", ".json")) else get_task(name)


def given(options: Any) -> dict[str, Any]:
    """The options of a group that were given, by name: those that are not None."""
    return {name: value for name, value in asdict(options).items() if value is not None}


def listed(text: str | None) -> tuple[str, ...] | None:
    """The parts of a value that is separated by commas; None where it was not given."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def key_value(pair: str) -> tuple[str, str]:
    """The name and the text of ``--set KEY=VALUE``; ``typer.BadParameter`` where it is none."""
    key, equals, text = pair.partition("=")
    if not equals or not key.strip():
        raise typer.BadParameter(f"{pair!r} is not KEY=VALUE.", param_hint="--set")
    return key.strip().replace("-", "_"), text


def yaml_value(text: str, *, what: str = "a YAML value") -> Any:
    """The value of a ``--set`` option; ``typer.BadParameter`` says that it is not ``what``."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise typer.BadParameter(f"{text!r} is not {what}.", param_hint="--set") from None


def read_settings(pairs: list[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` pairs with their values read as YAML."""
    return {key: yaml_value(text) for key, text in map(key_value, pairs or ())}
