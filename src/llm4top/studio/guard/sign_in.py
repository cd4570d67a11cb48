"""The token of a Studio that others can reach, and the cookie it is exchanged for."""

import html
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from llm4top.studio.guard.refusals import Refusal, error_page, refuse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ENTER = "/enter"
HEALTH = "/healthz"
"""Says whether the Studio works, and nothing else: it needs no token."""

FORM_LIMIT = 4096
SESSIONS = 1000

_ON = '<meta http-equiv="refresh" content="0;url=/"><p><a href="/">Open the Studio</a></p>'
_FORM = (
    '<p>{words}</p><form method="post" action="/enter">'
    '<label for="token">Token</label>'
    '<input id="token" name="token" type="password" autocomplete="current-password" autofocus>'
    "<button>Sign in</button></form>"
)
_ASK = "Paste the token that was printed where this Studio was started."
_WRONG = "That is not the token. It was printed where this Studio was started."
_SPENT = "This one-time address has been used already. Paste the token instead."

NEEDS_TOKEN = Refusal(
    401, "token", "This Studio needs its token.", "Send it as `Authorization: Bearer TOKEN`."
)


class SignIn:
    """Admits visitors with the token, or with a cookie that the token was exchanged for.

    ``path`` is the one-time address to open in a browser. Programs send the token itself as
    ``Authorization: Bearer``. Cookies are ``HttpOnly`` and ``SameSite=Strict``, carry a random
    value that is not the token, and end with this process. They are not ``Secure``: the Studio
    uses plain HTTP, so across a network it needs an encrypted tunnel.
    """

    def __init__(self, token: str, port: int):
        self._token = token
        self._key: str | None = secrets.token_urlsafe(32)
        self._cookie = f"llm4top-{port}"
        self._sessions: OrderedDict[str, None] = OrderedDict()
        self.path = f"{ENTER}?key={self._key}"

    async def stops(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether this request ends here: it was answered by the sign-in, or refused."""
        if scope["path"] == ENTER and scope["type"] == "http":
            await self._enter(scope, receive, send)
            return True
        if self._is_known(scope) or scope["path"] == HEALTH:
            return False
        program = scope["path"].startswith(("/api/", "/_nicegui"))
        if scope["type"] == "http" and scope["method"] == "GET" and not program:
            await _answer(send, 401, "Sign in to LLM4TOP", _FORM.format(words=_ASK))
        else:
            await refuse(NEEDS_TOKEN, scope, send)
        return True

    def _is_known(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, given = value.decode("latin-1").partition(" ")
                if scheme.lower() == "bearer" and _same(given, self._token):
                    return True
            elif name == b"cookie" and self._session_in(value.decode("latin-1")):
                return True
        return False

    def _session_in(self, header: str) -> bool:
        try:
            cookie = SimpleCookie(header).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and cookie.value in self._sessions

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            fields = parse_qs((await _body(receive)).decode("utf-8", "replace"))
            right, words = _same(fields.get("token", [""])[0].strip(), self._token), _WRONG
        else:
            fields = parse_qs(scope["query_string"].decode("latin-1"))
            right, words = self._spend(fields.get("key", [""])[0]), _SPENT
            words = words if "key" in fields else _ASK
        if right:
            await _answer(send, 200, "Signed in", _ON, cookie=self._new_cookie())
        else:
            await _answer(send, 401, "Sign in to LLM4TOP", _FORM.format(words=html.escape(words)))

    def _spend(self, key: str) -> bool:
        if self._key is None or not _same(key, self._key):
            return False
        self._key = None
        return True

    def _new_cookie(self) -> str:
        value = secrets.token_urlsafe(32)
        self._sessions[value] = None
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return f"{self._cookie}={value}; Path=/; HttpOnly; SameSite=Strict"


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= FORM_LIMIT:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
    return b""


async def _answer(
    send: Send, status: int, title: str, body: str, *, cookie: str | None = None
) -> None:
    content = error_page(title, body)
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if cookie is not None:
        headers.append((b"set-cookie", cookie.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
