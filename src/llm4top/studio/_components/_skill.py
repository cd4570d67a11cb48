"""How well a model tells trials apart: one line from its card, beside the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm4top.studio._pieces import Words
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.forecasters import Manifest
    from llm4top.forecasters._manifest import Figure

METRIC = "roc_auc"
SIMPLE = "TF-IDF"
"""How the names of the simple text models on a card begin."""


def skill_line(manifest: Manifest) -> None:
    """The model's ROC-AUC with its interval beside that of a bag of words, if it was measured."""
    if said := skill_of(manifest):
        Words("p", said).classes("l4-small l4-skill")


def skill_of(manifest: Manifest) -> str:
    """``skill_line`` in words; empty where nothing was measured."""
    for evaluation in manifest.evaluations:
        named = {
            name: figures[METRIC]
            for name, figures in evaluation.forecasters.items()
            if METRIC in figures and figures[METRIC].value is not None
        }
        if not named:
            continue
        own, *_ = named
        split = {"valid": "validation", "test": "test"}.get(evaluation.split, evaluation.split)
        said = (
            f"How well this model tells trials apart: ROC-AUC {_with_interval(named[own])} on "
            f"{thousands(evaluation.n)} {split} trials (0.5 is guessing, 1 is perfect)"
        )
        simple = next((name for name in named if name.startswith(SIMPLE)), None)
        if simple is None or simple == own:
            return f"{said}."
        beside = f"{said}; a bag of words (TF-IDF) reaches {_with_interval(named[simple])}"
        better = (named[own].value or 0) >= (named[simple].value or 0)
        return f"{beside}." if better else f"{beside}, which is better."
    return ""


def _with_interval(figure: Figure) -> str:
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.lower:.3f} to {figure.upper:.3f})"
