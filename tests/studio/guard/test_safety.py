"""Every way in that is not the person's own, against the running server."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm4top.studio.guard.privacy import ConnectionWatch, is_name, is_outside
from llm4top.studio.guard.safety import Safety, SafetyRules, allowed_hosts, is_loopback
from tests.studio._server import Answer, Server, start_server, stop_server

SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def websocket(server: Server, headers: dict[str, str], host: str = "") -> Answer:
    """Ask for a websocket; 101 if it opened."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        lines = [
            f"GET {SOCKET}websocket HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{server.port}'}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        return Answer.read(link.recv(65536))


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_its_own_names_are_answered(server: Server, name: str) -> None:
    assert server.ask("/about", host=f"{name}:{server.port}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.evil.example:{port}",
        "localhost.:{port}",
        "127.0.0.1.:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:80",
        "127.0.0.1:{port}0",
        "127.1:{port}",
        "0x7f000001:{port}",
        "2130706433:{port}",
        "0.0.0.0:{port}",
        "[::1:{port}",
        "::1:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}, evil.example",
        "evil.example, 127.0.0.1:{port}",
        "127.0.0.1:{port}#",
        "127.0.0.1:{port}/",
        ":{port}",
    ],
)
def test_other_names_are_refused(server: Server, host: str) -> None:
    answer = server.ask("/about", host=host.format(port=server.port))
    assert answer.status == 403
    assert "Unknown host name." in answer.text
    assert websocket(server, {}, host.format(port=server.port)).status in {400, 403}


def test_an_absent_or_double_host_is_refused(server: Server) -> None:
    right = f"127.0.0.1:{server.port}"
    assert server.ask("/about", host=None).status in {400, 403}
    assert server.ask("/about", headers=[("Host", right)]).status in {400, 403}
    assert server.ask("/about", headers=[("Host", "evil.example")]).status in {400, 403}
    assert server.ask("/about", host="evil.example", headers=[("Host", right)]).status in {400, 403}


def test_an_absolute_target_does_not_replace_the_host(server: Server) -> None:
    target = f"http://127.0.0.1:{server.port}/about"
    assert server.ask(target, host="evil.example").status == 403


