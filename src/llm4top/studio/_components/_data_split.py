"""The choice of a split: which trials are learnt from, and which are kept to check with."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from llm4top.errors import UploadError
from llm4top.studio._components._parts import choice
from llm4top.studio._pieces import Words

SPLITS = {
    "": "The source's own, else by date",
    "own": "TOP's own",
    "time": "By start date",
    "random": "At random",
}
_SAID = {
    "": "TOP's files keep the split they came with. Registry records bring none: the oldest "
    "80\u00a0% are learnt from, the next 10\u00a0% validate, the newest 10\u00a0% test.",
    "own": "Each trial stays in the part that TOP's files put it in.",
    "time": "Learns from the older trials and is checked on the newer, as in use. Without dates: "
    "80, 10 and 10\u00a0% of the trials.",
    "random": "80, 10 and 10\u00a0% of the trials, whatever their year. Figures are optimistic: "
    "the model is checked on the years it has learnt from.",
}


class SplitChoice:
    """A select with what the choice means, and the fields that it needs."""

    def __init__(self) -> None:
        self._rule = ""
        with ui.element("div").classes("l4-controls"):
            choice("Split", SPLITS, "", self._choose)
            self._learn = _field("Learn from trials before (2010 or 2010-06-30)")
            self._validate = _field("Validate on those before; later ones test")
            self._seed = _field("Seed", value="0")
        self._said = Words("p", _SAID[""]).classes("l4-small l4-muted")
        self._choose("")

    def settings(self) -> dict[str, Any]:
        """What the run is asked: ``{}`` for the usual split. Raises ``UploadError``."""
        return split_settings(
            self._rule,
            learn_until=str(self._learn.value or ""),
            validate_until=str(self._validate.value or ""),
            seed=str(self._seed.value or ""),
        )

    def _choose(self, rule: str) -> None:
        self._rule = rule
        self._said.set_text(_SAID[rule])
        for field in (self._learn, self._validate):
            field.set_visibility(rule == "time")
        self._seed.set_visibility(rule == "random")


def split_settings(
    rule: str, *, learn_until: str = "", validate_until: str = "", seed: str = ""
) -> dict[str, Any]:
    """The setting ``split`` of an ingest run, as it was chosen; ``{}`` for the usual split.

    Raises ``UploadError`` for fields that contradict each other. Dates are checked with the rest
    of the settings.
    """
    if not rule:
        return {}
    made: dict[str, Any] = {"rule": rule}
    if rule == "time":
        learn, validate = learn_until.strip(), validate_until.strip()
        if validate and not learn:
            raise UploadError(
                "the trials to validate on begin nowhere.",
                where="Split",
                hint="Say too before which date to learn.",
            )
        if learn:
            made["valid_from"] = learn
        if validate:
            made["test_from"] = validate
    if rule == "random" and seed.strip():
        if not seed.strip().isdecimal():
            raise UploadError("the seed is a whole number.", where="Split", hint="Such as 0.")
        made["seed"] = int(seed.strip())
    return {"split": made}


def _field(label: str, value: str = "") -> ui.input:
    return ui.input(label, value=value).props("outlined dense maxlength=20").classes("l4-field")
