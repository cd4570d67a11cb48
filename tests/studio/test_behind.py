"""A Studio behind a reverse proxy with a host name of its own."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from llm4top.errors import StudioError
from llm4top.studio.serve import check_address
from tests.studio._server import Server, start_server, stop_server

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

NAME = "trials.localhost"


class Proxy:
    """Passes every byte on to another port of this machine, as a proxy that changes nothing."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.target = 0

    def start(self, target: int) -> None:
        self.target = target
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                inner, _ = self._listening.accept()
            except OSError:
                return
            outer = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with source, sink:
            try:
                while part := source.recv(65536):
                    sink.sendall(part)
            except OSError:
                pass


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A Studio behind a proxy, and the address of the proxy."""
    proxy = Proxy()
    address = f"http://{NAME}:{proxy.port}"
    home: Path = tmp_path_factory.mktemp("behind") / "home"
    server = start_server(home, "--token", "--behind", address)
    proxy.start(server.port)
    yield server, address
    stop_server(server)
    proxy.close()


@pytest.mark.browser
def test_a_browser_signs_in_and_works_through_the_proxy(
    chromium: Browser, proxied: tuple[Server, str]
) -> None:
    server, address = proxied
    said = "\n".join(server.said)
    assert f"Through the proxy: {address}/" in said
    (token,) = re.findall(r"^not shown again: (\S+)$", said, re.MULTILINE)
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/settings")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("navigation", name="Pages").wait_for()
        page.goto(f"{address}/settings")
        # What a click brings comes through the websocket.
        page.get_by_role("button", name="Open to others").click()
        page.get_by_role("dialog").get_by_text(f"served by a proxy as {address}").wait_for()


def test_only_the_named_origin_may_change_anything(proxied: tuple[Server, str]) -> None:
    server, address = proxied
    host = address.partition("://")[2]
    for origin, refused in (
        (address, False),
        (f"https://{host}", True),
        (f"http://127.0.0.1:{server.port}", True),
        (f"http://{NAME}", True),
        ("http://evil.example", True),
    ):
        answer = server.ask("/enter", method="POST", host=host, headers={"Origin": origin})
        assert (answer.status == 403) is refused, origin
    for name in (NAME, f"{NAME}:{server.port}", f"x.{host}", "evil.example"):
        assert server.ask("/about", host=name).status == 403
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert server.ask("/enter", method="POST", headers=own).status != 403
    assert server.ask("/enter", method="POST", headers={"Origin": address}).status == 403


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Trials.Example.org", "https://trials.example.org"),
        (" https://trials.example.org/ ", "https://trials.example.org"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
    ],
)
def test_the_address_of_a_proxy(address: str, origin: str) -> None:
    assert check_address("127.0.0.1", with_token=True, behind=address) == origin


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://example.org/llm4top", "cannot be served under a path of another site"),
        ("trials.example.org", "not the address of a proxy"),
        ("ftp://trials.example.org", "not the address of a proxy"),
        ("https://", "not the address of a proxy"),
        ("https://a@b.example", "not the address of a proxy"),
    ],
)
def test_what_is_not_one(address: str, message: str) -> None:
    with pytest.raises(StudioError, match=message):
        check_address("127.0.0.1", with_token=True, behind=address)


def test_a_proxy_needs_a_token() -> None:
    with pytest.raises(StudioError, match="other machines could reach") as caught:
        check_address("127.0.0.1", with_token=False, behind="https://trials.example.org")
    assert "--token" in (caught.value.hint or "")
