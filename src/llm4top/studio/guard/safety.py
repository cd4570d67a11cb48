"""The checks before everything else: who may send requests, from where, and how large.

A web page on any site can make the visitor's browser send requests to loopback addresses, and a
name server can make a foreign name point to them. So being bound to 127.0.0.1 is no defence by
itself. Each request, websockets included, passes these checks in this order, and nothing else
has seen it before:

1. Exactly one ``Host`` header, and it is one of this server's own names with its port. This is
   what stops DNS rebinding.
2. No cross-site request may change anything: unsafe methods and websockets need
   ``Sec-Fetch-Site`` to be "same-origin" or "none", and an ``Origin`` that is given must be this
   very address. A request with neither comes from a program, not from a browser, and passes.
   (Datasette's rule.) Under our ``Referrer-Policy`` a browser names the origin of a form's page
   "null"; that is accepted only of a page sent by a form, and only with
   ``Sec-Fetch-Site: same-origin``, which no page can set itself and which a sandboxed or foreign
   page does not get. Reading from another site is allowed only by following a link.
3. Where the Studio has a token: its cookie, or ``Authorization: Bearer``.
4. A body no larger than the cap.

Headers of reverse proxies (``X-Forwarded-...``) are dropped: the framework would believe them.
``Access-Control-...`` headers never leave. Every response carries ``security_headers``.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from llm4top.studio.guard.refusals import CLOSING, Refusal, refuse
from llm4top.studio.guard.security_headers import NONCE_KEY, new_nonce, security_headers
from llm4top.studio.guard.sign_in import SignIn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SOCKET_PATH = "/_nicegui_ws/"
"""Its polling transport takes commands by GET, so any request to it counts as unsafe."""

MAX_BODY = 1 << 30
"""Bytes of one request. The pages and the API have smaller caps of their own."""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_hosts(port: int, names: Iterable[str] = ()) -> frozenset[str]:
    """The ``Host`` headers to accept: the loopback names and ``names``, each with the port."""
    bare = {"127.0.0.1", "localhost", "[::1]"}
    bare |= {f"[{n}]" if ":" in n and not n.startswith("[") else n.lower() for n in names}
    with_port = {f"{name}:{port}" for name in bare}
    return frozenset(with_port | bare if port == 80 else with_port)


@dataclass(frozen=True, slots=True)
class SafetyRules:
    """``hosts`` as ``allowed_hosts`` makes them; ``max_body`` in bytes.

    ``behind`` is the origin ("https://trials.example.org") by which a reverse proxy serves this
    Studio, as its pages then name it.
    """

    hosts: frozenset[str]
    max_body: int = MAX_BODY
    behind: str | None = None

    def is_host(self, host: str) -> bool:
        """Whether a ``Host`` header is, letter by letter, one of ours."""
        return host in self.hosts or self._is_behind(host)

    def origin_of(self, host: str) -> str:
        """The origin of our own pages as that host names them."""
        return self.behind if self.behind and self._is_behind(host) else f"http://{host}"

    def _is_behind(self, host: str) -> bool:
        return self.behind is not None and host == self.behind.partition("://")[2]


class Safety:
    """The outermost ASGI application; ``app`` is what it guards."""

    def __init__(self, app: App, rules: SafetyRules, sign_in: SignIn | None = None):
        self.app = app
        self._rules = rules
        self.sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request, or pass on the server's start and end."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope[NONCE_KEY] = new_nonce()
        answer = _Answer(_with_headers(send, scope[NONCE_KEY]))
        send = answer.send
        headers = _Headers(scope["headers"])
        refusal = host_fault(headers, self._rules) or cross_site_fault(scope, headers, self._rules)
        refusal = refusal or _size_fault(headers, self._rules.max_body)
        if refusal is not None:
            await refuse(refusal, scope, send)
            return
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # Health checks use it; the application handles it as GET.
            scope["method"], send = "GET", _without_body(send)
        scope["headers"] = [h for h in scope["headers"] if not h[0].startswith(b"x-forwarded-")]
        if self.sign_in is not None and await self.sign_in.stops(scope, receive, send):
            return
        if scope["type"] == "http":
            receive = _capped(receive, self._rules.max_body)
        try:
            await self.app(scope, receive, send)
        except _TooLargeError:
            await refuse(_too_large(self._rules.max_body), scope, send)
        except asyncio.CancelledError:
            # Only the server cancels requests: it is closing.
            if answer.started or scope["type"] != "http":
                raise
            await refuse(CLOSING, scope, send)


def _without_body(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending


class _Answer:
    """Passes a response on and records whether it has started."""

    def __init__(self, send: Send):
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)


class _Headers:
    """A request's raw headers: how often each was sent, and its text."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]):
        self._raw = list(raw)

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self._raw if key.lower() == name]

    def one(self, name: bytes) -> str | None:
        """The header's text, several joined as a browser would; ``None`` where it is absent."""
        found = self.all(name)
        return ", ".join(found) if found else None


def host_fault(headers: _Headers, rules: SafetyRules) -> Refusal | None:
    """A refusal unless there is one ``Host`` header and it is, letter by letter, one of ours."""
    found = headers.all(b"host")
    if len(found) == 1 and rules.is_host(found[0].lower()):
        return None
    return Refusal(
        403,
        "host",
        "Unknown host name.",
        "Open the Studio by the address that was printed when it was started. Behind a proxy with "
        "a host name of its own, start it with --behind.",
    )


def cross_site_fault(scope: Scope, headers: _Headers, rules: SafetyRules) -> Refusal | None:
    """A refusal if another site's page does more than follow a link."""
    site = headers.one(b"sec-fetch-site")
    origin = headers.one(b"origin")
    unsafe = (
        scope["type"] == "websocket"
        or scope["method"] not in SAFE_METHODS
        or scope["path"].startswith(SOCKET_PATH)
    )
    navigates = scope["type"] == "http" and headers.one(b"sec-fetch-mode") == "navigate"
    own_site = site is None or site in {"same-origin", "none"}
    if unsafe:
        host = (headers.one(b"host") or "").lower()
        own_origin = origin is None or origin.lower() == rules.origin_of(host)
        own_form = navigates and site == "same-origin" and origin == "null"
        fine = (own_site and own_origin) or own_form
    else:
        fine = own_site or (navigates and headers.one(b"sec-fetch-dest") == "document")
    if fine:
        return None
    return Refusal(
        403,
        "cross-site",
        "Blocked: the request came from another site.",
        "Do it from the Studio's own pages.",
    )


def _size_fault(headers: _Headers, cap: int) -> Refusal | None:
    length = headers.one(b"content-length")
    if length is None or (length.isdecimal() and int(length) <= cap):
        return None
    return _too_large(cap)


def _too_large(cap: int) -> Refusal:
    hint = "Send it in parts, or use the command `llm4top`, which reads files from disk."
    return Refusal(413, "too-large", f"More than {cap / 1e6:.0f} MB were sent at once.", hint)


class _TooLargeError(Exception):
    """A body without a length, or with a wrong one, went past the cap."""


def _capped(receive: Receive, cap: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > cap:
            raise _TooLargeError
        return message

    return counted


def _with_headers(send: Send, nonce: str) -> Send:
    ours = [(k.encode(), v.encode()) for k, v in security_headers(nonce).items()]
    names = {name for name, _ in ours}

    async def sending(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.accept"}:
            theirs = message.get("headers", ())
            kept = [
                (name, value)
                for name, value in theirs
                if name.lower() not in names and not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": kept + ours}
        await send(message)

    return sending
