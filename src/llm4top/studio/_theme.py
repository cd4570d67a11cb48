"""Colours and type, and how they reach the pages."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import FastAPI, Response

ACCENT = "#0b5f62"
"""Deep teal, the one accent; the style sheet has its counterpart for dark pages."""

SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
"""Okabe and Ito's palette, for series in figures; ``--series-1`` and on in the style sheet."""

_ASSETS = {"studio.css": "text/css", "studio.js": "text/javascript"}


def add_theme(app: FastAPI) -> None:
    """Serve the style sheet and the script, and put them into the head of every page."""
    from nicegui import ui
    from nicegui.client import Client

    addresses = {name: _serve(app, name, kind) for name, kind in _ASSETS.items()}
    head = (
        f'<script src="{addresses["studio.js"]}"></script>\n'
        f'<link rel="stylesheet" href="{addresses["studio.css"]}">\n'
    )
    if head not in Client.shared_head_html:
        ui.add_head_html(head, shared=True)


def _serve(app: FastAPI, name: str, kind: str) -> str:
    content = (files("llm4top.studio") / "assets" / name).read_bytes()
    # The address changes with the content, so a browser may keep what it has.
    address = f"/assets/{hashlib.sha256(content).hexdigest()[:12]}/{name}"

    @app.get(address, include_in_schema=False)
    def asset() -> Response:
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(content, media_type=kind, headers=kept)

    return address
