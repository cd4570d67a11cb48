import csv
import io

import pytest
from starlette.testclient import TestClient

from llm4top.errors import BusyError
from llm4top.forecasters.bundles.paths import embedded_names
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.reader import read_records
from llm4top.studio.api import errors, uploads
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace
from tests.studio.api_kit import JSON, NO_ID, XML, app_over, error_of, zip_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service():
    with ForecastService(device="cpu") as made:
        yield made


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "home") as made:
        yield made


@pytest.fixture
def api(workspace, service):
    return TestClient(app_over(workspace, service))


def send(api, *files, **more):
    parts = [("files", (name, content)) for name, content in files]
    return api.post("/api/v1/forecasts", files=parts, **more)


def test_records_in_forecasts_out(api, workspace):
    told = send(api, ("a.xml", XML), ("b.json", JSON), ("notes.xml", b"<rss/>"))
    assert told.status_code == 200
    body = told.json()
    assert [f["record"] for f in body["forecasts"]] == ["a.xml", "b.json!#1"]
    first = body["forecasts"][0]
    assert 0 < first["lower"] <= first["probability"] <= first["upper"] < 1
    assert first["sections"][0] == {
        "name": "phase",
        "heading": "Phase",
        "text": "phase 2",
        "tokens": 6,
        "kept": 6,
        "cut": 0,
    }
    assert {"field", "reason", "excerpt"} == set(first["withheld"][0])
    (refusal,) = body["refusals"]
    assert (refusal["record"], refusal["code"]) == ("notes.xml", "UnknownFormatError")
    assert [u["name"] for u in body["uploads"]] == ["a.xml", "b.json"]
    assert body["not_applicable"] == []
    assert body["disclaimer"]
    kept = api.get("/api/v1/forecasts").json()
    assert kept["total"] == 2
    assert {f["id"] for f in kept["items"]} == {f["id"] for f in body["forecasts"]}
    one = api.get("/api/v1/forecasts", params={"upload": body["uploads"][1]["id"]}).json()
    assert [f["record"] for f in one["items"]] == ["b.json!#1"]


def test_files_of_one_name_keep_their_own_forecasts(api):
    body = send(api, ("same.xml", XML), ("same.xml", b"<rss/>"), ("same.xml", XML)).json()
    # The one of which nothing was forecast is not kept.
    assert len(body["uploads"]) == 2
    for upload in body["uploads"]:
        found = api.get("/api/v1/forecasts", params={"upload": upload["id"]}).json()
        assert found["total"] == 1


def test_a_record_that_the_question_does_not_apply_to_gets_no_number(api, workspace):
    registry = XML.replace(b">Interventional<", b">Observational [Patient Registry]<")
    body = send(api, ("cohort.xml", registry)).json()
    assert body["forecasts"] == body["refusals"] == []
    (left,) = body["not_applicable"]
    assert (left["record"], left["code"]) == ("cohort.xml", "NotApplicable")
    assert "a patient registry" in left["reason"]
    (batch,) = workspace.batches.list()
    (kept,) = workspace.batches.left_out(batch.id)
    _, whole = workspace.batches.one_left_out(kept.id)
    assert kept.subject["nct_id"] == "NCT99999901"
    assert "Phase" in [part["heading"] for part in whole.subject["sections"]]


def test_a_json_body(api):
    told = api.post("/api/v1/forecasts", content=JSON, headers={"content-type": "application/json"})
    assert told.status_code == 200
    assert [f["nct_id"] for f in told.json()["forecasts"]] == ["NCT99999901"]
    assert told.json()["uploads"][0]["name"] == "records.json"


@pytest.mark.parametrize("body", [b'{"protocolSection": ', b"not json", b"[" * 5000, b"null"])
def test_a_json_body_that_is_none_is_a_400_and_keeps_nothing(api, workspace, body):
    told = api.post("/api/v1/forecasts", content=body, headers={"content-type": "application/json"})
    assert told.status_code == 400, told.text
    assert error_of(told)["code"] == "bad-request"
    assert error_of(told)["message"]
    assert error_of(told)["where"].startswith("body")
    assert workspace.uploads.count() == 0


def test_many_records_become_a_run(api, workspace):
    told = send(api, ("many.zip", zip_of(101)))
    assert told.status_code == 202
    run = told.json()["run"]
    assert (run["kind"], run["state"]) == ("forecast", "queued")
    assert told.headers["location"] == f"/api/v1/runs/{run['id']}"
    upload = told.json()["uploads"][0]["id"]
    assert workspace.runs.get(run["id"]).settings == {"uploads": [upload], "model": "embedded"}
    assert workspace.uploads.path(upload).is_file()


