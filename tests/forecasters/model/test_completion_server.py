"""Requests to a server of models: retries, refusals, the key, and no other machine."""

from __future__ import annotations

import threading
import time

import pytest

from llm4top.errors import ModelError, ServerError
from llm4top.forecasters.model.completion_server import (
    KEY_VARIABLE,
    CompletionServer,
    ServedModel,
)
from tests.forecasters.served_kit import completion, serving

GOOD = completion({"Yes": -0.1}, 3)


def server_at(url: str, **options) -> CompletionServer:
    return CompletionServer(ServedModel.parse(f"{url}#lab/tiny"), **({"pause": 0.01} | options))


def test_an_address_has_a_server_and_a_name():
    served = ServedModel.parse("http://127.0.0.1:8000/v1/#Qwen/Qwen3-8B")
    assert (served.url, served.name) == ("http://127.0.0.1:8000/v1", "Qwen/Qwen3-8B")
    assert served.is_local
    assert ServedModel.parse("http://localhost:1/v1#m").is_local
    assert ServedModel.parse("http://[::1]:1/v1#m").is_local
    assert not ServedModel.parse("https://models.example/v1#m").is_local


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1/v1", "http://#m", "http://h:port/v1#m", "http://h/v1?a=b#m"]
)
def test_what_is_no_address_says_its_form(text):
    with pytest.raises(ModelError, match=r"Write URL#NAME, such as http://127.0.0.1:8000/v1#Qwen"):
        ServedModel.parse(text)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(ModelError, match=KEY_VARIABLE) as caught:
        ServedModel.parse("http://me:secret@127.0.0.1/v1#m")
    assert "secret" not in str(caught.value)


def test_another_machine_needs_a_word():
    with pytest.raises(ModelError) as caught:
        server_at("https://models.example/v1")
    assert str(caught.value) == (
        "https://models.example/v1: models.example is another machine. The text of each record "
        "leaves this machine: it is sent to models.example. If that is what you want, add "
        "--allow-remote (allow_remote=True in Python)."
    )
    server_at("https://models.example/v1", allow_remote=True)


def test_a_busy_server_is_asked_again(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # which is not asked
    answers = [(503, {}), (500, {}), GOOD]
    with serving(lambda body: answers.pop(0)) as fake:
        assert server_at(fake.url).ask({"prompt": [1]}) == GOOD[1]
    assert fake.paths == ["/v1/completions"] * 3
    assert fake.bodies[0] == {"model": "lab/tiny", "prompt": [1]}


def test_a_server_says_how_long_to_wait():
    answers = [(429, {}), GOOD]
    with serving(lambda body: answers.pop(0)) as fake:
        fake.more["Retry-After"] = "1"
        began = time.monotonic()
        server_at(fake.url).ask({})
    assert time.monotonic() - began >= 1


def test_it_is_given_up_after_some_tries():
    with (
        serving(lambda body: (503, {"error": {"message": "loading"}})) as fake,
        pytest.raises(ServerError, match=rf"{fake.url}: answered 503 .*: loading\.") as caught,
    ):
        server_at(fake.url, tries=3).ask({})
    assert len(fake.bodies) == 3
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, {"message": "too long"}), r"answered 400 Bad Request: too long\.$"),
        ((404, {"detail": "no such model"}), r"no such model\. Check the address, which mostly"),
        ((302, b""), r"answered 302 Found\.$"),
        ((200, b"<html>"), r"not a JSON object: is this a completions API\?"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(answer, said):
    with serving(lambda body: answer) as fake:
        fake.more["Location"] = "http://models.example/"
        with pytest.raises(ServerError, match=said):
            server_at(fake.url).ask({})
    assert len(fake.bodies) == 1


def test_the_key_is_sent_and_never_printed(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "sk-123")
    with (
        serving(lambda body: (401, {"error": {"message": "wrong key sk-123"}})) as fake,
        pytest.raises(ServerError, match=r"wrong key \[key\]\. Put the server's API") as caught,
    ):
        server_at(fake.url).ask({})
    assert "sk-123" not in str(caught.value)
    assert fake.headers[0]["Authorization"] == "Bearer sk-123"


def test_a_key_that_cannot_be_sent_is_not_printed(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "sk-1\nsk-2")
    with (
        serving(lambda body: GOOD) as fake,
        pytest.raises(ServerError, match=r"holds characters that no key has\.$") as caught,
    ):
        server_at(fake.url).ask({})
    assert "sk-" not in str(caught.value)


def test_nobody_there():
    with serving(lambda body: GOOD) as fake:
        pass
    with pytest.raises(
        ServerError, match=rf"{fake.url}: the connection failed: .*refused"
    ) as caught:
        server_at(fake.url, tries=2).ask({})
    assert str(caught.value).endswith("refused. Is the server running, and is this its port?")


def test_an_answer_that_does_not_come_is_not_waited_for():
    done = threading.Event()
    with serving(lambda body: (done.wait(20), GOOD)[1]) as fake:
        with pytest.raises(ServerError, match=r"gave no answer within 0\.1 seconds"):
            server_at(fake.url, timeout=0.1).ask({})
        done.set()


def test_stopping_ends_a_request_that_waits():
    done, asked, said = threading.Event(), threading.Event(), []

    def respond(body):
        asked.set()
        done.wait(20)
        return GOOD

    def ask():
        try:
            server.ask({})
        except ServerError as error:
            said.append(str(error))

    with serving(respond) as fake:
        server = server_at(fake.url)
        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(10)
        server.stop()
        thread.join(5)
        assert not thread.is_alive()
        done.set()
    assert "the connection failed" in said[0]
