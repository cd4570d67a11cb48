"""``POST /api/v1/portfolio`` and ``GET /api/v1/forecasts/ID/report``."""

import csv
import io

import pytest

from llm4top.forecasters.bundles.paths import embedded_names
from llm4top.workspace.views.portfolio_sums import COLUMNS
from tests.studio.api_kit import EXAMPLES, NO_ID, XML, error_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(embedded_names()) == 1, reason="no embedded question has been made yet"),
]
PATH = "/api/v1/portfolio"
FILES = [
    ("files", ("a.xml", XML)),
    ("files", ("b.xml", (EXAMPLES / "example_with_results.xml").read_bytes())),
    ("files", ("c.xml", b"<rss/>")),
]


def test_records_are_added_up_and_not_stored(api):
    told = api.post(PATH, files=FILES)
    assert told.status_code == 200, told.text
    body = told.json()
    assert (body["label"], body["trials"]) == ("success", 2)
    assert 0 < body["successes"]["expected"] < 2
    assert len(body["failures"]["by_reason"]) == 4
    assert body["timeline"]["trials"] == 1
    assert body["not_counted"][-1]["records"] == ["b.xml"]
    assert [one["record"] for one in body["refusals"]] == ["c.xml"]
    table = api.post(PATH, files=FILES[1:], params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    rows = [*csv.reader(io.StringIO(table.text))]
    assert tuple(rows[0]) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert rows[-1][:2] == ["refused", "c.xml"]
    assert rows[-1][-1]
    assert api.get("/api/v1/forecasts").json()["total"] == 0
    assert api.get("/api/v1/uploads").json()["total"] == 0
    error = error_of(api.post(PATH))
    assert error["code"] == "unknown-media-type"
    assert error["hint"].endswith(PATH)


def test_the_report_of_a_stored_forecast(api):
    (made,) = api.post("/api/v1/forecasts", files=FILES[:1]).json()["forecasts"]
    told = api.get(f"/api/v1/forecasts/{made['id']}/report")
    assert told.status_code == 200
    assert told.headers["content-disposition"] == 'attachment; filename="NCT99999901.html"'
    assert "<h2>Chance</h2>" in told.text
    assert error_of(api.get(f"/api/v1/forecasts/{NO_ID}/report"))["code"] == "not-found"
