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

    Replace what does not fit, delete what you do not know, and forecast it. docs/records.md
    describes records and where to get them.

    [bold]Examples[/bold]

        llm4top template --out draft.json

        llm4top template --format xml --out draft.xml

        llm4top template --choices
    """
    from llm4top.errors import ConfigError

    if choices:
        _print_choices()
        return
    text = files("llm4top").joinpath("templates", f"record.{format}").read_text("utf-8")
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            "the template was not written.", [f"{out}: there is a file already"], hint=_OTHER
        ) from None
    except OSError as error:
        fault = f"{out}: {error.strerror or error}"
        raise ConfigError("the template was not written.", [fault], hint=_OTHER) from None
    note(f"Fill in {out}, then: llm4top forecast {out}")


_OTHER = "Choose another file with --out."


def _print_choices() -> None:
    from llm4top.registry.codes import CHOICES

    for path, codes in CHOICES.items():
        typer.echo(path)
        for code, word in codes.items():
            typer.echo(f"    {code:<26} {word}")
