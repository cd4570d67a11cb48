"""Drafts over the API: created from a synopsis, changed, exported, deleted."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from llm4top.registry.draft import Draft
from llm4top.workspace.workspace import Workspace
from tests.registry.documents import pdf_file, word_file
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


def sent(client, name, content):
    return client.post("/api/v1/drafts", files={"file": (name, content)})


@pytest.mark.slow
def test_a_synopsis_is_taken_as_text_as_a_word_file_and_as_a_pdf(client, tmp_path):
    lines = ["Title: Exemplamab in asthma", "Phase: II"]
    files = [
        ("a.txt", SYNOPSIS.encode()),
        ("b.docx", word_file(tmp_path / "b.docx").read_bytes()),
        ("c.pdf", pdf_file(tmp_path / "c.pdf", lines).read_bytes()),
    ]
    made = [sent(client, *file).json() for file in files]
    assert [one["fields"]["phase"] for one in made] == ["Phase 2/Phase 3", "Phase 3", "Phase 2"]
    assert made[2]["readings"][0]["where"] == "page 1, line 1, “Title”"
    assert client.get("/api/v1/drafts").json()["total"] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.docx", b"PK\x03\x04broken", "it is a damaged Word file or archive."),
        ("/etc/a.pdf", b"%PDF-1.4 nothing", "it is damaged (PdfStreamError)."),
        ("old.doc", b"\xd0\xcf\x11\xe0" + b"\0" * 99, "it is a file of an old version of Word."),
        ("empty.txt", b" \n", "there is no text in it; it may hold pictures of pages."),
        ("long.txt", b"x" * 200_001, "it has 200\u202f001 characters, the limit is 200\u202f000."),
    ],
)
def test_what_is_no_synopsis_is_refused_by_its_name(client, name, content, message):
    refused = sent(client, name, content)
    assert refused.status_code == 422
    error = error_of(refused)
    assert (error["message"], error["where"]) == (message, name.rpartition("/")[2])
    assert error["hint"]
    assert client.get("/api/v1/drafts").json()["total"] == 0


def test_a_request_without_one_file_says_what_to_send(client):
    two = client.post("/api/v1/drafts", files=[("file", ("a", b"a")), ("file", ("b", b"b"))])
    assert (two.status_code, error_of(two)["code"]) == (400, "bad-request")
    assert error_of(two)["message"] == "there is more than one file in the form."
    assert error_of(two)["hint"] == "Send one file, in a part called file."
    none = client.post("/api/v1/drafts", files={}, headers={"content-type": "text/plain"})
    assert none.status_code == 415
    assert error_of(none)["hint"] == "Send: curl -F file=@synopsis.docx .../api/v1/drafts"
    large = sent(client, "a.txt", b"x" * 20_200_000)
    assert (large.status_code, error_of(large)["code"]) == (413, "too-large")
    json = client.post("/api/v1/drafts", json={"synopsis": "x" * 1_100_000})
    assert (json.status_code, error_of(json)["code"]) == (413, "too-large")
    wrong = error_of(client.post("/api/v1/drafts", json={"synopsis": 5}))
    assert wrong["message"] == "body.synopsis: Input should be a valid string"