SITES: list[tuple[str | None, bool]] = [
    (None, True),
    ("same-origin", True),
    ("none", True),
    ("same-site", False),
    ("cross-site", False),
    ("", False),
    ("nonsense", False),
    ("cross-site, same-origin", False),
]
ORIGINS: list[tuple[str | None, bool]] = [
    (None, True),
    ("http://127.0.0.1:{port}", True),
    ("http://127.0.0.1:{other}", False),
    ("https://127.0.0.1:{port}", False),
    ("http://localhost:{port}", False),
    ("http://127.0.0.1.evil.example:{port}", False),
    ("http://evil.example", False),
    ("null", False),
    ("", False),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(("site", "own_site"), SITES)
def test_unsafe_methods_from_other_sites_are_refused(
    server: Server, method: str, site: str | None, own_site: bool
) -> None:
    for origin, own_origin in ORIGINS:
        headers = {} if site is None else {"Sec-Fetch-Site": site}
        if origin is not None:
            headers["Origin"] = origin.format(port=server.port, other=server.port - 1)
        answer = server.ask("/about", method=method, headers=headers)
        refused = answer.status == 403
        assert refused is not (own_site and own_origin), headers


@pytest.mark.parametrize(("site", "own_site"), SITES)
def test_websockets_from_other_sites_are_refused(
    server: Server, site: str | None, own_site: bool
) -> None:
    for origin, own_origin in ORIGINS:
        headers = {} if site is None else {"Sec-Fetch-Site": site}
        if origin is not None:
            headers["Origin"] = origin.format(port=server.port, other=server.port - 1)
        opened = websocket(server, headers).status == 101
        assert opened is (own_site and own_origin), headers


def test_only_our_own_form_may_hide_its_origin(server: Server) -> None:
    form = {"Origin": "null", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    own = {**form, "Sec-Fetch-Site": "same-origin"}
    assert server.ask("/about", method="POST", headers=own).status != 403
    assert websocket(server, own).status == 403
    for site in ("none", "same-site", "cross-site", ""):
        headers = {**form, "Sec-Fetch-Site": site}
        assert server.ask("/about", method="POST", headers=headers).status == 403, site
    assert server.ask("/about", method="POST", headers=form).status == 403
    for change in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Mode": "cors"}):
        assert server.ask("/about", method="POST", headers={**own, **change}).status == 403
    several = [*own.items(), ("Origin", "http://evil.example")]
    assert server.ask("/about", method="POST", headers=several).status == 403


def test_the_websockets_polling_counts_as_unsafe(server: Server) -> None:
    polling = SOCKET + "polling"
    assert server.ask(polling).status == 200
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        answer = server.ask(polling, headers=headers)
        assert answer.status == 403


def test_other_sites_may_only_link_here(server: Server) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert server.ask("/about", headers={**link, "Sec-Fetch-Dest": "document"}).status == 200
    for rest in (
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {},
    ):
        answer = server.ask("/about", headers={"Sec-Fetch-Site": "cross-site", **rest})
        assert answer.status == 403


@pytest.mark.parametrize(
    ("path", "origin"),
    [("/about", "own"), ("/nope", "own"), (SOCKET + "polling", "own"), ("/about", "evil")],
)
def test_no_cors_header_ever_leaves(server: Server, path: str, origin: str) -> None:
    address = server.address if origin == "own" else "http://evil.example"
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": address, "Access-Control-Request-Method": "POST"}
        answer = server.ask(path, method=method, headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/about", "/nope", "/favicon.ico", SOCKET + "polling"])
def test_every_answer_carries_the_headers(server: Server, path: str) -> None:
    for host in ("", "evil.example"):
        answer = server.ask(path, host=host)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "camera=()" in answer.headers["permissions-policy"]
        assert "server" not in answer.headers


def test_scripts_run_by_nonce_and_it_changes(server: Server) -> None:
    nonces = set()
    for _ in range(2):
        answer = server.ask("/about")
        policy = answer.headers["content-security-policy"]
        (script,) = re.findall(r"script-src ([^;]*)", policy)
        assert "unsafe-inline" not in script
        (nonce,) = re.findall(r"'nonce-([\w-]+)'", script)
        for opening in re.findall(r"<script[^>]*>", answer.text):
            assert f'nonce="{nonce}"' in opening or 'src="/assets/' in opening
        nonces.add(nonce)
    assert len(nonces) == 2


def test_proxy_headers_are_not_believed(server: Server) -> None:
    mark = "/evil-prefix"
    headers = {"X-Forwarded-Prefix": mark, "X-Forwarded-Host": "evil.example"}
    answer = server.ask("/about", headers=headers)
    assert answer.status == 200
    assert mark not in answer.text
    assert "evil.example" not in answer.text


@pytest.mark.parametrize(
    "part",
    [
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "..%5c..%5c..%5cetc%5cpasswd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "C:%5cWindows%5cwin.ini",
        "%00",
        "....//....//etc/passwd",
    ],
)
def test_the_frameworks_routes_serve_no_other_files(server: Server, part: str) -> None:
    version = _framework_version(server)
    for folder in (
        "static",
        "libraries",
        "components",
        "resources/x",
        "esm/nicegui",
        "auto/static",
    ):
        answer = server.ask(f"/_nicegui/{version}/{folder}/{part}")
        assert answer.status in {400, 403, 404}
        assert "root:" not in answer.text
    assert server.ask(f"/_nicegui/auto/static/{part}").status in {400, 403, 404}


def test_the_frameworks_routes_take_nothing(server: Server) -> None:
    version = _framework_version(server)
    for path in (
        f"/_nicegui/{version}/static/nicegui.js",
        f"/_nicegui/{version}/libraries/x",
        f"/_nicegui/{version}/dynamic_resources/x",
        "/_nicegui/client/none/upload/1",
        "/assets/x",
        "/about",
    ):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert server.ask(path, method=method, body=b"x").status in {404, 405}


def _framework_version(server: Server) -> str:
    (version,) = set(re.findall(r"/_nicegui/([\d.]+)/", server.ask("/about").text))
    return version


def test_a_body_past_the_cap_is_refused_before_it_is_read(server: Server) -> None:
    length = {"Content-Length": str((1 << 30) + 1)}
    answer = server.ask("/about", method="POST", headers=length, body=b"x")
    assert answer.status == 413
    assert "were sent at once" in answer.text


def run_through(guard: Safety, chunks: list[bytes]) -> int:
    """The status that a chunked POST gets."""
    sent: list[int] = []
    waiting = iter(chunks)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": next(waiting), "more_body": True}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            sent.append(int(str(message["status"])))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/forecasts",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:9")],
    }
    # A browser's event loop may be running in this thread.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, guard(scope, receive, send)).result()  # type: ignore[arg-type]
    return sent[0]


def test_a_body_without_a_length_is_counted() -> None:
    async def reader(scope: object, receive: object, send: object) -> None:
        for _ in range(3):
            await receive()  # type: ignore[operator]
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]

    rules = SafetyRules(allowed_hosts(9), max_body=10)
    assert run_through(Safety(reader, rules), [b"abc", b"def", b"g"]) == 200
    assert run_through(Safety(reader, rules), [b"abcdef", b"ghijkl", b"m"]) == 413


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, str]]:
    """A Studio with a token, the token, and the one-time path."""
    server = start_server(tmp_path_factory.mktemp("guarded") / "home", "--token")
    said = "\n".join(server.said)
    yield server, said.rpartition("not shown again: ")[2].split()[0], _one_time(said)
    stop_server(server)


def _one_time(said: str) -> str:
    (path,) = re.findall(r"http://[^/\s]+(/enter\?key=\S+)", said)
    return path


