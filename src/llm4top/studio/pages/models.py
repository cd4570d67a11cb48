"""Models: the bundles of the workspace, their cards, and how they compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nicegui import app as pages_app
from nicegui import run as background
from nicegui import ui
from starlette.responses import Response

from llm4top.errors import LLM4TOPError
from llm4top.studio.components import bundle_facts as told
from llm4top.studio.components.bundle_facts import card
from llm4top.studio.components.bundle_import import import_button, packed
from llm4top.studio.components.elements import (
    Words,
    choice,
    error_box,
    facts,
    heading,
    section,
    things,
    titled_table,
)
from llm4top.studio.components.make_default import make_default
from llm4top.studio.components.start_run import (
    SPLITS,
    dataset_names,
    say_there_is_no_data,
    start_run,
)
from llm4top.studio.frame import page

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.verify import VerifyReport
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.bundles import WorkspaceBundle

CARD_FILE = "MODEL_CARD.md"


def register(context: StudioContext) -> None:
    """Join the frame: the list, and a page for each model."""
    style = (files("llm4top.studio") / "assets" / "models.css").read_text("utf-8")
    ui.add_head_html(f"<style>{style}</style>", shared=True)

    @page(context, "/models", "Models", icon="category", order=40)
    async def models() -> None:
        await ui.context.client.connected()
        await ModelsPage(context).show()

    @page(
        context,
        "/models/{bundle_id}",
        "Model",
        where="nowhere",
        section="/models",
        exists=context.workspace.bundles.get,
    )
    async def model(bundle_id: str) -> None:
        await ui.context.client.connected()
        bundle = await background.io_bound(context.workspace.bundles.get, bundle_id)
        if bundle is not None:
            await ModelPage(context, bundle).show()

    @pages_app.get("/models/{bundle_id}/export", include_in_schema=False)
    def export(bundle_id: str) -> Response:
        return packed(context.workspace, bundle_id, "/models")


class ModelsPage:
    """The list of one visitor, and which models are ticked."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._ticked: dict[str, WorkspaceBundle] = {}
        Words(
            "p",
            "Models you can forecast with. Figures are those on each model's card; to compare "
            "models on the same trials, select them and choose a data set.",
        ).classes("l4-muted")
        self._list = ui.element("div").classes("l4-stack")
        self._compare = section("Compare")
        with section("Import"):
            Words("p", "A bundle that was exported here or on another machine, as a zip file.")
            import_button(context, self.show)

    async def show(self) -> None:
        """Draw the list anew; nothing is ticked then."""
        workspace = self._context.workspace
        bundles = await background.io_bound(workspace.bundles.list)
        datasets = await background.io_bound(dataset_names, workspace)
        self._ticked = {}
        self._list.clear()
        with self._list:
            self._table(bundles or ())
        self._compare.clear()
        with self._compare:
            heading("Compare")
            if datasets:
                self._form(datasets)
            else:
                say_there_is_no_data(self._context)

    def _table(self, bundles: Sequence[WorkspaceBundle]) -> None:
        with ui.element("div").classes("l4-scroll"):
            table = ui.element("table").classes("l4-table l4-titled l4-models")
        table.props["aria-label"] = "Models"
        with table:
            with ui.element("thead"), ui.element("tr"):
                for column in told.COLUMNS:
                    Words("th", column).props('scope="col"')
            with ui.element("tbody"):
                for bundle in bundles:
                    self._row(bundle)

    def _row(self, bundle: WorkspaceBundle) -> None:
        name, *rest = told.overview(bundle)
        with ui.element("tr"):
            with ui.element("td"), ui.element("div").classes("l4-named"):
                tick = ui.checkbox(on_change=lambda event: self._tick(bundle, bool(event.value)))
                tick.props["aria-label"] = f"Compare {name}"
                tick.props("dense")
                with ui.element("div"):
                    ui.link(name, f"/models/{bundle.id}")
                    if bundle.is_default:
                        Words("div", "Default model").classes("l4-muted l4-small")
            for title, text in zip(told.COLUMNS[1:], rest, strict=True):
                Words("td", text).props["data-title"] = title

    def _tick(self, bundle: WorkspaceBundle, chosen: bool) -> None:
        if chosen:
            self._ticked[bundle.id] = bundle
        else:
            self._ticked.pop(bundle.id, None)
        if hasattr(self, "_button"):
            self._said()

    def _form(self, datasets: dict[str, str]) -> None:
        self._settings = {"dataset": next(iter(datasets)), "split": "valid"}
        Words(
            "p",
            "A table with intervals and paired differences, ROC, precision-recall and "
            "reliability, on the same rows. Simple baselines are measured beside the models.",
        )
        with ui.element("div").classes("l4-controls"):
            first = self._settings["dataset"]
            choice("Data set", datasets, first, lambda v: self._settings.update(dataset=v))
            choice("Rows", SPLITS, "valid", lambda v: self._settings.update(split=v))
            self._button = ui.button("Compare", on_click=self._start)
            self._button.props("unelevated no-caps text-color=on-accent")
        self._faults = ui.element("div")
        self._said()

    def _said(self) -> None:
        n = len(self._ticked)
        self._button.set_text(
            "Select a model" if not n else "Evaluate it" if n == 1 else f"Compare {n} models"
        )
        self._button.set_enabled(n > 0)

    async def _start(self) -> None:
        names = " and ".join(told.display_name(bundle) for bundle in self._ticked.values())
        if len(self._ticked) > 3:
            names = things(len(self._ticked), "model")
        title = f"Evaluation of {names}" if len(self._ticked) == 1 else f"Comparison of {names}"
        settings: dict[str, Any] = {**self._settings, "models": list(self._ticked)}
        await start_run(self._context, "evaluate", settings, title, self._faults)


