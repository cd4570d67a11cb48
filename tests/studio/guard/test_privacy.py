"""What the privacy statement says of connections, in words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from llm4top.studio.frame import proof
from llm4top.studio.guard.privacy import ConnectionWatch


@pytest.fixture
def proof_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    def make(watch: ConnectionWatch, live: tuple[str, ...] = ()) -> list[str]:
        monkeypatch.setattr(watch, "live", lambda _port: list(live))
        return proof(SimpleNamespace(watch=watch, port=1))  # type: ignore[arg-type]

    return make


def test_nothing_was_asked(proof_of: Callable[..., list[str]]) -> None:
    first, second = proof_of(ConnectionWatch())
    assert first.startswith("No connection to another machine was attempted since 20")
    assert second == "No such connection is open now."


def test_what_was_asked_is_named(proof_of: Callable[..., list[str]]) -> None:
    watch = ConnectionWatch()
    watch._hear("socket.connect", (None, ("192.0.2.1", 443)))
    first, told, live = proof_of(watch, ("192.0.2.1:443",))
    assert first.startswith("1 attempt to reach another machine since 20")
    assert told.endswith(" connect 192.0.2.1:443")
    assert live == "Connected now: 192.0.2.1:443."


def test_the_watch_hears_the_interpreter() -> None:
    watch = ConnectionWatch()
    watch.install()
    watch.install()
    sys.audit("socket.connect", None, ("127.0.0.1", 9))
    sys.audit("socket.connect", None, ("192.0.2.1", 9))
    assert [attempt.target for attempt in watch.attempts] == ["192.0.2.1:9"]
    assert watch.live(0) == []
