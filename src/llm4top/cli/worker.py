"""``llm4top worker``: works through the queue without the Studio, also for other machines."""

import re
from typing import Annotated

import typer

from llm4top.cli.console import note
from llm4top.lazy import quick_imports


def worker(
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE",
            help="Only take runs for this device, such as cuda:0; may be repeated.",
        ),
    ] = None,
) -> None:
    """Work through the queue of runs without the Studio, until Ctrl-C.

    Several machines can share one queue: each runs this command with the same database
    (LLM4TOP_DATABASE_URL) and the same folder (LLM4TOP_HOME), shared over the network. Each needs
    a name of its own: its host name, or LLM4TOP_MACHINE. The run of a machine that is lost goes
    back to the queue after a minute.

    Ctrl-C stops the runs in progress. They are listed as interrupted and can be resumed; with a
    database on a server they go back to the queue instead.

    [bold]Examples[/bold]

        llm4top worker

        llm4top worker --device cuda:0 --device cuda:1
    """
    for name in device or ():
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
            raise typer.BadParameter(f"{name!r} is not cpu, cuda:N or mps.", param_hint="--device")
    with quick_imports():
        from llm4top.workspace.jobs.devices import devices_here
        from llm4top.workspace.jobs.supervisor import Supervisor
        from llm4top.workspace.run_states import machine_name
        from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        devices = tuple(device or devices_here())
        note(f"Machine {machine_name()} takes runs for {', '.join(devices)}.")
        note(f"Folder: {workspace.folder}. Database: {workspace.database}. Ctrl-C stops it.")
        Supervisor(workspace, devices=devices).serve()
