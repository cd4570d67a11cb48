"""What the pages share, without a browser."""

from __future__ import annotations

import asyncio
import logging

import pytest
from nicegui import Client, core, ui
from starlette.requests import Request

from llm4top.studio.components import elements


def test_a_page_that_nobody_waits_for_is_not_filled(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(leaves: bool) -> None:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        client = Client(
            ui.page("/"),
            request=Request({"type": "http", "headers": [], "path": "/", "query_string": b""}),
        )
        with client:
            asyncio.get_running_loop().call_soon(client.delete if leaves else client._connected.set)
            await elements.connected()
            elements.Words("p", "Somebody waits.")
        client.delete()

    with caplog.at_level(logging.WARNING):
        with pytest.raises(RuntimeError, match="the visitor has left"):
            asyncio.run(fill(leaves=True))
        asyncio.run(fill(leaves=False))
    assert caplog.text == ""
