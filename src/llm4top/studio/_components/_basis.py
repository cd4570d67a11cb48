"""What a forecast rests on: the model, what it learnt from, and how it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm4top.studio._components._parts import titled_table
from llm4top.studio._pieces import Words, facts, section
from llm4top.workspace._answers import SUCCESS
from llm4top.workspace._words import percent, thousands

if TYPE_CHECKING:
    from llm4top.forecasters import Evaluation, Manifest

SHOWN = (("roc_auc", "ROC-AUC"), ("brier", "Brier score"), ("log_loss", "Log loss"))
"""Metrics of a model's card that are shown, by their name there."""


def basis(manifest: Manifest, phase: str | None) -> None:
    """The model's card in short; the forecasters it was measured beside stand in one table."""
    with section("Model"):
        facts(_facts(manifest, phase))
        for evaluation in manifest.evaluations:
            _figures(evaluation)
        if manifest.licence:
            Words("p", manifest.licence).classes("l4-small l4-muted")
        Words("p", manifest.context_of_use).classes("l4-small l4-muted")


def _facts(manifest: Manifest, phase: str | None) -> list[tuple[str, str]]:
    said = [
        ("Model", f"{manifest.name}, made on {manifest.created}"),
        ("Base model", manifest.base.id),
        ("Question", manifest.task.question),
    ]
    if manifest.data is not None:
        n = manifest.data.counts.get("train", 0)
        said.append(("Learnt from", f"{thousands(n)} trials of “{manifest.data.name}”"))
    rate = manifest.base_rates.get(phase or "all")
    if rate is not None and manifest.task.kind == "binary":
        where = f"{phase} trials" if phase else "trials of all phases"
        event = manifest.task.labels[1]
        went = "succeeded" if event == SUCCESS else f"were “{event}”"
        said.append(
            ("Of this phase", f"{thousands(rate.n)} {where}, {percent(rate.shares[1])} {went}")
        )
    elif phase:
        said.append(("Of this phase", "none, or too few to count"))
    methods = {
        "venn-abers": "Venn-Abers, with an interval",
        "platt": "Platt",
        "none": "none: the model's own probability",
    }
    said.append(("Calibration", methods[manifest.calibration]))
    return said


def _figures(evaluation: Evaluation) -> None:
    split = {"valid": "validation", "test": "test"}.get(evaluation.split, evaluation.split)
    Words("p", f"Measured on {thousands(evaluation.n)} {split} trials; 95 % intervals in brackets.")
    rows = []
    for forecaster, figures in evaluation.forecasters.items():
        cells = [forecaster]
        for name, _ in SHOWN:
            figure = figures.get(name)
            if figure is None or figure.value is None:
                cells.append("not measured")
            elif figure.lower is None or figure.upper is None:
                cells.append(f"{figure.value:.3f}")
            else:
                cells.append(f"{figure.value:.3f} ({figure.lower:.3f} to {figure.upper:.3f})")
        rows.append(cells)
    columns = ("Forecaster", *(title for _, title in SHOWN))
    titled_table(columns, rows, label=f"Figures on {split} trials")
    if evaluation.note:
        Words("p", evaluation.note).classes("l4-small l4-muted")
