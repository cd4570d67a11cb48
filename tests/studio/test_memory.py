"""The server forgets a page when it is gone, however large what it showed was."""

import signal
import time

import pytest

from tests.studio._server import start_server, stop_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT = """
import gc, signal
from pathlib import Path

def count(*_):
    gc.collect()
    kinds = [type(o).__name__ for o in gc.get_objects()]
    Path("TOLD").write_text(str(kinds.count("ForecastPage")))

signal.signal(signal.SIGUSR1, count)
"""
RECONNECTS = 10
"""Seconds that the server waits for a page that may come back."""


def test_pages_that_are_gone_are_forgotten(chromium, tmp_path):
    home = tmp_path / "home"
    told = tmp_path / "count"
    before = COUNT.replace("TOLD", str(told))
    server = start_server(home, before=before)
    try:
        with chromium.new_context(base_url=server.address) as context:
            page = context.new_page()
            for _ in range(4):
                page.goto("/")
                page.get_by_role("button", name="Try an example").wait_for()
            page.goto("/about")
            for _ in range(20):
                time.sleep(RECONNECTS / 5)
                told.unlink(missing_ok=True)
                server.process.send_signal(signal.SIGUSR1)
                while not told.is_file():
                    time.sleep(0.1)
                time.sleep(0.2)
                if told.read_text() == "0":
                    return
        pytest.fail(f"{told.read_text()} pages are still held")
    finally:
        stop_server(server)
