"""How well a model ranks trials, in words, from the figures of its manifest."""

from collections.abc import Mapping
from typing import Any

from llm4top.text import thousands
from llm4top.workspace.views.wording import metric, metric_interval

NOT_MEASURED = "not measured"
SPLITS = {"train": "training", "valid": "validation", "out-of-fold": "learning"}
_BAG_OF_WORDS = "TF-IDF"
"""How the names of simple text models on a card begin."""


def with_interval(figure: Mapping[str, Any] | None) -> str:
    """A metric with three decimals and its interval; "not measured" without a value."""
    if not figure or figure.get("value") is None:
        return NOT_MEASURED
    bounds = metric_interval(figure.get("lower"), figure.get("upper"))
    return f"{metric(figure['value'])} ({bounds})" if bounds else metric(figure["value"])


def skill_of(facts: Mapping[str, Any]) -> str:
    """The model's ROC-AUC and that of a bag of words, in a sentence; empty if not measured."""
    for evaluation in facts.get("evaluations", ()):
        found = {
            name: figures["roc_auc"]
            for name, figures in evaluation["forecasters"].items()
            if figures.get("roc_auc", {}).get("value") is not None
        }
        if not found:
            continue
        own, *_ = found
        split = SPLITS.get(evaluation["split"], evaluation["split"])
        sentence = (
            f"How well this model ranks trials: ROC-AUC {with_interval(found[own])} on "
            f"{thousands(evaluation['n'])} {split} trials (0.5 is guessing, 1 is perfect)"
        )
        simple = next((name for name in found if name.startswith(_BAG_OF_WORDS)), None)
        if simple is None or simple == own:
            return f"{sentence}."
        sentence += f". A bag of words (TF-IDF) reaches {with_interval(found[simple])}"
        better = found[own]["value"] >= found[simple]["value"]
        return f"{sentence}." if better else f"{sentence}, which is better."
    return ""
