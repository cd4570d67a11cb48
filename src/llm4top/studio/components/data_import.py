"""The form that imports a data set: name, question, split, and the files to drop."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import ConfigError, LLM4TOPError, UploadError
from llm4top.studio.components import elements
from llm4top.studio.components.drop_zone import drop_zone, stored_files
from llm4top.studio.components.run_panel import watch_run
from llm4top.studio.context import StudioContext
from llm4top.text import counted
from llm4top.workspace.jobs.intake import queue_ingest
from llm4top.workspace.run_states import Run

MAX_FILES = 1000
MAX_BYTES = 4_000_000_000

QUESTIONS = {
    "outcome": "Will it succeed?",
    "completion": "Will it be completed?",
    "why-it-fails": "If it fails, why?",
    "duration": "How long will it last?",
    "enrolment": "How much of its planned enrolment will it reach?",
    "dropout": "How many will drop out?",
    "serious-adverse-events": "How many will have a serious adverse event?",
    "mortality": "How many will die?",
}

SPLITS = {
    "": "The source's own, else by date",
    "own": "TOP's own",
    "time": "By start date",
    "random": "At random",
}
_EXPLAINED = {
    "": "TOP's files keep their own split. Registry records have none: the oldest 80\u00a0% are "
    "used for training, the next 10\u00a0% for validation, the newest 10\u00a0% for testing.",
    "own": "Each trial stays in the split that TOP's files give.",
    "time": "Trains on older trials and evaluates on newer ones, as in real use. Without dates: "
    "80, 10 and 10\u00a0% of the trials.",
    "random": "80, 10 and 10\u00a0% of the trials, whatever their year. The metrics are then too "
    "optimistic: the model is evaluated on the same years that it was trained on.",
}


class SplitChoice:
    """A select of the split with its explanation and the fields that it needs."""

    def __init__(self) -> None:
        self._rule = ""
        with ui.element("div").classes("l4-controls"):
            elements.choice("Split", SPLITS, "", self._choose)
            self._train = elements.text_field(
                "Train on trials before (2010 or 2010-06-30)", longest=20
            )
            self._valid = elements.text_field(
                "Validate on those before; test on later ones", longest=20
            )
            self._seed = elements.text_field("Seed", "0", longest=20)
        self._explained = elements.muted("")
        self._choose("")

    def settings(self) -> dict[str, Any]:
        """The setting ``split`` of the run; ``{}`` for the default. Raises ``UploadError``."""
        return split_settings(
            self._rule,
            train_before=str(self._train.value or ""),
            valid_before=str(self._valid.value or ""),
            seed=str(self._seed.value or ""),
        )

    def _choose(self, rule: str) -> None:
        self._rule = rule
        self._explained.set_text(_EXPLAINED[rule])
        for field in (self._train, self._valid):
            field.set_visibility(rule == "time")
        self._seed.set_visibility(rule == "random")


def split_settings(
    rule: str, *, train_before: str = "", valid_before: str = "", seed: str = ""
) -> dict[str, Any]:
    """The setting ``split`` of an ingest run; ``{}`` for the default split.

    Raises ``UploadError`` for fields that contradict each other. Dates are checked with the other
    settings.
    """
    if not rule:
        return {}
    made: dict[str, Any] = {"rule": rule}
    if rule == "time":
        train, valid = train_before.strip(), valid_before.strip()
        if valid and not train:
            raise UploadError(
                "the date before which to train is missing.",
                where="Split",
                hint="Enter both dates, or only the first.",
            )
        made |= {"valid_from": train} if train else {}
        made |= {"test_from": valid} if valid else {}
    if rule == "random" and seed.strip():
        if not seed.strip().isdecimal():
            raise UploadError("the seed is not a whole number.", where="Split", hint="Such as 0.")
        made["seed"] = int(seed.strip())
    return {"split": made}


class ImportForm:
    """The form of one visitor: a name and files make a data set; the rest has defaults."""

    def __init__(self, context: StudioContext, on_done: Callable[[Run], Awaitable[None]]):
        self._context = context
        self._who = context.who()
        self._on_done = on_done
        self._question = "outcome"
        self._busy = False
        with ui.element("div").classes("l4-controls"):
            self._name = elements.text_field("Name", "Trials")
            elements.choice(
                "Question", QUESTIONS, self._question, lambda v: setattr(self, "_question", v)
            )
            self._column = elements.text_field("Column of the labels", "label")
        with ui.element("div").classes("l4-intake"):
            drop_zone(
                "Drop all files of one data set: TOP's CSV files or a zip of them, or "
                "ClinicalTrials.gov records (XML, JSON, zip) with a CSV of labels",
                label="Choose the files of a data set",
                max_bytes=MAX_BYTES,
                max_files=MAX_FILES,
                on_files=self._take,
                accept=".xml,.json,.zip,.csv,.yaml,.yml",
            )
        elements.muted(
            "A CSV of labels has a column nctid and a column of labels. “Will it be completed?” "
            "needs no labels: the answer is in the record. For your own question, add its task "
            "file (YAML) and the labels."
        )
        with (
            elements.folded("How to split the trials", ""),
            ui.element("div").classes("l4-stack l4-more"),
        ):
            self._split = SplitChoice()
        self._status = ui.element("div")

    def _settings(self) -> dict[str, Any]:
        return {
            "name": str(self._name.value or "").strip() or "Trials",
            "task": self._question,
            "label_column": str(self._column.value or "").strip() or "label",
            **self._split.settings(),
        }

    async def _take(self, uploads: Sequence[FileUpload]) -> None:
        if self._busy:
            ui.notify("Files are being imported. Please wait.", type="warning")
            return
        self._busy = True
        self._status.clear()
        with self._status:
            elements.Words("p", f"Importing {counted(len(uploads), 'file')} …").props(
                'role="status"'
            )
        run: Run | None = None
        fault: LLM4TOPError | None = None
        try:
            settings = self._settings()
            async with stored_files(uploads) as files:
                run = await elements.in_thread(
                    queue_ingest, self._context.workspace, files, settings, self._who
                )
        except LLM4TOPError as error:
            fault = error
        self._busy = False
        self._status.clear()
        with self._status:
            if fault is not None:
                if isinstance(fault, ConfigError):  # its faults name the fields
                    fault = UploadError(" ".join(fault.faults))
                elements.error_box(fault)
            elif run is not None:
                watch_run(self._context, run, self._on_done, home="/data")
