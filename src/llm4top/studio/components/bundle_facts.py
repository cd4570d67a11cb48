"""A model in words, the choice among models, and making one the default.

``facts`` are a bundle's manifest without its list of files, as ``WorkspaceBundle`` has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from markdown_it import MarkdownIt
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.bundles.paths import EMBEDDED_NAME, is_embedded
from llm4top.studio.components.elements import confirm, heading, in_thread, muted, table, warn
from llm4top.studio.context import StudioContext
from llm4top.tasks.task import Task
from llm4top.text import counted, percent, thousands
from llm4top.workspace.bundles import WorkspaceBundle
from llm4top.workspace.views.baseline_comparison import (
    Standing,
    beside_default,
    on_validation,
    own_figures,
)
from llm4top.workspace.views.label_bars import SUCCESS
from llm4top.workspace.views.skill import NOT_MEASURED, SPLITS, with_interval
from llm4top.workspace.workspace import Workspace

LONGEST = 100_000
"""Characters of a card that are shown."""

_DEEPER = 2
"""Levels by which its headings move down: the page has the first two."""


def card(text: str) -> None:
    """Show a model card: headings, lists, tables and emphasis; everything else as plain text."""
    ui.html(card_html(text), sanitize=False).classes("l4-card")


def card_html(text: str) -> str:
    """A model card as HTML without links, images or raw HTML, which stay text.

    So a card from a stranger cannot make the reader's browser send a request.
    """
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}\n\n(The rest is not shown.)"
    markdown = _markdown()
    tokens = markdown.parse(shown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + _DEEPER, 6)}"
    return str(markdown.renderer.render(tokens, markdown.options, {}))


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    return made.disable(["image", "link", "autolink", "reference", "html_block", "html_inline"])


COLUMNS = (
    "Name",
    "Question",
    "Based on",
    "Training trials",
    "ROC-AUC, validation",
    "Brier skill",
    "Created",
)
METRICS = {"roc_auc": "ROC-AUC", "log_loss": "Log-loss", "brier": "Brier score", "f1": "F1 at .5"}
"""Metrics with a name of their own; others are shown by their key."""

_KINDS = {"language": "language model", "baseline": "baseline", "blend": "blend"}
_REFERENCE = "base rate of the phase"


def display_name(bundle: WorkspaceBundle) -> str:
    """The name of a bundle on the pages."""
    if is_embedded(bundle.id):
        return "Embedded default" if bundle.id == EMBEDDED_NAME else f"Embedded, {bundle.task}"
    return bundle.name


def overview(bundle: WorkspaceBundle) -> tuple[str, ...]:
    """One cell for each of ``COLUMNS``."""
    facts = bundle.facts
    measured = on_validation(facts)
    n = _trained_on(facts)
    trials = [counted(n, "trial") if n is not None else "not stated", _phases(facts)]
    return (
        display_name(bundle),
        question_of(facts),
        str(facts["model"]),
        ", ".join(filter(None, trials)),
        with_interval(own_figures(measured).get("roc_auc")),
        _skill(measured),
        str(facts["created"]),
    )


def question_of(facts: Mapping[str, Any]) -> str:
    """The question that a model answers."""
    return str(facts["task"]["question"])


def identity_facts(bundle: WorkspaceBundle) -> list[tuple[str, str]]:
    """The model's kind, training data and permitted use."""
    facts = bundle.facts
    data, language = _data(facts), facts["language"]
    counts = ", ".join(
        f"{thousands(n)} {SPLITS.get(split, split)}" for split, n in data.get("counts", {}).items()
    )
    name = str(data.get("name") or "not stated")
    return [
        ("Question", question_of(facts)),
        ("Kind", _KINDS[facts["kind"]]),
        ("Based on", str(facts["model"])),
        *([("Tuning", str(language["tuning"]["method"]))] if language else []),
        ("Calibration", str(facts.get("calibration") or "none")),
        *([("Protocol", protocol)] if (protocol := protocol_of(facts)) else []),
        ("Data", f"{name}: {counts}" if counts else name),
        ("Phases", _phases(facts) or "not stated"),
        ("Created", str(facts["created"])),
        ("Context of use", str(facts["context_of_use"])),
        ("Licence", str(facts.get("licence") or "not stated")),
        ("Licence of the data", str(data.get("licence") or "not stated")),
        ("Bundle identity", bundle.identity),
    ]


