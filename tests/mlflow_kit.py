"""A store of MLflow in a folder for tests, and what is read back from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

MARKS = ("MLFLOW_", "DO_NOT_TRACK", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture
def mlflow_settings() -> Iterator[None]:
    """No settings of MLflow from outside, and none that stay."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(MARKS)}
    with patch.dict(os.environ, others, clear=True):
        yield


def runs_in(folder: Path) -> list[Any]:
    """The runs of a store in a folder, in the order in which they were made."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    experiments = [e.experiment_id for e in client.search_experiments() if e.name == "llm4top"]
    return sorted(client.search_runs(experiments), key=lambda run: run.info.start_time)


def history(folder: Path, run: Any, metric: str) -> list[tuple[int, float]]:
    """The points of a metric: step and value."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, metric)]