def test_a_full_queue_is_a_429_and_keeps_nothing(api, workspace, service, monkeypatch):
    def full(*_, **__):
        raise BusyError("256 requests are waiting, 1 of them yours.", hint="Try again.")

    monkeypatch.setattr(service, "submit", full)
    told = send(api, ("a.xml", XML))
    assert told.status_code == 429
    assert told.headers["retry-after"] == "10"
    assert error_of(told)["code"] == "busy"
    assert workspace.uploads.count() == 0


def test_too_much_is_refused_while_it_arrives(api, workspace, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 50_000)
    monkeypatch.setattr(uploads, "MAX_JSON_BYTES", 5_000)
    read = []

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for number in range(10_000):
            read.append(number)
            yield b"0" * 10_000

    kind = {"content-type": "multipart/form-data; boundary=x"}
    told = api.post("/api/v1/forecasts", content=endless(), headers=kind)
    assert (told.status_code, error_of(told)["code"]) == (413, "too-large")
    assert "larger than 50,000 bytes" in error_of(told)["message"]
    body = {"content-type": "application/json"}
    told = api.post("/api/v1/forecasts", content=b"[" + b" " * 6_000, headers=body)
    assert (told.status_code, error_of(told)["code"]) == (413, "too-large")
    assert workspace.uploads.count() == 0
    assert not list((workspace.folder / "uploads").iterdir())


def test_too_many_files(api, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FILES", 3)
    told = send(api, *[(f"{n}.xml", XML) for n in range(4)])
    assert (told.status_code, error_of(told)["code"]) == (413, "too-large")


def test_a_zip_bomb_is_refused_by_name(api):
    told = send(api, ("bomb.zip", zip_of(1, content=b"0" * 20_000_000)))
    assert told.status_code == 200
    (refusal,) = told.json()["refusals"]
    assert (refusal["record"], refusal["code"]) == ("bomb.zip!00000.xml", "LimitError")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"hello", "text/plain", 415),
        (b"hello", "", 415),
        (b"hello", "multipart/form-data", 400),
        (b"hello", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
    ],
)
def test_bodies_that_bring_nothing(api, workspace, content, kind, status):
    told = api.post("/api/v1/forecasts", content=content, headers={"content-type": kind})
    assert told.status_code == status
    assert error_of(told)["hint"]
    assert workspace.uploads.count() == 0


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\a.xml"]
)
def test_a_file_name_is_never_a_path(api, workspace, name):
    body = send(api, (name, XML)).json()
    (upload,) = body["uploads"]
    assert "/" not in upload["name"]
    assert "\\" not in upload["name"]
    stored = list((workspace.folder / "uploads").iterdir())
    assert [path.name for path in stored] == [upload["id"]]
    assert stored[0].stat().st_mode & 0o777 == 0o600


def test_csv_cells_are_harmless(api):
    found = XML.replace(b"Exemplamab in Adults", b"=HYPERLINK(1) in Adults")
    assert send(api, ("=cmd.xml", found), ("@sum.xml", XML)).status_code == 200
    told = api.get("/api/v1/forecasts", params={"format": "csv"})
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert told.headers["content-disposition"] == 'attachment; filename="forecasts.csv"'
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert {row["record"] for row in rows} == {"'=cmd.xml", "'@sum.xml"}
    assert any(row["title"].startswith("'=HYPERLINK") for row in rows)
    assert all(0 < float(row["probability"]) < 1 for row in rows)


def test_pages(api):
    send(api, ("three.zip", zip_of(3)))
    first = api.get("/api/v1/forecasts", params={"limit": 2}).json()
    assert (len(first["items"]), first["total"], first["next"]) == (2, 3, 2)
    last = api.get("/api/v1/forecasts", params={"limit": 2, "offset": 2}).json()
    assert (len(last["items"]), last["next"]) == (1, None)


def test_deleting_an_upload_deletes_its_forecasts(api, workspace):
    upload = send(api, ("a.xml", XML)).json()["uploads"][0]["id"]
    assert api.delete(f"/api/v1/uploads/{upload}").status_code == 204
    assert api.get("/api/v1/uploads").json()["total"] == 0
    assert api.get("/api/v1/forecasts").json()["total"] == 0
    assert not list((workspace.folder / "uploads").iterdir())
    assert api.delete(f"/api/v1/uploads/{upload}").status_code == 404


