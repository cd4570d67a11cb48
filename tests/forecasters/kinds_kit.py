"""A forecaster of every kind, fitted in memory."""

from __future__ import annotations

from pathlib import Path

from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.forecasters.language import LanguageForecaster
from tests.forecasters.baseline_kit import planted

X, Y = planted(120)
TRAIN, VALID = (X[:60], Y[:60]), (X[60:], Y[60:])

KINDS = {
    "always": "baseline",
    "base-rate": "baseline",
    "tfidf": "baseline",
    "xgboost": "baseline",
    "forest": "baseline",
    "feed-forward": "baseline",
    "baselines": "blend",
    "language": "language",
    "language-and-tfidf": "blend",
    "probe": "language",
    "probe-and-tfidf": "blend",
}


def fitted(name: str, model: Path | None = None) -> Forecaster:
    """The forecaster of that name; ``model`` is the base of a language model."""
    if name == "language":
        return as_forecaster(LanguageForecaster(str(model), tuning="none", device="cpu"))
    if name == "probe":
        probe = LanguageForecaster(str(model), tuning="probe", device="cpu")
        return as_forecaster(probe.fit(*TRAIN, eval_set=VALID))
    parts = {"baselines": ("tfidf", "xgboost"), "language-and-tfidf": ("language", "tfidf")}
    parts["probe-and-tfidf"] = ("probe", "tfidf")
    if name in parts:
        found = {part: fitted(part, model) for part in parts[name]}
        return as_forecaster(Blend.fit(found, *VALID))
    return as_forecaster(make_baseline(name).fit(*TRAIN))
