"""A Studio in a process of its own, and what a browser asked while it was looked at."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests import warm

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}
START = 60

# Any socket that leaves the machine fails in the server's own process too.
_WARM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from tests import warm
del sys.path[0]
warm.install()
"""
_RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import pytest_socket
pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
sys.argv = ["llm4top", *sys.argv[1:]]
from llm4top.cli.app import main
main()
"""


@dataclass
class Server:
    """A running ``llm4top studio``; ``address`` has no slash at its end."""

    process: subprocess.Popen[str]
    home: Path
    address: str
    said: list[str]
    reader: threading.Thread

    @property
    def port(self) -> int:
        port = urlsplit(self.address).port
        assert port is not None
        return port

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | list[tuple[str, str]] = (),  # type: ignore[assignment]
        body: bytes = b"",
        host: str | None = "",
        patience: float = 20,
    ) -> Answer:
        """Send one request as it stands; ``host`` "" is the right one, ``None`` is none.

        ``patience`` is how many seconds the server may say nothing.
        """
        lines = [f"{method} {path} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host or f'127.0.0.1:{self.port}'}")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        lines += [f"{name}: {value}" for name, value in pairs]
        if body and "content-length" not in {line.split(":")[0].lower() for line in lines}:
            lines.append(f"Content-Length: {len(body)}")
        lines += ["Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as link:
            link.sendall("\r\n".join(lines).encode("latin-1") + body)
            received = b""
            try:
                while part := link.recv(65536):
                    received += part
            except ConnectionResetError:  # it closed while we were still sending
                pass
        return Answer.read(received)

    def end(self, sign: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Ctrl-C, or another signal; the exit code and what was printed until the end."""
        self.process.send_signal(sign)
        self.process.wait(timeout=60)
        stop_server(self)
        return self.process.returncode, "\n".join(self.said)


@dataclass(frozen=True)
class Answer:
    """A response; ``headers`` by lower-case name, several joined."""

    status: int
    headers: dict[str, str]
    text: str

    @classmethod
    def read(cls, received: bytes) -> Answer:
        head, _, body = received.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in rest:
            name, _, value = line.partition(": ")
            headers[name.lower()] = ", ".join(filter(None, [headers.get(name.lower()), value]))
        return cls(int(first.split()[1]), headers, body.decode("utf-8", "replace"))

    def json(self) -> dict[str, object]:
        read: dict[str, object] = json.loads(self.text)
        return read


def start_server(home: Path, *options: str, before: str = "", cold: bool = False) -> Server:
    """``llm4top studio`` on a free loopback port, once it answers. ``home`` need not exist.

    ``before`` is Python that its process runs first. The server and its workers are forks of the
    tests' warm processes; where ``cold``, each is started as in real life, and is its child.
    """
    environment = {**os.environ, "LLM4TOP_HOME": str(home), "OMP_NUM_THREADS": "1"}
    if cold:
        environment[warm.COLD] = "1"
    environment.pop("PYTEST_CURRENT_TEST", None)
    environment.pop("PYTEST_VERSION", None)
    command = [
        sys.executable,
        "-c",
        _WARM + before + _RUN,
        "studio",
        "--no-browser",
        "--port",
        "0",
        *options,
    ]
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = process.stdout
    said: list[str] = []
    address = ""
    while line := lines.readline():
        said.append(line.rstrip())
        if found := re.search(r"open at (http://[^/\s]+)", line):
            address = found[1]
        if line.startswith("Ctrl-C"):
            break
    # Read on: a process whose pipe is full stands still.
    reader = threading.Thread(target=lambda: said.extend(map(str.rstrip, lines)), daemon=True)
    reader.start()
    server = Server(process, home, address, said, reader)
    if not address or not _answers(server):
        stop_server(server)
        raise AssertionError("the Studio did not start:\n" + "\n".join(said))
    return server


def _answers(server: Server) -> bool:
    end = time.monotonic() + START
    while time.monotonic() < end and server.process.poll() is None:
        try:
            server.ask("/assets/none")
        except (OSError, IndexError, ValueError):
            time.sleep(0.05)
        else:
            return True
    return False


def stop_server(server: Server) -> None:
    """End it, kindly first."""
    if server.process.poll() is None:
        server.process.terminate()
        try:
            server.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
    server.reader.join(timeout=10)
    if server.process.stdout is not None and not server.reader.is_alive():
        server.process.stdout.close()


def outside(urls: list[str]) -> list[str]:
    """Those addresses that another machine would have to answer."""
    inner = ("data:", "blob:", "about:")
    asked = [url for url in urls if not url.startswith(inner)]
    return [url for url in asked if urlsplit(url).hostname not in LOOPBACK]
