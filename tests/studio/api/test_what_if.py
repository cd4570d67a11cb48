"""``POST /api/v1/what-if``: variants and sweeps of a stored forecast's record."""

import csv
import io

import pytest

from llm4top.forecasters.variants import ASSOCIATIONS, COLUMNS
from tests.studio.api_kit import JSON, NO_ID, XML, error_of, zip_of

pytestmark = pytest.mark.slow
PATH = "/api/v1/what-if"


@pytest.fixture(scope="module")
def stored(api):
    files = [
        ("files", ("a.xml", XML)),
        ("files", ("b.json", JSON)),
        ("files", ("c.zip", zip_of(1))),
    ]
    made = api.post("/api/v1/forecasts", files=files, params={"base_rate": "0.3"})
    assert made.status_code == 200, made.text
    return {item["record"]: item for item in made.json()["forecasts"]}


@pytest.mark.parametrize("record", ["a.xml", "b.json!#1", "c.zip!00000.xml"])
def test_variants_stand_beside_the_stored_forecast(api, stored, record):
    variants = [
        {"name": "larger", "edits": ["phase=Phase 3", {"path": "conditions", "value": "Gout"}]}
    ]
    told = api.post(PATH, json={"forecast": stored[record]["id"], "variants": variants})
    assert told.status_code == 200, told.text
    body = told.json()
    assert body["original"]["forecast"]["probability"] == pytest.approx(
        stored[record]["probability"], abs=1e-3
    )
    assert body["original"]["forecast"]["adapted_to"] == "0.3"
    (variant,) = body["variants"]
    assert variant["forecast"]["phase"] == "Phase 3"
    told = variant["difference"]
    assert told["lower"] <= told["value"] <= told["upper"]
    assert body["notes"][0] == ASSOCIATIONS
    assert body["disclaimer"]


def test_a_sweep_as_csv(api, stored):
    asked = {"forecast": stored["a.xml"]["id"], "sweep": "phase", "values": ["Phase 1", "3"]}
    told = api.post(PATH, json=asked, params={"format": "csv"})
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(told.text)))
    assert tuple(rows[0]) == COLUMNS
    assert [row[0] for row in rows[1:]] == ["as registered", "Phase 1", "3"]


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"variants": [{"name": "a", "edits": ["phase=9"]}]}, 422, "'9' is not a choice of the"),
        ({"sweep": "conditions"}, 422, "it has no list of values to sweep over."),
        ({"forecast": NO_ID}, 404, "there is no forecast"),
        ({"variants": 7 * [{"name": "a", "edits": []}]}, 422, ""),
    ],
)
def test_what_cannot_be_done_is_said(api, stored, asked, status, message):
    told = api.post(PATH, json={"forecast": stored["a.xml"]["id"], **asked})
    assert told.status_code == status
    assert message in error_of(told)["message"]
