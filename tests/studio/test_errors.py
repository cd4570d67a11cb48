"""What a visitor sees when a page fails: a sentence and the way on, never a path or a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.studio._server import Server, start_server, stop_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECRET = "/home/someone/secret.xml"

# Pages that fail in every way a page can.
_PAGES = f'''
import sys, types

def register(context):
    from nicegui import ui
    from llm4top.errors import DatabaseError, NotFoundError
    from llm4top.studio.frame import page

    @page(context, "/breaks", "Breaks", where="nowhere")
    def breaks():
        raise ValueError("{SECRET}")

    @page(context, "/breaks-later", "Breaks later", where="nowhere")
    async def breaks_later():
        raise ValueError("{SECRET}")

    @page(context, "/refuses/{{thing}}", "Refuses", where="nowhere", section="/about")
    async def refuses(thing: str):
        raise NotFoundError(f"there is no trial {{thing!r}}.", hint="Go <b>back</b>.")

    def no_database(thing):
        raise DatabaseError("the database at db:5432 does not answer (refused).", hint="Wait.")

    @page(context, "/away/{{thing}}", "Away", where="nowhere", exists=no_database)
    async def away(thing: str):
        raise ValueError("{SECRET}")

    @page(context, "/buttons", "Buttons", where="nowhere")
    def buttons():
        def fail():
            raise ValueError("{SECRET}")
        def refuse():
            raise NotFoundError("there is no trial 'a'.", hint="It may have been deleted.")
        ui.button("Fail", on_click=fail)
        ui.button("Refuse", on_click=refuse)

module = sys.modules["failing_pages"] = types.ModuleType("failing_pages")
module.register = register
from llm4top.studio import app as _app
there = _app.page_modules()
_app.page_modules = lambda: [*there, "failing_pages"]
'''


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("failing") / "home", before=_PAGES)
    yield server
    stop_server(server)


@pytest.mark.parametrize("path", ["/breaks", "/breaks-later"])
def test_a_page_that_breaks_shows_no_trace(failing: Server, path: str) -> None:
    answer = failing.ask(path)
    assert answer.status == 500
    assert "The Studio could not show this page." in answer.text
    assert 'href="/"' in answer.text
    for told in (SECRET, "Traceback", "ValueError", "site-packages"):
        assert told not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_database_that_is_away_is_told_on_the_page(failing: Server) -> None:
    answer = failing.ask("/away/x")
    assert answer.status == 503
    assert "the database at db:5432 does not answer (refused)." in answer.text
    assert SECRET not in answer.text


@pytest.mark.browser
def test_a_refusal_is_a_sentence_inside_the_frame(chromium: Browser, failing: Server) -> None:
    with chromium.new_page(base_url=failing.address) as page:
        page.goto("/refuses/<i>x")
        alert = page.get_by_role("alert")
        alert.get_by_text("there is no trial '<i>x'.").wait_for()
        assert alert.get_by_text("Go <b>back</b>.").count() == 1
        assert page.get_by_role("navigation", name="Pages").is_visible()


@pytest.mark.browser
def test_a_button_that_fails_says_so(chromium: Browser, failing: Server) -> None:
    with chromium.new_page(base_url=failing.address) as page:
        page.goto("/buttons")
        page.get_by_role("button", name="Refuse").click()
        page.get_by_text("there is no trial 'a'. It may have been deleted.").wait_for()
        page.get_by_role("button", name="Fail").click()
        page.get_by_text("The terminal that runs the Studio shows the details.").wait_for()
        assert SECRET not in page.content()
