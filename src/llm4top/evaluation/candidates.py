"""The forecasters of an evaluation: those given, opened and checked, and reference baselines."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import BundleError, EvaluationError, TaskError
from llm4top.forecasters.forecaster import Forecaster

ALWAYS, BASE_RATE, TFIDF = "always", "base-rate", "tfidf"


def open_forecaster(
    model: str | Path,
    dataset: Dataset,
    *,
    device: str = "auto",
    quantize: str | None = None,
    batch_tokens: int | None = None,
    tokenizer: str | Path | None = None,
    allow_remote: bool = False,
) -> Forecaster:
    """The forecaster of that name for an evaluation, verified, its weights still on disk.

    Args:
        model: What ``load_forecaster`` takes. A base model gets the data set's question.
        dataset: The data set that it is evaluated on.
        device, batch_tokens, tokenizer, allow_remote: As for ``load_forecaster``.
        quantize: As for ``load_forecaster``; None loads a bundle as it was trained.

    Raises:
        BundleError: There is nothing of that name, or it is damaged.
    """
    from llm4top.forecasters.bundles.loading import AS_TRAINED
    from llm4top.forecasters.bundles.paths import resolve_bundle
    from llm4top.forecasters.load import load_forecaster

    try:
        resolve_bundle(model)
        task = None
    except BundleError:
        task = dataset.task
    return load_forecaster(
        model,
        task=task,
        device=device,
        quantize=quantize or AS_TRAINED,
        batch_tokens=batch_tokens,
        weights=False,
        tokenizer=tokenizer,
        allow_remote=allow_remote,
    )


def check_task(forecaster: Forecaster, dataset: Dataset) -> None:
    """``EvaluationError`` where the data set is about another question."""
    own, other = forecaster.task, dataset.task
    if (own.name, own.kind, own.labels) == (other.name, other.kind, other.labels):
        return
    raise EvaluationError(
        f"it answers {own.name!r} ({', '.join(own.labels)}), and the data set "
        f"{dataset.card.name!r} asks {other.name!r} ({', '.join(other.labels)}).",
        where=forecaster.label,
        hint="Give a data set of the same task, or a forecaster trained on this one.",
    )


def distinct(forecasters: Sequence[Forecaster]) -> tuple[Forecaster, ...]:
    """The forecasters with labels that differ: where two share one, the identity is added.

    Raises ``EvaluationError`` where one forecaster is named twice.
    """
    identities = [one.identity for one in forecasters]
    for identity in identities:
        if identities.count(identity) > 1:
            raise EvaluationError(f"{identity} is named twice.", hint="Name each forecaster once.")
    labels = [one.label for one in forecasters]
    return tuple(
        replace(one, label=f"{one.label} ({one.identity})") if labels.count(one.label) > 1 else one
        for one in forecasters
    )


def reference_baselines(dataset: Dataset, *, seed: int = 0) -> dict[str, Forecaster]:
    """The baselines that every evaluation shows, by name, fitted on the data set's training split.

    Empty where the training split has fewer than two labels; without TF-IDF where it has no words.
    """
    from llm4top.forecasters.baselines.catalog import make_baseline
    from llm4top.forecasters.forecaster import as_forecaster

    learn = dataset.select("train")
    found: dict[str, Forecaster] = {}
    if len(set(learn.labels)) < 2:
        return found
    for name in (ALWAYS, BASE_RATE, TFIDF):
        model = make_baseline(name, learn.task, seed=seed)
        try:
            model.fit(learn.trials, np.asarray(learn.label_indices))
        except (TaskError, ValueError):
            continue
        found[name] = as_forecaster(
            model,
            identity=f"{name} on {learn.sha256[:12]}",
            trained_on_text=f"train split, {len(learn)} trials",
        )
    return found
