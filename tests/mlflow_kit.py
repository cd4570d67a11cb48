"""A store of MLflow in a folder for tests, and what is read back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def runs_in(folder: Path) -> list[Any]:
    """The runs of a store in a folder."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    experiments = [e.experiment_id for e in client.search_experiments() if e.name == "llm4top"]
    return list(client.search_runs(experiments))


def history(folder: Path, run: Any, metric: str) -> list[tuple[int, float]]:
    """The points of a metric: step and value."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, metric)]
