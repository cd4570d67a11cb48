"""The widgets of the pages. Every text is shown as it is, never read as HTML."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from nicegui import run, ui
from nicegui.elements.mixins.text_element import TextElement

from llm4top.errors import LLM4TOPError

Cell = str | Callable[[], object]
"""A cell of a table: its text, or what draws it."""

in_thread = run.io_bound
"""Await a function that waits for disk or database; None where the server is closing."""


async def connected() -> None:
    """Await the browser that asked for the page.

    Raises ``RuntimeError``, which ends the filling of the page in silence, where none came: what
    asks without a browser is given up after a minute, and a visitor may leave at once.
    """
    client = ui.context.client
    await client.connected()
    if client.is_deleted:
        raise RuntimeError("the visitor has left.")


PRIMARY = "unelevated no-caps text-color=on-accent"
"""Properties of the one button of a page or dialog that goes on."""


class Words(TextElement):
    """An element of any tag that holds only text: ``Words("h2", "Models")``."""

    def __init__(self, tag: str, text: str):
        super().__init__(tag=tag, text=text)


def heading(text: str, *, level: int = 2) -> Words:
    """A heading that screen readers find as one."""
    return Words(f"h{level}", text)


def muted(text: str, tag: str = "p") -> Words:
    """A text in small grey letters."""
    return Words(tag, text).classes("l4-small l4-muted")


def linked(text: str, address: str) -> ui.element:
    """A link to a page of the Studio; plain text if ``address`` is empty."""
    return ui.link(text, address) if address else Words("span", text)


def section(title: str) -> ui.element:
    """A part of a page under a heading; its content goes inside ``with``."""
    made = ui.element("section").classes("l4-section")
    with made:
        heading(title)
    return made


def folded(summary: str, kind: str = "l4-fold-box") -> ui.element:
    """A part of a page that opens when its ``summary`` is clicked."""
    made = ui.element("details").classes(kind)
    with made:
        Words("summary", summary)
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names with their values, in two columns; one column on a narrow screen."""
    with ui.element("div").classes("l4-facts"):
        for name, value in pairs:
            Words("div", name)
            Words("div", value)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, label: str, kind: str = ""
) -> ui.element:
    """A table to read, which becomes a list on a narrow screen; the body of the table.

    Args:
        columns: the headings. In the list each value is preceded by its heading.
        rows: one cell for each column: text, or a function that draws the content.
        label: what the table shows, for screen readers.
        kind: further classes of the table.
    """
    with ui.element("div").classes("l4-scroll"):
        shown = ui.element("table").classes(f"l4-table l4-titled {kind}")
        shown.props["aria-label"] = label
    with shown:
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                Words("th", column).props('scope="col"')
        body = ui.element("tbody")
    add_rows(body, columns, rows)
    return body


def add_rows(body: ui.element, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Add rows to the body of a ``table``."""
    with body:
        for row in rows:
            with ui.element("tr"):
                for title, content in zip(columns, row, strict=True):
                    if isinstance(content, str):
                        cell: ui.element = Words("td", content)
                    else:
                        with ui.element("td") as cell:
                            content()
                    cell.props["data-title"] = title


async def confirm(title: str, *sentences: str, yes: str = "Delete", no: str = "Keep") -> bool:
    """Ask a question in a dialog; whether the visitor said yes."""
    with ui.dialog() as dialog, ui.card():
        dialog.props["aria-label"] = title
        Words("h2", title)
        for words in sentences:
            Words("p", words)
        with ui.row():
            ui.button(yes, on_click=lambda: dialog.submit(True)).props(PRIMARY)
            ui.button(no, on_click=lambda: dialog.submit(False)).props("flat no-caps")
    agreed = bool(await dialog)
    # What follows may clear the place that holds the dialog: it goes first.
    dialog.delete()
    return agreed


def warn(error: LLM4TOPError) -> None:
    """Show an error as a notification."""
    ui.notify(str(error), type="warning", multi_line=True)


def progress_bar(label: str = "Progress") -> ui.linear_progress:
    """A bar without a number; its name is for screen readers."""
    made = ui.linear_progress(0, show_value=False, size="6px").props("instant-feedback")
    made.props["aria-label"] = label
    return made


def pager(pages: int, page: int, on_turn: Callable[[int], Awaitable[None]]) -> None:
    """Buttons that turn to another page of a list; none where there is only one."""
    if pages <= 1:
        return

    async def turn(event: object) -> None:
        await on_turn(int(getattr(event, "value", 1)))

    made = ui.pagination(1, pages, value=page, on_change=turn)
    made.props('direction-links boundary-numbers max-pages="7"')


def text_field(label: str, value: str = "", *, longest: int = 120) -> ui.input:
    """A field for one line of text."""
    made = ui.input(label, value=value).props(f"outlined dense maxlength={longest}")
    return made.classes("l4-field")


def download_button(label: str, content: Callable[[], bytes], file: str) -> ui.button:
    """A button that downloads a small CSV file; ``content`` makes it."""
    return ui.button(
        label,
        icon="download",
        on_click=lambda: ui.download.content(content(), file, "text/csv"),
    ).props("flat dense no-caps")


def empty(purpose: str, step: str, target: str) -> None:
    """An empty page: its purpose, and a link to the next step."""
    with ui.element("div").classes("l4-empty"):
        Words("p", purpose)
        ui.link(step, target)


def error_box(error: LLM4TOPError) -> None:
    """An error as a box: what happened, where, what to do."""
    with ui.element("div").classes("l4-box l4-warn").props('role="alert"'):
        where = f"{error.where}: " if error.where else ""
        Words("div", f"{where}{error.message}").classes("l4-what")
        if error.hint:
            Words("div", error.hint)


def drawing(svg: str) -> ui.html:
    """A figure drawn by this package, which escapes the texts in it."""
    return ui.html(svg, sanitize=False).classes("l4-drawing")


def copy_button(text: str, label: str) -> None:
    """A button that copies ``text`` and then says "Copied"."""
    button = ui.button("Copy").props("flat dense no-caps")
    button.props["aria-label"] = label
    button.props["data-copy"] = text
    button.on(
        "click", js_handler="(e) => navigator.clipboard?.writeText(e.currentTarget.dataset.copy)"
    )
    button.on_click(lambda: button.set_text("Copied"))


def choice(
    label: str,
    options: Mapping[str, str],
    value: str,
    on_change: Callable[[str], Awaitable[None] | None],
) -> ui.select:
    """A labelled select of one value."""

    async def changed(event: object) -> None:
        answer = on_change(str(getattr(event, "value", "")))
        if answer is not None:
            await answer

    made = ui.select(dict(options), value=value, label=label, on_change=changed)
    made.props("outlined dense options-dense").classes("l4-choice")
    return made
