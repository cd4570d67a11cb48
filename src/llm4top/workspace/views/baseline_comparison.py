"""Compares a trained model's figures with a bag-of-words baseline and with the default model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHOSE = ("the model that chose, calibrated", "the model that chose, not calibrated")
OWN = ("this model, calibrated", "this model", "this model, not calibrated", *CHOSE)
"""The names under which a card has the model's own figures, the first that is there."""

WORDS = "TF-IDF + logistic regression"
"""The baseline that every model card reports."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What to say of a model before it becomes the default: ``sentences``, and ``weaker``.

    ``weaker`` holds the reasons against it; empty where nothing measured speaks against it.
    """

    sentences: tuple[str, ...]
    weaker: tuple[str, ...]


def beside_default(
    facts: Mapping[str, Any], default: Mapping[str, Any], default_name: str
) -> Standing:
    """Compare two bundles by the validation ROC-AUC on their cards.

    ``facts`` and ``default`` are manifests as ``WorkspaceBundle.facts`` holds them. Figures of
    different trials are marked as such: they are only roughly comparable.
    """
    measured = on_validation(facts)
    mine = _roc_auc(measured)
    if mine is None:
        return Standing((), ("Its ROC-AUC was not measured.",))
    sentences, weaker = [], []
    value, lower = mine["value"], mine.get("lower")
    before = ", before it was fitted on these trials too" if facts.get("final_fit") else ""
    words = measured.get(WORDS, {}).get("roc_auc") or {}
    if (baseline := words.get("value")) is not None:
        sentences.append(
            f"On the same validation trials {WORDS} has a ROC-AUC of {baseline:.3f}; this model "
            f"has {value:.3f}{before}."
        )
        if value < baseline:
            weaker.append(
                f"It ranks trials worse than {WORDS} ({value:.3f} against {baseline:.3f})."
            )
    theirs = _roc_auc(on_validation(default))
    if theirs is not None:
        same = facts["data"]["sha256"] == default["data"]["sha256"]
        where = "on the same trials" if same else "on other trials, so only roughly comparable"
        sentences.append(
            f"The current default, {default_name}, has {theirs['value']:.3f}, measured {where}."
        )
        if value < theirs["value"]:
            weaker.append(
                f"Its ROC-AUC of {value:.3f} is below the {theirs['value']:.3f} of {default_name} "
                f"(measured {where})."
            )
    if lower is not None and lower <= 0.5:
        weaker.append(
            f"Its interval ({lower:.3f} to {mine['upper']:.3f}) includes 0.5: it may not rank "
            "trials better than a coin."
        )
    return Standing(tuple(sentences), tuple(weaker))


def on_validation(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures on the card's validation trials, by forecaster; empty where there are none."""
    for evaluation in facts.get("evaluations", ()):
        if evaluation["split"] == "valid":
            found: Mapping[str, Any] = evaluation["forecasters"]
            return found
    return {}


def own_figures(forecasters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model's own figures among those of all forecasters on the card."""
    return next((forecasters[name] for name in OWN if name in forecasters), {})


def _roc_auc(forecasters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = own_figures(forecasters).get("roc_auc")
    return found if found and found.get("value") is not None else None
