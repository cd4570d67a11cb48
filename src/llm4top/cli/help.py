"""Help texts from docstrings, and one style for what options and arguments take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

from typer.core import TyperCommand, TyperGroup

_WORDS: dict[Any, str] = {bool: "", int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH"}


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
        if parameter.metavar is not None:
            continue
        if parameter.param_type_name == "argument":
            parameter.metavar = parameter.name.upper()
        elif not parameter.type_descriptor.is_choice:
            parameter.metavar = _WORDS.get(_element(parameter.type_descriptor.annotation))
    return parameters


def _element(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is list else annotation
