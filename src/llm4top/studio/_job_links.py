"""Where the page of a run, a batch or whatever else was done is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from llm4top.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llm4top.workspace import Run, Workspace

_PAGES = {
    "train": "/train/{id}",
    "benchmark": "/reports/{id}",
    "evaluate": "/reports/{id}",
    "forecast": "/?run={id}",
}


def address_of_run(run: Run) -> str:
    """The page that shows a run, while it works and afterwards; empty where none does."""
    if run.kind == "ingest":
        made = run.result.get("dataset_id")
        return f"/data/{made}" if made else "/data"
    if run.kind == "audit" and run.settings.get("dataset"):
        return f"/data/{run.settings['dataset']}"
    page = _PAGES.get(run.kind)
    return page.format(id=run.id) if page else ""


def addresses_of(workspace: Workspace, subjects: Iterable[str | None]) -> dict[str, str]:
    """For the ids of what was done: its page, where it is still there and has one."""
    found = {}
    for subject in {subject for subject in subjects if subject}:
        if address := _address(workspace, subject):
            found[subject] = address
    return found


def _address(workspace: Workspace, subject: str) -> str:
    """The first kind of thing that has this id tells the page."""
    looks: tuple[Callable[[], str], ...] = (
        lambda: address_of_run(workspace.runs.get(subject)),
        lambda: f"/?batch={workspace.batches.get(subject).id}",
        lambda: f"/data/{workspace.datasets.get(subject).id}",
        lambda: f"/models/{workspace.bundles.get(subject).id}",
    )
    for look in looks:
        with suppress(NotFoundError):
            return look()
    return ""
