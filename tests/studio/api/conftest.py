"""The API over a workspace of the file's own; the process that holds the models is shared."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace
from tests.studio.api_kit import app_over


@pytest.fixture(scope="session")
def models() -> Iterator[ForecastService]:
    """Forecasts of the embedded models: its process loads them once."""
    with ForecastService(device="cpu") as service:
        yield service


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """An empty workspace."""
    with Workspace.open(tmp_path_factory.mktemp("studio") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def api(workspace: Workspace, models: ForecastService) -> TestClient:
    """A client of the API."""
    return TestClient(app_over(workspace, models))
