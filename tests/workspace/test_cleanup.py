"""Deleting runs, forecasts and data sets with the uploads that nothing else needs."""

import io
from pathlib import Path

import pytest

from llm4top.errors import JobError, NotFoundError
from llm4top.workspace.cleanup import delete_dataset, delete_forecasts, delete_run
from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.run_states import Process
from llm4top.workspace.workspace import Workspace
from tests.workspace.views.test_portfolio import item


def added(local: Workspace, *names: str) -> list[str]:
    return [local.uploads.add(name, io.BytesIO(b"<a/>")).id for name in names]


def test_a_deleted_run_takes_its_own_uploads_along(local: Workspace) -> None:
    ids = added(local, "a.xml", "b.csv", "c.csv")
    asked = {"name": "N", "uploads": ids[:1]}
    run, other = (submit(local, "ingest", {**asked, "labels_upload": k}) for k in ids[1:])
    with pytest.raises(JobError, match=r"the run is queued\. Stop it first\."):
        delete_run(local, run.id)
    assert local.uploads.count() == 3
    local.runs.request_stop(run.id)
    delete_run(local, run.id)
    assert {upload.id for upload in local.uploads.list()} == {ids[0], ids[2]}
    local.runs.request_stop(other.id)
    local.uploads.delete(ids[0])
    delete_run(local, other.id)
    assert (local.uploads.count(), local.runs.count()) == (0, 0)
    with pytest.raises(NotFoundError, match="no run"):
        delete_run(local, run.id)


def test_forecasts_of_a_request_and_of_a_run_are_deleted_alike(local: Workspace) -> None:
    upload, of_run = added(local, "a.xml", "b.xml")
    batch = local.forecasts.add(upload, [item()])
    run = submit(local, "forecast", {"uploads": [of_run]})
    local.forecasts.add(None, [item()], run_id=run.id, batch=run.id)
    local.runs.request_stop(run.id)
    for name in (batch, run.id, "gone already"):
        delete_forecasts(local, name, "ann")
    assert (local.batches.count(), local.uploads.count(), local.runs.count()) == (0, 0, 0)
    assert [entry.action for entry in local.activity.list()] == ["deleted", "deleted"]


def test_a_deleted_data_set_takes_the_uploads_it_was_made_from(
    local: Workspace, made: Path
) -> None:
    upload, other = added(local, "a.xml", "b.xml")
    dataset = local.datasets.register(made)
    run = local.runs.submit("ingest", {"name": "N", "uploads": [upload]})
    claimed = local.runs.claim(Process.current(), device="cpu")
    assert claimed is not None
    local.runs.finish(run.id, {"dataset_id": dataset.id})
    delete_dataset(local, dataset.id, "ann")
    assert [u.id for u in local.uploads.list()] == [other]
    assert local.datasets.count() == 0
    with pytest.raises(NotFoundError):
        delete_dataset(local, dataset.id, "ann")
