"""The Forecast page in a real browser: first forecast, example, hostile names, exports."""

import csv
import io
import re
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest
from openpyxl import load_workbook

import llm4top

pytestmark = pytest.mark.browser

EXAMPLES = Path(llm4top.__file__).parent / "examples"
HOSTILE = '<script>document.title="pwned"</script><img src=x onerror=document.title="pwned">'
WAIT = 200_000
"""Milliseconds for the first forecast of a server: it loads the model."""

PATIENCE = 20_000
"""Milliseconds that a page may take beside a run, on a machine with much else to do."""


def drop(page, *files):
    given = [f if isinstance(f, dict) else as_file(f.name, f.read_bytes()) for f in files]
    page.set_input_files("input[type=file]", given)


def card(page, title):
    return page.locator("article.l4-trial").filter(has_text=title)


def as_file(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def hostile_record(title):
    record = (EXAMPLES / "example.xml").read_text("utf-8")
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    record = re.sub(
        r"<brief_title>.*?</brief_title>", f"<brief_title>{escaped}</brief_title>", record
    )
    return record.encode()


@pytest.fixture
def studio(page):
    page.goto("/")
    page.get_by_role("button", name="Try an example").wait_for()
    return page


def test_a_newcomer_reaches_a_forecast_in_two_clicks(studio):
    assert studio.get_by_text("A research estimate: not medical or investment advice.").is_visible()
    studio.get_by_role("button", name="Try an example").click()
    trial = card(studio, "Exemplamab in Adults With Moderate to Severe Plaque Psoriasis")
    trial.wait_for(timeout=WAIT)
    assert re.search(r"\d+ % 95 % interval \d+ to \d+ % About \d in 10 similar", _plain(trial))
    assert "base rate" in trial.get_by_role("img").get_attribute("aria-label")


def unread(page):
    """What the page of a trial says that the model does not look at."""
    part = page.locator("section").filter(has_text="Allowed, but this model does not read it")
    return part.locator("p").inner_text()


def _plain(locator):
    return " ".join(locator.inner_text().replace("\u00a0", " ").split())


def test_uploaded_records_are_forecast_and_one_is_opened(studio):
    drop(studio, EXAMPLES / "example_with_results.xml")
    trial = card(studio, "Exemplamab in Adults With Hidradenitis Suppurativa")
    trial.wait_for(timeout=WAIT)
    assert "Record already has results: withheld." in trial.inner_text()
    trial.get_by_role("link", name="Exemplamab").click()
    studio.wait_for_url(re.compile(r"/trials/[0-9a-f]{32}\?batch=[0-9a-f]{32}$"))
    shown = studio.locator("article.l4-detail")
    studio.get_by_text("About the model and its metrics").click()
    studio.get_by_text("fields with the reason for each").click()
    shown.get_by_text("Evaluated on").first.wait_for()
    for words in ("Platt", "ROC-AUC", "641 Phase 2 trials", "tells how the trial went"):
        assert words in shown.inner_text()
    assert "primary outcome measures" in unread(studio)
    tokens = [int(n) for n in re.findall(r"(\d+) tokens?\b", _plain(shown))]
    assert tokens[0] == sum(tokens[1:])
    section = shown.locator("details").filter(has_text="Eligibility criteria")
    section.locator("summary").click()
    assert (
        "Hurley stage" in section.locator("pre").inner_text() or section.locator("pre").is_visible()
    )
    assert "Model llm4top-mini-" in shown.locator("code").inner_text()
    studio.get_by_role("button", name="Copy the identity line").click()
    studio.get_by_text("Copied").wait_for()
    studio.get_by_role("link", name="All forecasts").click()
    trial.wait_for()
    studio.wait_for_function("document.activeElement.textContent.startsWith('Exemplamab')")
    assert not studio.get_by_text("That did not work").is_visible()


def test_markup_in_titles_and_file_names_is_shown_as_text(studio):
    drop(
        studio,
        as_file("<b onclick=x>.xml", hostile_record(HOSTILE)),
        as_file("<svg onload=x>.xml", b"<rss><channel/></rss>"),
    )
    trial = card(studio, HOSTILE)
    trial.wait_for(timeout=WAIT)
    assert "<b onclick=x>.xml" in trial.inner_text()
    refused = studio.get_by_role("region", name="Refused")
    assert "<svg onload=x>.xml" in refused.inner_text()
    assert "refused. The file is a news feed, not a record. Why?" in _plain(refused)
    trial.get_by_role("heading").get_by_role("link").click()
    studio.get_by_role("heading", name=HOSTILE).wait_for()
    assert studio.title() != "pwned"
    assert studio.locator("#page script, #page img, #page b").count() == 0


def test_a_file_of_another_kind_is_named_with_its_reason_beside_its_neighbours(studio):
    drop(studio, as_file("<b>notes.md", b"# notes"), EXAMPLES / "example.xml")
    studio.get_by_role("heading", name="1 trial · 1 refused").wait_for(timeout=WAIT)
    assert studio.get_by_text("Model: Embedded default").is_visible()
    card(studio, "Exemplamab").wait_for()
    refused = studio.get_by_role("region", name="Refused")
    assert _plain(refused).startswith("<b>notes.md: refused. Not an XML, JSON or zip file. Why?")
    refused.get_by_text("Why?").click()
    refused.get_by_text("Drop XML, JSON or zip files.").wait_for()
    drop(studio, as_file("a.pdf", b"%PDF"), as_file("b.pdf", b"%PDF"))
    studio.get_by_role("heading", name="1 trial · 3 refused").wait_for()
    assert studio.locator(".q-notification").count() == 0


def test_toasts_can_be_read_in_light_and_dark(studio):
    for scheme in ("light", "dark"):
        studio.emulate_media(color_scheme=scheme)
        for kind in ("warning", "negative", "positive", "info"):
            shown = studio.evaluate(READ_TOAST, kind)
            assert contrast(*shown) >= 4.5, (scheme, kind, shown)


READ_TOAST = """kind => {
    Quasar.Notify.create({message: "Words", type: kind, timeout: 0, actions: [{label: "Close"}]});
    return new Promise(done => setTimeout(() => {
        const toasts = document.querySelectorAll(".q-notification");
        const style = getComputedStyle(toasts[toasts.length - 1]);
        done([style.color, style.backgroundColor]);
    }, 400));
}"""


def contrast(*colours):
    """The contrast ratio of WCAG 2 between two colours as the browser gives them."""
    lightness = []
    for colour in colours:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lightness.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lightness) + 0.05) / (min(lightness) + 0.05)


