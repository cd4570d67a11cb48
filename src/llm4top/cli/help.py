"""How commands join an application: help from docstrings, options from groups, one style."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

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
            parameter.metavar = _WORDS.get(_element(parameter.type_descriptor.annotation))
    return parameters


def _element(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is list else annotation


def _description(name: str) -> str:
    from llm4top.training.config import TrainingConfig  # not at the head: it is slow to import

    text = str(TrainingConfig.model_fields[name].description)
    return f"{text[:1].upper()}{text[1:]}."
