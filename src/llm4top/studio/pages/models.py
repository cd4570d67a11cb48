"""Models: the bundles of the workspace, their cards, and how they compare."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nicegui import app as pages_app
from nicegui import ui
from starlette.responses import Response

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.bundles.paths import EMBEDDED_NAME, is_embedded
from llm4top.forecasters.bundles.verify import VerifyReport
from llm4top.studio.components import bundle_facts, elements
from llm4top.studio.components.bundle_facts import card, make_default
from llm4top.studio.components.bundle_import import import_button, packed
from llm4top.studio.components.run_panel import SPLITS, dataset_names, no_data_yet, start_run
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.text import counted
from llm4top.workspace.bundles import WorkspaceBundle

CARD_FILE = "MODEL_CARD.md"


def register(context: StudioContext) -> None:
    """Add the list of models, and a page for each."""

    @page(context, "/models", "Models", icon="category", order=40)
    async def models() -> None:
        await elements.connected()
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
        await elements.connected()
        bundle = await elements.in_thread(context.workspace.bundles.get, bundle_id)
        if bundle is not None:
            await ModelPage(context, bundle).show()

    @pages_app.get("/models/{bundle_id}/export", include_in_schema=False)
    def export(bundle_id: str) -> Response:
        return packed(context.workspace, bundle_id, "/models")


class ModelsPage:
    """The list of one visitor, and the selected models."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._ticked: dict[str, WorkspaceBundle] = {}
        elements.Words(
            "p",
            "Models you can forecast with. The metrics come from each model's card. To compare "
            "models on the same trials, select them and choose a data set.",
        ).classes("l4-muted")
        self._list = ui.element("div").classes("l4-stack")
        self._compare = elements.section("Compare")
        with elements.section("Import"):
            elements.Words(
                "p", "A bundle that was exported here or on another machine, as a zip file."
            )
            import_button(context, self.show)

    async def show(self) -> None:
        """Draw the list; nothing is selected then."""
        workspace = self._context.workspace
        bundles = await elements.in_thread(workspace.bundles.list)
        datasets = await elements.in_thread(dataset_names, workspace)
        self._ticked = {}
        self._list.clear()
        with self._list:
            self._table(bundles or ())
        self._compare.clear()
        with self._compare:
            elements.heading("Compare")
            if datasets:
                self._form(datasets)
            else:
                no_data_yet()

    def _table(self, bundles: Sequence[WorkspaceBundle]) -> None:
        rows: list[list[elements.Cell]] = []
        for bundle in bundles:
            name, *rest = bundle_facts.overview(bundle)
            rows.append([partial(self._named, bundle, name), *rest])
        elements.table(bundle_facts.COLUMNS, rows, label="Models", kind="l4-models")

    def _named(self, bundle: WorkspaceBundle, name: str) -> None:
        with ui.element("div").classes("l4-named"):
            tick = ui.checkbox(on_change=lambda event: self._tick(bundle, bool(event.value)))
            tick.props["aria-label"] = f"Compare {name}"
            tick.props("dense")
            with ui.element("div"):
                ui.link(name, f"/models/{bundle.id}")
                if bundle.is_default:
                    elements.muted("Default model", "div")

    def _tick(self, bundle: WorkspaceBundle, chosen: bool) -> None:
        if chosen:
            self._ticked[bundle.id] = bundle
        else:
            self._ticked.pop(bundle.id, None)
        if hasattr(self, "_button"):
            self._update_button()

    def _form(self, datasets: dict[str, str]) -> None:
        self._settings = {"dataset": next(iter(datasets)), "split": "valid"}
        elements.Words(
            "p",
            "Evaluates the selected models and simple baselines on the same trials: metrics with "
            "intervals, paired differences, ROC, precision-recall and reliability curves.",
        )
        with ui.element("div").classes("l4-controls"):
            first = self._settings["dataset"]
            elements.choice("Data set", datasets, first, lambda v: self._settings.update(dataset=v))
            elements.choice("Split", SPLITS, "valid", lambda v: self._settings.update(split=v))
            self._button = ui.button("Compare", on_click=self._start)
            self._button.props(elements.PRIMARY)
        self._faults = ui.element("div")
        self._update_button()

    def _update_button(self) -> None:
        n = len(self._ticked)
        self._button.set_text(
            "Select a model" if not n else "Evaluate it" if n == 1 else f"Compare {n} models"
        )
        self._button.set_enabled(n > 0)

    async def _start(self) -> None:
        names = " and ".join(bundle_facts.display_name(bundle) for bundle in self._ticked.values())
        if len(self._ticked) > 3:
            names = counted(len(self._ticked), "model")
        title = f"Evaluation of {names}" if len(self._ticked) == 1 else f"Comparison of {names}"
        settings: dict[str, Any] = {**self._settings, "models": list(self._ticked)}
        await start_run(self._context, "evaluate", settings, title, self._faults)


