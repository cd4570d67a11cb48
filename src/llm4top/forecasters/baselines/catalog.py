"""The baselines by name. Importing this imports no learner: a list of names costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from llm4top.errors import BundleError, ModelError
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.forecasters.baselines.base import BaselineForecaster


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline as tables show it. A "trivial" one reads the phase at most."""

    label: str
    kind: Literal["trivial", "baseline"]
    summary: str

    def named(self, task: Task) -> str:
        """Its name among other forecasters of ``task``: "Always success" names the event."""
        if self.label != ALWAYS_LABEL:
            return self.label
        return f"Always {task.labels[1]}" if task.kind == "binary" else "Always the commonest label"


ALWAYS_LABEL = "Always the event"
_TABLE = "over the trial's numbers and the topics of its text"

BASELINES: dict[str, Baseline] = {
    "always": Baseline(
        ALWAYS_LABEL,
        "trivial",
        "The task's event for certain ('always success'); the commonest label of other tasks.",
    ),
    "base-rate": Baseline(
        "Base rate by phase",
        "trivial",
        "The training trials' label frequencies by phase, drawn towards the pooled ones.",
    ),
    "logistic": Baseline("Logistic regression", "baseline", f"Logistic regression {_TABLE}."),
    "forest": Baseline("Random forest", "baseline", f"A random forest {_TABLE}."),
    "adaboost": Baseline("AdaBoost", "baseline", f"Boosted decision stumps {_TABLE}."),
    "xgboost": Baseline("XGBoost", "baseline", f"Gradient-boosted trees {_TABLE}."),
    "knn-forest": Baseline(
        "kNN + random forest",
        "baseline",
        f"A random forest {_TABLE}, missing values taken from the nearest training trials.",
    ),
    "feed-forward": Baseline(
        "Feed-forward network", "baseline", f"A network with one hidden layer {_TABLE}."
    ),
    "tfidf": Baseline(
        "TF-IDF + logistic regression",
        "baseline",
        "Logistic regression over words and word pairs of phase, conditions, interventions, "
        "ICD codes and criteria.",
    ),
    "extra-trees": Baseline(
        "Extremely randomised trees",
        "baseline",
        "Extremely randomised trees over the words that TF-IDF reads, each present or absent.",
    ),
    "structured": Baseline(
        "Structured features",
        "baseline",
        "Extremely randomised trees over fields, counts, lengths and groups of the record.",
    ),
    "nearest": Baseline(
        "Nearest trials",
        "baseline",
        "The labels of the training trials whose words are most alike, drawn towards the base rate "
        "of the phase.",
    ),
    "sentence": Baseline(
        "Sentence embedding + logistic regression",
        "baseline",
        "Logistic regression over a local encoder's embedding of the text.",
    ),
}
"""Every baseline by name, in the order of tables. "sentence" needs an encoder."""

TRIVIAL = {name for name, baseline in BASELINES.items() if baseline.kind == "trivial"}

_CLASSES = {
    "always": ("simple", "AlwaysForecaster"),
    "base-rate": ("simple", "BaseRateForecaster"),
    "tfidf": ("simple", "TfidfForecaster"),
    "extra-trees": ("extra_trees", "ExtraTreesForecaster"),
    "structured": ("structured", "StructuredForecaster"),
    "nearest": ("nearest", "NearestForecaster"),
    "sentence": ("sentence", "SentenceForecaster"),
}
_CLASSICAL = ("classical", "ClassicalForecaster")
"""The module and class of each baseline, and of all others."""


def baseline_name(forecaster: BaselineForecaster) -> str:
    """The forecaster's name in ``BASELINES``; ``BundleError`` where it has none."""
    own = type(forecaster).__name__
    if own == _CLASSICAL[1]:
        return str(forecaster.get_params()["learner"])
    for name, (_, kind) in _CLASSES.items():
        if kind == own:
            return name
    raise BundleError(f"{own} is not a baseline that can be stored.")


def make_baseline(
    name: str,
    task: Task | str = "outcome",
    *,
    seed: int = 0,
    encoder: str | Path | None = None,
) -> BaselineForecaster:
    """Make an unfitted baseline: a scikit-learn classifier over a sequence of ``Trial``.

    Args:
        name: One of "always", "base-rate", "logistic", "forest", "adaboost", "xgboost",
            "knn-forest", "feed-forward", "tfidf", "extra-trees", "structured", "nearest" and
            "sentence".
        task: The question; its name or a ``Task``.
        seed: Seed of the baselines that draw random numbers.
        encoder: Folder of a text encoder; for "sentence" only.

    Returns:
        The baseline. ``fit(trials, labels)`` trains it, and ``save(folder)`` writes a bundle.

    Raises:
        ModelError: There is no such baseline, or "sentence" has no encoder.
    """
    get_task(task)
    if name not in BASELINES:
        raise ModelError(f"no baseline {name!r:.100}.", hint=f"Known: {', '.join(BASELINES)}.")
    if name == "sentence" and encoder is None:
        raise ModelError(
            "the baseline 'sentence' needs a text encoder.",
            hint="Name a folder with config.json, tokenizer.json and model.safetensors.",
        )
    module, kind = _CLASSES.get(name, _CLASSICAL)
    # Imported here: a list of the baselines does not need the libraries that fit them.
    made: Any = getattr(import_module(f"llm4top.forecasters.baselines.{module}"), kind)
    if name == "sentence":
        return cast("BaselineForecaster", made(task, encoder=encoder))
    fitted_with: dict[str, Any] = {"learner": name} if name not in _CLASSES else {}
    if "seed" in made._get_param_names():
        fitted_with["seed"] = seed
    return cast("BaselineForecaster", made(task, **fitted_with))
