"""Reports on disk: one page that asks for nothing, JSON that reads back, Markdown that is whole."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from llm4top.errors import EvaluationError
from llm4top.evaluation.reports.formatting import (
    MINUS,
    NOTHING,
    number,
    p_value,
    reading,
    signed,
    with_interval,
)
from llm4top.evaluation.reports.render import (
    escaped,
    markdown,
    page,
    read_report,
    web_address,
    write_report,
)
from llm4top.evaluation.reports.report import REPORT_SCHEMA
from tests.evaluation.report_kit import hostile_report, made_figure, made_report

VOID = {"meta", "link", "br", "img", "input", "hr", "path", "use", "line"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails where tags do not close in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def report():
    """Two of the four phases: drawing takes its time."""
    return made_report(("II", "pooled"))


@pytest.fixture(scope="module")
def small():
    """One table is enough for most."""
    whole = made_report(("II",))
    first = {name: getattr(whole, name)[:1] for name in ("tables", "curves", "slices")}
    return whole.model_copy(update=first)


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    return write_report(report, tmp_path_factory.mktemp("reports") / "new" / "folder")


@pytest.fixture(scope="module")
def html(written):
    return written["html"].read_text(encoding="utf-8")


@pytest.mark.slow
def test_three_files(written):
    assert {form: file.name for form, file in written.items()} == {
        "html": "report.html",
        "json": "report.json",
        "md": "report.md",
    }


def test_json_reads_back_whole(report, written):
    back = read_report(written["json"])
    assert back.checklist
    assert back.model_copy(update={"checklist": ()}) == report


def test_the_page_asks_for_nothing(html):
    found = Page(html)
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert "src" not in attributes
        for name in ("href", "xlink:href"):
            target = attributes.get(name)
            if target is None:
                continue
            link = tag == "a" and target.startswith(("#", "https://", "data:text/csv;base64,"))
            assert link or target.startswith("#"), (tag, target)
    assert "url(http" not in html
    assert "@import" not in html


def test_every_link_inside_the_page_has_its_target(html):
    found = Page(html)
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    inner = {a["href"][1:] for tag, a in found.tags if tag == "a" and a["href"].startswith("#")}
    assert inner <= set(ids)


def test_every_table_and_every_forecaster_is_there(report, html):
    found = Page(html)
    for table in report.tables:
        for row in table.rows:
            assert row.forecaster in found.words
            assert number(row.figures["roc_auc"].value) in found.words
    assert html.count("<figure>") == 4 + 4 * 5
    assert html.count("cheating: reads the outcome's status") == 0  # the apostrophe is escaped
    assert found.words.count("cheating: reads the outcome's status") >= 4 * 3


def test_what_was_asked_and_how_it_was_made(report, html):
    words = Page(html).words
    for said in (
        report.asked.question,
        report.reproduce,
        report.data[0].sha256,
        report.versions["torch"],
        "seed 0",
        "looked at 1 time",
        report.looks_note,
        report.variants[0].reading,
        "Not ranked with the figures above",
        "TRIPOD+AI",
        "TRIPOD-LLM",
        "For the authors to fill in.",
        "no field tells the label",
        "too few trials to measure",
        *report.summary,
        *report.notes,
    ):
        assert said in words


def test_the_cheating_rows_stand_apart(html):
    found = Page(html)
    rows = [a for tag, a in found.tags if tag == "tr" and a.get("class") == "cheating"]
    assert len(rows) == 4 * 2


def test_small_slices_are_muted(html):
    rows = [a for tag, a in Page(html).tags if tag == "tr" and a.get("class") == "few"]
    assert len(rows) > 4


def test_hostile_text_stays_text():
    report = hostile_report()
    html = page(report)
    found = Page(html)
    assert "script" not in {tag for tag, _ in found.tags}
    assert "<script>alert(1)</script>" in found.words
    for tag, attributes in found.tags:
        assert "alert" not in tag
        assert not [name for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    "text", ['"><img src=x onerror=alert(1)>', "</style></svg><b>", "{{ 7*7 }}"]
)
def test_other_ways_to_be_markup(text):
    html = page(hostile_report(text))
    found = Page(html)
    assert not {tag for tag, _ in found.tags} & {"img", "b"}
    assert text in found.words
    assert "49" not in found.words.replace("31:60", "")[:400]


def test_markdown_is_whole(report, written):
    text = written["md"].read_text(encoding="utf-8")
    for table in report.tables:
        for row in table.rows:
            assert with_interval(row.figures["log_loss"]) in text
    for part in (
        "## Phase II, validation split",
        "### Paired differences in ROC-AUC",
        "### Slices by ICD chapter",
        "## Ablation and contamination",
        "## Published results",
        "## Looks at test data",
        "## Reporting checklist",
        "**cheating: reads the outcome's status**",
        "report.json, `curves`, phase II, check valid",
        report.data[0].sha256,
    ):
        assert part in text


def test_markdown_tables_are_square(written):
    width = None
    for line in written["md"].read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (None, cells), line
        width = cells


def test_markdown_escapes_what_it_shows():
    text = markdown(hostile_report())
    assert "<script>" not in re.sub(r"(`+).*?\1|^    .*$", "", text, flags=re.M)
    assert escaped("1. a | b <i> *c* _d_ [e](f)\n# g") == (
        r"\1. a \| b \<i\> \*c\* \_d\_ \[e\](f) \# g"
    )
    assert escaped("- x") == r"\- x"


def test_the_same_report_has_the_same_bytes(small):
    assert page(small) == page(small)
    assert markdown(small) == markdown(small)


def test_a_task_of_several_labels(small):
    table = small.tables[0]
    keys = ("roc_auc", "macro_f1", "accuracy", "brier", "log_loss")
    rows = tuple(
        row.model_copy(update={"figures": {key: made_figure(0.4, 0.1, 446) for key in keys}})
        for row in table.rows
    )
    several = small.model_copy(
        update={
            "asked": small.asked.model_copy(update={"labels": ("a", "b", "c"), "event": None}),
            "tables": (table.model_copy(update={"rows": rows}),),
            "curves": (),
        }
    )
    html = page(several)
    assert "Macro F1" in Page(html).words
    assert html.count("<figure>") == 1
    assert "is forecast" not in html


def test_an_empty_report_can_be_read(small):
    names = ("summary", "data", "audit", "tables", "curves", "differences", "slices", "variants")
    empty = small.model_copy(
        update=dict.fromkeys((*names, "published", "looks", "notes"), ()) | {"looks_note": ""}
    )
    words = Page(page(empty)).words
    assert "This report looked at no test data." in words
    assert "This report looked at no test data." in markdown(empty)


def test_an_unknown_metric_is_shown_by_its_key(small):
    table = small.tables[0]
    figures = {"new_metric": made_figure(0.5, 0.1, 446)}
    rows = tuple(row.model_copy(update={"figures": figures}) for row in table.rows)
    odd = small.model_copy(update={"tables": (table.model_copy(update={"rows": rows}),)})
    assert "new metric" in Page(page(odd)).words
    assert "new metric" in markdown(odd)


def spoilt(written, tmp_path, change):
    content = json.loads(written["json"].read_text(encoding="utf-8"))
    change(content)
    file = tmp_path / "report.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_a_newer_schema_is_refused(written, tmp_path):
    newer = REPORT_SCHEMA + 1
    file = spoilt(written, tmp_path, lambda c: c.update(schema_version=newer, unheard_of=1))
    with pytest.raises(EvaluationError, match=rf"schema version {newer}; this LLM4TOP reads ") as e:
        read_report(file)
    assert "Upgrade LLM4TOP" in str(e.value.hint)


def test_what_is_no_report_is_refused(written, tmp_path):
    with pytest.raises(EvaluationError, match="has no schema version"):
        read_report(spoilt(written, tmp_path, lambda c: c.pop("schema_version")))
    with pytest.raises(EvaluationError, match="the report is wrong in 'seed': "):
        read_report(spoilt(written, tmp_path, lambda c: c.update(seed="many")))
    with pytest.raises(EvaluationError, match="cannot be read: No such file"):
        read_report(tmp_path / "none.json")
    for content in ("<html>", "[1]", "\x00"):
        (tmp_path / "x.json").write_text(content, encoding="utf-8")
        with pytest.raises(EvaluationError, match=r"the report is not (a )?JSON"):
            read_report(tmp_path / "x.json")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(EvaluationError, match="the report is not JSON"):
        read_report(tmp_path / "x.json")


def test_a_folder_that_cannot_be_written_is_named(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="the report cannot be written: ") as e:
        write_report(small, tmp_path / "file" / "folder")
    assert e.value.where == str(tmp_path / "file" / "folder")


def test_numbers():
    assert [number(x) for x in (0.74, -0.012, 1.0, 0.9996, -0.0001, 5.904, None)] == [
        ".740",
        f"{MINUS}.012",
        "1.000",
        "1.000",
        ".000",
        "5.904",
        NOTHING,
    ]
    assert signed(0.02) == "+.020"
    assert signed(-0.02) == f"{MINUS}.020"
    assert with_interval(made_figure(0.74, 0.1, 9)) == ".740 [.640, .840]"
    assert with_interval(made_figure(None, 0.1, 9)) == NOTHING
    assert p_value(0.0004) == "< .001"
    assert p_value(0.0213) == ".021"


def test_readings(report):
    one = report.differences[0]
    clear = one.model_copy(update={"p_adjusted": 0.01, "figure": made_figure(0.05, 0.02, 446)})
    assert reading(clear, "higher") == f"{one.first} is better"
    assert reading(clear, "lower") == f"{one.second} is better"
    unclear = clear.model_copy(update={"p_adjusted": 0.2})
    assert reading(unclear, "higher") == "no detectable difference (n = 446)"
    by_interval = clear.model_copy(update={"p_adjusted": None})
    assert reading(by_interval, "higher") == f"{one.first} is better"
    missing = clear.model_copy(update={"figure": made_figure(None, 0, 446)})
    assert reading(missing, "higher") == "not measured"


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("doi:10.1/x", "https://doi.org/10.1/x"),
        ("arXiv:2401.03482", "https://arxiv.org/abs/2401.03482"),
        ("https://example.org/a (page 3)", "https://example.org/a"),
        ("javascript:alert(1)", ""),
        ("http://example.org", ""),
        ("https://[x", ""),
        ("A book", ""),
        ("", ""),
    ],
)
def test_only_web_addresses_become_links(source, address):
    assert web_address(source) == address
