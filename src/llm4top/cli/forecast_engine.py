"""Options of ``llm4top forecast`` for very many records: which engine, where, how much at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from llm4top.cli.forecast_run import Output
from llm4top.cli.streams import STANDARD_INPUT

_FILES = (".csv", ".json", ".jsonl", ".html")


def _check_out(out: Path | None, what: str, sources: Sequence[Path]) -> None:
    if out is None:
        raise typer.BadParameter(
            f"{what} needs the folder for its Parquet files.", param_hint="--out"
        )
    if out.suffix.lower() in _FILES:
        raise typer.BadParameter(
            f"{what} writes a folder of Parquet files: name one that does not end in {out.suffix}.",
            param_hint="--out",
        )
    for source in sources:
        # Its files would be other content of that path for a call that continues.
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise typer.BadParameter(
                f"{out} is in {source}, which is read: give a folder elsewhere.",
                param_hint="--out",
            )


@dataclass(frozen=True)
class Engine:
    """What carries the work."""

    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="local is this process. ray is Ray Data, on this machine or a cluster: one "
            "process a GPU or core, Parquet files into the folder --out.",
        ),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            help="A running Ray cluster: auto for the one that this machine belongs to, or "
            "HOST:PORT. All its machines need this version of LLM4TOP, and PATHS, model and --out "
            "on a disk that they share. Default: Ray is started on this machine alone.",
            metavar="ADDRESS",
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Most processes of --engine ray. Default: one a GPU, else one a core."
        ),
    ] = None
    shard_records: Annotated[
        int, typer.Option(min=1, help="Records of one Parquet file, which is done again if lost.")
    ] = 256

    @property
    def on_ray(self) -> bool:
        """Whether Ray carries the work."""
        return self.engine == "ray"

    def is_bulk(self, writing: Output) -> bool:
        """Whether the forecasts go into a folder of Parquet files."""
        if not self.on_ray and (self.address is not None or self.workers is not None):
            option = "--address" if self.address is not None else "--workers"
            raise typer.BadParameter("is for --engine ray.", param_hint=option)
        if not self.on_ray and writing.asked is None and writing.output == "parquet":
            raise typer.BadParameter(
                "Parquet is a folder of files: add --format parquet.", param_hint="--out"
            )
        return self.on_ray or writing.asked == "parquet"

    def check(
        self, writing: Output, sources: Sequence[Path], models: Sequence[str], device: str
    ) -> None:
        """Raise ``typer.BadParameter`` for options that do not go with a folder of Parquet."""
        what = "--engine ray" if self.on_ray else "--format parquet"
        alone = {"--limit": writing.limit, "--sort": writing.sort, "--portfolio": writing.portfolio}
        if writing.asked not in (None, "parquet"):
            raise typer.BadParameter(f"{what} writes Parquet only.", param_hint="--format")
        _check_out(writing.out, what, sources)
        for option, value in alone.items():
            if value is not None:
                raise typer.BadParameter(f"does not go with {what}.", param_hint=option)
        if len(models) > 1:
            raise typer.BadParameter(
                f"{what} asks one question at a time.", param_hint="--question"
            )
        if STANDARD_INPUT in sources:
            raise typer.BadParameter(
                f"{what} cannot read standard input: give a file.", param_hint="PATHS"
            )
        if self.on_ray and ":" in device:
            raise typer.BadParameter(
                "with --engine ray is auto, cuda, mps or cpu: Ray gives each process its GPU.",
                param_hint="--device",
            )