def protocol_of(facts: Mapping[str, Any]) -> str:
    """Which rows the model learned from and was calibrated on, where these are all; else empty."""
    fit = facts.get("final_fit")
    if not fit:
        return ""
    text = f"fitted on all {thousands(fit['trials'])} training and validation trials"
    if fit["folds"]:
        text += f", calibrated on out-of-fold predictions of them ({fit['folds']} folds)"
    return text


def basis_facts(facts: Mapping[str, Any], phase: str | None) -> list[tuple[str, str]]:
    """What a forecast rests on: the model, its training data, its calibration."""
    data, task = _data(facts), facts["task"]
    rows = [
        ("Model", f"{facts['name']}, created on {facts['created']}"),
        ("Based on", str(facts["model"])),
        ("Question", question_of(facts)),
    ]
    if data:
        n = _trained_on(facts) or 0
        rows.append(("Trained on", f"{counted(n, 'trial')} of “{data['name']}”"))
    rate = facts.get("base_rates", {}).get(phase or "all")
    if rate is not None and task["kind"] == "binary":
        where = f"{phase} trials" if phase else "trials of all phases"
        event = task["labels"][1]
        share = percent(rate["shares"][1]) + ("" if event == SUCCESS else f" “{event}”")
        rows.append(("Base rate", f"{share}, from {thousands(rate['n'])} {where}"))
    elif phase:
        rows.append(("Base rate", "that of all phases: this phase has too few trials"))
    methods = {
        "venn-abers": "Venn-Abers, with an interval",
        "platt": "Platt",
        "none": "none: the model's own probability",
    }
    return [*rows, ("Calibration", methods[facts["calibration"]])]


def measured_tables(facts: Mapping[str, Any]) -> None:
    """The metrics on a model's card, a table for each evaluation."""
    for evaluation in facts.get("evaluations", ()):
        forecasters = evaluation["forecasters"]
        keys = list(dict.fromkeys(m for figures in forecasters.values() for m in figures))
        rows = [
            [name, *(with_interval(figures.get(key)) for key in keys)]
            for name, figures in forecasters.items()
        ]
        split = SPLITS.get(evaluation["split"], evaluation["split"])
        title = f"Evaluated on {thousands(evaluation['n'])} {split} trials"
        notes = ["95\u00a0% intervals in brackets.", evaluation.get("note")]
        with ui.element("div").classes("l4-section"):
            heading(title, level=3)
            table(["Model", *(METRICS.get(key, key) for key in keys)], rows, label=title)
            muted(" ".join(filter(None, notes)))


def _trained_on(facts: Mapping[str, Any]) -> int | None:
    """How many trials the model learned from, where that is stated."""
    final = facts.get("final_fit") or {}
    n: int | None = final.get("trials") or _data(facts).get("counts", {}).get("train")
    return n


