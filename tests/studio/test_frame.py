"""The frame in a real browser: navigation, badge, colours, keyboard, narrow screens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.studio._server import Server, outside

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

DARK = "document.documentElement.dataset.theme"
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def test_the_first_page_opens_and_asks_only_loopback(page: Page) -> None:
    page.goto("/")
    page.get_by_role("navigation", name="Pages").wait_for()
    assert page.locator("h1").count() == 1
    assert page.title().endswith("LLM4TOP")


def test_the_navigation_leads_to_every_page_in_it(page: Page) -> None:
    page.goto("/about")
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    links.first.wait_for()
    paths = [link.get_attribute("href") for link in links.all()]
    for path in filter(None, paths):
        page.goto(path)
        page.locator("h1").wait_for()
        for width in (1400, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate(OVERFLOW) <= 0, (path, width)


def test_the_badge_opens_the_privacy_statement_with_its_proof(page: Page) -> None:
    page.goto("/about")
    page.get_by_role("button", name="Local only").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("No connection to another machine was attempted since").wait_for()
    assert dialog.get_by_text("Everything stays on this machine").count() == 1
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="hidden")


def test_the_colours_follow_the_system_until_chosen(page: Page) -> None:
    page.goto("/about")
    button = page.get_by_role("button", name="Colours: as the system. Change")
    button.wait_for()
    assert page.evaluate(DARK) == "light"
    page.emulate_media(color_scheme="dark")
    page.locator("body.body--dark").wait_for()
    page.wait_for_function(f"{DARK} === 'dark'")
    button.click()
    page.get_by_role("button", name="Colours: light. Change").wait_for()
    page.wait_for_function(f"{DARK} === 'light'")
    page.reload()
    page.get_by_role("button", name="Colours: light. Change").click()
    page.wait_for_function(f"{DARK} === 'dark'")


def test_the_first_click_on_the_colours_shows_whatever_the_system_has(page: Page) -> None:
    page.goto("/about")
    button = page.get_by_role("button", name="Colours: as the system. Change")
    assert button.inner_text().endswith("System")
    button.click()
    page.wait_for_function(f"{DARK} === 'dark'")
    page.get_by_text("Dark", exact=True).wait_for()


def test_the_settings_hold_the_colours_too(page: Page) -> None:
    page.goto("/settings")
    colours = page.get_by_role("group", name="Colours")
    colours.get_by_role("button", name="System", pressed=True).wait_for()
    colours.get_by_role("button", name="Dark").click()
    colours.get_by_role("button", name="Dark", pressed=True).wait_for()
    page.wait_for_function(f"{DARK} === 'dark'")
    page.get_by_role("button", name="Colours: dark. Change").wait_for()


RINGS = """() => [...document.querySelectorAll("a[href], button, summary, [role=tab], input")]
  .filter((item) => item.checkVisibility({visibilityProperty: true}) && !item.disabled)
  .filter((item) => {
    item.focus({focusVisible: true});
    if (document.activeElement !== item) return false;
    const shown = item.closest(".q-field") ?? item.closest(".q-checkbox, .q-radio") ?? item;
    const has = (node) => {
      const style = getComputedStyle(node);
      return style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
    };
    return !has(item) && !has(shown) && shown === item;
  })
  .map((item) => item.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("path", ["/", "/data", "/train", "/models", "/benchmark", "/settings"])
def test_whatever_has_the_focus_has_a_ring(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_role("main").wait_for()
    page.wait_for_timeout(500)
    page.keyboard.press("Tab")  # the browser shows rings from the first key on
    assert page.evaluate(RINGS) == []
    assert page.get_by_role("main").count() == 1


def test_the_first_tab_skips_the_navigation(page: Page) -> None:
    page.goto("/about")
    page.get_by_role("main").wait_for()
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Skip to the page"
    page.keyboard.press("Enter")
    page.wait_for_url("**#page")


def test_the_menu_opens_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Help and settings").focus()
    page.keyboard.press("Enter")
    page.get_by_text("About", exact=True).last.click()
    page.wait_for_url("**/about")


def test_about_shows_the_check_up(page: Page) -> None:
    page.goto("/about")
    page.get_by_role("table", name="Versions").get_by_text("safetensors").wait_for(timeout=60_000)
    assert page.get_by_role("status").count() == 0


@pytest.mark.parametrize("path", ["/", "/about"])
def test_it_fits_a_narrow_screen_with_the_navigation_below(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    rail = page.get_by_role("navigation", name="Pages")
    rail.wait_for()
    assert page.evaluate(OVERFLOW) <= 0
    box = rail.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == pytest.approx(844, abs=1)
    assert box["width"] == pytest.approx(390, abs=1)


def test_a_script_without_the_nonce_does_not_run(chromium: Browser, server: Server) -> None:
    with chromium.new_page() as page:
        page.goto(f"{server.address}/about")
        page.locator("h1").wait_for()
        page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            " document.body.append(s); }"
        )
        assert page.evaluate("window.ran") is None


def test_outside_addresses_are_told_from_loopback(server: Server) -> None:
    inner = [f"{server.address}/", "data:image/png;base64,", "ws://127.0.0.1:1/x", "blob:x"]
    assert outside([*inner, "https://cdn.example/x.js"]) == ["https://cdn.example/x.js"]
