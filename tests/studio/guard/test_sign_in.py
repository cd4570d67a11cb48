"""A Studio that other machines can reach: its token, its names, and its badge."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil
import pytest

from llm4top.studio.guard.sign_in import SESSIONS, SignIn
from llm4top.studio.serve import names_of
from tests.studio._server import Server, start_server, stop_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Studio on every address of this machine."""
    home = tmp_path_factory.mktemp("open") / "home"
    server = start_server(home, "--host", "0.0.0.0", "--token")
    yield server
    stop_server(server)


def test_it_says_what_being_open_means(open_server: Server) -> None:
    said = "\n".join(open_server.said)
    assert open_server.address == f"http://127.0.0.1:{open_server.port}"
    assert f"http://{socket.gethostname()}:{open_server.port}/" in said
    assert "What they send and read is not encrypted." in said
    process = psutil.Process(open_server.process.pid)
    listening = [c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["0.0.0.0"]


def test_the_machines_own_names_come_as_far_as_the_token(open_server: Server) -> None:
    for name in names_of("0.0.0.0"):
        shown = f"[{name}]" if ":" in name else name
        assert open_server.ask("/about", host=f"{shown}:{open_server.port}").status == 401
    for name in ("0.0.0.0", "evil.example"):
        assert open_server.ask("/about", host=f"{name}:{open_server.port}").status == 403


def test_a_health_check_needs_no_token_and_tells_nothing_else(open_server: Server) -> None:
    answer = open_server.ask("/healthz")
    assert (answer.status, answer.text) == (200, '{"status":"ok"}')
    assert open_server.ask("/healthz", host=f"evil.example:{open_server.port}").status == 403
    assert open_server.ask("/healthz/runs").status == 401


@pytest.mark.browser
def test_the_printed_address_opens_it_in_a_browser(chromium: Browser, open_server: Server) -> None:
    (address,) = re.findall(r"open at (\S+)", "\n".join(open_server.said))
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="Open to others").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("other machines can reach it, and need its token").wait_for()
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert "key=" not in page.url
    with chromium.new_context() as stranger:
        page = stranger.new_page()
        page.goto(open_server.address)
        assert page.get_by_label("Token").is_visible()
        assert page.get_by_role("navigation").count() == 0


@pytest.mark.browser
def test_the_form_signs_in_with_the_token(chromium: Browser, open_server: Server) -> None:
    (token,) = re.findall(r"^not shown again: (\S+)$", "\n".join(open_server.said), re.MULTILINE)
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{open_server.address}/models")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("That is not the token.").wait_for()
        page.get_by_label("Token").fill(f" {token} ")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("navigation", name="Pages").wait_for()
        page.goto(f"{open_server.address}/models")
        page.get_by_role("heading", name="Models", level=1).wait_for()


def test_sessions_do_not_pile_up() -> None:
    sign_in = SignIn("token", 1)
    first = sign_in._new_cookie().split(";")[0]
    assert sign_in._session_in(first)
    for _ in range(SESSIONS):
        last = sign_in._new_cookie().split(";")[0]
    assert not sign_in._session_in(first)
    assert sign_in._session_in(last)
    assert not sign_in._session_in("llm4top-1=")
    assert not sign_in._session_in("other=1; llm4top-2=x")
