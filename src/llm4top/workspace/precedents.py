"""The workspace's index of precedents: one, in the folder where the command line has it too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.errors import BundleError
from llm4top.files import delete_path
from llm4top.workspace.workspace import Workspace

if TYPE_CHECKING:
    from llm4top.forecasters.precedents.store import IndexCard


def index_folder(workspace: Workspace) -> Path:
    """Where the index is, or will be."""
    return workspace.folder / "precedents"


def index_card(workspace: Workspace) -> IndexCard | None:
    """The card of the index; None where there is none that can be read."""
    from llm4top.forecasters.precedents.store import read_card

    try:
        return read_card(index_folder(workspace))
    except BundleError:
        return None


def delete_index(workspace: Workspace, who: str) -> None:
    """Delete the index for good and log who did it; none is no error."""
    folder = index_folder(workspace)
    if folder.exists():
        delete_path(folder)
        workspace.activity.log("deleted", who, "index of precedents")
