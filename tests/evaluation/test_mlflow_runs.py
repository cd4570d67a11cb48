import os
import socket
import sys
from pathlib import Path

import pytest

from llm4top.errors import MissingExtraError, TrackingError
from llm4top.evaluation import mlflow_runs
from llm4top.evaluation.mlflow_runs import (
    MlflowRun,
    MlflowTarget,
    figure_metrics,
    open_client,
    unless_it_fails,
)
from tests.mlflow_kit import runs_in

pytestmark = pytest.mark.usefixtures("mlflow_settings")


def test_where_it_logs_without_a_uri(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path))
    own = MlflowTarget.parse("mlflow")
    assert own.uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert own.is_local
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000/")
    assert MlflowTarget.parse("mlflow").uri == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("mlruns", f"{Path.cwd().as_uri()}/mlruns"),
        ("file:///runs", "file:///runs"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
        ("http://localhost:5000", "http://localhost:5000"),
    ],
)
def test_what_a_uri_may_be(uri, found):
    target = MlflowTarget.parse(f"mlflow:{uri}")
    assert target.uri == found
    assert target.is_local


@pytest.mark.parametrize(
    "text",
    [
        "wandb",
        "mlflow:",
        "mlflow:databricks",
        "mlflow:postgresql://me:secret@db/x",
        "mlflow:ftp://x",
        "mlflow:sqlite://",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(TrackingError, match="is no place to log to") as refusal:
        MlflowTarget.parse(text)
    assert "secret" not in str(refusal.value)
    assert str(refusal.value).endswith(
        "Give mlflow, or mlflow:URI with a folder, sqlite:///FILE or http(s)://HOST:PORT."
    )


def test_an_address_holds_no_password():
    with pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_USERNAME") as refusal:
        MlflowTarget.parse("mlflow:http://me:secret@127.0.0.1:5000")
    assert "secret" not in str(refusal.value)


def test_another_machine_must_be_allowed():
    uri = "https://tracking.invalid"
    with pytest.raises(TrackingError) as refusal:
        MlflowTarget.parse(f"mlflow:{uri}")
    assert str(refusal.value) == (
        "https://tracking.invalid: tracking.invalid is another machine. Settings, figures and the "
        "names of runs, models and data sets leave this machine: they are sent to "
        "tracking.invalid. No record's text and no path is among them. If that is what you want, "
        "add --allow-remote."
    )
    assert not MlflowTarget.parse(f"mlflow:{uri}", allow_remote=True).is_local


def test_without_mlflow_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr(mlflow_runs, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r'pip install "llm4top\[mlflow\]"'):
        MlflowTarget.parse("mlflow")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own
def test_the_store_at_home_opens_no_socket_and_tells_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "socket", None)
    target = MlflowTarget.parse("mlflow")
    client = open_client(target)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
    assert sys.modules["mlflow.telemetry"].get_telemetry_client() is None
    run = MlflowRun.begin(client, target, "one", command="train", data=("top", "a" * 64))
    run.log(metrics={"valid/roc_auc": 0.7}, tags={"llm4top.kind": "test"})
    run.end("FINISHED")
    (found,) = client.search_runs([client.get_experiment_by_name("llm4top").experiment_id])
    assert found.data.metrics == {"valid/roc_auc": 0.7}
    assert found.info.status == "FINISHED"
    assert found.info.artifact_uri.startswith((tmp_path / "mlflow" / "artifacts").as_uri())
    (data,) = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("top", "a" * 36)
    assert (tmp_path / "mlflow").stat().st_mode & 0o777 == 0o700


def test_more_than_one_request_holds(tmp_path):
    target = MlflowTarget.parse(f"mlflow:{tmp_path}")
    run = MlflowRun.begin(
        open_client(target),
        target,
        "one",
        command="benchmark",
        params={f"p{i}": "x" * 7000 for i in range(120)},
    )
    run.log(metrics={f"figures, {i}": i for i in range(1100)})
    (found,) = runs_in(tmp_path)
    assert len(found.data.metrics) == 1100
    assert found.data.metrics["figures- 7"] == 7
    assert {len(value) for value in found.data.params.values()} == {6000}
    assert len(found.data.params) == 120


def test_a_loopback_server_is_asked_without_a_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "intranet")
    open_client(MlflowTarget.parse("mlflow:http://127.0.0.1:9"))
    assert os.environ["NO_PROXY"] == "intranet,127.0.0.1"
    assert os.environ["MLFLOW_ALLOW_HTTP_REDIRECTS"] == "false"


def test_figures_have_their_bounds():
    figures = {
        "roc_auc": {"value": 0.7, "lower": 0.6, "upper": 0.8},
        "share, observed": {"value": 0.5, "lower": None, "upper": None},
        "f1": {"value": None, "lower": None, "upper": None},
    }
    assert figure_metrics("valid/model", figures) == {
        "valid/model/roc_auc": 0.7,
        "valid/model/roc_auc_lower": 0.6,
        "valid/model/roc_auc_upper": 0.8,
        "valid/model/share-observed": 0.5,
    }


def test_any_failure_is_one_line():
    with unless_it_fails() as problems:
        raise RuntimeError("API request to http://x failed with exception\nHTTPConnectionPool")
    assert problems == ["it gives no answer"]
    with unless_it_fails() as problems:
        raise OSError("the disk\nis full.")
    assert problems == ["the disk is full"]
