"""``llm4top template``: a record to fill in by hand."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import typer

from llm4top.cli.console import note


def template(
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["json", "xml"],
        typer.Option(
            help="json: as the registry gives records today; xml: its legacy format, with comments."
        ),
    ] = "json",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; standard output without it.")
    ] = None,
    choices: Annotated[
        bool, typer.Option("--choices", help="Print the codes of each coded field, and exit.")
    ] = False,
) -> None:
    """Write a template record: an invented trial with every field that a model may read.

    Replace what does not fit, delete what you do not know, and forecast it. "llm4top draft" makes
    such a record of a synopsis. docs/records.md describes records and where to get them.

    [bold]Examples[/bold]

        llm4top template --out draft.json

        llm4top template --format xml --out draft.xml

        llm4top template --choices
    """
    if choices:
        _print_choices()
        return
    text = files("llm4top").joinpath("templates", f"record.{format}").read_text("utf-8")
    if out is None:
        typer.echo(text, nl=False)
        return
    write_new(out, text, what="the template")
    note(f"Fill in {out}, then: llm4top forecast {out}")


def write_new(path: Path, text: str, *, what: str) -> None:
    """Write a file that is not there yet; raises ``ConfigError`` that names ``what`` otherwise."""
    from llm4top.errors import ConfigError

    fault = ""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fault = f"there is a {'folder' if path.is_dir() else 'file'} already"
    except OSError as error:
        fault = error.strerror or str(error)
    if fault:
        hint = "Choose another file with --out."
        raise ConfigError(f"{what} was not written.", [f"{path}: {fault}"], hint=hint)


def _print_choices() -> None:
    from llm4top.registry.codes import CHOICES

    for path, codes in CHOICES.items():
        typer.echo(path)
        for code, word in codes.items():
            typer.echo(f"    {code:<26} {word}")
