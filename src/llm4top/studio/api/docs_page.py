"""The API's documentation: Swagger UI from its wheel, under the content policy of the pages."""

from importlib.resources import files

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from llm4top.studio.guard.security_headers import NONCE_KEY

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · LLM4TOP</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>{style}</style>
</head>
<body>
<main>
<p><a href="/">Back to the Studio</a></p>
<div id="swagger-ui"></div>
</main>
<script nonce="{nonce}" src="docs/swagger-ui-bundle.js"></script>
<script nonce="{nonce}">{script}</script>
</body>
</html>
"""
_STYLE = """
body { margin: 0; } main > p { margin: 16px 20px 0; font: 16px system-ui, sans-serif; }
a { color: #0b5f62; } html.dark-mode { color-scheme: dark; background: #14191a; }
html.dark-mode a { color: #6cc5c3; }
/* Swagger's light colours are too pale to read for many. */
html:not(.dark-mode) .swagger-ui .opblock-summary-method,
html:not(.dark-mode) .swagger-ui .info .title small { background: #0b5f62 !important; }
html:not(.dark-mode) .swagger-ui :is(a, .url, .info a, .info .url) { color: #0b5f62; }
"""
# Without a validator: it would send the document to a server of Swagger's makers.
_SCRIPT = """
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const colours = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", colours);
colours();
SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", validatorUrl: null,
  defaultModelsExpandDepth: 0, syntaxHighlight: false});
"""


def add_docs(app: FastAPI, prefix: str) -> None:
    """Serve the page at ``prefix/docs``, and what it loads below that."""

    @app.get(f"{prefix}/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        nonce = request.scope.get(NONCE_KEY, "")
        return HTMLResponse(_PAGE.format(nonce=nonce, style=_STYLE, script=_SCRIPT))

    @app.get(f"{prefix}/docs/{{name}}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        content = (files("fastapi_offline") / "static" / name).read_bytes()
        return Response(content, media_type=_ASSETS[name])
