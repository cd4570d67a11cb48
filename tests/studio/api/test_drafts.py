"""Drafts over the API: created from a synopsis, changed, exported, deleted."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from llm4top.registry.draft import Draft
from llm4top.workspace.workspace import Workspace
from tests.studio.api_kit import NO_ID, app_over, error_of

SYNOPSIS = "Title: Exemplamab in asthma\nPhase: II/III\nSample size: 60 or 80\nBudget: none\n"


@pytest.fixture
def client(tmp_path):
    with Workspace.open(tmp_path) as workspace, TestClient(app_over(workspace, None)) as client:
        yield client


def test_from_a_synopsis_to_a_record(client):
    made = client.post("/api/v1/drafts", json={"synopsis": SYNOPSIS, "fields": {"sex": "female"}})
    assert made.status_code == 201
    body = made.json()
    assert body["fields"]["phase"] == "Phase 2/Phase 3"
    assert [r["note"] for r in body["readings"] if r["field"] == "phase"] == [
        "“II/III” is Phase 2/Phase 3"
    ]
    assert [(u["field"], u["why"]) for u in body["unread"]] == [
        ("planned_enrolment", "it names several numbers: 60, 80."),
        (None, "no known heading"),
    ]
    assert "planned_enrolment" in body["missing"]
    address = f"/api/v1/drafts/{body['id']}"
    changed = client.patch(address, json={"fields": {"planned_enrolment": "80"}})
    assert changed.json()["fields"]["planned_enrolment"] == "80"
    assert client.get(address).json() == changed.json()
    record = client.get(f"{address}/record")
    assert Draft.from_json(record.text).trial.planned_enrolment == 80
    assert client.get("/api/v1/drafts").json()["items"] == [changed.json()]
    assert client.delete(address).status_code == 204
    assert error_of(client.get(address))["code"] == "not-found"


def test_faults_list_the_choices_and_change_nothing(client):
    made = client.post("/api/v1/drafts", json={"fields": {"sex": "All"}}).json()
    address = f"/api/v1/drafts/{made['id']}"
    refused = client.patch(address, json={"fields": {"sex": "both"}})
    assert refused.status_code == 422
    assert "sex: “both” is none of All, Female, Male." in error_of(refused)["message"]
    assert client.get(address).json()["fields"] == {"sex": "All"}
    incomplete = error_of(client.get(f"{address}/record"))
    assert incomplete["code"] == "draft"
    assert incomplete["hint"] == "Give it one: brief_title."


def test_what_is_no_draft(client):
    assert client.post("/api/v1/drafts", json={"study": {}}).status_code == 422
    assert client.patch(f"/api/v1/drafts/{NO_ID}", json={"fields": {}}).status_code == 404
    assert client.get("/api/v1/drafts/..").status_code in (404, 405)