def test_runs(api, workspace):
    upload = send(api, ("a.xml", XML)).json()["uploads"][0]["id"]
    asked = {"kind": "forecast", "title": "Mine", "settings": {"uploads": [upload]}}
    told = api.post("/api/v1/runs", json=asked)
    assert told.status_code == 201
    run = told.json()
    assert told.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert api.get(told.headers["location"]).json() == run
    assert api.get("/api/v1/runs", params={"state": "queued"}).json()["total"] == 1
    assert api.get("/api/v1/runs", params={"state": "done"}).json()["items"] == []
    where = f"/api/v1/runs/{run['id']}"
    assert api.post(f"{where}/stop").json()["state"] == "interrupted"
    assert api.post(f"{where}/resume").json()["state"] == "queued"
    assert api.post(f"{where}/stop").json()["state"] == "interrupted"
    assert api.post(f"{where}/retry").json()["state"] == "queued"
    told = api.post(f"{where}/retry")
    assert (told.status_code, error_of(told)["code"]) == (409, "job")
    events = api.get(f"{where}/events", params={"limit": 2}).json()
    assert len(events["items"]) == 2
    after = api.get(f"{where}/events", params={"after": events["last"]}).json()
    assert after["items"][0]["id"] > events["last"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"kind": "rob", "settings": {}}, "no such kind of run"),
        (
            {"kind": "forecast", "settings": {"sources": ["/etc"]}},
            "sources: a path cannot be given",
        ),
        ({"kind": "forecast", "settings": {"uploads": [NO_ID]}}, "there is no upload"),
        ({"kind": "forecast", "settings": {}}, "uploads: name one or more"),
        ({"kind": "train", "settings": {"data": "/etc", "base": "x"}}, "data: a path cannot"),
    ],
)
def test_settings_of_a_run_are_checked(api, asked, words):
    told = api.post("/api/v1/runs", json=asked)
    assert (told.status_code, error_of(told)["code"]) == (422, "config")
    assert words in error_of(told)["message"]


def test_bundles(api):
    listed = api.get("/api/v1/bundles").json()
    assert [b["id"] for b in listed["items"]] == embedded_names()
    card = api.get("/api/v1/bundles/embedded").json()
    assert card["is_default"]
    assert card["facts"]["context_of_use"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1", 404, "not-found"),
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/api/v1/runs/", 404, "not-found"),
        ("GET", f"/api/v1/runs/{NO_ID}", 404, "not-found"),
        ("GET", f"/api/v1/runs/{NO_ID}/events", 404, "not-found"),
        ("POST", f"/api/v1/runs/{NO_ID}/stop", 404, "not-found"),
        ("GET", f"/api/v1/bundles/{NO_ID}", 404, "not-found"),
        ("DELETE", f"/api/v1/uploads/{NO_ID}", 404, "not-found"),
        ("PUT", "/api/v1/runs", 405, "method-not-allowed"),
        ("DELETE", "/api/v1/forecasts", 405, "method-not-allowed"),
        ("GET", "/api/v1/runs/..%2f..%2fetc", 404, "not-found"),
        ("GET", "/api/v1/runs/%2e%2e", 422, "invalid-request"),
        ("GET", "/api/v1/bundles/..%5c..%5cboot.ini", 422, "invalid-request"),
        ("GET", "/api/v1/runs?limit=0", 422, "invalid-request"),
        ("GET", "/api/v1/runs?limit=1001", 422, "invalid-request"),
        ("GET", "/api/v1/forecasts?offset=-1", 422, "invalid-request"),
        ("POST", f"/api/v1/forecasts?bundle={NO_ID}", 404, "not-found"),
        ("POST", "/api/v1/forecasts?bundle=/etc", 422, "invalid-request"),
        ("POST", "/api/v1/runs", 422, "invalid-request"),
    ],
)
def test_every_failure_has_one_shape(api, method, path, status, code):
    told = api.request(method, path)
    assert (told.status_code, error_of(told)["code"]) == (status, code)
    assert told.headers["cache-control"] == "no-store"


def test_other_bodies_are_capped(api, monkeypatch):
    monkeypatch.setattr(errors, "MAX_BODY", 1000)
    told = api.post("/api/v1/runs", json={"kind": "train", "settings": {"base": "x" * 2000}})
    assert (told.status_code, error_of(told)["code"]) == (413, "too-large")


def test_what_nobody_foresaw_is_a_500_without_trace_or_path(
    workspace, service, monkeypatch, caplog
):
    def broken(**_):
        raise RuntimeError(f"cannot read {workspace.folder}/secret")

    monkeypatch.setattr(workspace.runs, "list", broken)
    # This client would raise what the application lets through.
    told = TestClient(app_over(workspace, service)).get("/api/v1/runs")
    assert (told.status_code, error_of(told)["code"]) == (500, "failed")
    assert str(workspace.folder) not in told.text
    assert "Traceback" not in told.text
    assert "secret" in caplog.text


