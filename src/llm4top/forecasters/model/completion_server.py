"""A server with OpenAI's completions API: its address, and requests that survive a bad moment.

Only the standard library's client is used: it follows no redirect and asks no proxy, so that a
record's text goes to the machine that was named and to no other.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from llm4top.errors import ModelError, ServerError
from llm4top.text import one_line

KEY_VARIABLE = "LLM4TOP_API_KEY"
"""The environment variable with the server's API key, which is stored and printed nowhere."""

_CONNECT_S = 10.0
_LONGEST_PAUSE_S = 60.0
_MOST_BYTES = 16 * 1024 * 1024
_RETRIED = (408, 429, 500, 502, 503, 504)
_NOBODY = "Is the server running, and is this its port?"
_FORM = "http://127.0.0.1:8000/v1#Qwen/Qwen3-8B"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model on a server: the server's base address, and the name that it gives the model."""

    url: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The model of ``URL#NAME``; ``ModelError`` where the text is none."""
        address, _, name = text.partition("#")
        hint = f"Write URL#NAME, such as {_FORM}."
        try:
            parts = urlsplit(address)
            host, _port = parts.hostname, parts.port
        except ValueError:
            raise ModelError("a served model's address is not a URL.", hint=hint) from None
        if parts.username is not None or parts.password is not None:
            # Addresses are stored in reports, and printed.
            raise ModelError(
                "a served model's address must not have a user or a password.",
                where=host,
                hint=f"Put the API key into the environment variable {KEY_VARIABLE}.",
            )
        if not host or parts.query or not name.strip():
            raise ModelError("not the address of a served model.", where=text[:200], hint=hint)
        return cls(address.rstrip("/"), name.strip())

    @property
    def host(self) -> str:
        """The server's host, without its port."""
        return str(urlsplit(self.url).hostname)

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return is_this_machine(self.host)

    @property
    def privacy(self) -> str:
        """The sentence that whoever sends records to another machine must have read."""
        return f"The text of each record leaves this machine: it is sent to {self.host}."