def test_many_trials_are_sorted_filtered_and_looked_at_together(studio):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("example.xml", "example_with_results.xml"):
            archive.write(EXAMPLES / name, name)
        archive.writestr("notes.txt", "no record")
    drop(studio, as_file("two.zip", packed.getvalue()))
    studio.get_by_role("heading", name="2 trials").wait_for(timeout=WAIT)
    studio.get_by_role("tab", name="Table").click()
    chances = studio.locator("td[data-title=Chance]")
    chances.first.wait_for()
    studio.get_by_role("button", name="Chance").click()
    studio.locator("th[aria-sort=ascending]").wait_for()
    rising = [int(text.split()[0]) for text in chances.all_inner_texts()]
    assert "NCT99999901" in studio.locator("td.l4-id").all_inner_texts()
    studio.get_by_role("button", name="Chance").click()
    studio.locator("th[aria-sort=descending]").wait_for()
    falling = [int(text.split()[0]) for text in chances.all_inner_texts()]
    assert rising == sorted(rising) == falling[::-1]
    studio.get_by_role("tab", name="Portfolio").click()
    studio.get_by_role("heading", name=re.compile(r"About \d\.\d of 2 trials")).wait_for()
    assert "independent" in studio.locator("#page").inner_text()
    studio.get_by_label("Area").click()
    studio.get_by_role("option", name="skin (L) (1)").click()
    studio.keyboard.press("Escape")
    studio.get_by_text("1 trial of 2 shown").wait_for()


def test_exports_are_downloaded(studio):
    drop(studio, as_file("a.xml", hostile_record("=1+1")), EXAMPLES / "example_with_results.xml")
    studio.get_by_role("heading", name="2 trials").wait_for(timeout=WAIT)
    files = {}
    for name in ("CSV table", "Spreadsheet (XLSX)", "Report (HTML)"):
        studio.get_by_role("button", name="Export").click()
        with studio.expect_download() as waiting:
            studio.get_by_role("menuitem", name=name).click()
        files[waiting.value.suggested_filename] = Path(waiting.value.path()).read_bytes()
    rows = list(csv.DictReader(io.StringIO(files["forecasts.csv"].decode())))
    assert rows[0]["title"] == "'=1+1"
    assert rows[0]["record"] == "a.xml"
    sheet = load_workbook(io.BytesIO(files["forecasts.xlsx"]))["Forecasts"]
    assert sheet.max_row == 3
    assert "can be expected to succeed" in files["forecasts.html"].decode()


