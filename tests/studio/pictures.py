"""Pictures of every page: ``python -m tests.studio.pictures FOLDER``.

Starts a Studio over a workspace of invented trials, brings them in, trains on them and compares
models as a visitor would, then takes each page in light and dark, wide and narrow. The three
pictures of the README are written to ``docs/pictures`` with ``--readme``. Takes minutes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace
from tests.studio._server import start_server, stop_server
from tests.studio.conftest import CHROMIUM_ARGS
from tests.studio.invented import invented_records
from tests.workspace.tiny import over, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = (1280, 800), (390, 844)
README = {
    "forecast": "portfolio",
    "trial": "trial",
    "train": "training",
    "compare": "comparison",
}
"""The README's pictures, and the pages that they show."""
QUICK = {
    "max_tokens": 256,
    "batch_size": 8,
    "accumulation": 1,
    "epochs": 3.0,
    "learning_rate": 5e-4,
}
WAIT = 120_000

Act = Callable[["Page"], None]


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readme", action="store_true", help="write docs/pictures as well")
    parser.add_argument("--page", action="append", help="only this page; may be repeated")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    scratch = Path(tempfile.mkdtemp(prefix="llm4top-pictures-"))
    records = write_records(scratch)
    server = start_server(scratch / "home")
    try:
        with sync_playwright() as playwright:
            program = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
            with Workspace.open(server.home) as workspace:
                pages = prepared(browser, server.address, workspace, records)
            for name in asked.page or pages:
                print(name, flush=True)
                take(browser, server.address, name, *pages[name], asked.folder)
    finally:
        stop_server(server)
        shutil.rmtree(scratch)
    if asked.readme:
        for name, page in README.items():
            if asked.page and page not in asked.page:
                continue
            _small(asked.folder / f"{page}-light-wide.png", Path("docs/pictures") / f"{name}.png")


def write_records(folder: Path, count: int = 400) -> list[Path]:
    """Invented records and, as the last file, the CSV of their labels."""
    made, rows = [], ["nctid,label"]
    for nct_id, record, label in invented_records(count):
        made.append(folder / f"{nct_id}.xml")
        made[-1].write_text(record, "utf-8")
        rows.append(f"{nct_id},{label}")
    labels = folder / "labels.csv"
    labels.write_text("\n".join(rows) + "\n", "utf-8")
    return [*made, labels]


def prepared(
    browser: Browser, address: str, workspace: Workspace, records: list[Path]
) -> dict[str, tuple[str, Act | None]]:
    """Fill the workspace; the pages by name, each with its address and what to do there."""
    page = browser.new_page(base_url=address)
    page.goto("/data")
    page.get_by_label("Name", exact=True).fill("Invented trials")
    page.set_input_files("input[type=file]", records)
    page.wait_for_url(re.compile("/data/[0-9a-f]{32}$"), timeout=WAIT)
    dataset = page.url.rpartition("/")[2]
    settings = {"dataset": dataset, "base": "embedded", "preset": "quick", **QUICK}
    trained = _done(workspace, "train", {**settings, "name": "invented-quick"}, "Invented, quick")
    page.goto("/")  # with the default model: the other one has learnt from these very trials
    page.set_input_files("input[type=file]", records[:14])
    page.get_by_role("heading", name="14 trials").wait_for(timeout=WAIT)
    page.wait_for_url("**/?batch=*")
    batch = page.url.removeprefix(address)
    page.close()
    audit = {"dataset": dataset}
    _done(workspace, "audit", audit, "Leak audit of Invented trials")
    models = ["embedded", trained.result["bundle_id"]]
    compared = {"dataset": dataset, "split": "valid", "models": models}
    report = _done(workspace, "evaluate", compared, "Comparison of two models")
    return {
        "start": ("/", None),
        "cards": (batch, None),
        "table": (batch, lambda page: _turn(page, "Table")),
        "portfolio": (batch, lambda page: _turn(page, "Portfolio")),
        "trial": (batch, _explained),
        "draft": ("/draft", _drafted),
        "what-if": (batch, _edited),
        "data": ("/data", None),
        "dataset": (f"/data/{dataset}", None),
        "train": ("/train", _checked),
        "training": (f"/train/{trained.id}", None),
        "models": ("/models", None),
        "model": (f"/models/{trained.result['bundle_id']}", None),
        "comparison": (f"/reports/{report.id}", _drawn),
        "benchmark": ("/benchmark", None),
        "activity": ("/activity", None),
        "settings": ("/settings", None),
        "about": ("/about", None),
        "api": ("/api/v1/docs", None),
    }


