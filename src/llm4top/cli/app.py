"""The application: its commands, its global options and the one place that reports errors."""

import os
import signal
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from llm4top import __version__
from llm4top.cli.audit import audit
from llm4top.cli.benchmark import benchmark
from llm4top.cli.bundle import bundle_app
from llm4top.cli.doctor import doctor
from llm4top.cli.download import download
from llm4top.cli.draft import draft
from llm4top.cli.evaluate import compare, evaluate
from llm4top.cli.exit_codes import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, exit_code_of, report_of
from llm4top.cli.explain import explain
from llm4top.cli.forecast import forecast
from llm4top.cli.ingest import ingest
from llm4top.cli.inspect import inspect
from llm4top.cli.options import PlainGroup, add_command
from llm4top.cli.precedents import precedents_app
from llm4top.cli.pretrain import pretrain
from llm4top.cli.runs import runs_app
from llm4top.cli.select import select
from llm4top.cli.streams import adapt_streams, broke, flush, silence
from llm4top.cli.studio import studio
from llm4top.cli.template import template
from llm4top.cli.train import train
from llm4top.cli.what_if import what_if
from llm4top.cli.worker import worker
from llm4top.errors import LLM4TOPError
from llm4top.lazy import hush_optional_kernels
from llm4top.processes import this_process


class ReportingGroup(PlainGroup):
    """Turns what a command raises into one sentence on standard error and an exit code.

    ``--debug`` is accepted anywhere on the line and shows the traceback instead.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line, flush standard output, and report it if that fails."""
        adapt_streams()
        try:
            return super().main(*args, **kwargs)
        finally:
            failed = flush()
            if failed is not None:
                raise SystemExit(failed)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """As in typer; the application's help is written here, perhaps into a closed pipe."""
        try:
            return super().make_context(*args, **kwargs)
        except (BrokenPipeError, SystemExit) as end:
            raise _end(end) from end

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move ``--debug`` to the front, where the application's options are."""
        end = args.index("--") if "--" in args else len(args)
        own, rest = args[:end], args[end:]
        if "--debug" in own:
            own = ["--debug", *(arg for arg in own if arg != "--debug")]
        return super().parse_args(ctx, own + rest)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; raise ``typer.Exit`` with the code that fits how it ended."""
        try:
            return super().invoke(ctx)
        except LLM4TOPError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"{_error()}: {error}", err=True)
            raise typer.Exit(exit_code_of(error)) from error
        except KeyboardInterrupt as interrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from interrupt
        except (BrokenPipeError, SystemExit) as end:
            raise _end(end) from end
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            text, code = report_of(error)
            typer.echo(f"{_error()}: {text}", err=True)
            raise typer.Exit(code) from error


def _error() -> str:
    """How a message begins; it names the process and its machine where there are several."""
    process = this_process()
    return f"Error in {process}" if process else "Error"


def _end(end: BrokenPipeError | SystemExit) -> BaseException:
    """The exit of a pipe whose reader is gone; any other end as it is."""
    if not broke(end):
        return end
    silence()
    return typer.Exit(BROKEN_PIPE)


app = typer.Typer(
    name="llm4top",
    cls=ReportingGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: " + "; ".join(f"{code} {words}" for code, words in EXIT_CODES) + ".",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llm4top {__version__}")
        raise typer.Exit


@app.callback()
def _application(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[  # noqa: ARG001 - read from the context
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Estimate a clinical trial's chance of success from its registry record, on this machine.

    Only [bold]llm4top download[/bold] uses the network, and what you give the address of a server.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if ctx.invoked_subcommand != "download":
        os.environ["HF_HUB_OFFLINE"] = "1"
    # Set before torch is imported: threads that spin at barriers lose most of their time on a
    # machine with other work; a small network on two busy cores took sixty times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    hush_optional_kernels()


_WORK: tuple[Callable[..., None], ...] = (studio, forecast, explain, inspect, draft, template)
_WORK += (ingest, audit, train, select, evaluate, compare, benchmark)
_UPKEEP: tuple[Callable[..., None], ...] = (download, pretrain, doctor)

for _command in _WORK:
    add_command(app, _command)
add_command(app, what_if, "whatif")
app.add_typer(precedents_app)
app.add_typer(bundle_app)
app.add_typer(runs_app)
add_command(app, worker)
for _command in _UPKEEP:
    add_command(app, _command)


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code.

    SIGTERM is like Ctrl-C: what a command keeps in scratch folders is removed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="llm4top")
    raise SystemExit(0)
