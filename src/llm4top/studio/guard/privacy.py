"""The proof for "Local only": the connections of this process to other machines."""

import ipaddress
import sys
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

KEPT = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to reach another machine: time, kind ("connect", "look up", "send"), target."""

    when: datetime
    what: str
    target: str


class ConnectionWatch:
    """Records each connection, datagram and name look-up that leaves this machine.

    It uses the interpreter's audit events, so it sees everything that goes through Python's
    sockets in this process. It does not see sockets of C libraries, nor other processes; for
    these ``live`` lists the connections that are open now. It records only; it blocks nothing.
    """

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self.count = 0
        self.attempts: deque[Attempt] = deque(maxlen=KEPT)
        self._installed = False

    def install(self) -> None:
        """Start recording, until the process ends. A second call does nothing."""
        if not self._installed:
            self._installed = True
            self.started = datetime.now(UTC)
            sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect" and is_outside(args[1]):
            self._note("connect", args[1])
        elif event == "socket.sendto" and is_outside(args[1]):
            self._note("send", args[1])
        elif event == "socket.getaddrinfo" and is_name(args[0]):
            self._note("look up", args[:2])

    def _note(self, what: str, target: Any) -> None:
        self.count += 1
        shown = ":".join(str(part) for part in target[:2])
        self.attempts.append(Attempt(datetime.now(UTC), what, shown))

    def live(self, port: int) -> list[str]:
        """Addresses outside this machine that the server and its workers are connected to now.

        Visitors of the Studio itself, on ``port``, are left out: they came to it.
        """
        import psutil

        found = []
        here = psutil.Process()
        for process in (here, *here.children(recursive=True)):
            try:
                connections = process.net_connections(kind="inet")
            except psutil.Error:  # it has just ended, or is not ours to look into
                continue
            found += [
                f"{link.raddr.ip}:{link.raddr.port}"
                for link in connections
                if link.raddr and is_outside(link.raddr) and link.laddr.port != port
            ]
        return found


def is_outside(address: Any) -> bool:
    """Whether a socket address belongs to another machine; a Unix socket's path never does."""
    if not isinstance(address, tuple) or not address:
        return False
    try:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        return is_name(address[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return not ((mapped or ip).is_loopback or ip.is_unspecified)


def is_name(host: Any) -> bool:
    """Whether a look-up of ``host`` may ask a name server: not for addresses or "localhost"."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or host in {"", "localhost"}:
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False
