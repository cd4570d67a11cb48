"""``llm4top draft``: a record for a trial that has none yet, from a synopsis or typed in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.console import note, print_json, safe, standard_output, table_of
from llm4top.cli.options import ModelChoice, TextFormat, key_value, named_task
from llm4top.cli.template import write_new
from llm4top.files import write_text

if TYPE_CHECKING:
    from llm4top.forecasters.section_costs import DraftForecast
    from llm4top.registry.draft import Draft

_SHOWN = 200


_Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Give a field a value, or none: --set phase='Phase 2'. Repeatable.",
        metavar="FIELD=VALUE",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(help="Write the draft as a record to this file.", metavar="FILE"),
]
_WithForecast = Annotated[
    bool,
    typer.Option("--forecast", help="Forecast the draft, and show what each section costs."),
]


def draft(
    file: Annotated[
        Path | None,
        typer.Argument(help="A synopsis (.txt, .docx, .pdf), or a draft in JSON.", metavar="FILE"),
    ] = None,
    *,
    settings: _Settings = None,
    out: _Out = None,
    with_forecast: _WithForecast = False,
    choice: ModelChoice,
    output: TextFormat = "text",
) -> None:
    """Make a record for a trial that is not registered yet.

    Reads a synopsis, and shows for confirmation what was recognised by its headings, the text that
    each value came from, what was not recognised, and what is missing. Nothing is guessed: what
    can be read in two ways is left empty and listed. Text files, Word files and PDFs with text
    are read; a picture of a page is not.

    --set corrects a field or fills in a missing one. Lists have one item for each semicolon or
    line; the parts of an item stand between bars:
    --set "arms=Exemplamab | Experimental; Placebo | Placebo Comparator".

    --out writes the draft as the registry's JSON (API version 2), which every command takes as a
    record. --forecast also says by how much each section narrows the interval, or would.

    [bold]Examples[/bold]

        llm4top draft synopsis.docx

        llm4top draft synopsis.pdf --set "phase=Phase 2" --set sex=All --out draft.json --forecast

        llm4top draft draft.json --set masking=Double --out draft.json

        llm4top draft --set "brief_title=Exemplamab in asthma" --set conditions=Asthma --forecast
    """
    if file is None and not settings:
        raise typer.BadParameter("give a file, or fields with --set.", param_hint="FILE")
    texts = dict(map(_named_value, settings or ()))
    made = _made(file, texts)
    found = _forecast(made, choice) if with_forecast else None
    if output == "json":
        print_json(_values(made, found, texts))
    else:
        _show(made, texts)
        if found is not None:
            _show_forecast(found)
    if out is not None:
        _write(made, out, file)


def _named_value(text: str) -> tuple[str, str]:
    """A field by its own name, and its value, from one --set."""
    from llm4top.registry.edit_fields import field_name

    name, value = key_value(text)
    return field_name(name), value


def _made(file: Path | None, texts: dict[str, str]) -> Draft:
    from llm4top.registry.draft import Draft
    from llm4top.registry.trial import Trial

    made = Draft.of(Trial()) if file is None else Draft.from_file(file)
    return made.with_texts({name: _lines(name, text) for name, text in texts.items()})


def _write(made: Draft, out: Path, file: Path | None) -> None:
    """Write the record; over a file only where the draft was read from that."""
    text = made.to_json()
    if file is not None and out.exists() and out.samefile(file):
        write_text(out, text)
    else:
        write_new(out, text, what="the draft")
    note(f"{out} is written. Next: llm4top forecast {out}")


def _lines(name: str, text: str) -> str:
    """A value of the command line, where items of a list may be parted by semicolons."""
    from llm4top.registry.draft_fields import PARTS

    return text.replace(";", "\n") if name in PARTS else text


def _forecast(made: Draft, choice: ModelChoice) -> DraftForecast:
    from llm4top.errors import DraftError
    from llm4top.forecasters.load import load_forecaster
    from llm4top.forecasters.section_costs import section_costs

    forecaster = load_forecaster(choice.model, task=named_task(choice.task))
    found = section_costs(forecaster, made.trial)
    if found is None:
        why = None if forecaster.support is None else forecaster.support.refusal(made.trial)
        raise DraftError(
            "the draft gets no forecast with an interval:",
            [why or f"{forecaster.label} gives none, or answers a question with several answers"],
            hint="Leave out --forecast, or name another model.",
        )
    return found


def _values(made: Draft, found: DraftForecast | None, texts: dict[str, str]) -> dict[str, Any]:
    from dataclasses import asdict

    from llm4top.registry.api_writer import study_of

    synopsis = made.synopsis
    readings = [] if synopsis is None else [r for r in synopsis.readings if r.field not in texts]
    return {
        "study": study_of(made.trial),
        "readings": [asdict(reading) for reading in readings],
        "unread": [] if synopsis is None else [asdict(item) for item in synopsis.unread],
        "missing": list(made.missing),
        "withheld": [asdict(item) for item in made.record.withheld],
        "forecast": None if found is None else json.loads(json.dumps(asdict(found))),
    }


def _show(made: Draft, texts: dict[str, str]) -> None:
    from llm4top.registry.draft_fields import DRAFT_FIELDS
    from llm4top.text import one_line

    console = standard_output()
    console.print(f"[bold]{safe(one_line(made.title, _SHOWN))}[/]")
    places: dict[str, list[str]] = {}
    for reading in made.synopsis.readings if made.synopsis else ():
        told = f"{reading.where}: {reading.note}" if reading.note else reading.where
        if reading.field not in texts and told not in places.setdefault(reading.field, []):
            places[reading.field].append(told)
    rows = [
        (
            f"[bold]{DRAFT_FIELDS[name].heading}[/]",
            safe("\n".join(one_line(line, _SHOWN) for line in text.split("\n"))),
            f"[dim]{safe('; '.join(places.get(name, ['given' if name in texts else ''])))}[/]",
        )
        for name, text in made.texts.items()
    ]
    if rows:
        console.print(table_of(("Field", "Value", "Where it stands"), rows))
    for item in made.record.withheld:
        console.print(f"Withheld from {item.field}: {safe(item.reason)}: {safe(item.excerpt)}")
    unread = [u for u in made.synopsis.unread if u.field not in texts] if made.synopsis else []
    if unread:
        console.print("\n[bold]Not used[/]")
        lines = [
            (safe(item.where), safe(item.why), f"[dim]{safe(one_line(item.source, 80))}[/]")
            for item in unread
        ]
        console.print(table_of(("Where", "Why", "Text"), lines))
    if made.missing:
        names = ", ".join(f"{DRAFT_FIELDS[name].heading} ({name})" for name in made.missing)
        console.print(f"\n[bold]Missing[/]\n{names}", soft_wrap=True)


def _show_forecast(found: DraftForecast) -> None:
    from llm4top.text import DISCLAIMER, interval, percent

    console = standard_output()
    chance = f"{percent(found.chance)} ({interval(found.lower, found.upper)})"
    console.print(f"\n[bold]Chance of success {chance}[/]")
    if found.note:
        console.print(safe(found.note), soft_wrap=True)
    rows = [(item.section, item.state, item.words) for item in found.sections]
    console.print(table_of(("Section", "In the draft", "Width of the interval"), rows))
    console.print(f"[dim]{DISCLAIMER}[/]")
