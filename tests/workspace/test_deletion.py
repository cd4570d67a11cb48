"""What was deleted is found nowhere in the folder: not in the database, its log, or a copy."""

import io
import random

from llm4top.workspace.migrate import back_up
from llm4top.workspace.workspace import Workspace

SECRET = "UNPUBLISHED-PROTOCOL-7f3a"


def holders(folder, text):
    """The files of the folder that hold the text."""
    wanted = text.encode()
    return [p.name for p in folder.rglob("*") if p.is_file() and wanted in p.read_bytes()]


def forecast(n, text):
    return {
        "record": f"{text}-{n}.xml",
        "nct_id": None,
        "phase": None,
        "task": "outcome",
        "label": "success",
        "probability": 0.5,
        "bundle": "b",
        "title": f"{text} title {n} " * 40,
    }


def test_a_deleted_upload_leaves_no_trace(local):
    def add(text):
        upload = local.uploads.add(f"{text}.xml", io.BytesIO(f"<x>{text}</x>".encode()))
        local.forecasts.add(upload.id, [forecast(n, text) for n in range(700)])
        local.activity.log("uploaded", "someone", f"{text}.xml", subject=upload.id)
        return upload

    other, secret = add("PUBLIC-THING"), add(SECRET)
    add("ANOTHER-THING")
    assert set(holders(local.folder, SECRET)) >= {"llm4top.db-wal", secret.id}
    back_up(local.folder / "llm4top.db", local.folder / "backups", "0001")
    local.uploads.delete(secret.id)
    assert holders(local.folder, SECRET) == []
    assert local.forecasts.count(upload_id=other.id) == 700


def test_no_trace_is_left_where_rows_were_shuffled_and_pages_split(local):
    """Rows come and go, so that SQLite moves what is left between pages."""
    chance = random.Random(0)
    secrets = []
    for n in range(30):
        text = SECRET if n % 3 == 0 else f"kept-{n}"
        count = chance.randint(1, 120)
        batch = local.forecasts.add(None, [forecast(k, text) for k in range(count)])
        secrets += [batch] if text == SECRET else []
    for batch in chance.sample(secrets, len(secrets)):
        local.batches.delete(batch)
    assert holders(local.folder, SECRET) == []


def test_a_deleted_run_leaves_no_trace(local):
    run = local.runs.submit("train", {"note": SECRET}, title=SECRET)
    for n in range(300):
        local.runs.add_event(run.id, "progress", {"n": n, "note": SECRET * 5})
    local.runs.folder(run.id).mkdir()
    (local.runs.folder(run.id) / "log.txt").write_text(SECRET)
    local.runs.request_stop(run.id)
    local.runs.delete(run.id)
    assert holders(local.folder, SECRET) == []


def test_a_reader_delays_the_wiping_and_the_end_of_the_workspace_makes_up_for_it(
    local, monkeypatch
):
    monkeypatch.setattr("llm4top.workspace.deletion._PATIENCE_S", 0.2)
    batch = local.forecasts.add(None, [forecast(0, SECRET)])
    with Workspace.open(local.folder) as other, other.session(write=False) as session:
        session.connection().exec_driver_sql("SELECT * FROM forecasts").fetchall()
        local.batches.delete(batch)
        assert holders(local.folder, SECRET) == ["llm4top.db-wal"]
    local.close()
    assert holders(local.folder, SECRET) == []