class ModelPage:
    """One model: its card, its metrics, and actions."""

    def __init__(self, context: StudioContext, bundle: WorkspaceBundle):
        self._context = context
        self._bundles = context.workspace.bundles
        self._bundle = bundle
        self._name = bundle_facts.display_name(bundle)

    async def show(self) -> None:
        """Draw the page."""
        text = await elements.in_thread(self._card_text)
        ui.link("All models", "/models")
        elements.heading(self._name)
        self._default = elements.Words("p", "").classes("l4-muted")
        with ui.element("div").classes("l4-controls"):
            self._make_default = self._button("Make it the default", self._set_default)
            self._button("Verify", self._verify)
            export = ui.button("Export", icon="download").props("outline no-caps")
            export.props(f'href="/models/{self._bundle.id}/export"')
            if not is_embedded(self._bundle.id):
                self._button("Delete", self._ask_to_delete)
        self._found = ui.element("div").props('role="status"')
        self._show_default(self._bundle.is_default)
        elements.facts(bundle_facts.identity_facts(self._bundle))
        bundle_facts.measured_tables(self._bundle.facts)
        if text:
            # Folded: its metrics are shown above already.
            with ui.element("details"):
                elements.Words("summary", "The whole model card")
                card(text)

    def _card_text(self) -> str:
        file = self._bundles.folder(self._bundle.id) / CARD_FILE
        return file.read_text("utf-8", "replace") if file.is_file() else ""

    def _button(self, verb: str, act: Callable[[], object]) -> ui.button:
        return ui.button(verb, on_click=act).props("outline no-caps")

    def _show_default(self, is_default: bool) -> None:
        self._default.set_text(
            "Default model: used unless you choose another." if is_default else ""
        )
        fits = self._bundle.id == EMBEDDED_NAME or not is_embedded(self._bundle.id)
        self._make_default.set_visibility(fits and not is_default)

    async def _set_default(self) -> None:
        if await make_default(self._context, self._bundle.id):
            self._show_default(is_default=True)

    async def _verify(self) -> None:
        who = self._context.who()

        def work() -> VerifyReport:
            report = self._bundles.verify(self._bundle.id)
            self._log("verified" if report.ok else "found damaged", who)
            return report

        self._found.clear()
        try:
            report = await elements.in_thread(work)
        except LLM4TOPError as error:
            with self._found:
                elements.error_box(error)
            return
        if report is not None:
            with self._found:
                _show_verified(report)

    async def _ask_to_delete(self) -> None:
        lost = "Its files are removed. This cannot be undone. Its forecasts are kept."
        if not await elements.confirm(f"Delete {self._name}?", lost):
            return
        who = self._context.who()

        def delete() -> None:
            self._bundles.delete(self._bundle.id)
            self._log("deleted", who)

        await elements.in_thread(delete)
        ui.navigate.to("/models")

    def _log(self, action: str, who: str) -> None:
        self._context.workspace.activity.log(action, who, self._name, subject=self._bundle.id)


def _show_verified(report: VerifyReport) -> None:
    if report.ok:
        count = counted(len(report.files), "file")
        elements.Words("p", f"Verified: all {count} match the manifest byte for byte.")
        return
    with ui.element("div").classes("l4-box l4-warn").props('role="alert"'):
        elements.Words("div", "Damaged: do not use this bundle.").classes("l4-what")
        for check in report.problems:
            elements.Words("div", f"{check.name}: {check.problem}")
