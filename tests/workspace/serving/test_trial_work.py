"""Work on one trial by the process that holds the models."""

import asyncio
import json
from dataclasses import replace

import pytest

from llm4top.errors import LLM4TOPError, NotFoundError, TaskError
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.reader import read_records
from llm4top.workspace.ask import ask_about, place_of
from llm4top.workspace.kept_records import keep_result
from llm4top.workspace.serving import trial_work
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.serving.service import ForecastService
from tests.workspace.serving.test_service import ONE, TWO, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service():
    with ForecastService(device="cpu") as made:
        yield made


@pytest.fixture(autouse=True)
def trivial(monkeypatch):
    kinds = {"describe": "tests.workspace.serving.trivial_work:described"}
    monkeypatch.setattr(trial_work, "KINDS", kinds)


def ask(service, record, arguments=None, **more):
    return asyncio.run(service.ask("describe", record, arguments or {}, client="a", **more))


def test_every_kind_names_a_function_that_exists(monkeypatch):
    monkeypatch.undo()
    for place in trial_work.KINDS.values():
        module, _, name = place.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_a_kind_that_is_not_known_is_refused(service):
    with pytest.raises(ValueError, match=r"no kind of work 'guess'; known: describe\."):
        asyncio.run(service.ask("guess", ONE, {}, client="a"))


def test_work_on_a_file_and_on_a_record(service):
    told = []
    answer = ask(service, ONE, {"seed": 3}, on_progress=told.append)
    assert answer == {
        "identity": load_forecaster("embedded", device="cpu").identity,
        "record": "one.xml",
        "given": {"seed": 3},
        "fault": 1.0,
    }
    assert [progress.stage for progress in told] == ["waiting", "reading", "forecasting"]
    (record,) = read_records(ONE.path)
    assert ask(service, record)["record"] == record.source.name
    assert service.state.waiting == 0


def test_the_record_is_found_among_others(service, tmp_path):
    studies = [json.loads(TWO.path.read_text("utf-8")) for _ in range(120)]
    for number, study in enumerate(studies):
        study["protocolSection"]["identificationModule"]["nctId"] = f"NCT{90000000 + number}"
    path = tmp_path / "page.json"
    path.write_text(json.dumps({"studies": studies}))
    wanted = list(read_records(path))[110]
    file = UploadedFile(path, "page.json")
    answer = ask(service, file, sha256=wanted.source.sha256)
    assert answer["record"] == "page.json!#111"
    with pytest.raises(NotFoundError, match=r"page\.json: the record is not in this file\."):
        ask(service, file, sha256="0" * 64)
    with pytest.raises(NotFoundError, match="there is no such file or folder"):
        ask(service, UploadedFile(tmp_path / "gone", "gone.xml"))


def test_errors_are_those_of_the_work(service):
    with pytest.raises(TaskError, match=r"it cannot be done\. Ask otherwise\."):
        ask(service, ONE, {"wrong": "it cannot be done."})
    with pytest.raises(LLM4TOPError, match=r"did not foresee \(ZeroDivisionError\)"):
        ask(service, ONE, {"divisor": 0})


def test_work_takes_its_turn_and_is_withdrawn_with_its_task(service):
    async def main():
        busy = asyncio.create_task(service.ask("describe", ONE, {"seconds": 0.5}, client="a"))
        await asyncio.to_thread(wait_for, lambda: service.state.busy)
        left = asyncio.create_task(service.ask("describe", ONE, {"seconds": 60}, client="b"))
        await asyncio.to_thread(wait_for, lambda: service.state.records == 1)
        forecast = asyncio.create_task(service.forecast([ONE], client="c"))
        left.cancel()
        assert (await busy)["record"] == "one.xml"
        assert len((await forecast).items) == 1
        with pytest.raises(asyncio.CancelledError):
            await left

    asyncio.run(main())
    assert service.state.waiting == 0


def test_work_on_a_stored_forecast(service, local):
    result = asyncio.run(service.forecast([ONE, TWO], client="a"))
    keep_result(local, result, [ONE, TWO])
    for stored in local.forecasts.list():
        answer = asyncio.run(ask_about(local, service, stored, "describe", {}, client="a"))
        assert answer["record"] == stored.record
    assert place_of(local, stored.bundle) == "embedded"
    with pytest.raises(NotFoundError, match="the model of this forecast is no longer stored"):
        place_of(local, "other-0123456789ab")
    gone = replace(stored, record="gone.xml")
    with pytest.raises(NotFoundError, match=r"gone\.xml: the record is no longer stored"):
        asyncio.run(ask_about(local, service, gone, "describe", {}, client="a"))
