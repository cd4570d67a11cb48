"""Listening: the address, the token for any but this machine, the start and the end."""

import asyncio
import errno
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from llm4top.errors import DatabaseError, StudioError
from llm4top.lazy import quick_imports
from llm4top.studio.guard.safety import Safety, is_loopback
from llm4top.workspace.workspace import Workspace

GRACE = 3
"""Seconds that open connections get when the Studio is closed."""


def serve(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int = 8642,
    with_token: bool = False,
    behind: str | None = None,
    say: Callable[[str], None] = print,
    on_started: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve the Studio until the process is told to end; return when it has closed cleanly.

    Args:
        workspace: the open workspace.
        host, port: the address to listen on; port 0 takes a free one.
        with_token: whether every visitor needs a token. It is printed once, by ``say``.
        behind: the full address by which a reverse proxy serves the Studio, if one does.
        say: prints for the person: the address, and the token if there is one.
        on_started: gets the address to open, once it answers.

    Raises:
        StudioError: Others can reach it without a token, or it cannot be listened on.
    """
    behind = check_address(host, with_token=with_token, behind=behind)
    listening = listen(host, port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(32) if with_token else None
    with quick_imports():
        from llm4top.studio.app import make_app
        from llm4top.workspace.jobs.supervisor import Supervisor

    app = make_app(
        workspace, host=host, port=port, token=token, names=names_of(host), behind=behind
    )
    address = f"http://{_reachable(host)}:{port}{app.sign_in.path if app.sign_in else '/'}"
    _print_address(say, address, token, host, port, behind)
    supervisor = Supervisor(workspace)
    supervisor.start()
    # The server shuts down on SIGTERM and then sends it to this process again: like Ctrl-C.
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            _run(app, listening, lambda: on_started(address))
    finally:
        listening.close()
        if _is_working(workspace):
            say("Stopping the runs in progress; their completed work is saved.")
        supervisor.stop()
        signal.signal(signal.SIGTERM, former)
    say("The Studio is closed.")


def _is_working(workspace: Workspace) -> bool:
    """Whether a run is in progress, as far as the database tells."""
    with suppress(DatabaseError):
        return workspace.runs.count(states=("running", "stopping")) > 0
    return False


def _run(app: Safety, listening: socket.socket, on_started: Callable[[], None]) -> None:
    """Serve ``app`` until the process is told to end."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_started()

    # The interpreter's own event loop: its connections can be counted.
    config = uvicorn.Config(
        app,
        loop="asyncio",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_closing)
    Server(config).run(sockets=[listening])


def _print_address(
    say: Callable[[str], None],
    address: str,
    token: str | None,
    host: str,
    port: int,
    behind: str | None,
) -> None:
    """Print what the person who started it needs to know."""
    say(f"The Studio is open at {address}")
    if token is not None:
        say("This address works once. Other browsers and programs need the token, which is")
        say(f"not shown again: {token}")
    if behind is not None:
        say(f"Through the proxy: {behind}/")
    if not is_loopback(host):
        others = ", ".join(f"http://{_shown(name)}:{port}/" for name in sorted(names_of(host)))
        say(f"Other machines can reach it, at {others}")
        say("What they send and read is not encrypted.")
    say("Ctrl-C closes it. Runs in progress then stop, and can go on from where they were.")
    sys.stdout.flush()


def _is_no_closing(record: logging.LogRecord) -> bool:
    """False for messages that requests were cut after ``GRACE``, which is no error."""
    cut = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut and not str(record.msg).startswith("Cancel %s running task(s)")


def check_address(host: str, *, with_token: bool, behind: str | None = None) -> str | None:
    """The origin of the proxy that it is ``behind``, in small letters; None without one.

    Raises ``StudioError`` for an address that others can reach, unless there is a token, and for
    a proxy's address that is none or has a path.
    """
    origin = None if behind is None else _origin(behind)
    if (origin is not None or not is_loopback(host)) and not with_token:
        raise StudioError(
            "other machines could reach this address, and everyone who reaches the Studio can "
            "read your records.",
            where=behind or host,
            hint="Add --token to ask every visitor for a token, or leave "
            f"{'--behind' if behind else '--host'} out.",
        )
    return origin


def _origin(address: str) -> str:
    parts = urlsplit(address.strip().lower())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise StudioError(
            "this is not the address of a proxy.",
            where=address,
            hint="Give the scheme and the host name: --behind https://trials.example.org",
        )
    if parts.path not in {"", "/"}:
        raise StudioError(
            "the Studio cannot be served under a path of another site.",
            where=address,
            hint="Give it a separate host name, such as https://trials.example.org, or reach it "
            "through a tunnel: ssh -L 8642:127.0.0.1:8642 HOST",
        )
    return f"{parts.scheme}://{parts.netloc}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address, or ``StudioError`` with the reason in words."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        hint = "Use 127.0.0.1, or an address of this machine."
        raise StudioError("there is no such address.", where=host, hint=hint) from error
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
        made.listen(2048)
    except OSError as error:
        made.close()
        raise _unusable(host, port, error) from error
    return made


def _unusable(host: str, port: int, error: OSError) -> StudioError:
    where = f"{_shown(host)}:{port}"
    if error.errno == errno.EADDRINUSE:
        return StudioError(
            "another program listens there already, maybe another Studio.",
            where=where,
            hint=f"Open http://{where}/ to see, or choose another port: "
            f"llm4top studio --port {port + 1}.",
        )
    if error.errno == errno.EACCES:
        hint = "Choose a port above 1023: llm4top studio --port 8642."
        return StudioError("this port needs administrator rights.", where=where, hint=hint)
    hint = "Use 127.0.0.1, or an address of this machine."
    return StudioError(f"it cannot be listened on ({error.strerror}).", where=where, hint=hint)


def names_of(host: str) -> Iterable[str]:
    """The names by which others may call a server on ``host``; none for a loopback address."""
    if is_loopback(host):
        return set()
    if host.strip("[]") not in {"0.0.0.0", "::"}:
        return {host.strip("[]")}
    import psutil

    internet = {socket.AF_INET, socket.AF_INET6}
    found = {
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in internet
    }
    inner = {name for name in found if is_loopback(name)}
    return (found - inner) | {socket.gethostname()}


def _reachable(host: str) -> str:
    """What to open on this machine: an address that means "all" is not one to call."""
    bare = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bare, _shown(bare))


def _shown(host: str) -> str:
    bare = host.strip("[]")
    return f"[{bare}]" if ":" in bare else bare
