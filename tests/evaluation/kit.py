"""Invented scores for the tests of this room."""

from __future__ import annotations

import numpy as np

from llm4top.evaluation.predictions import Scores

LABELS = ("failure", "success")


def binary_scores(
    event: np.ndarray, y: np.ndarray, *, forecaster: str = "model", split: str = "valid"
) -> Scores:
    """Scores of a binary task from the event's probabilities."""
    p = np.asarray(event, dtype=np.float64)
    ids = tuple(f"t{i}" for i in range(len(p)))
    return Scores(forecaster, split, LABELS, np.column_stack([1 - p, p]), np.asarray(y), ids)


def invented(
    n: int, *, seed: int = 0, decimals: int | None = None, skill: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that know something, rounded to make ties, and what came true."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = 0, 1
    z = rng.normal(0, 1, n) + skill * (y - 0.5)
    p = 1 / (1 + np.exp(-z))
    return (p if decimals is None else np.clip(p.round(decimals), 0.05, 0.95)), y
