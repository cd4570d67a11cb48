"""The base rate that forecasts are adapted to: that of the training trials, or another one."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components import elements
from llm4top.tasks.task import Task
from llm4top.workspace.workspace import Workspace

AS_TRAINED, STATED = "as trained", "stated"
NOTE = (
    "A forecast assumes that trials succeed as often as the model's training trials of the same "
    "phase did. State the share of yours, 56 %, or one for each phase: phase 2=55 %, phase 3=70 %."
)


class BaseRateField:
    """A choice of base rate, and a field for the shares where it is another one.

    Attributes:
        text: The shares to adapt to, as ``target_rates`` reads them; None for those of training.
        fault: What is wrong with the shares in the field; empty where they can be used.
    """

    def __init__(
        self,
        workspace: Workspace,
        task: Callable[[], Task],
        on_change: Callable[[], Awaitable[None]],
    ):
        self.text: str | None = None
        self.fault = ""
        self._workspace = workspace
        self._task = task
        self._on_change = on_change
        self._choice = elements.choice("Base rate", self._options(), AS_TRAINED, self._choose)

    def field(self) -> None:
        """Draw the field for the shares, which is hidden until it is needed."""
        with ui.element("div").classes("l4-base-rate") as self._more:
            self._shares = elements.text_field("Share of trials that succeed", longest=500)
            self._shares.on("keydown.enter", self._use).on("blur", self._use)
            self._shares.props["placeholder"] = "56 %"
            elements.muted(NOTE)
        self._more.set_visibility(False)

    async def renew(self) -> None:
        """Offer the base rates for another question, and choose that of training."""
        self._choice.set_options(self._options(), value=AS_TRAINED)

    def _options(self) -> dict[str, str]:
        """The choices: data sets that answer the question are there to measure a share on."""
        task, options = self._task(), {AS_TRAINED: "As in training", STATED: "Another share"}
        alike = [d for d in self._workspace.datasets.list() if d.task == task.name]
        return options | {d.id: f"As in {d.name}" for d in alike}

    async def _choose(self, chosen: str) -> None:
        self._more.set_visibility(chosen != AS_TRAINED)
        if chosen == AS_TRAINED:
            self._shares.set_value("")
            await self._use()
        elif chosen == STATED:
            self._shares.run_method("focus")
        else:
            await self._measure(chosen)

    async def _measure(self, dataset_id: str) -> None:
        """Show the shares of a data set in the field, where they can be changed."""
        from llm4top.forecasters.base_rate_shift import target_rates

        def measured() -> str:
            return target_rates(self._workspace.datasets.load(dataset_id), self._task()).text

        try:
            text = await elements.in_thread(measured)
        except LLM4TOPError as error:
            elements.warn(error)
            return
        if text is not None:
            self._shares.set_value(text)
            await self._use()

    async def _use(self) -> None:
        """Take what the field holds; where it is wrong, say so and change nothing."""
        from llm4top.forecasters.base_rate_shift import target_rates

        given, self.fault = str(self._shares.value or "").strip(), ""
        if given:
            try:
                given = target_rates(given, self._task(), files=False).text
            except LLM4TOPError as error:
                self.fault = f"{error.message} {error.hint}"
        self._shares.error = self.fault or None
        if not self.fault:
            await self._set(given or None)

    async def _set(self, text: str | None) -> None:
        if text != self.text:
            self.text = text
            await self._on_change()
