import asyncio
import json
import os
import shutil
import signal
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import llm4top
from llm4top.errors import BundleError, BusyError, LargeUploadError, ServiceError
from llm4top.forecasters.bundles.paths import embedded_folder
from llm4top.forecasters.forecast import forecast_records
from llm4top.forecasters.forecast_format import Forecast
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.reader import read_records
from llm4top.workspace.serving.fair_queue import ServiceLimits
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.serving.scorer import Scorer
from llm4top.workspace.serving.service import ForecastService

pytestmark = pytest.mark.slow

EXAMPLES = Path(llm4top.__file__).parent / "examples"
ONE = UploadedFile(EXAMPLES / "example.xml", "one.xml")
TWO = UploadedFile(EXAMPLES / "example.json", "two.json")


@pytest.fixture(scope="module")
def service():
    with ForecastService(device="cpu") as made:
        made.warm("embedded").result(120)
        yield made


@pytest.fixture
def many(tmp_path):
    def make(n, name="many.zip"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for position in range(n):
                archive.writestr(f"{position:03}.xml", ONE.path.read_bytes())
        return UploadedFile(path, name)

    return make


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def forecast_now(service, files, *, timeout=None, **more):
    """Forecast and wait; past ``timeout`` the request is withdrawn."""
    future = service.submit(files, **more)
    try:
        return future.result(timeout)
    except TimeoutError:
        future.cancel()
        raise


def test_a_forecast_is_the_one_that_is_made_here(service):
    result = forecast_now(service, [ONE], client="a")
    (item,) = result.items
    loaded = load_forecaster("embedded", device="cpu")
    (record,) = read_records(ONE.path)
    (here,) = forecast_records(loaded, [record])
    assert item.prompt_sha256 == here.prompt_sha256
    assert item.probabilities == pytest.approx(here.probabilities, abs=1e-4)
    assert item.bundle == result.bundle == here.bundle
    assert item.withheld == record.withheld
    assert [(s.name, s.tokens, s.cut, s.text) for s in item.sections] == [
        (s.name, s.tokens, s.cut, s.text) for s in loaded.writer.write(record.trial).sections
    ]
    assert item.title == "Exemplamab in Adults With Moderate to Severe Plaque Psoriasis"
    assert item.source_sha256 == record.source.sha256
    assert result.seconds > 0


@pytest.mark.parametrize("kind", ["baseline", "blend"])
def test_a_bundle_of_another_kind_forecasts(service, kind, request):
    folder = request.getfixturevalue(f"{kind}_bundle")
    result = forecast_now(service, [ONE, TWO], client="a", bundle=str(folder))
    loaded = load_forecaster(folder, device="cpu")
    records = [record for file in (ONE, TWO) for record in read_records(file.path)]
    for item, here in zip(result.items, forecast_records(loaded, records), strict=True):
        assert item.probabilities == pytest.approx(here.probabilities, abs=1e-4)
        assert (item.bundle, item.warnings) == (loaded.identity, here.warnings)
        assert (item.prompt_sha256 is None, item.tokens == 0) == (kind == "baseline",) * 2
    assert str(folder) in service.state.loaded


def test_an_item_survives_json(service):
    (item,) = forecast_now(service, [ONE], client="a").items
    assert Forecast.from_dict(json.loads(json.dumps(item.to_dict()))) == item


def test_what_cannot_be_read_is_refused_beside_the_forecasts(service, tmp_path):
    path = tmp_path / "0f"
    path.write_text("<rss/>")
    result = forecast_now(service, [ONE, UploadedFile(path, "notes.xml"), TWO], client="a")
    assert [item.record for item in result.items] == ["one.xml", "two.json!#1"]
    (refusal,) = result.refusals
    assert (refusal.record, refusal.code) == ("notes.xml", "UnknownFormatError")


def test_what_is_missing_of_a_search_is_noted(service, tmp_path):
    path = tmp_path / "0f"
    page = {"totalCount": 3, "studies": [json.loads(TWO.path.read_text("utf-8"))]}
    path.write_text(json.dumps(page))
    result = forecast_now(service, [UploadedFile(path, "page.json")], client="a")
    assert len(result.items) == 1
    assert result.refusals == ()
    (note,) = result.notes
    assert note.startswith("page.json: this file holds 1 of the 3 studies that its search found")


def test_a_study_that_the_question_is_not_about_stands_beside_the_forecasts(service, tmp_path):
    path = tmp_path / "cohort"
    text = ONE.path.read_text("utf-8")
    path.write_text(text.replace("<study_type>Interventional", "<study_type>Observational"))
    result = forecast_now(service, [ONE, UploadedFile(path, "cohort.xml"), TWO], client="a")
    assert [item.record for item in result.items] == ["one.xml", "two.json!#1"]
    (apart,) = result.refusals
    assert (apart.record, apart.code) == ("cohort.xml", "NotApplicable")
    assert apart.reason.startswith("an observational study: 'outcome' is a question about")


def test_nothing_readable_is_no_error(service, tmp_path):
    result = forecast_now(service, [UploadedFile(tmp_path / "gone", "gone.xml")], client="a")
    assert (result.items, result.bundle) == ((), None)
    assert result.refusals[0].reason == "there is no such file or folder."


def test_progress_and_order(service, many):
    told = []
    result = forecast_now(service, [many(6)], client="a", on_progress=told.append)
    assert [item.record for item in result.items] == [f"many.zip!{n:03}.xml" for n in range(6)]
    assert [told[0].stage, told[1].stage, told[-1].stage] == ["waiting", "reading", "forecasting"]
    assert (told[-1].done, told[-1].total) == (6, 6)
    done = [progress.done for progress in told]
    assert done == sorted(done)


def test_a_listener_that_fails_costs_no_forecast(service):
    def listener(progress):
        raise RuntimeError("the page is gone")

    assert len(forecast_now(service, [ONE], client="a", on_progress=listener).items) == 1


def test_awaiting_leaves_the_event_loop_free(service, many):
    ticks, told = [], []

    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def main():
        ticker = asyncio.create_task(tick())
        loop_thread = threading.get_ident()

        def listener(progress):
            assert threading.get_ident() == loop_thread
            told.append(progress)

        result = await service.forecast([many(6)], client="a", on_progress=listener)
        ticker.cancel()
        return result

    assert len(asyncio.run(main()).items) == 6
    assert told
    # A loop that is blocked ticks once before and once after.
    assert len(ticks) > 5


def test_one_record_does_not_wait_for_all_of_another_client(service, many, monkeypatch):
    monkeypatch.setattr(service, "limits", replace(service.limits, batch=1))
    service._batch_size = 1
    long = service.submit([many(30)], client="busy")
    wait_for(lambda: service.state.records > 0)
    short = service.submit([ONE], client="quick")
    assert len(short.result(60).items) == 1
    assert not long.done()
    assert len(long.result(120).items) == 30


def test_a_cancelled_request_leaves_the_queue(service, many):
    async def main():
        task = asyncio.create_task(service.forecast([many(80)], client="a"))
        while not service.state.records:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    wait_for(lambda: not service.state.busy)
    assert (service.state.records, service.state.waiting) == (0, 0)


def test_a_request_that_is_too_slow_is_withdrawn(service, many):
    with pytest.raises(TimeoutError):
        forecast_now(service, [many(80)], client="a", timeout=0.2)
    wait_for(lambda: service.state.waiting == 0)


def test_too_many_records_need_a_run(service, many):
    with pytest.raises(LargeUploadError) as caught:
        forecast_now(service, [many(service.limits.records + 1)], client="a")
    assert str(caught.value) == (
        "more than 100 records are not forecast at once. Forecast them in a run."
    )


def test_too_many_bytes_need_a_run(service, tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(service.limits.bytes + 1)
    with pytest.raises(
        LargeUploadError, match="16\u202f000\u202f001 bytes are more than are forecast"
    ):
        service.submit([UploadedFile(path, "big.xml")], client="a")


def test_a_full_queue_says_so_and_others_still_get_in(many):
    limits = ServiceLimits(waiting=4, waiting_of_a_client=2)
    with ForecastService(device="cpu", limits=limits) as small:
        waiting = [small.submit([many(20, f"{n}.zip")], client="a") for n in range(2)]
        with pytest.raises(BusyError) as caught:
            small.submit([ONE], client="a")
        assert str(caught.value) == (
            "2 requests are waiting, 2 of them yours. Try again in a minute."
        )
        other = small.submit([ONE], client="b")
    for future in (*waiting, other):
        with pytest.raises(ServiceError, match="the Studio is being closed"):
            future.result(0)


def test_an_unknown_bundle_is_refused_in_words(service):
    with pytest.raises(BundleError, match="neither a bundle nor a base model"):
        forecast_now(service, [ONE], client="a", bundle="no-such-bundle")
    assert len(forecast_now(service, [ONE], client="a").items) == 1


def test_a_dead_process_is_replaced_and_the_forecast_still_made(service, many):
    starts = service.state.starts
    pid = service._scorer.pid
    os.kill(pid, signal.SIGSTOP)
    future = service.submit([many(3)], client="a")
    wait_for(lambda: service.state.busy)
    os.kill(pid, signal.SIGKILL)
    assert len(future.result(120).items) == 3
    assert service.state.starts == starts + 1


def test_a_record_on_which_the_process_dies_twice_is_given_up(service, monkeypatch):
    asked = []

    def dies(_bundle, records, _base_rate=None):
        asked.append(len(records))
        raise ServiceError("the process that forecasts stopped: it was ended by SIGKILL.")

    with monkeypatch.context() as patch:
        patch.setattr(service._scorer, "score", dies)
        with pytest.raises(ServiceError, match="ended by SIGKILL"):
            forecast_now(service, [ONE, TWO], client="a", timeout=60)
    # Together with others at first, then alone.
    assert asked[-1] == 1
    assert len(forecast_now(service, [ONE], client="a").items) == 1


def test_a_process_that_hangs_is_ended_and_only_the_last_bundles_are_kept(tmp_path):
    other = tmp_path / "other"
    shutil.copytree(embedded_folder(), other)
    scorer = Scorer(memory_bytes=1, device="cpu")
    scorer.score("embedded", [])
    scorer.score(str(other), [])
    assert scorer.loaded == (str(other),)
    os.kill(scorer.pid, signal.SIGSTOP)
    scorer.seconds = 0.3
    with pytest.raises(ServiceError, match=r"gave no answer in 0\.3 seconds") as caught:
        scorer.score("embedded", [])
    assert "started again by itself" in caught.value.hint
    assert scorer.pid is None


def test_a_closed_service_ends_its_processes_and_takes_no_more():
    service = ForecastService(device="cpu")
    service.start()
    wait_for(lambda: service.state is not None)
    service.close()
    with pytest.raises(ServiceError, match="has been closed"):
        service.submit([ONE], client="a")