def test_with_a_token_nothing_is_answered_without_it(guarded: tuple[Server, str, str]) -> None:
    server, token, _ = guarded
    page = server.ask("/about")
    assert page.status == 401
    assert "Paste the token" in page.text
    assert token not in page.text
    for path in ("/api/v1/runs", SOCKET + "polling", "/_nicegui/x"):
        assert server.ask(path).status == 401
    assert server.ask("/about", method="POST").status == 401
    assert websocket(server, {}).status == 403
    for wrong in ("Bearer wrong", f"Basic {token}", f"Bearer {token}x", "Bearer "):
        assert server.ask("/about", headers={"Authorization": wrong}).status == 401
    assert server.ask("/about", headers={"Authorization": f"Bearer {token}"}).status == 200
    assert websocket(server, {"Authorization": f"Bearer {token}"}).status == 101


def test_the_one_time_address_opens_it_once(guarded: tuple[Server, str, str]) -> None:
    server, token, path = guarded
    assert server.ask("/enter?key=wrong").status == 401
    first = server.ask(path)
    assert first.status == 200
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert token not in cookie
    second = server.ask(path)
    assert second.status == 401
    assert "This one-time address has been used already." in second.text
    assert "set-cookie" not in second.headers
    value = cookie.split(";")[0]
    assert server.ask("/about", headers={"Cookie": value}).status == 200
    assert server.ask("/about", headers={"Cookie": f"{value}x"}).status == 401
    assert websocket(server, {"Cookie": value}).status == 101
    refused = server.ask(
        "/about", method="POST", headers={"Cookie": value, "Origin": "http://evil.example"}
    )
    assert refused.status == 403


def test_another_browser_signs_in_with_the_token(guarded: tuple[Server, str, str]) -> None:
    server, token, _ = guarded
    form = server.ask("/enter")
    assert form.status == 401
    assert '<label for="token">' in form.text
    wrong = server.ask("/enter", method="POST", body=b"token=wrong")
    assert wrong.status == 401
    assert "That is not the token." in wrong.text
    right = server.ask("/enter", method="POST", body=f"token={token}".encode())
    assert right.status == 200
    cookie = right.headers["set-cookie"].split(";")[0]
    assert server.ask("/about", headers={"Cookie": cookie}).status == 200
    foreign = {"Sec-Fetch-Site": "cross-site"}
    body = f"token={token}".encode()
    assert server.ask("/enter", method="POST", headers=foreign, body=body).status == 403


def test_host_comes_before_the_token(guarded: tuple[Server, str, str]) -> None:
    server, token, _ = guarded
    headers = {"Authorization": f"Bearer {token}"}
    assert server.ask("/about", host="evil.example", headers=headers).status == 403


def test_names_of_an_open_address_are_answered_with_the_port() -> None:
    assert "192.0.2.1:80" in allowed_hosts(80, ["192.0.2.1"])
    assert "192.0.2.1" in allowed_hosts(80, ["192.0.2.1"])
    assert "[2001:db8::1]:8642" in allowed_hosts(8642, ["2001:db8::1"])
    assert "192.0.2.1" not in allowed_hosts(8642, ["192.0.2.1"])


@pytest.mark.parametrize(
    ("host", "inner"),
    [("127.0.0.1", True), ("[::1]", True), ("0.0.0.0", False), ("::", False), ("x.test", False)],
)
def test_what_is_loopback(host: str, inner: bool) -> None:
    assert is_loopback(host) is inner


@pytest.mark.parametrize(
    ("address", "far"),
    [
        (("127.0.0.1", 1), False),
        (("::1", 1, 0, 0), False),
        (("::ffff:127.0.0.1", 1, 0, 0), False),
        ("/run/socket", False),
        (("192.0.2.1", 443), True),
        (("2001:db8::1", 443, 0, 0), True),
        (("cdn.example", 443), True),
    ],
)
def test_what_counts_as_outside(address: object, far: bool) -> None:
    assert is_outside(address) is far


def test_only_names_are_looked_up() -> None:
    assert is_name("cdn.example")
    assert is_name(b"cdn.example")
    assert not is_name("localhost")
    assert not is_name("127.0.0.1")
    assert not is_name(None)


def test_the_watch_notes_what_leaves_the_machine(tmp_path: Path) -> None:
    watch = ConnectionWatch()
    watch._hear("socket.connect", (None, ("127.0.0.1", 80)))
    watch._hear("socket.connect", (None, str(tmp_path)))
    watch._hear("socket.getaddrinfo", ("127.0.0.1", 80, 0, 0, 0))
    assert watch.count == 0
    watch._hear("socket.connect", (None, ("192.0.2.1", 443)))
    watch._hear("socket.getaddrinfo", ("cdn.example", 443, 0, 0, 0))
    watch._hear("socket.sendto", (None, ("192.0.2.2", 53)))
    assert watch.count == 3
    assert [(a.what, a.target) for a in watch.attempts] == [
        ("connect", "192.0.2.1:443"),
        ("look up", "cdn.example:443"),
        ("send", "192.0.2.2:53"),
    ]