def _data(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return facts.get("data") or {}


def _skill(forecasters: Mapping[str, Any]) -> str:
    """The share by which the model's Brier score is lower than that of the base rates."""
    own = own_figures(forecasters).get("brier")
    reference = forecasters.get(_REFERENCE, {}).get("brier")
    if not own or not reference or not reference["value"]:
        return NOT_MEASURED
    return f"{1 - own['value'] / reference['value']:.3f}"


def _phases(facts: Mapping[str, Any]) -> str:
    """The phases of the training trials; phase 2/3 counts as both."""
    named = [name for name in facts.get("base_rates", {}) if "Phase " in name]
    plain = sorted(
        {
            part.removeprefix("Early ").removeprefix("Phase ")
            for name in named
            for part in name.split("/")
        }
    )
    if not plain:
        return ""
    return f"phase {plain[0]}" if len(plain) == 1 else f"phases {', '.join(plain)}"


def comparison_of_bundle(context: StudioContext, bundle_id: str) -> Standing:
    """A bundle compared with a bag of words and with the default model. Reads the store."""
    bundles = context.workspace.bundles
    bundle, default = bundles.get(bundle_id), bundles.default()
    if bundle.id == default.id:
        return Standing((), ())
    return beside_default(bundle.facts, default.facts, display_name(default))


async def make_default(context: StudioContext, bundle_id: str) -> bool:
    """Make a model the default and log it; whether it now is. Asks first if it is weaker."""
    who, bundles = context.who(), context.workspace.bundles

    def change() -> str:
        name = display_name(bundles.set_default(bundle_id))
        context.workspace.activity.log("made the default", who, name, subject=bundle_id)
        return name

    try:
        found = await in_thread(comparison_of_bundle, context, bundle_id)
        if found is None or (found.weaker and not await _agreed(found)):
            return False
        name = await in_thread(change)
    except LLM4TOPError as error:
        warn(error)
        return False
    if name is not None:
        ui.notify(f"{name} is now the default model.")
    return name is not None


async def _agreed(found: Standing) -> bool:
    return await confirm(
        "Make this weaker model the default?",
        *found.weaker,
        "The default is used for every forecast unless another model is chosen.",
        yes="Make it the default",
        no="Cancel",
    )


@dataclass(slots=True)
class Models:
    """The bundles of a workspace by id; ``chosen`` is the id of one."""

    workspace: Workspace
    bundles: dict[str, WorkspaceBundle]
    chosen: str

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """All bundles, with the default one chosen."""
        found = workspace.bundles.list()
        chosen = workspace.bundles.default().id
        return cls(workspace, {bundle.id: bundle for bundle in found}, chosen)

    @property
    def names(self) -> dict[str, str]:
        """The names of the models that answer the same question as the chosen one, by id."""
        return {
            bundle_id: display_name(bundle)
            for bundle_id, bundle in self.bundles.items()
            if question_of(bundle.facts) == self.question
        }

    @property
    def names_by_identity(self) -> dict[str, str]:
        """The names of all models, by the identity that forecasts carry."""
        return {bundle.identity: display_name(bundle) for bundle in self.bundles.values()}

    @property
    def questions(self) -> list[str]:
        """The different questions that the models answer."""
        return list(dict.fromkeys(question_of(b.facts) for b in self.bundles.values()))

    @property
    def question(self) -> str:
        """The question that the chosen model answers."""
        return question_of(self.bundles[self.chosen].facts)

    @property
    def task(self) -> Task:
        """The task of the chosen model."""
        return Task.from_dict(self.bundles[self.chosen].facts["task"])

    def choose_question(self, question: str) -> None:
        """Choose a model that answers this question: the default if it does, else the first."""
        fitting = [b for b in self.bundles.values() if question_of(b.facts) == question]
        self.chosen = max(fitting, key=lambda bundle: bundle.is_default).id

    @property
    def place(self) -> str:
        """The chosen model as the forecast service takes it."""
        return self._place(self.chosen)

    def place_of(self, identity: str) -> str | None:
        """The model with that identity as the forecast service takes it; None if it is gone."""
        found = self._find(identity)
        return None if found is None else self._place(found.id)

    def facts_of(self, identity: str) -> Mapping[str, Any] | None:
        """The facts of the model with that identity; None if it is gone."""
        found = self._find(identity)
        return None if found is None else found.facts

    def _find(self, identity: str) -> WorkspaceBundle | None:
        return next((b for b in self.bundles.values() if b.identity == identity), None)

    def _place(self, bundle_id: str) -> str:
        return self.workspace.bundles.place(bundle_id)
