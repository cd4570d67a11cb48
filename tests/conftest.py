"""What every room's tests share."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests import warm

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """What needs torch is forked from one process of this worker's; it starts when it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="llm4top-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    warm.install(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no process ends alone with one; the browser's files together."""
    marks: dict[Path, set[str]] = {}
    for item in items:
        marks.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    items.sort(
        key=lambda item: (not marks[item.path] & {"browser"}, not marks[item.path] & {"slow"})
    )


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data, which is never part of the repository."""
    named = os.environ.get("LLM4TOP_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name its folder in LLM4TOP_TEST_DATA")
    return folder
