"""Batches of forecasts: named, searched, paged, with what got no forecast."""

import io
from dataclasses import replace

import pytest

from llm4top.errors import NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.registry.trial import Withheld
from llm4top.workspace.batches import Batch
from llm4top.workspace.serving.parsing import Refusal
from tests.workspace.views.test_portfolio import item


def kept(workspace, *names, **more):
    trials = [item(title=f"Title of {name}", record=name, nct_id=None) for name in names]
    return workspace.forecasts.add(None, trials, **more)


def test_a_batch_is_called_by_its_name_or_its_first_record(workspace):
    first = kept(workspace, "a.xml", "b.xml")
    second = kept(workspace, "c.xml", name=" A name\n with\ta break ")
    assert [b.name for b in workspace.batches.list()] == ["A name with a break", "a.xml"]
    found = workspace.batches.get(first)
    assert isinstance(found, Batch)
    assert (found.count, found.left_out, found.bundle) == (2, 0, "tiny-0123456789ab")
    workspace.batches.rename(second, "Another")
    assert workspace.batches.get(second).name == "Another"


def test_batches_are_searched_by_name_record_title_and_what_was_left_out(workspace):
    kept(workspace, "a_1.xml", name="Portfolio 2031")
    other = kept(workspace, "b.xml")
    workspace.batches.leave_out(other, [Refusal("notes.md", "UnknownFormatError", "no", "yes")])
    names = lambda text: [b.name for b in workspace.batches.list(search=text)]  # noqa: E731
    assert names("portfolio") == names("A_1") == names("title of a_1") == ["Portfolio 2031"]
    assert names("notes.md b.xml") == ["b.xml"]
    assert names("a%1") == names("nothing") == []
    assert workspace.batches.count(search="title of") == workspace.batches.count() == 2
    assert len(workspace.batches.list(limit=1, offset=1)) == 1


def test_what_was_left_out_comes_back_in_its_order(workspace):
    batch = workspace.batches.open("Only refused")
    assert workspace.batches.list() == []
    subject = {"title": "T", "nct_id": None, "sections": [{"heading": "Phase", "text": "N/A"}]}
    refused = [
        Refusal("x.xml", "EmptyError", "is empty", None, 3, "a"),
        Refusal("y", "NotApplicable", "b", subject=subject),
    ]
    workspace.batches.leave_out(batch, refused[:1])
    workspace.batches.leave_out(batch, refused[1:])
    first, second = workspace.batches.left_out(batch)
    assert replace(first, id="") == refused[0]
    assert second.subject == {"title": "T", "nct_id": None}
    assert workspace.batches.one_left_out(second.id) == (batch, replace(refused[1], id=second.id))
    assert [(b.count, b.left_out) for b in workspace.batches.list()] == [(0, 2)]
    workspace.batches.delete(batch)
    assert workspace.batches.left_out(batch) == []


def test_lines_are_the_newest_first_and_light(workspace):
    withheld = (Withheld("status", "tells the outcome", "Completed"),)
    trials = [replace(item(title=f"{n}"), withheld=withheld) for n in range(3)]
    batch = workspace.forecasts.add(None, trials[:2])
    workspace.forecasts.add(None, trials[2:], batch=batch)
    lines = workspace.batches.lines(batch)
    assert [line.title for line in lines] == ["2", "0", "1"]
    for line in lines:
        whole = Forecast.from_dict(workspace.forecasts.get(line.id).values, id=line.id)
        assert len(whole.withheld) == 1
        assert line == replace(whole, withheld=line.withheld)
        assert len(line.withheld) == 0


def test_a_batch_without_forecasts_any_more_is_not_listed(workspace):
    upload = workspace.uploads.add("a.xml", io.BytesIO(b"x"))
    workspace.forecasts.add(upload.id, [item()])
    workspace.uploads.delete(upload.id)
    assert workspace.batches.list() == []
    assert workspace.batches.count() == 0


def test_a_batch_goes_with_its_run(workspace):
    run = workspace.runs.submit("forecast", {})
    batch = workspace.forecasts.add(None, [item()], run_id=run.id, batch=run.id)
    workspace.runs.request_stop(run.id)
    workspace.runs.delete(run.id)
    with pytest.raises(NotFoundError, match="there is no batch of forecasts"):
        workspace.batches.get(batch)


def test_a_batch_that_is_filled_anew_keeps_its_name_and_what_was_done_to_it(workspace):
    batch = kept(workspace, "a.xml", name="Mine")
    workspace.batches.leave_out(batch, [Refusal("x", "B", "b"), Refusal.note("a page is missing")])
    assert workspace.batches.get(batch).left_out == 1
    workspace.activity.log("forecast", "me", "1 trial", subject=batch)
    workspace.batches.clear(batch)
    kept(workspace, "b.xml", "c.xml", batch=batch)
    found = workspace.batches.get(batch)
    assert (found.name, found.count, found.left_out) == ("Mine", 2, 0)
    assert workspace.activity.list()[0].what == "1 trial"
    workspace.batches.clear("unknown")


def test_unknown_batches_are_told(workspace):
    for act in (workspace.batches.get, workspace.batches.delete):
        with pytest.raises(NotFoundError, match="there is no batch of forecasts 'x'"):
            act("x")
    with pytest.raises(NotFoundError):
        workspace.batches.rename("x", "y")
    with pytest.raises(NotFoundError):
        workspace.batches.leave_out("x", [])
    assert workspace.batches.lines("x") == []
