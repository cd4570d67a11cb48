"""The application as a whole: start, pages, errors, end."""

from __future__ import annotations

import ast
import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import llm4top.studio
from llm4top.cli.app import app
from llm4top.errors import StudioError
from llm4top.studio.app import page_modules
from llm4top.studio.serve import check_address, listen, names_of
from tests.studio._server import Answer, Server, start_server

pytestmark = pytest.mark.slow

SOURCES = sorted(Path(llm4top.studio.__file__).parent.rglob("*.py"))
CLIENTS = {"httpx", "requests", "aiohttp", "urllib3", "urllib.request", "http.client", "websockets"}


def test_it_starts_on_an_empty_home_without_network(server: Server) -> None:
    assert (server.home / "llm4top.db").is_file()
    assert stat.S_IMODE((server.home / "uploads").stat().st_mode) == 0o700
    answer = server.ask("/about")
    assert answer.status == 200
    assert "<title>About · LLM4TOP</title>" in answer.text


def test_it_listens_on_loopback_only(server: Server) -> None:
    import psutil

    process = psutil.Process(server.process.pid)
    listening = [c.laddr for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert [tuple(address) for address in listening] == [("127.0.0.1", server.port)]


@pytest.mark.parametrize(
    "path", ["/train", "/data", "/models", "/reports", "/trials", "/not-forecast"]
)
@pytest.mark.parametrize("thing", ["0" * 32, "nope", "..%2f..%2fetc"])
def test_the_page_of_what_does_not_exist_is_not_found(
    server: Server, path: str, thing: str
) -> None:
    assert server.ask(f"{path}/{thing}").status == 404


@pytest.mark.parametrize("path", ["/", "/about", "/api/v1/bundles", "/none"])
def test_head_answers_as_get_does_without_a_body(server: Server, path: str) -> None:
    whole, head = server.ask(path), server.ask(path, method="HEAD")
    assert head.status == whole.status
    assert head.text == ""
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_the_address_of_all_reports_leads_to_their_list(server: Server) -> None:
    answer = server.ask("/reports")
    assert (answer.status, answer.headers["location"]) == (307, "/benchmark")


def test_the_start_page_is_a_page(server: Server) -> None:
    answer = server.ask("/")
    if answer.status in {302, 307}:
        answer = server.ask(answer.headers["location"])
    assert answer.status == 200


def test_every_page_has_register() -> None:
    folder = Path(llm4top.studio.__file__).parent / "pages"
    files = {p.stem for p in folder.glob("*.py")} - {"__init__"}
    assert {name.rpartition(".")[2] for name in page_modules()} == files


def test_error_pages_show_neither_path_nor_trace(server: Server) -> None:
    for path in ("/nope", "/_nicegui/0/none", "/%2e%2e/etc/passwd", "/about/../../x"):
        answer = server.ask(path)
        assert answer.status == 404
        assert "Traceback" not in answer.text
        assert "site-packages" not in answer.text
        assert str(server.home) not in answer.text


def test_an_unknown_address_of_the_api_is_answered_as_the_api_answers(server: Server) -> None:
    answer = server.ask("/api/v0/none")
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["error"]["code"] == "not-found"  # type: ignore[index]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_frameworks_documentation_is_off(server: Server, path: str) -> None:
    answer = server.ask(path)
    assert answer.status == 404
    assert "swagger" not in answer.text.lower()


def test_a_polite_end_leaves_cleanly(tmp_path: Path) -> None:
    server = start_server(tmp_path / "home")
    code, said = server.end(signal.SIGTERM)
    assert code == 0
    assert said.rstrip().endswith("The Studio is closed.")
    assert "Traceback" not in said


def test_a_request_that_ctrl_c_cuts_is_answered_and_leaves_nothing(tmp_path: Path) -> None:
    server = start_server(tmp_path / "home")
    head = [
        "POST /api/v1/forecasts HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Content-Type: multipart/form-data; boundary=B",
        "Content-Length: 100000",
    ]
    part = '--B\r\nContent-Disposition: form-data; name="files"; filename="a.xml"\r\n\r\n<clin'
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall("\r\n".join([*head, "", part]).encode())
        time.sleep(0.5)
        code, said = server.end()
        received = b"".join(iter(lambda: link.recv(65536), b""))
    assert code == 0
    assert said.splitlines()[-1] == "The Studio is closed."
    assert "Traceback" not in said
    assert "ERROR" not in said
    answer = Answer.read(received)
    assert (answer.status, answer.json()["error"]["code"]) == (503, "closing")  # type: ignore[index]
    assert list((tmp_path / "home" / "uploads").iterdir()) == []


def test_a_taken_port_is_refused_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StudioError) as caught:
            listen("127.0.0.1", port)
    assert str(caught.value) == (
        f"127.0.0.1:{port}: another program listens there already, maybe another Studio. "
        f"Open http://127.0.0.1:{port}/ to see, or choose another port: "
        f"llm4top studio --port {port + 1}."
    )


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(StudioError, match="it cannot be listened on"):
        listen("203.0.113.7", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_addresses_need_a_token(host: str) -> None:
    with pytest.raises(StudioError, match="other machines could reach this address"):
        check_address(host, with_token=False)
    check_address(host, with_token=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    check_address(host, with_token=False)
    assert set(names_of(host)) == set()


def test_the_command_refuses_an_open_address(tmp_path: Path) -> None:
    environment = {**os.environ, "LLM4TOP_HOME": str(tmp_path / "home")}
    done = CliRunner().invoke(app, ["studio", "--host", "0.0.0.0"], env=environment)
    assert done.exit_code == 2
    assert "Add --token to ask every visitor for a token, or leave --host out." in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_no_http_client_is_imported(path: Path) -> None:
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {node.module or ""}
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert not {name for name in named if name in CLIENTS or name.split(".")[0] in CLIENTS}
