"""Forecasts are kept in batches, listed in three orders, and deleted for good."""

import io

import pytest

from llm4top.errors import NotFoundError
from llm4top.workspace.forecasts import StoredForecast


def forecast(n=0, **values):
    return {
        "record": f"{n}.xml",
        "nct_id": f"NCT{n:08d}",
        "phase": None,
        "task": "outcome",
        "label": "success",
        "probability": (n * 37 % 100) / 100,
        "bundle": "embedded-1",
        "warnings": ["a", "b"],
        "title": "A \0 title",
        "lower": float("nan"),
        **values,
    }


def test_a_batch_is_kept_with_all_that_was_said(workspace):
    batch = workspace.forecasts.add(None, [forecast(0), forecast(1)])
    first, second = workspace.forecasts.list(batch=batch, order="position")
    assert isinstance(first, StoredForecast)
    assert (first.position, first.record, first.nct_id) == (0, "0.xml", "NCT00000000")
    assert (second.position, second.probability, second.phase) == (1, 0.37, None)
    assert first.values["warnings"] == ["a", "b"]
    assert (first.values["title"], first.values["lower"]) == ("A  title", None)
    assert workspace.forecasts.get(first.id) == first


def test_a_forecast_of_the_forecasters_room_is_taken_as_it_is(workspace):
    from llm4top.forecasters.forecast_format import Forecast

    said = Forecast(
        record="a.xml",
        nct_id=None,
        phase="Phase 2",
        task="outcome",
        labels=("failure", "success"),
        probabilities=(0.4, 0.6),
        label="success",
        probability=0.6,
        lower=None,
        upper=None,
        base_rate=0.5,
        warnings=(),
        bundle="embedded-1",
        prompt_sha256="0" * 64,
        tokens=10,
        tokens_cut=0,
    )
    workspace.forecasts.add(None, iter([said]))
    (kept,) = workspace.forecasts.list()
    assert kept.values == said.to_dict()


def test_orders_and_pages(workspace):
    old = workspace.forecasts.add(None, [forecast(n) for n in range(3)])
    new = workspace.forecasts.add(None, [forecast(n) for n in range(3, 6)])
    newest = workspace.forecasts.list(order="newest")
    assert [f.batch for f in newest] == [new] * 3 + [old] * 3
    chances = [f.probability for f in workspace.forecasts.list(order="probability")]
    assert chances == sorted(chances, reverse=True)
    assert workspace.forecasts.list(limit=2, offset=1) == newest[1:3]
    assert workspace.forecasts.count() == 6
    assert workspace.forecasts.count(nct_id="NCT00000004") == 1
    assert [b.id for b in workspace.batches.list()] == [new, old]
    assert [b.count for b in workspace.batches.list(limit=1)] == [3]


def test_ten_thousand_are_kept_and_deleted(workspace):
    batch = workspace.forecasts.add(None, (forecast(n) for n in range(10_000)))
    assert workspace.forecasts.count(batch=batch) == 10_000
    page = workspace.forecasts.list(batch=batch, order="position", offset=9_998)
    assert [f.position for f in page] == [9_998, 9_999]
    workspace.batches.delete(batch)
    assert workspace.forecasts.count() == 0


def test_a_batch_can_be_added_to(workspace):
    batch = workspace.forecasts.add(None, [forecast(0)])
    assert workspace.forecasts.add(None, [forecast(1)], batch=batch) == batch
    assert [f.position for f in workspace.forecasts.list(batch=batch, order="position")] == [0, 1]


def test_nothing_stays_of_a_batch_that_breaks(workspace):
    def breaking():
        yield from (forecast(n) for n in range(1200))
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        workspace.forecasts.add(None, breaking())
    assert workspace.forecasts.count() == 0


def test_unknown_things_are_told(workspace):
    with pytest.raises(NotFoundError, match="there is no upload 'x'"):
        workspace.forecasts.add("x", [])
    with pytest.raises(NotFoundError, match="there is no run 'x'"):
        workspace.forecasts.add(None, [], run_id="x")
    with pytest.raises(NotFoundError, match="there is no forecast"):
        workspace.forecasts.get("x\0\ud800")
    with pytest.raises(NotFoundError, match="there is no batch of forecasts"):
        workspace.batches.delete("x")
    assert workspace.forecasts.list(batch="x\0", nct_id="\ud800") == []


def test_text_that_looks_like_sql_is_text(workspace):
    hostile = "x'); DROP TABLE forecasts; --"
    workspace.forecasts.add(None, [forecast(record=hostile, nct_id=hostile)])
    (kept,) = workspace.forecasts.list(nct_id=hostile)
    assert kept.record == hostile
    assert workspace.forecasts.list(nct_id="' OR '1'='1") == []


def test_the_forecasts_of_a_run_go_with_it(workspace):
    run = workspace.runs.submit("forecast", {})
    workspace.forecasts.add(None, [forecast()], run_id=run.id)
    assert workspace.forecasts.count(run_id=run.id) == 1
    workspace.runs.request_stop(run.id)
    workspace.runs.delete(run.id)
    assert workspace.forecasts.count() == 0


def test_an_upload_that_is_deleted_meanwhile_is_told_and_nothing_stays(workspace):
    upload = workspace.uploads.add("a.xml", io.BytesIO(b"x"))

    def slow():
        yield from (forecast(n) for n in range(600))
        workspace.uploads.delete(upload.id)
        yield forecast(600)

    with pytest.raises(NotFoundError, match=f"there is no upload or run '{upload.id}'"):
        workspace.forecasts.add(upload.id, slow())
    assert workspace.forecasts.count() == 0


def test_forecasts_that_version_0_1_0_stored_still_open(workspace):
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.workspace.views.export_batch import EXPORT_NAMES, export_batch
    from llm4top.workspace.views.listing import Listing, ListQuery
    from tests.forecasters.test_forecast_format import STORED_BY_0_1_0

    batch = workspace.forecasts.add(None, [STORED_BY_0_1_0])
    (line,) = workspace.batches.lines(batch)
    assert (line.title, line.sponsor_class, line.base_rate_of) == (
        "An invented trial",
        "Industry",
        "all",
    )
    whole = Forecast.from_dict(workspace.forecasts.get(line.id).values, id=line.id)
    assert whole.probabilities == (0.3, 0.5, 0.2)
    assert (len(whole.withheld), len(whole.sections)) == (1, 1)
    assert workspace.batches.withheld_counts([line.id]) == {line.id: 1}
    assert [b.id for b in workspace.batches.list(search="invented")] == [batch]
    listing = Listing.read(workspace, batch)
    for export in map(export_batch, EXPORT_NAMES):
        assert export.write(workspace, listing, ListQuery(), {})
