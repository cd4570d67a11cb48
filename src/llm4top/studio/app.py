"""The application: pages, API and theme, with the safety checks around it."""

import hashlib
import logging
import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from nicegui import app as pages_app
from nicegui import ui
from starlette.responses import JSONResponse, RedirectResponse

from llm4top.errors import DatabaseError, LLM4TOPError
from llm4top.studio import pages
from llm4top.studio.api.router import PREFIX, api_router
from llm4top.studio.context import Place, StudioContext
from llm4top.studio.guard.privacy import ConnectionWatch
from llm4top.studio.guard.refusals import FAILED, NO_DATABASE, NOT_FOUND, Refusal, refusal_body
from llm4top.studio.guard.safety import Safety, SafetyRules, allowed_hosts
from llm4top.studio.guard.security_headers import give_scripts_their_nonce
from llm4top.studio.guard.sign_in import HEALTH, SignIn
from llm4top.workspace.workspace import Workspace

ACCENT = "#0b5f62"
"""Deep teal; the style sheet has its counterpart for dark pages."""


def add_theme(app: FastAPI) -> None:
    """Serve the style sheets, as one, and the script; put both into the head of every page."""
    from nicegui.client import Client

    assets = files("llm4top.studio") / "assets"
    sheets = sorted(name.name for name in assets.iterdir() if name.name.endswith(".css"))
    sheets.sort(key=lambda name: name != "studio.css")
    style = "\n".join((assets / name).read_text("utf-8") for name in sheets)
    script = (assets / "studio.js").read_text("utf-8")
    head = (
        f'<script src="{_serve(app, "studio.js", "text/javascript", script)}"></script>\n'
        f'<link rel="stylesheet" href="{_serve(app, "studio.css", "text/css", style)}">\n'
    )
    if head not in Client.shared_head_html:
        ui.add_head_html(head, shared=True)


def _serve(app: FastAPI, name: str, kind: str, content: str) -> str:
    # The address changes with the content, so a browser may keep what it has.
    address = f"/assets/{hashlib.sha256(content.encode()).hexdigest()[:12]}/{name}"

    @app.get(address, include_in_schema=False)
    def asset() -> Response:
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(content, media_type=kind, headers=kept)

    return address


log = logging.getLogger("llm4top.studio")

_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    f'<rect width="32" height="32" rx="7" fill="{ACCENT}"/>'
    '<path d="M5 20h22" stroke="#fff" stroke-opacity=".55" stroke-width="3"/>'
    '<path d="M11 20h11" stroke="#fff" stroke-width="5" stroke-linecap="round"/>'
    '<circle cx="17" cy="20" r="4.5" fill="#fff"/></svg>'
)
"""An interval on a scale with its estimate."""


def make_app(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int,
    token: str | None = None,
    names: Iterable[str] = (),
    watch: ConnectionWatch | None = None,
    behind: str | None = None,
) -> Safety:
    """The Studio over an open workspace, as an ASGI application.

    The framework keeps its pages for the whole process, so a process makes one Studio.

    Args:
        workspace: the open workspace.
        host: the address that the server listens on.
        port: its port. Only requests that name this port and a loopback name, or one of
            ``names``, are answered, and those of ``behind``.
        token: if given, every request needs it; ``sign_in`` of the result then has the one-time
            address.
        names: further names by which others call the server.
        watch: records connections to other machines; a new one by default.
        behind: the origin by which a reverse proxy serves the Studio.

    Raises:
        RuntimeError: for a second call after the first application has served.
    """
    context = StudioContext(
        workspace, host=host, port=port, watch=watch or ConnectionWatch(), behind=behind
    )
    context.watch.install()
    app = FastAPI(title="LLM4TOP", docs_url=None, redoc_url=None, openapi_url=None)
    give_scripts_their_nonce()
    add_theme(app)
    _add_api(app, context)
    _register_pages(context)
    _add_errors()
    ui.run_with(
        app,
        title="LLM4TOP",
        favicon=_FAVICON,
        dark=None,
        language="en-US",
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
    pages_app.colors(primary=ACCENT, secondary="#566265", accent=ACCENT, warning="#7a4b00")
    sign_in = SignIn(token, port) if token else None
    return Safety(app, SafetyRules(allowed_hosts(port, names), behind=behind), sign_in)


def page_modules() -> list[str]:
    """The names of the modules in ``pages``, each of which has ``register``."""
    found = pkgutil.iter_modules(pages.__path__, prefix=f"{pages.__name__}.")
    return sorted(module.name for module in found)


def _register_pages(context: StudioContext) -> None:
    for name in page_modules():
        register: Callable[[StudioContext], None] = import_module(name).register
        register(context)
    if not any(place.path == "/" for place in context.places):
        places = context.navigation("rail") or context.navigation("menu")
        first = places[0].path

        @pages_app.get("/", include_in_schema=False)
        def start() -> Response:
            return RedirectResponse(first)


def _add_api(app: FastAPI, context: StudioContext) -> None:
    app.include_router(api_router(context.workspace))
    context.places.append(Place(f"{PREFIX}/docs", "API", "api", 97, "menu", ""))

    @app.get(HEALTH, include_in_schema=False)
    def health() -> Response:
        away = bool(context.jobs.look().away)
        return JSONResponse({"status": "no database" if away else "ok"}, 503 if away else 200)


def _add_errors() -> None:
    logging.getLogger("nicegui").addFilter(_in_words)
    pages_app.add_exception_handler(404, _not_found)
    pages_app.add_exception_handler(Exception, _failed)
    pages_app.on_exception(_notify)


def _not_found(request: Request, _: Exception) -> Response:
    return _answer(NOT_FOUND, request)


def _in_words(record: logging.LogRecord) -> bool:
    """Leave out the trace of a database that is away: it is no fault of a page."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DatabaseError):
        record.msg, record.args, record.exc_info = str(error), (), None
    return True


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, DatabaseError):
        log.error("%s: %s", request.url.path, error)
        return _answer(NO_DATABASE, request)
    log.error("%s failed", request.url.path, exc_info=error)
    return _answer(FAILED, request)


def _answer(refusal: Refusal, request: Request) -> Response:
    body, kind = refusal_body(refusal, request.url.path)
    return Response(body, refusal.status, media_type=kind, headers={"Cache-Control": "no-store"})


def _notify(error: Exception) -> None:
    """Show on the page that an action failed; the trace is in the log already."""
    if isinstance(error, LLM4TOPError):
        message = str(error)
    else:
        message = "That did not work. The terminal that runs the Studio shows the details."
    try:
        ui.notify(message, type="warning", multi_line=True, timeout=10_000, close_button="Close")
    except RuntimeError:  # the page it happened on is gone
        log.debug("The page has been closed: %s", message)