def test_forecasts_are_there_after_a_reload_until_they_are_deleted(studio):
    drop(studio, EXAMPLES / "example.json")
    trial = card(studio, "Exemplamab in Adults With Moderate")
    trial.wait_for(timeout=WAIT)
    studio.wait_for_url(re.compile(r"batch=[0-9a-f]{32}$"))
    kept = studio.url
    studio.reload()
    trial.wait_for()
    studio.get_by_role("button", name="New forecast").click()
    studio.get_by_role("heading", name="Earlier forecasts").wait_for()
    studio.goto(kept)
    trial.wait_for()
    studio.get_by_role("button", name="Delete").click()
    studio.get_by_role("dialog").get_by_role("button", name="Delete").click()
    trial.wait_for(state="detached")
    studio.goto(kept)
    studio.get_by_text("these forecasts no longer exist").wait_for()


def test_what_is_forecast_while_the_page_is_closed_is_kept(studio, browser_context):
    title = f"Trial of {uuid4().hex}"
    with studio.expect_response(lambda response: "/upload/" in response.url):
        drop(studio, as_file("closed.xml", hostile_record(title)))
    studio.close()
    page = browser_context.new_page()
    for _ in range(WAIT // 500):
        page.goto("/")
        page.wait_for_timeout(500)
        newest = page.locator(".l4-earlier a")
        if newest.count():
            newest.first.click()
            page.locator("article.l4-trial").first.wait_for()
            if page.get_by_text(title).count():
                return
    pytest.fail("the forecast was lost with its page")


def test_files_can_be_dropped_and_a_cut_text_is_marked(studio):
    record = (EXAMPLES / "example.xml").read_text("utf-8")
    long = re.sub(
        r"(<criteria>\s*<textblock>)(.*?)(</textblock>)",
        lambda found: found[1] + 8 * found[2] + found[3],
        record,
        flags=re.DOTALL,
    )
    dropped = studio.evaluate_handle(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "long.xml"));
            return data;
        }""",
        long,
    )
    studio.locator(".l4-drop").dispatch_event("drop", {"dataTransfer": dropped})
    trial = card(studio, "long.xml")
    trial.wait_for(timeout=WAIT)
    trial.get_by_role("heading").get_by_role("link").click()
    criteria = studio.locator("details").filter(has_text="Eligibility criteria")
    assert re.search(
        r"\d tokens.*the last [\d\u202f]+ of .*\d not read",
        criteria.locator("summary").inner_text(),
        re.DOTALL,
    )


@pytest.mark.slow
def test_a_run_leaves_room_for_others_and_outlives_its_page(studio, browser_context):
    drop(studio, as_file("many.zip", zip_of_short_records(1200)))
    studio.wait_for_url(re.compile(r"run=[0-9a-f]{32}$"))
    studio.get_by_text("You can close this page; the work continues.").wait_for()
    studio.get_by_text(re.compile(r"Forecasting: .* of 1.?200")).wait_for(timeout=WAIT)
    other = browser_context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Try an example").click()
    card(other, "Exemplamab in Adults").wait_for(timeout=PATIENCE)
    other.close()
    studio.get_by_role("button", name="Local only").click()
    studio.get_by_role("dialog", name="Privacy").wait_for(timeout=PATIENCE)
    assert studio.locator("#results").count() == 0, "the run was over before it could be in the way"
    address = studio.url
    studio.goto("/about")
    studio.goto(address)
    studio.get_by_role("heading", name=re.compile(r"1.?200 trials")).wait_for(timeout=WAIT)
    studio.get_by_text(re.compile("1 to 20 of 1.?200")).wait_for()
    studio.get_by_role("button", name="60", exact=True).click()
    studio.get_by_text(re.compile("1.?181 to 1.?200 of 1.?200")).wait_for()
    assert "page=60" in studio.url
    studio.get_by_role("tab", name="Portfolio").click()
    # Some of the ids are of trials that the model has learned from.
    studio.get_by_role("heading", name=re.compile(r"About \d+ of 1.?1\d\d trials")).wait_for()


def zip_of_short_records(count):
    short = re.sub(rb"<criteria>.*</criteria>", b"", hostile_record("Trial"), flags=re.DOTALL)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(count):
            archive.writestr(
                f"{k}.xml",
                short.replace(b"Trial<", b"Trial %d<" % k).replace(b"NCT99999901", b"NCT%08d" % k),
            )
    return packed.getvalue()


def test_what_got_no_forecast_is_there_after_a_reload_and_has_a_page(studio):
    cohort = (EXAMPLES / "example.xml").read_bytes()
    cohort = cohort.replace(b">Interventional<", b">Observational [Patient Registry]<")
    drop(studio, as_file("cohort.xml", cohort), as_file("feed.xml", b"<rss/>"))
    head = studio.get_by_role("heading", name="0 trials · 1 not forecast · 1 refused")
    head.wait_for(timeout=WAIT)
    studio.reload()
    head.wait_for()
    assert "feed.xml: refused." in _plain(studio.get_by_role("region", name="Refused"))
    left = studio.get_by_role("region", name="Not forecast")
    assert "A patient registry:" in _plain(left)
    left.get_by_role("link", name=re.compile("NCT99999901, Exemplamab")).click()
    studio.get_by_role("heading", name="What was read of the record").wait_for()
    assert "interventional studies" in _plain(studio.locator("article"))
    studio.locator("details").filter(has_text="Eligibility criteria").locator("summary").click()
    studio.get_by_text("Inclusion", exact=False).first.wait_for()
    studio.get_by_role("link", name="All forecasts").click()
    head.wait_for()


def test_view_search_and_trial_have_addresses_and_back_leads_to_them(studio):
    second = hostile_record("Another trial").replace(b"NCT99999901", b"NCT99999907")
    drop(studio, EXAMPLES / "example.xml", as_file("b.xml", second), as_file("copy.xml", second))
    studio.get_by_role("heading", name="3 trials · 1 repeated record").wait_for(timeout=WAIT)
    studio.get_by_role("tab", name="Table").click()
    rows = studio.locator("table.l4-trials tbody tr")
    rows.first.wait_for()
    studio.get_by_label("Search").fill("another")
    studio.get_by_text("2 trials of 3 shown").wait_for()
    studio.wait_for_url(re.compile(r"view=table&q=another$"))
    assert "It is counted once." in rows.nth(1).inner_text()
    rows.first.get_by_role("link").click()
    studio.get_by_role("heading", name="What the model read").wait_for()
    studio.get_by_text("1 of 2").wait_for()
    studio.get_by_role("link", name="Next").click()
    studio.get_by_text("2 of 2").wait_for()
    studio.go_back()
    studio.get_by_text("1 of 2").wait_for()
    studio.go_back()
    studio.get_by_text("2 trials of 3 shown").wait_for()
    rows.first.wait_for()
    assert studio.get_by_label("Search").input_value() == "another"


def test_a_kept_file_is_listed_with_its_size_and_deleted_with_its_forecasts(studio):
    drop(studio, as_file("kept-once.xml", hostile_record("Kept once")))
    card(studio, "Kept once").wait_for(timeout=WAIT)
    batch = studio.url
    studio.goto("/kept")
    row = studio.get_by_role("row").filter(has_text="kept-once.xml")
    row.wait_for()
    assert re.search(r"\d kB.*1 forecast", _plain(row))
    row.get_by_role("button", name="Delete kept-once.xml").click()
    studio.get_by_role("dialog").get_by_role("button", name="Delete").click()
    row.wait_for(state="detached")
    studio.goto(batch)
    studio.get_by_text("these forecasts no longer exist").wait_for()


def test_it_can_be_used_by_keyboard_alone(studio):
    button = studio.get_by_role("button", name="Try an example")
    button.focus()
    studio.keyboard.press("Enter")
    title = studio.locator("article.l4-trial h3 a")
    title.wait_for(timeout=WAIT)
    title.focus()
    studio.keyboard.press("Enter")
    studio.get_by_role("heading", name="What the model read").wait_for()
    studio.wait_for_function("document.activeElement.id === 'trial-title'")


def test_nothing_is_wider_than_a_phone(studio):
    studio.set_viewport_size({"width": 390, "height": 800})
    drop(studio, EXAMPLES / "example.xml", EXAMPLES / "example_with_results.xml")
    studio.get_by_role("heading", name="2 trials").wait_for(timeout=WAIT)
    for view in ("Cards", "Table", "Portfolio"):
        studio.get_by_role("tab", name=view).click()
        studio.wait_for_timeout(200)
        assert studio.evaluate("document.documentElement.scrollWidth") <= 390
    sort = studio.get_by_role("combobox", name="Sort")
    assert not sort.is_visible()
    studio.get_by_role("button", name="Filter").click()
    sort.wait_for()
