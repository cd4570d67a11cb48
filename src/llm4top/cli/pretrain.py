"""``llm4top pretrain``: train on registry text, without labels, before fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import note, progress_bar
from llm4top.text import counted

if TYPE_CHECKING:
    from llm4top.registry.trial import Trial


@dataclass(frozen=True)
class Flags:
    """Settings of a pre-training under the names that ``PretrainSettings`` has for them."""

    max_tokens: Annotated[int | None, typer.Option(help="Maximum number of tokens to read.")] = None
    vocab_size: Annotated[int, typer.Option(help="New model: tokens in its vocabulary.")] = 8192
    hidden: Annotated[int, typer.Option(help="New model: width.")] = 256
    layers: Annotated[int, typer.Option(help="New model: layers.")] = 6
    heads: Annotated[int, typer.Option(help="New model: attention heads.")] = 4
    context: Annotated[int, typer.Option(help="Tokens of one block of text.")] = 768
    epochs: Annotated[float, typer.Option(help="Passes over the text.")] = 1.0
    batch_size: Annotated[int, typer.Option(help="Blocks a step.")] = 4
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1.5e-3
    precision: Annotated[str, typer.Option(help="Number format: auto, bf16 or fp32.")] = "auto"
    seed: Annotated[int, typer.Option(help="Seed of weights and order.")] = 0
    plain_text: Annotated[
        bool, typer.Option("--plain-text", help="Read the words alone, without their layout.")
    ] = False


def pretrain(
    sources: Annotated[
        list[Path], typer.Argument(help="Registry files, folders or zips, and TOP's CSV files.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    base: Annotated[
        str | None,
        typer.Option(help="A model to continue from. Default: a small new one."),
    ] = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Leave out the trials of these records, such as validation files."),
    ] = None,
    *,
    flags: Flags,
    resume: Annotated[bool, typer.Option("--resume", help="Resume from the checkpoint.")] = False,
) -> None:
    """Train a new small model, or a given one, on registry text before fine-tuning on labels.

    Only fields that pass the leak guard are read. The result is a model folder for
    [bold]llm4top train --base[/bold].

    [bold]Examples[/bold]

        llm4top pretrain AllPublicXML.zip --out my-base

        llm4top pretrain dump.zip --base Qwen/Qwen3-0.6B --learning-rate 1e-5 --out carried-on
    """
    from llm4top.forecasters.model.device import EMULATED_BF16, emulates_bf16
    from llm4top.training.pretrain import PretrainSettings, training_device
    from llm4top.training.pretrain import pretrain as run

    if flags.precision == "bf16" and emulates_bf16(training_device()):
        note(f"{EMULATED_BF16} Use --precision auto.")
    with progress_bar("Reading", None) as bar:
        task = bar.task_ids[0]

        def progress(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, total=steps, description=f"Loss {loss:.3f}")

        run(
            _trials(sources, without),
            out,
            PretrainSettings(**asdict(flags)),
            base=base,
            progress=progress,
            resume=resume,
        )
    note(f"The model is in {out}. Next: llm4top train --base {out} --tuning full ...")


def _trials(sources: list[Path], without: list[Path] | None) -> Iterator[Trial]:
    """The trials of ``sources`` whose NCT id is none of those in ``without``."""
    from llm4top.registry.reader import read_records

    left_out = {record.nct_id for record in read_records(without)} if without else set()
    reader = read_records(sources, on_refusal=lambda _: None)
    for record in reader:
        if record.nct_id is None or record.nct_id not in left_out:
            yield record.trial
    if reader.summary.skipped:
        note(f"{counted(reader.summary.skipped, 'record')} could not be read and were left out.")
