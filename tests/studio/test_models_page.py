"""The Models page in a real browser: list, card, verify, default, export and import."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm4top.forecasters.bundles.paths import embedded_folder, embedded_names
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
MARKUP = "<img src=x onerror=document.title='pwned'>.zip"
NO_ID = "0" * 32
LINES = """cell => { const text = document.createRange(); text.selectNodeContents(cell);
return new Set([...text.getClientRects()].map(box => box.top)).size; }"""
HOSTILE = (
    """# A card

<script>document.title = "pwned"</script>
<img src="http://evil.example/a.png" onerror="document.title='pwned'">

![seen](http://evil.example/b.png) [click](javascript:document.title='pwned')

| """
    + "wide " * 60
    + """| b |
| --- | --- |
| """
    + "x" * 400
    + """ | ![c](http://evil.example/c.png) |

The end.
"""
)


def give(page: Page, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "application/zip", "buffer": content}
    page.set_input_files("input[type=file]", [file])  # type: ignore[list-item]


def test_the_embedded_model_is_listed_with_its_figures(page: Page) -> None:
    page.goto("/models")
    table = page.get_by_role("table", name="Models")
    row = table.get_by_role("row").nth(1)
    row.get_by_role("link", name="Embedded default").wait_for()
    manifest = json.loads((embedded_folder() / "manifest.json").read_text("utf-8"))
    evaluation = next(e for e in manifest["evaluations"] if e["split"] == "valid")
    forecasters = evaluation["forecasters"]
    own, base = forecasters["this model, calibrated"], forecasters["base rate of the phase"]
    said = row.inner_text()
    assert "Default model" in said
    auc = own["roc_auc"]
    assert f"{auc['value']:.3f} ({auc['lower']:.3f} to {auc['upper']:.3f})" in said
    assert f"{1 - own['brier']['value'] / base['brier']['value']:.3f}" in said
    assert "phases 1, 2, 3" in said
    page.get_by_text("There is none yet").wait_for()
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) <= 0
        assert row.locator("td[data-title=Created]").evaluate(LINES) == 1


def test_a_hostile_card_is_text_and_asks_for_nothing(page: Page, server: Server) -> None:
    with Workspace.open(server.home) as workspace:
        mine = workspace.bundles.add(embedded_folder(), name="hostile")
        (workspace.bundles.folder(mine.id) / "MODEL_CARD.md").write_text(HOSTILE)
        page.goto(f"/models/{mine.id}")
        page.get_by_text("The whole model card").click()
        card = page.locator(".l4-card")
        card.get_by_text("The end.").wait_for()
        assert page.title() == "Model · LLM4TOP"
        assert card.locator("script, img, a, iframe, [onerror], [onclick]").count() == 0
        said = card.inner_text()
        for words in ("<script>", "onerror=", "](javascript:", "![seen](http://evil.example/"):
            assert words in said
        for width in (390, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(OVERFLOW) <= 0
        workspace.bundles.delete(mine.id)


def test_a_model_is_verified_exported_imported_made_the_default_and_deleted(
    page: Page, server: Server
) -> None:
    page.goto("/models/embedded")
    page.get_by_role("table", name="Evaluated on 901 validation trials").wait_for()
    manifest = read_manifest(embedded_folder())
    measured = next(one for one in manifest.evaluations if one.split == "valid")
    auc = measured.forecasters["this model, calibrated"]["roc_auc"]
    value, lower, upper = (f"{number:.3f}" for number in (auc.value, auc.lower, auc.upper))
    assert page.get_by_role("cell", name=f"{value} ({lower} to {upper})").count() >= 1
    page.get_by_text("The whole model card").click()
    page.get_by_role("heading", name="Training data", level=4).wait_for()
    page.get_by_role("cell", name=f"{value} [{lower}, {upper}]").first.wait_for()
    assert not page.get_by_role("button", name="Make it the default").is_visible()
    assert page.get_by_role("button", name="Delete").count() == 0
    page.get_by_role("button", name="Verify").click()
    page.get_by_text(f"Verified: all {len(manifest.files)} files match").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export").click()
    assert waiting.value.suggested_filename == "llm4top-mini.zip"
    exported = Path(waiting.value.path())
    assert "manifest.json" in {Path(n).name for n in zipfile.ZipFile(exported).namelist()}
    page.get_by_role("link", name="All models").click()
    page.get_by_role("button", name="Import a bundle").wait_for()
    give(page, "mine.zip", exported.read_bytes())
    page.get_by_role("link", name="llm4top-mini").click()
    page.get_by_role("button", name="Make it the default").click()
    page.get_by_text("Default model: used unless").wait_for()
    with Workspace.open(server.home) as workspace:
        mine = workspace.bundles.default()
        assert mine.name == "llm4top-mini"
        done = [entry.action for entry in workspace.activity.list(limit=3)]
        assert done == ["made the default", "imported", "verified"]
        (workspace.bundles.folder(mine.id) / "MODEL_CARD.md").write_text("changed")
    page.get_by_role("button", name="Verify").click()
    page.get_by_role("alert").get_by_text("MODEL_CARD.md").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("table", name="Models").get_by_text("Default model").wait_for()
    rows = page.get_by_role("table", name="Models").get_by_role("row")
    assert rows.count() == 1 + len(embedded_names())


def test_what_is_no_bundle_is_refused_by_its_name_as_text(page: Page) -> None:
    page.goto("/models")
    page.get_by_role("button", name="Import a bundle").wait_for()
    give(page, MARKUP, b"no zip")
    told = page.get_by_role("alert")
    told.wait_for()
    assert MARKUP in told.inner_text()
    assert "cannot be unpacked" in told.inner_text()
    assert "/tmp" not in told.inner_text()
    assert page.title() != "pwned"


def test_an_id_that_no_model_has(page: Page, server: Server) -> None:
    page.goto(f"/models/{NO_ID}")
    page.get_by_role("alert").get_by_text("there is no bundle").wait_for()
    assert server.ask(f"/models/{NO_ID}/export").status == 404
    assert server.ask("/models/..%2f..%2fetc/export").status == 404
