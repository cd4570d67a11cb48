"""The logits of rows, and how often a model on a server listed too few tokens for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark.cache import Arrays
from llm4top.data.dataset import Dataset
from llm4top.errors import ServerError
from llm4top.forecasters.model.served_scorer import ServedScorer
from llm4top.progress import OnProgress

_MISSING = "/missing"


def score_rows(
    forecaster: Any, sets: Mapping[str, Dataset], on_prompts: OnProgress | None
) -> Arrays:
    """The logits ``[n, K]`` of each set's rows by its name, and what ``missing_note`` reads.

    Raises what the forecaster raises; an error of a server names the record by its id.
    """
    scored: Arrays = {}
    for name, rows in sets.items():
        try:
            scored[name] = forecaster.label_logits(rows.trials, on_progress=on_prompts)
        except ServerError as error:
            error.name_record(rows.nct_ids)
            raise
        scorer = getattr(forecaster, "scorer", None)
        if isinstance(scorer, ServedScorer):
            scored[name + _MISSING] = np.array([scorer.bounded])
    return scored


def missing_note(scored: Mapping[str, NDArray[Any]], name: str) -> str:
    """How many trials of a set had answers that the server did not list; empty for none."""
    missing = int(scored.get(name + _MISSING, np.zeros(1))[0])
    if not missing:
        return ""
    return (
        f"The server did not list every answer of {missing} of {len(scored[name])} trials; the "
        "others have the highest probability that they can have."
    )
