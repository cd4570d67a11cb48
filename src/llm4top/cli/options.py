"""Options that several commands take: their help, their completion, their checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from llm4top.tasks.task import Task

SETTING = "(a setting of a training)"
"""Help of an option that is a setting: the description in ``TrainingConfig`` takes its place."""

_WORDS: dict[Any, str] = {bool: "", int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def add_command(app: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    """Add ``command`` to ``app``.

    The help is its docstring. A parameter that is a dataclass stands for its fields, each of
    which is an option: so commands share groups of options.
    """
    app.command(name, cls=PlainCommand, help=help_text(command))(_expanded(command))


def _expanded(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with the fields of dataclasses among its parameters as parameters."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if is_dataclass(hint):
            groups[parameter.name] = hint
            parameters += _parameters(hint)
        else:
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hint))

    @wraps(command)
    def call(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    signature = inspect.Signature(parameters)
    call.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
    call.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return call


def _parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def help_text(command: Callable[..., Any]) -> str:
    """The command's docstring with the lines of each paragraph joined, examples left as they are.

    The help would otherwise break lines where the source does.
    """
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else " ".join(p.split()) for p in paragraphs)


class PlainCommand(TyperCommand):
    """A command whose help says in capitals what an option takes, and nothing at a flag."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters as the help shows them."""
        return _in_one_style(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands, with the same style in its help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters as the help shows them."""
        return _in_one_style(super().get_params(ctx))


def _in_one_style(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "help", None) == SETTING:
            parameter.help = _description(parameter.name)
        if parameter.metavar is not None:
            continue
        if parameter.param_type_name == "argument":
            parameter.metavar = parameter.name.upper()
        elif not parameter.type_descriptor.is_choice:
            kind = parameter.type_descriptor.annotation
            parameter.metavar = _WORDS.get(get_args(kind)[0] if get_origin(kind) is list else kind)
    return parameters


def _description(name: str) -> str:
    from llm4top.training.config import TrainingConfig  # not at the head: it is slow to import

    text = str(TrainingConfig.model_fields[name].description)
    return f"{text[:1].upper()}{text[1:]}."


def model_names(incomplete: str) -> list[str]:
    """Bundles and base models of this machine."""
    from llm4top.forecasters.model.model_files import known_models

    names = [name for name in known_models() if name.startswith(incomplete)]
    return names + _folders(incomplete)


def bundle_names(incomplete: str) -> list[str]:
    """Bundles in this machine's store."""
    from llm4top.forecasters.bundles.store import list_bundles

    found = list_bundles(on_problem=lambda _path, _error: None)
    return [bundle.name for bundle in found if bundle.name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Presets of a training."""
    from llm4top.training.config import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]


def task_names(incomplete: str) -> list[str]:
    """Built-in questions."""
    from llm4top.tasks.builtin import TASKS

    return [name for name in TASKS if name.startswith(incomplete)]


def run_ids(incomplete: str) -> list[tuple[str, str]]:
    """Runs by the beginning of their id, each with its kind, state and title."""
    return list(_quietly(_runs, incomplete))


def dataset_names(incomplete: str) -> list[tuple[str, str]]:
    """Data sets of the Studio by their name, and folders."""
    return [*_quietly(_datasets, incomplete), *((folder, "") for folder in _folders(incomplete))]


def _folders(incomplete: str) -> list[str]:
    """Folders whose path begins so; what a shell would offer by itself."""
    place, _, start = incomplete.rpartition("/")
    parent = Path(place or ("/" if incomplete.startswith("/") else "."))
    try:
        found = sorted(p.name for p in parent.expanduser().iterdir() if p.is_dir())
    except OSError:
        return []
    before = f"{place}/" if "/" in incomplete else ""
    return [f"{before}{n}" for n in found if n.startswith(start) and not n.startswith(".")]


def _runs(incomplete: str) -> Iterator[tuple[str, str]]:
    from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        for run in workspace.runs.list(limit=100):
            if run.id.startswith(incomplete):
                yield run.id[: max(8, len(incomplete))], f"{run.kind} {run.state} {run.title}"


def _datasets(incomplete: str) -> Iterator[tuple[str, str]]:
    from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        for dataset in workspace.datasets.list():
            if dataset.name.startswith(incomplete):
                yield dataset.name, f"{dataset.rows} trials"


def _quietly(
    find: Callable[[str], Iterator[tuple[str, str]]], incomplete: str
) -> Iterator[tuple[str, str]]:
    """What is found; nothing where the workspace cannot be opened: Tab must not complain."""
    from llm4top.errors import LLM4TOPError

    try:
        yield from find(incomplete)
    except (LLM4TOPError, OSError):
        return


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
        help="A bundle's name or folder, the folder of a run, a base model, or a model on a "
        "server (URL#NAME).",
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
        str | None,
        typer.Option(
            help="4bit or 8bit loads the base model in so many bits: less memory, other forecasts."
        ),
    ] = None
    batch_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens in one batch. Default: by the device's free memory."),
    ] = None


TokenizerOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with tokenizer.json of a model on a server. Default: that of the downloaded "
        "model of its name.",
        file_okay=False,
    ),
]
RemoteOption = Annotated[
    bool,
    typer.Option(
        "--allow-remote",
        help="Let a model be on another machine: the text of each record is sent there.",
    ),
]


def tell_privacy(models: Iterable[str]) -> None:
    """Note which other machines will get the records' text."""
    from llm4top.cli.console import note
    from llm4top.forecasters.model.model_source import is_served

    for model in filter(is_served, models):
        from llm4top.forecasters.model.completion_server import ServedModel

        served = ServedModel.parse(model)
        if not served.is_local:
            note(served.privacy)


@dataclass(frozen=True)
class ServedLoading:
    """How a model on a server is reached."""

    tokenizer: TokenizerOption = None
    allow_remote: RemoteOption = False


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
    if name is None:
        return None
    from llm4top.tasks.builtin import get_task
    from llm4top.tasks.task_file import load_task

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
