"""``llm4top bundle``: the trained forecasters on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llm4top.cli.console import note, print_json, safe, standard_output, table_of
from llm4top.cli.exit_codes import IN_PART
from llm4top.cli.options import PlainGroup, TableFormat, add_command, bundle_names, model_names
from llm4top.text import counted, printable

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.verify import VerifyReport

bundle_app = typer.Typer(
    cls=PlainGroup,
    name="bundle",
    help="List, show, verify, export, push, import and remove trained forecasters.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Bundle = Annotated[
    str,
    typer.Argument(help="A bundle's name or folder.", metavar="BUNDLE", autocompletion=model_names),
]
StoredBundle = Annotated[
    str,
    typer.Argument(
        help="A bundle's name, as listed.", metavar="BUNDLE", autocompletion=bundle_names
    ),
]


def list_bundles(output: TableFormat = "table") -> None:
    """List the bundles on this machine: name, question, kind, model, folder.

    A bundle whose manifest cannot be read is named on standard error; the exit code is then 1.

    [bold]Examples[/bold]

        llm4top bundle list

        llm4top bundle list --format json
    """
    from llm4top.forecasters.bundles import store

    broken: list[Exception] = []
    bundles = store.list_bundles(on_problem=lambda _, error: broken.append(error))
    rows = [
        {
            "name": bundle.name,
            "identity": bundle.identity,
            "task": bundle.manifest.task.name,
            "kind": bundle.manifest.kind,
            "base": bundle.manifest.model_name,
            "created": bundle.manifest.created,
            "folder": str(bundle.folder),
        }
        for bundle in bundles
    ]
    if output == "json":
        print_json(rows)
    else:
        _print_rows(rows)
    for error in broken:
        note(f"Broken: {error}")
    if broken:
        raise typer.Exit(IN_PART)


def _print_rows(rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        note("No bundles here yet. Make one with: llm4top train")
        return
    keys = ("name", "task", "kind", "base", "created")
    cells = [[safe(row[key]) for key in keys] for row in rows]
    console = standard_output()
    console.print(table_of(("Name", "Question", "Kind", "Model", "Made"), cells))
    console.print()
    for row in rows:
        # Left to the terminal to wrap, so that a path can be copied whole.
        console.print(f"{safe(row['name'])}: {safe(row['folder'])}", soft_wrap=True)


def show(
    bundle: Bundle,
    output: Annotated[
        Literal["card", "json"],
        typer.Option("--format", help="The model card, or the manifest as JSON."),
    ] = "card",
) -> None:
    """Show a bundle's model card: what it forecasts, how well, and what it was trained on.

    The bundle is verified first.

    [bold]Examples[/bold]

        llm4top bundle show embedded

        llm4top bundle show runs/qwen3-8b-top --format json
    """
    report = _verified(bundle)
    if output == "json":
        typer.echo(report.manifest.to_json(), nl=False)
        return
    card = (report.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    console = standard_output()
    # On a terminal for reading; in a pipe as the Markdown it is.
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(printable(card)))
    else:
        typer.echo(card, nl=False)


def verify(bundle: Bundle) -> None:
    """Check every file of a bundle against its hash, and that none of them can hold code.

    Exits with 1 if one does not match or may hold code.

    [bold]Examples[/bold]

        llm4top bundle verify embedded

        llm4top bundle verify runs/qwen3-8b-top
    """
    from llm4top.forecasters.bundles.verify import verify_bundle

    report = verify_bundle(bundle)
    for check in report.files:
        typer.echo(f"{check.state:<8} {check.name}{': ' if check.problem else ''}{check.problem}")
    if not report.ok:
        note(f"{report.manifest.identity}: {counted(len(report.problems), 'file')} not as listed.")
        raise typer.Exit(IN_PART)
    note(f"{report.manifest.identity}: every file is as listed.")


def export(
    bundle: Bundle,
    file: Annotated[Path, typer.Argument(help="The file to write, a zip.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
) -> None:
    """Pack a bundle into one file for another machine.

    It is verified first; the same bundle gives the same bytes.

    [bold]Examples[/bold]

        llm4top bundle export runs/qwen3-8b-top qwen3-8b-top.zip
    """
    from llm4top.forecasters.bundles.store import export_bundle

    typer.echo(str(export_bundle(bundle, file, overwrite=overwrite)))


def push(
    bundle: Bundle,
    folder: Annotated[Path, typer.Argument(help="The folder to write.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace such a folder if it exists.")
    ] = False,
) -> None:
    """Prepare a bundle as a folder in the form of the Hugging Face Hub. Nothing is sent.

    It has the bundle's files and README.md: the model card with the Hub's metadata. The bundle is
    verified first. The folder is a bundle too, and PEFT reads its adapter. At the end, the command
    is printed that you would use to publish it yourself.

    [bold]Examples[/bold]

        llm4top bundle push runs/qwen3-8b-top hub/qwen3-8b-top
    """
    from llm4top.forecasters.bundles.hub import write_hub_folder

    manifest = write_hub_folder(bundle, folder, replace=overwrite)
    typer.echo(str(folder))
    if manifest.kind != "language":
        note("It holds words of its training trials: publish it only where those may be.")
    terms = " ".join(
        filter(None, (manifest.licence, manifest.data.licence if manifest.data else ""))
    )
    note(f"Licence: {printable(terms) or 'none is recorded.'}")
    command = shlex.join(["hf", "upload", f"OWNER/{manifest.name}", str(folder)])
    note(f"Nothing was sent. To publish it yourself: {command}")


def import_bundle(
    file: Annotated[
        Path, typer.Argument(help="A file that `bundle export` wrote, or the folder of a bundle.")
    ],
    name: Annotated[
        str | None, typer.Option("--as", help="The name to store it under.", metavar="NAME")
    ] = None,
) -> None:
    """Unpack a bundle from one file and add it to the bundles of this machine.

    It is added only after every file of it has been verified.

    [bold]Examples[/bold]

        llm4top bundle import qwen3-8b-top.zip

        llm4top bundle import qwen3-8b-top.zip --as top
    """
    from llm4top.forecasters.bundles import store

    stored = store.import_bundle(file, name=name)
    typer.echo(str(stored.folder))
    note(f"Next: llm4top forecast PATHS --model {stored.name}")


def remove(
    bundle: StoredBundle,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete one of this machine's bundles, permanently.

    [bold]Examples[/bold]

        llm4top bundle remove qwen3-8b-top

        llm4top bundle remove qwen3-8b-top --yes
    """
    from llm4top.errors import BundleError
    from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        named = {stored.name: stored for stored in workspace.bundles.list()}
        if bundle not in named:
            raise BundleError(
                f"there is no bundle {bundle!r:.100} in the store.",
                hint=f"There are: {', '.join(named)}. Delete a folder elsewhere yourself.",
            )
        found = named[bundle]
        if not yes:
            typer.confirm(f"Delete {found.identity} permanently?", abort=True, err=True)
        workspace.bundles.delete(found.id)
    note(f"{found.identity} is deleted.")


def _verified(bundle: str) -> VerifyReport:
    from llm4top.forecasters.bundles.verify import verify_bundle

    report = verify_bundle(bundle)
    report.raise_for_problems()
    return report


add_command(bundle_app, list_bundles, "list")
add_command(bundle_app, show)
add_command(bundle_app, verify)
add_command(bundle_app, export)
add_command(bundle_app, push)
add_command(bundle_app, import_bundle, "import")
add_command(bundle_app, remove)
