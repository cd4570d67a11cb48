"""Fifty people at once over HTTP: nobody gets an error, nobody waits for long, memory stays."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.studio._server import start_server, stop_server
from tests.studio.api_kit import XML, zip_of

pytestmark = pytest.mark.slow

PEOPLE = 50
ROUNDS = 2
MOST_GROWTH = 64_000_000
"""Bytes that server and helpers together may grow after the first round."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Studio whose helpers are its children, whose memory is measured."""
    made = start_server(tmp_path_factory.mktemp("load") / "home", cold=True)
    yield made
    stop_server(made)


def forecast(server, name, content=XML, kind="xml"):
    edge = "fifty-at-once"
    named = f'name="files"; filename="{name}.{kind}"'
    body = f"--{edge}\r\nContent-Disposition: form-data; {named}\r\n\r\n".encode()
    body += content + f"\r\n--{edge}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "X-Client": name}
    return server.ask("/api/v1/forecasts", method="POST", headers=headers, body=body, patience=300)


def all_at_once(server):
    """The answers of fifty people who ask at the same moment."""
    gate = threading.Barrier(PEOPLE)

    def person(number):
        gate.wait()
        return forecast(server, f"person{number}")

    with ThreadPoolExecutor(PEOPLE) as pool:
        return list(pool.map(person, range(PEOPLE)))


def memory_of(server):
    """Bytes that server and helpers hold, what they share counted once."""
    process = psutil.Process(server.process.pid)
    every = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in every)


def test_fifty_people_forecast_at_once(server):
    assert forecast(server, "first").status == 200
    held = []
    for _ in range(ROUNDS):
        answers = all_at_once(server)
        assert [a.text for a in answers if a.status != 200] == []
        records = [json.loads(a.text)["forecasts"][0]["record"] for a in answers]
        assert records == [f"person{number}.xml" for number in range(PEOPLE)]
        held.append(memory_of(server))
    assert held[-1] - held[0] < MOST_GROWTH


def test_many_records_of_one_person_do_not_keep_the_others_waiting(server):
    assert forecast(server, "first").status == 200
    started = forecast(server, "busy", zip_of(400), "zip")
    assert started.status == 202
    run = started.headers["location"]
    answers = all_at_once(server)
    assert {a.status for a in answers} == {200}
    state = json.loads(server.ask(run).text)["state"]
    assert state in {"queued", "running"}, "the others came after the one who asked for hundreds"
    while state in {"queued", "running"}:
        time.sleep(0.5)
        state = json.loads(server.ask(run).text)["state"]
    assert state == "done"
