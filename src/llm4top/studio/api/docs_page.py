"""The API's documentation: Swagger UI from its wheel, under the content policy of the pages."""

from importlib.resources import files
from string import Template

import fastapi_offline
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from llm4top.studio.guard.security_headers import NONCE_KEY

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

_PAGE = Template((files("llm4top.studio") / "assets" / "api.html").read_text("utf-8"))


def add_docs(app: FastAPI, prefix: str) -> None:
    """Serve the page at ``prefix/docs``, and what it loads below that."""

    @app.get(f"{prefix}/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        nonce = request.scope.get(NONCE_KEY, "")
        return HTMLResponse(_PAGE.substitute(nonce=nonce))

    @app.get(f"{prefix}/docs/{{name}}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        content = (files(fastapi_offline) / "static" / name).read_bytes()
        return Response(content, media_type=_ASSETS[name])