class ModelPage:
    """One model: its card, its figures, and what can be done with it."""

    def __init__(self, context: StudioContext, bundle: WorkspaceBundle):
        self._context = context
        self._bundles = context.workspace.bundles
        self._bundle = bundle
        self._name = told.display_name(bundle)

    async def show(self) -> None:
        """Draw all of it."""
        text = await background.io_bound(self._card_text)
        ui.link("All models", "/models")
        heading(self._name)
        self._default = Words("p", "").classes("l4-muted")
        with ui.element("div").classes("l4-controls"):
            self._make_default = self._button("Make it the default", self._set_default)
            self._button("Verify", self._verify)
            export = ui.button("Export", icon="download").props("outline no-caps")
            export.props(f'href="/models/{self._bundle.id}/export"')
            if self._bundle.id != "embedded":
                self._button("Delete", self._ask_to_delete)
        self._found = ui.element("div").props('role="status"')
        self._say_default(self._bundle.is_default)
        facts(told.identity_facts(self._bundle))
        for title, note, columns, rows in told.measured_tables(self._bundle):
            with section(title):
                titled_table(columns, rows, label=title)
                if note:
                    Words("p", note).classes("l4-muted")
        if text:
            # Its figures are those above: folded, they do not stand here twice.
            with ui.element("details"):
                Words("summary", "The whole model card")
                card(text)

    def _card_text(self) -> str:
        file = self._bundles.folder(self._bundle.id) / CARD_FILE
        return file.read_text("utf-8", "replace") if file.is_file() else ""

    def _button(self, verb: str, act: Callable[[], object]) -> ui.button:
        return ui.button(verb, on_click=act).props("outline no-caps")

    def _say_default(self, is_default: bool) -> None:
        self._default.set_text(
            "Default model: used unless you choose another." if is_default else ""
        )
        self._make_default.set_visibility(not is_default)

    async def _set_default(self) -> None:
        if await make_default(self._context, self._bundle.id):
            self._say_default(is_default=True)

    async def _verify(self) -> None:
        who = self._context.who()

        def work() -> VerifyReport:
            report = self._bundles.verify(self._bundle.id)
            self._log("verified" if report.ok else "found damaged", who)
            return report

        self._found.clear()
        try:
            report = await background.io_bound(work)
        except LLM4TOPError as error:
            with self._found:
                error_box(error)
            return
        if report is not None:
            with self._found:
                _show_verified(report)

    def _ask_to_delete(self) -> None:
        with ui.dialog(value=True) as dialog, ui.card():
            dialog.props["aria-label"] = "Delete this model?"
            Words("p", f"Delete {self._name} and its files for good? Forecasts made with it stay.")
            with ui.row():
                ui.button("Delete", on_click=self._delete).props("outline no-caps")
                ui.button("Keep it", on_click=dialog.close).props("flat no-caps")

    async def _delete(self) -> None:
        who = self._context.who()

        def work() -> None:
            self._bundles.delete(self._bundle.id)
            self._log("deleted", who)

        await background.io_bound(work)
        ui.navigate.to("/models")

    def _log(self, action: str, who: str) -> None:
        self._context.workspace.activity.log(action, who, self._name, subject=self._bundle.id)


def _show_verified(report: VerifyReport) -> None:
    if report.ok:
        count = things(len(report.files), "file")
        Words("p", f"Verified: all {count} are there, byte for byte as the manifest says.")
        return
    with ui.element("div").classes("l4-box l4-warn").props('role="alert"'):
        Words("div", "Damaged: do not forecast with this bundle.").classes("l4-what")
        for check in report.problems:
            Words("div", f"{check.name}: {check.problem}")
