"""Precedents by the API: of a stored forecast, and of a record that is not stored."""

import pytest

from llm4top.forecasters.precedents.precedents import Precedents
from tests.forecasters.precedents.kit import dataset, years
from tests.studio.api_kit import JSON, NO_ID, XML, error_of

pytestmark = pytest.mark.slow


def test_without_an_index_the_answer_says_how_to_build_one(api):
    told = api.post("/api/v1/precedents", files=[("files", ("a.xml", XML))])
    assert told.status_code == 404
    error = error_of(told)
    assert error["message"] == "there is no index of precedents here."
    assert error["hint"] == "Build one: `llm4top precedents build DATASET_OR_RECORDS`."


def test_a_record_and_a_stored_forecast_have_precedents(api, workspace):
    Precedents.build(dataset(years(40)), workspace.folder / "precedents", model=None)
    where = "/api/v1/precedents?k=3&before=2002-01"
    told = api.post(where, files=[("files", ("a.xml", XML))])
    assert told.status_code == 200, told.text
    body = told.json()
    assert (body["earlier"], body["later"], body["n"]) == (24, 16, 3)
    assert (body["before"], body["before_is"]) == ("2002-01-01", "given")
    assert [item["rank"] for item in body["neighbours"]] == [1, 2, 3]
    assert all(item["completion_date"] < "2002" for item in body["neighbours"])
    assert body["neighbours"][0]["link"].endswith(body["neighbours"][0]["nct_id"])
    share = body["shares"][1]
    assert share["label"] == "success"
    assert share["lower"] <= share["share"] <= share["upper"]
    # Nothing is kept of the record.
    assert workspace.uploads.count() == 0
    made = api.post("/api/v1/forecasts", files=[("files", ("a.xml", XML))]).json()
    stored = made["forecasts"][0]["id"]
    again = api.get(f"{where}&forecast={stored}").json()
    assert again["neighbours"] == body["neighbours"]
    by_body = api.post(where, content=JSON, headers={"content-type": "application/json"})
    assert by_body.status_code == 200, by_body.text


def test_what_is_wrong_with_a_request_is_said(api, workspace):
    Precedents.build(dataset(years(40)), workspace.folder / "precedents", model=None, replace=True)
    unknown = api.get(f"/api/v1/precedents?forecast={NO_ID}")
    assert unknown.status_code == 404
    date = api.post("/api/v1/precedents?before=soon", files=[("files", ("a.xml", XML))])
    assert date.status_code == 422
    month = api.post("/api/v1/precedents?before=2004-13", files=[("files", ("a.xml", XML))])
    assert error_of(month)["message"] == "'2004-13' is not a date."
    broken = api.post("/api/v1/precedents", files=[("files", ("notes.xml", b"<rss/>"))])
    assert 400 <= broken.status_code < 500
    assert error_of(broken)["message"]
    two = [("files", ("a.xml", XML)), ("files", ("b.xml", XML))]
    assert error_of(api.post("/api/v1/precedents", files=two))["message"] == "send one file."
    assert workspace.uploads.count() <= 1