def test_paths_never_leave():
    hide = errors.without_paths
    assert hide("cannot read /home/me/work/uploads/0f: no.") == "cannot read 0f: no."
    assert hide("'/work/a b' and 1/2 of http://127.0.0.1:80/x/y") == (
        "'a b' and 1/2 of http://127.0.0.1:80/x/y"
    )
    assert hide("see /api/v1/docs") == "see /api/v1/docs"


def test_what_was_done_is_in_the_activity(api, workspace):
    upload = send(api, ("a.xml", XML)).json()["uploads"][0]["id"]
    api.delete(f"/api/v1/uploads/{upload}")
    assert [(e.action, e.who) for e in workspace.activity.list()] == [
        ("delete", "API"),
        ("forecast", "API"),
    ]


@pytest.mark.parametrize("name", ["tfidf", "xgboost", "baselines"])
def test_bundles_without_a_language_model_forecast(name, api, workspace, tmp_path):
    from tests.forecasters.kinds_kit import VALID, fitted

    fitted(name).save(tmp_path / name, validation=VALID)
    made = workspace.bundles.add(tmp_path / name)
    facts = api.get(f"/api/v1/bundles/{made.id}").json()["facts"]
    assert facts["kind"] == ("blend" if name == "baselines" else "baseline")
    body = send(api, ("a.xml", XML), params={"bundle": made.id}).json()
    (found,) = body["forecasts"]
    assert found["bundle"] == made.identity
    assert 0 <= found["lower"] <= found["probability"] <= found["upper"] <= 1


def test_forecasts_are_adapted_to_a_base_rate_as_the_command_line_does(api, tmp_path):
    plain, adapted = (
        send(api, ("a.xml", XML), params=params).json()["forecasts"][0]
        for params in ({}, {"base_rate": "phase 2=60 %, phase 3=0.7"})
    )
    assert plain["adapted_to"] is plain["unadapted_probability"] is None
    assert (adapted["adapted_to"], adapted["target_rate"]) == ("Phase 2=0.6, Phase 3=0.7", 0.6)
    assert adapted["unadapted_probabilities"] == plain["probabilities"]
    (tmp_path / "a.xml").write_bytes(XML)
    here = load_forecaster("embedded", device="cpu")
    records = read_records(tmp_path / "a.xml")
    (told,) = here.forecast(records, base_rate="phase 2=60 %, phase 3=0.7")
    for name in ("probability", "lower", "upper", "target_rates", "unadapted_probability"):
        assert adapted[name] == pytest.approx(told.to_dict()[name], abs=1e-4)
    assert adapted["warnings"] == list(told.warnings)
    kept = api.get("/api/v1/forecasts", params={"limit": 1}).json()["items"]
    assert kept == [adapted]


@pytest.mark.parametrize("given", ["56", "", "success", "/etc/passwd"])
def test_a_base_rate_that_is_none_is_refused_before_anything_is_stored(api, workspace, given):
    told = send(api, ("a.xml", XML), params={"base_rate": given})
    assert told.status_code == 422
    assert "56 %" in error_of(told)["hint"]
    assert workspace.uploads.list() == []


def test_many_records_are_adapted_by_their_run(api, workspace):
    told = send(api, ("many.zip", zip_of(101)), params={"base_rate": "0.6"})
    assert told.status_code == 202
    assert told.json()["run"]["settings"]["base_rate"] == "0.6"


@pytest.mark.skipif(len(embedded_names()) == 1, reason="no embedded question has been made yet")
def test_a_question_is_answered_by_the_bundle_that_answers_it(api):
    files = [("files", ("a.xml", XML))]
    told = api.post("/api/v1/forecasts", files=files, params={"question": "duration"})
    assert told.status_code == 200, told.text
    (forecast,) = told.json()["forecasts"]
    assert (forecast["task"], forecast["unit"]) == ("duration", "months")
    assert forecast["p10"] < forecast["median"]
    own = api.post("/api/v1/forecasts", files=files, params={"question": "outcome"})
    assert own.json()["forecasts"][0]["task"] == "outcome"
    wrong = {"question": "duration", "bundle": "embedded"}
    refused = api.post("/api/v1/forecasts", files=files, params=wrong)
    assert refused.status_code == 422
    assert "answers 'outcome', not 'duration'" in error_of(refused)["message"]
    unknown = api.post("/api/v1/forecasts", files=files, params={"question": "weather"})
    assert unknown.status_code == 422
    assert "no embedded model answers 'weather'" in error_of(unknown)["message"]