class CompletionServer:
    """Asks a server for completions, from any number of threads.

    Args:
        served: The model, and where it is.
        allow_remote: Whether the server may be another machine.
        timeout: Seconds that one answer may take.
        tries: How often a request is sent that the server could not answer, or is too busy for.
        pause: Seconds before the second try; each further pause is twice as long.

    Raises:
        ModelError: The server is another machine, and that was not allowed.
    """

    def __init__(
        self,
        served: ServedModel,
        *,
        allow_remote: bool = False,
        timeout: float = 600.0,
        tries: int = 5,
        pause: float = 0.5,
    ):
        if not served.is_local and not allow_remote:
            raise ModelError(
                f"{served.host} is another machine. {served.privacy}",
                where=served.url,
                hint="If that is what you want, add --allow-remote (allow_remote=True in Python).",
            )
        self.served, self.allow_remote = served, allow_remote
        self._timeout, self._tries, self._pause = timeout, tries, pause
        self._open: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def ask(self, body: Mapping[str, Any], *, known: bool = True) -> dict[str, Any]:
        """The server's answer to a request for a completion; ``ServerError`` without one.

        ``known`` says that the server has understood such a request before: only then is a
        status of 500, by which some refuse what they do not understand, worth another try.
        """
        data = json.dumps({"model": self.served.name, **body}).encode()
        left, pause = self._tries, self._pause
        while True:
            try:
                return self._once(data)
            except ServerError as error:
                left -= 1
                refused = error.status == http.HTTPStatus.INTERNAL_SERVER_ERROR and not known
                if not error.passing or refused or left < 1:
                    raise
                wait = max(error.retry_after, pause)
            pause *= 2
            if self._stopped.wait(min(wait, _LONGEST_PAUSE_S)):
                raise self._error("the request was stopped.")

    def stop(self) -> None:
        """End all requests at once, in whatever thread they are."""
        self._stopped.set()
        with self._lock:
            for connection in self._open:
                _hang_up(connection)

    def resume(self) -> None:
        """Take requests again after ``stop``."""
        self._stopped.clear()

    def _once(self, data: bytes) -> dict[str, Any]:
        connection = self._connection()
        try:
            self._connect(connection)
            path = f"{urlsplit(self.served.url).path}/completions"
            connection.request("POST", path, data, self._headers())
            response = connection.getresponse()
            answer = response.read(_MOST_BYTES + 1)
        except TimeoutError:
            raise self._error(f"gave no answer within {self._timeout:g} seconds.") from None
        except (OSError, http.client.HTTPException) as error:
            why = one_line(str(error) or type(error).__name__, 200)
            passing = not self._stopped.is_set()
            hint = _NOBODY if isinstance(error, ConnectionRefusedError) else None
            text = f"the connection failed: {why}."
            raise self._error(text, passing=passing, hint=hint) from None
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise self._refusal(response, answer)
        return self._read(answer)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.served.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(str(parts.hostname), parts.port, timeout=_CONNECT_S)
        with self._lock:
            self._open.add(connection)
        return connection

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except TimeoutError:
            raise ConnectionError(f"no connection within {_CONNECT_S:g} seconds") from None
        # The name "localhost" may have been given to another machine.
        if not self.allow_remote and not _is_loopback(connection.sock.getpeername()[0]):
            raise self._error(f"{self.served.host} is another machine. {self.served.privacy}")
        connection.sock.settimeout(self._timeout)
        if self._stopped.is_set():
            raise self._error("the request was stopped.")

    def _headers(self) -> dict[str, str]:
        key = _key()
        if not (key.isascii() and key.isprintable()):
            # http.client would repeat it in its error.
            raise self._error(f"{KEY_VARIABLE} holds characters that no key has.")
        given = {"Authorization": f"Bearer {key}"} if key else {}
        return {"Content-Type": "application/json", "Accept": "application/json", **given}

    def _read(self, answer: bytes) -> dict[str, Any]:
        if len(answer) > _MOST_BYTES:
            raise self._error("its answer is far larger than a completion is.")
        try:
            values = json.loads(answer)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise self._error("its answer is not a JSON object: is this a completions API?")
        return values

    def _refusal(self, response: http.client.HTTPResponse, answer: bytes) -> ServerError:
        status = response.status
        said = self._without_key(_reason(answer))
        hint = None
        if status in (401, 403):
            hint = f"Put the server's API key into the environment variable {KEY_VARIABLE}."
        elif status in (404, 405):
            hint = "Check the address, which mostly ends in /v1, and the name of the model."
        text = f"answered {status} {response.reason}{f': {said}' if said else ''}"
        after = response.getheader("Retry-After") or ""
        return self._error(
            text if text.endswith(".") else f"{text}.",
            hint=hint,
            status=status,
            passing=status in _RETRIED,
            retry_after=float(after) if after.isdecimal() else 0.0,
        )

    def _error(self, message: str, **more: Any) -> ServerError:
        return ServerError(message, where=self.served.url, **more)

    def _without_key(self, text: str) -> str:
        """What the server says, without the key that some servers repeat."""
        return text.replace(_key(), "[key]") if _key() else text


def _key() -> str:
    return os.environ.get(KEY_VARIABLE, "").strip()


def is_this_machine(host: str) -> bool:
    """Whether a host of a URL is this machine by its name; a name is not looked up."""
    return host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    import socket

    try:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself


def _reason(answer: bytes) -> str:
    """What an error's body says, in the forms of the servers; empty where it says nothing."""
    try:
        values = json.loads(answer)
    except (ValueError, RecursionError):
        return ""
    for key in ("error", "message", "detail"):
        found = values.get(key) if isinstance(values, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if found:
            return one_line(str(found), 300)
    return ""
