"""Refusals and error pages: a sentence and what to do, never a path or a trace."""

import html
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

API_PREFIX = "/api/"

_PAGE = Template((files("llm4top.studio") / "assets" / "error.html").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request: HTTP status, a short code, a sentence, what to do."""

    status: int
    code: str
    message: str
    hint: str


NOT_FOUND = Refusal(
    404,
    "not-found",
    "There is no such page.",
    "It may have been deleted, or the address is incomplete.",
)
FAILED = Refusal(
    500,
    "failed",
    "The Studio could not show this page.",
    "Nothing was lost. Try again; the terminal that runs the Studio shows the details.",
)
NO_DATABASE = Refusal(
    503,
    "database",
    "The database does not answer.",
    "Nothing was lost, and workers go on. Try again once the database runs.",
)
CLOSING = Refusal(
    503,
    "closing",
    "The Studio is being closed.",
    "Start it and send the request again. Nothing of it was stored.",
)


def error_page(title: str, body: str) -> bytes:
    """A page without scripts. ``body`` is HTML, ``title`` is text."""
    return _PAGE.substitute(title=html.escape(title), body=body).encode()


def refusal_body(refusal: Refusal, path: str) -> tuple[bytes, str]:
    """The refusal as JSON for the API and as a page for people, with its content type."""
    if path.startswith(API_PREFIX):
        detail = {"code": refusal.code, "message": refusal.message, "where": None}
        detail["hint"] = refusal.hint
        return json.dumps({"error": detail}).encode(), "application/json"
    body = f"<p>{html.escape(refusal.hint)}</p>"
    if refusal.status in {404, 500} or refusal is NO_DATABASE:
        body += '<p><a href="/">Back to the Studio</a></p>'
    return error_page(refusal.message, body), "text/html; charset=utf-8"


async def refuse(
    refusal: Refusal,
    scope: MutableMapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer with the refusal; a websocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
        return
    body, kind = refusal_body(refusal, scope["path"])
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        # The unread rest of the body must not be read as the next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    content = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": content})
