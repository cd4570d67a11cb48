"""What every room's tests share."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests import warm
from tests.profiles import load_profile

ROOT = Path(__file__).resolve().parent.parent
LONG = {"slow", "browser", "gpu"}
SLOW_FIXTURES = {
    "failing",
    "fresh_server",
    "guarded",
    "open_server",
    "postgresql",
    "proxied",
    "server",
    "test_data",
}
"""Real data and servers: a test that uses them is slow."""

FROZEN = {"modules": 0}
"""How many modules there were when the last objects were frozen."""


def pytest_configure(config: pytest.Config) -> None:
    """What needs torch is forked from one process of this worker's; it starts when it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="llm4top-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    warm.install(folder)
    load_profile()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests into tiers, and long files first, so that no process ends alone with one."""
    tiers: dict[Path, set[str]] = {}
    for item in items:
        names = {mark.name for mark in item.iter_markers()} & LONG
        if not names and SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            names = {"slow"}
        given = getattr(item, "callspec", None)
        if not names and given and given.params.get("database") == "postgresql":
            names = {"slow"}
        for name in names or {"unit"}:
            item.add_marker(name)
        tiers.setdefault(item.path, set()).update(names)
    # The files with browser tests follow each other: they share one browser.
    items.sort(key=lambda item: ["browser" not in tiers[item.path], "slow" not in tiers[item.path]])


def pytest_collection_finish() -> None:
    """What was imported and collected is a million objects."""
    freeze()


def pytest_runtest_logfinish() -> None:
    """A test may have imported a large library."""
    if len(sys.modules) > FROZEN["modules"] + 100:
        freeze()


def freeze() -> None:
    """Look for garbage among nothing that is there now: it took half a second each time."""
    gc.collect()
    gc.freeze()
    FROZEN["modules"] = len(sys.modules)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data, which is never part of the repository."""
    named = os.environ.get("LLM4TOP_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name its folder in LLM4TOP_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 of two layers with its tokenizer, for the tests of every room; read only."""
    from llm4top.testing import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


OF_MLFLOW = ("MLFLOW_", "DO_NOT_TRACK", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture
def mlflow_settings() -> Iterator[None]:
    """No settings of MLflow from outside, and none that stay."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(OF_MLFLOW)}
    with patch.dict(os.environ, others, clear=True):
        yield
