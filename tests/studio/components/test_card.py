"""A model's card as HTML: headings, lists and tables, and nothing that its maker smuggled in."""

from __future__ import annotations

from lxml import html

from llm4top.forecasters.bundles.paths import embedded_folder
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.studio.components.bundle_facts import LONGEST, card_html

HOSTILE = """# <script>document.title = "pwned"</script>

<img src="http://evil.example/a.png" onerror="document.title='pwned'">

<div onclick="x()">

![seen](http://evil.example/b.png) [click](javascript:alert(1)) [out](https://evil.example/)

<https://evil.example/> [by name][there] <b>bold</b>

| <i>a</i> | ![c](http://evil.example/c.png) |
| --- | --- |
| `<script>` | [d](//evil.example) |

[there]: http://evil.example/
"""
INERT = {"div", "h3", "h4", "h5", "p", "ul", "ol", "li", "strong", "em", "code", "pre", "hr", "br"}
INERT |= {"table", "thead", "tbody", "tr", "th", "td", "blockquote"}


def parsed(text: str) -> html.HtmlElement:
    return html.fragment_fromstring(card_html(text), create_parent="div")


def test_the_card_of_the_embedded_model_has_its_structure() -> None:
    text = (embedded_folder() / "MODEL_CARD.md").read_text("utf-8")
    page = parsed(text)
    assert page.xpath("//h3")[0].text == "llm4top-mini"
    assert "What it is" in page.xpath("//h4/text()")
    manifest = read_manifest(embedded_folder())
    tables = 2 * len(manifest.evaluations) + len(manifest.tables)
    assert len(page.xpath("//table")) == tables + 2, "base rates and what each part adds, too"
    row = next(line for line in text.splitlines() if line.startswith("| this model, calibrated"))
    for cell in row.strip("| ").split(" | "):
        assert cell in page.xpath("//td/text()")


def test_nothing_in_a_hostile_card_acts_or_asks() -> None:
    page = parsed(HOSTILE)
    assert {element.tag for element in page.iter()} <= INERT
    assert page.xpath("//@*") == []
    words = page.text_content()
    for said in ('<script>document.title = "pwned"</script>', "[click](javascript:alert(1))"):
        assert said in words
    assert "![seen](http://evil.example/b.png)" in words
    assert "[there]: http://evil.example/" in words


def test_a_card_without_an_end_is_cut() -> None:
    assert len(card_html("a" * (2 * LONGEST))) < LONGEST + 100
    assert "The rest is not shown." in card_html("a" * (2 * LONGEST))
    assert card_html("> " * 5000)
