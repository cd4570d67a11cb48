"""``llm4top inspect``: what a model sees of a record, and what was withheld and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.console import note, print_json, safe, standard_output
from llm4top.cli.options import ModelChoice, TableFormat, named_task
from llm4top.cli.streams import expected
from llm4top.errors import RegistryError, UnknownFormatError

if TYPE_CHECKING:
    from rich.console import Console

    from llm4top.forecasters.forecaster import Writer
    from llm4top.prompts.prompt import Prompt
    from llm4top.prompts.sections import Section
    from llm4top.registry.trial import Record

CUT_EXCERPT = 160

RecordsArgument = Annotated[
    Path, typer.Argument(help="A record, or a collection: XML, JSON, CSV, zip or folder.")
]
NumberOption = Annotated[
    int | None, typer.Option(min=1, help="The number of the record in a collection, from 1.")
]
IdOption = Annotated[str | None, typer.Option(help="The record with this NCT id.")]


def inspect(
    file: RecordsArgument,
    record: NumberOption = None,
    nctid: IdOption = None,
    *,
    choice: ModelChoice,
    output: TableFormat = "table",
) -> None:
    """Show what the model will see of a record, and what was withheld and why.

    Each section is shown with its number of tokens (for a baseline, of words); text that exceeds
    the model's token budget is marked as cut. Nothing is forecast.

    [bold]Examples[/bold]

        llm4top inspect NCT01234567.xml

        llm4top inspect AllPublicXML.zip --nctid NCT01234567

        llm4top inspect ctg-studies.json --record 3 --format json
    """
    found = find_record(file, record, nctid)
    from llm4top.forecasters.load import load_writer

    writer = load_writer(choice.model, named_task(choice.task))
    prompt = writer.write(found.trial)
    unseen = _unseen(found, prompt)
    if output == "json":
        _print_json(found, writer, prompt, unseen)
    else:
        _print_text(found, writer, prompt, unseen)


def find_record(file: Path, number: int | None, nct_id: str | None) -> Record:
    """The record with that number or id; the first one where neither was given."""
    from llm4top.registry.reader import read_records

    refusals: list[RegistryError] = []
    reader = read_records(file, on_refusal=refusals.append)
    for position, record in enumerate(reader, start=1):
        if nct_id is not None and record.nct_id != nct_id.upper():
            continue
        if position == (number or position):
            if number is None and nct_id is None and next(reader, None) is not None:
                note(f"The first of {expected(file)}; --record N and --nctid ID show another.")
            return record
    read = reader.summary.read
    if read == 0 and len(refusals) == 1:
        raise refusals[0]
    wanted = f"number {number}" if nct_id is None else f"with NCT id {nct_id}"
    if number is None and nct_id is None:
        wanted = "that can be read"
    raise UnknownFormatError(
        f"there is no record {wanted}; {read} were read and {len(refusals)} refused.",
        file=str(file),
        hint="Check --record and --nctid." if read else "Give a file or folder with records.",
    )


def _unseen(record: Record, prompt: Prompt) -> list[Section]:
    """Sections that the trial has and this model is not shown."""
    from llm4top.prompts.sections import trial_sections

    shown = {section.name for section in prompt.sections}
    return [section for section in trial_sections(record.trial) if section.name not in shown]


def _print_json(record: Record, writer: Writer, prompt: Prompt, unseen: list[Section]) -> None:
    report: dict[str, Any] = {
        "record": record.source.name,
        "nct_id": record.nct_id,
        "source": asdict(record.source),
        "task": writer.task.name,
        "prompt": {
            "text": prompt.text,
            "tokens": len(prompt.token_ids),
            "budget": writer.spec.max_tokens if prompt.token_ids else None,
            "tokens_cut": prompt.tokens_cut,
            "fingerprint": writer.fingerprint,
        },
        "sections": [asdict(section) | {"cut": section.cut} for section in prompt.sections],
        "not_shown": [section.name for section in unseen],
        "withheld": [asdict(item) for item in record.withheld],
    }
    print_json(report)


def _print_text(record: Record, writer: Writer, prompt: Prompt, unseen: list[Section]) -> None:
    console = standard_output()
    source = record.source
    console.print(f"[bold]{record.nct_id or 'no NCT id'}[/]  {safe(source.name)}")
    processed = f", processed by ClinicalTrials.gov on {source.processed}"
    console.print(
        f"{source.format}{processed if source.processed else ''}, sha256 {source.sha256}",
        soft_wrap=True,
    )
    console.print("\n[bold]What the model sees[/]")
    _print_sections(console, record, prompt)
    console.print(f"[dim]{_size(writer, prompt)}[/]")
    if unseen:
        names = ", ".join(section.heading for section in unseen)
        console.print(f"[dim]In the record, but not read by this model: {names}.[/]")
    _print_withheld(console, record)


def _size(writer: Writer, prompt: Prompt) -> str:
    """How much the model reads; a baseline has neither tokens nor a budget, and cuts nothing."""
    if not prompt.token_ids:
        return f"{sum(section.kept for section in prompt.sections)} words, nothing cut."
    cut = f"{prompt.tokens_cut} cut to fit" if prompt.tokens_cut else "nothing cut"
    return f"{len(prompt.token_ids)} of {writer.spec.max_tokens} tokens with the question, {cut}."


def _print_sections(console: Console, record: Record, prompt: Prompt) -> None:
    from llm4top.prompts.sections import trial_sections

    whole = {section.name: section.text for section in trial_sections(record.trial)}
    unit = "token" if prompt.token_ids else "word"
    for section in prompt.sections:
        count = f"{section.kept} of {section.tokens}" if section.cut else str(section.tokens)
        plural = "" if count == "1" else "s"
        console.print(f"[bold]{section.heading}[/] [dim]({count} {unit}{plural})[/]")
        if section.text:
            console.print(safe(section.text), soft_wrap=True)
        if section.cut:
            rest = whole[section.name][len(section.text.removesuffix(" […]")) :].strip()
            start = safe(" ".join(rest[:CUT_EXCERPT].split()))
            console.print(f"[dim]✂ {section.cut} tokens cut, from here: {start} …[/]")


def _print_withheld(console: Console, record: Record) -> None:
    from rich.padding import Padding

    console.print(f"\n[bold]What was withheld[/] ({len(record.withheld)})")
    if not record.withheld:
        return
    for item in record.withheld:
        console.print(f"[bold]{safe(item.field)}[/]: {safe(item.reason)}", soft_wrap=True)
        if item.excerpt:
            console.print(Padding(f"[dim]{safe(item.excerpt)}[/]", (0, 0, 0, 4)))