def take(
    browser: Browser, address: str, name: str, path: str, act: Act | None, folder: Path
) -> None:
    """One page in light and dark, wide and narrow; it must not be wider than its window."""
    for theme in ("light", "dark"):
        for size, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
            page = browser.new_page(
                base_url=address,
                viewport={"width": width, "height": height},
                color_scheme=theme,  # type: ignore[arg-type]
                device_scale_factor=1.5 if size == "wide" else 2,
            )
            page.goto(path)
            page.locator("h1").first.wait_for()
            page.wait_for_timeout(1500)
            if act is not None:
                act(page)
                page.wait_for_timeout(700)
            place = folder / f"{name}-{theme}-{size}.png"
            page.screenshot(path=place, full_page=size == "narrow" or name not in README.values())
            beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if beyond > 0:
                print(f"  {theme}, {size}: {beyond} pixels wider than the window")
            page.close()


def _done(workspace: Workspace, kind: str, settings: dict[str, object], title: str) -> Run:
    run = wait_for(workspace, submit(workspace, kind, settings, title=title), over, 900)
    if run.state != "done":
        raise SystemExit(f"{title}: {run.state}. {run.error}")
    print(f"{title}: done", flush=True)
    return run


def _explained(page: Page) -> None:
    page.locator("article.l4-trial h3 a").first.click()
    section = page.locator("section", has=page.get_by_role("heading", name="What moves the chance"))
    button = section.get_by_role("button", name="Show what moves the chance")
    bars = section.locator(".l4-reasons li").first
    button.or_(bars).first.wait_for(timeout=WAIT)
    if button.count():
        button.click()
    bars.wait_for(timeout=WAIT)


def _drafted(page: Page) -> None:
    synopsis = Path(__file__).parents[1] / "registry" / "synopses" / "numbered.txt"
    page.get_by_label("Synopsis", exact=True).fill(synopsis.read_text("utf-8"))
    page.get_by_role("button", name="Read the synopsis").click()
    page.get_by_role("button", name="Show what each section costs").click()
    page.get_by_text("As it is: ").wait_for(timeout=WAIT)


def _turn(page: Page, view: str) -> None:
    page.get_by_role("tab", name=view).click()


def _edited(page: Page) -> None:
    page.locator("article.l4-trial h3 a").first.click()
    page.get_by_role("link", name="What if the record read otherwise?").click()
    page.get_by_label("Phase", exact=True).click()
    page.get_by_role("option", name="Phase 4", exact=True).click()
    page.get_by_role("button", name="Keep as variant").click()
    page.get_by_text("Variant 1: phase=Phase 4").wait_for()
    page.get_by_role("button", name="Sweep").click()
    page.get_by_text("As a table").wait_for()


def _checked(page: Page) -> None:
    page.get_by_text("needs about").first.wait_for(timeout=WAIT)


def _drawn(page: Page) -> None:
    figures = page.get_by_role("heading", name="Figures", exact=True)
    figures.wait_for(timeout=WAIT)
    figures.evaluate("heading => heading.scrollIntoView()")


def _small(source: Path, place: Path) -> None:
    """The picture with a palette: a third of its bytes."""
    from PIL import Image

    place.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(place, optimize=True)


if __name__ == "__main__":
    main()
