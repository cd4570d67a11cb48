"""What the Tab key completes: bundles, runs, presets, tasks and data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path


def model_names(incomplete: str) -> list[str]:
    """Bundles and base models of this machine."""
    from llm4top.forecasters.model.model_files import known_models

    names = [name for name in known_models() if name.startswith(incomplete)]
    return names + _folders(incomplete)


def bundle_names(incomplete: str) -> list[str]:
    """Bundles in this machine's store."""
    from llm4top.forecasters.bundles.store import list_bundles

    found = list_bundles(on_problem=lambda _path, _error: None)
    return [bundle.name for bundle in found if bundle.name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Presets of a training."""
    from llm4top.training.config import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]


def task_names(incomplete: str) -> list[str]:
    """Built-in questions."""
    from llm4top.tasks.builtin import TASKS

    return [name for name in TASKS if name.startswith(incomplete)]


def run_ids(incomplete: str) -> list[tuple[str, str]]:
    """Runs by the beginning of their id, each with its kind, state and title."""
    return list(_quietly(_runs, incomplete))


def dataset_names(incomplete: str) -> list[tuple[str, str]]:
    """Data sets of the Studio by their name, and folders."""
    return [*_quietly(_datasets, incomplete), *((folder, "") for folder in _folders(incomplete))]


def _folders(incomplete: str) -> list[str]:
    """Folders whose path begins so; what a shell would offer by itself."""
    place, _, start = incomplete.rpartition("/")
    parent = Path(place or ("/" if incomplete.startswith("/") else "."))
    try:
        found = sorted(p.name for p in parent.expanduser().iterdir() if p.is_dir())
    except OSError:
        return []
    before = f"{place}/" if "/" in incomplete else ""
    return [f"{before}{n}" for n in found if n.startswith(start) and not n.startswith(".")]


def _runs(incomplete: str) -> Iterator[tuple[str, str]]:
    from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        for run in workspace.runs.list(limit=100):
            if run.id.startswith(incomplete):
                yield run.id[: max(8, len(incomplete))], f"{run.kind} {run.state} {run.title}"


def _datasets(incomplete: str) -> Iterator[tuple[str, str]]:
    from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        for dataset in workspace.datasets.list():
            if dataset.name.startswith(incomplete):
                yield dataset.name, f"{dataset.rows} trials"


def _quietly(
    find: Callable[[str], Iterator[tuple[str, str]]], incomplete: str
) -> Iterator[tuple[str, str]]:
    """What is found; nothing where the workspace cannot be opened: Tab must not complain."""
    from llm4top.errors import LLM4TOPError

    try:
        yield from find(incomplete)
    except (LLM4TOPError, OSError):
        return
