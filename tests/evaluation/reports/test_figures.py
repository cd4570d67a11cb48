"""Figures: the same bytes, the page's colours and font, their data; hostile names stay text."""

from __future__ import annotations

import base64
import csv
import io
import re

import pytest
from lxml import etree

from llm4top.evaluation.reports import figures
from llm4top.evaluation.reports import small_multiples as multiples
from llm4top.evaluation.reports.drawing import Drawing, choose_series
from llm4top.evaluation.reports.svg import COLOURS
from tests.evaluation.report_kit import made_part, made_report

pytestmark = pytest.mark.slow

LABELS = ("failure", "success")
HOSTILE = 'a<b>&"c" $x_1^2$ `d` #0072b2 ]]> -- \x00\x1b 試験'


@pytest.fixture(scope="module")
def part():
    return made_part("II", "valid")


def drawings(part) -> list[Drawing]:
    table, curves = part
    series = choose_series([table])
    found = [
        figures.forest(table, series, name="forest"),
        figures.roc(curves, series, name="roc"),
        figures.precision_recall(curves, series, name="pr"),
        figures.decision(curves, series, name="decision"),
        multiples.reliability(curves, series, name="reliability"),
        multiples.spread(curves, series, LABELS, name="spread"),
    ]
    assert all(found)
    return found


def rows_of(drawing: Drawing) -> list[list[str]]:
    head, _, body = drawing.data.partition("base64,")
    assert head == "data:text/csv;"
    return list(csv.reader(io.StringIO(base64.b64decode(body).decode())))


def renamed(part, old: str, new: str):
    table, curves = part
    rows = tuple(
        r.model_copy(update={"forecaster": new}) if r.forecaster == old else r for r in table.rows
    )
    own = tuple(
        c.model_copy(update={"forecaster": new}) if c.forecaster == old else c
        for c in curves.curves
    )
    return table.model_copy(update={"rows": rows}), curves.model_copy(update={"curves": own})


def test_the_same_figure_has_the_same_bytes(part):
    first = [drawing.svg for drawing in drawings(part)]
    assert [drawing.svg for drawing in drawings(part)] == first


def test_colours_are_the_pages_and_text_is_text(part):
    for drawing in drawings(part):
        root = etree.fromstring(drawing.svg)
        assert root.get("role") == "img"
        assert "width" not in root.attrib
        styles = " ".join(root.xpath("//@style"))
        assert "font-family" not in styles
        bare = set(re.findall(r"(?<!, )#[0-9a-f]{6}", styles))
        assert not bare, f"{drawing.file}: colours the page does not know: {bare}"
        assert not root.xpath("//*[local-name()='metadata'] | //comment()")
        assert root.xpath("//*[local-name()='text']")
        fills = set(root.xpath("//@fill | //@stroke"))
        assert not {value for value in fills if value.startswith("#")}


def test_each_colour_has_one_name():
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_ids_are_unique_over_the_figures_of_a_page(part):
    ids = [i for d in drawings(part) for i in etree.fromstring(d.svg).xpath("//@id")]
    assert len(ids) == len(set(ids))


def test_screen_readers_hear_title_and_what_is_drawn(part):
    for drawing in drawings(part):
        root = etree.fromstring(drawing.svg)
        title, description = root[0], root[1]
        assert title.text.startswith("Phase II, validation split: ")
        assert description.text
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_the_data_are_all_there(part):
    _, curves = part
    by_file = {drawing.file: rows_of(drawing) for drawing in drawings(part)}
    assert by_file["forest.csv"][0] == ["forecaster", "kind", "roc_auc", "lower", "upper", "n"]
    assert len(by_file["forest.csv"]) == 1 + 13
    own = {c.forecaster: c for c in curves.curves}
    stack = own["Stack of fine-tuned and TF-IDF"]
    told = [row[1:] for row in by_file["roc.csv"] if row[0] == stack.forecaster]
    assert [(float(x), float(y)) for x, y in told] == list(stack.roc)
    assert ["act on all"] in [row[:1] for row in by_file["decision.csv"]]
    counted = sum(int(n) for row in by_file["spread.csv"][1:] for n in row[3:])
    assert counted == 6 * curves.n


@pytest.mark.parametrize("prefix", ["=", "+", "-", "@"])
def test_a_name_is_no_formula_in_a_spreadsheet(part, prefix):
    old = "Random forest"
    drawing = drawings(renamed(part, old, prefix + "cmd"))[1]
    assert "'" + prefix + "cmd" in {row[0] for row in rows_of(drawing)}


def test_hostile_names_are_text(part):
    for drawing in drawings(renamed(part, "Random forest", HOSTILE)):
        root = etree.fromstring(drawing.svg)
        assert not root.xpath("//*[local-name()='b']")
        spoken = " ".join(root.xpath("//*[local-name()='desc' or local-name()='text']//text()"))
        assert 'a<b>&"c"' in spoken
    texts = " ".join(
        "".join(t.itertext())
        for t in etree.fromstring(drawings(renamed(part, "Random forest", HOSTILE))[0].svg).iter(
            "{http://www.w3.org/2000/svg}text"
        )
    )
    assert "$x_1^2$" in texts


def test_six_are_drawn_and_the_oracle_is_one_of_them():
    series = choose_series(made_report().tables)
    assert len(series) == 6
    assert [one.forecaster for one in series if one.dashed] == ["Status rule (leak oracle)"]
    names = {one.forecaster for one in series}
    assert "TF-IDF + logistic regression" in names
    assert "Tiny model, fine-tuned with LoRA" in names
    assert not {"Always success", "Base rate by phase"} & names
    assert len({one.colour for one in series}) == 6


def test_the_interval_plot_says_its_reading(part):
    forest = drawings(part)[0]
    assert "ranks best, at " in forest.title
    assert "of 10 intervals are above chance" in forest.title
    assert "at .500 is any constant forecast" in forest.note
    assert "cheats: it reads the outcome's status" in forest.note


def test_what_cannot_be_drawn_is_left_out(part):
    table, curves = part
    empty = table.model_copy(
        update={"rows": tuple(r.model_copy(update={"figures": {}}) for r in table.rows)}
    )
    assert figures.forest(empty, (), name="x") is None
    assert multiples.reliability(curves, (), name="x") is None
    assert multiples.spread(curves, (), LABELS, name="x") is None
    trivial = table.model_copy(update={"rows": table.rows[:2]})
    assert (
        figures.forest(trivial, (), name="x").title
        == "Phase II: only trivial forecasters were measured"
    )
