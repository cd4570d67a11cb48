"""How commands join an application: options from groups, help from docstrings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from llm4top.cli.options import PlainGroup, add_command, help_text


@dataclass(frozen=True)
class Group:
    """Options that commands share."""

    size: Annotated[int, typer.Option(help="How large.")]
    names: Annotated[list[str] | None, typer.Option("--name", help="What to call it.")] = None


def command(word: Annotated[str, typer.Argument()], *, group: Group, loud: bool = False) -> None:
    """Print what was given,
    on one line.

        with an example
        of two lines
    """
    typer.echo(f"{word} {group.size} {group.names} {loud}")


def run(*args: str) -> tuple[int, str]:
    app = typer.Typer(cls=PlainGroup)
    app.callback()(lambda: None)
    add_command(app, command)
    result = CliRunner().invoke(app, ["command", *args])
    return result.exit_code, result.output


def test_the_fields_of_a_group_are_options() -> None:
    assert run("a", "--size", "3") == (0, "a 3 None False\n")
    given = ("a", "--size", "3", "--name", "x", "--name", "y", "--loud")
    assert run(*given) == (0, "a 3 ['x', 'y'] True\n")


def test_a_field_without_a_default_is_required() -> None:
    code, output = run("a")
    assert code == 2
    assert "--size" in output


def test_help_shows_the_groups_options_and_joins_lines() -> None:
    code, output = run("--help")
    assert code == 0
    assert "How large." in output
    assert "Print what was given, on one line." in output
    assert help_text(command).endswith("    with an example\n    of two lines")
