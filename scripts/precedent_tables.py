"""What precedents add: the share of the nearest trials, beside TF-IDF and the base rate.

    python scripts/precedent_tables.py DATASET

DATASET is TOP's data set made by ``llm4top ingest`` with dates. Learns from "train" and forecasts
"valid", and walks forward in time: learns from trials started before a cut and forecasts those
that started from it to the next. "earlier only" counts training trials alone that were completed
before the forecast trial's start, "all" every training trial. "by both views" fuses words and the
embedded model's hidden states as ``Precedents`` does. ROC-AUC and log-loss with 95 % bootstrap
intervals; the test split is never read.
"""

import sys
from collections.abc import Callable

import numpy as np
from scipy.special import softmax

from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.splits import RowFacts, walk_forward
from llm4top.evaluation.metrics.metrics import measure_probabilities
from llm4top.forecasters.baselines.nearest import NearestForecaster
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.precedents.dates import first_day, last_day
from llm4top.forecasters.precedents.fusion import best, fuse
from llm4top.forecasters.precedents.states import StateIndex, hidden_states
from llm4top.forecasters.precedents.words import words_text

CUTS = ("2007-12", "2009-09", "2011-01")
FAR = "9999-12-31"


def main(source: str) -> None:
    """Print a table for each part."""
    data = load_dataset(source)
    data = data.take([i for i, split in enumerate(data.splits) if split != "test"])
    states = hidden_states(load_forecaster("embedded"), data.trials)
    own = [i for i, s in enumerate(data.splits) if s == "train"]
    asked = [i for i, s in enumerate(data.splits) if s == "valid"]
    table("valid", data, states, own, asked)
    facts = [
        RowFacts(nct_id, label, start)
        for nct_id, label, start in zip(data.nct_ids, data.labels, data.start_dates, strict=True)
    ]
    pooled: dict[str, list[np.ndarray]] = {}
    seen: list[int] = []
    for cut, splits in zip(CUTS, walk_forward(facts, CUTS), strict=True):
        learn = [i for i, s in enumerate(splits) if s == "train"]
        later = [i for i, s in enumerate(splits) if s == "valid"]
        for name, values in table(f"from {cut}", data, states, learn, later).items():
            pooled.setdefault(name, []).append(values)
        seen += later
    show("three cuts pooled", data, seen, {n: np.concatenate(v) for n, v in pooled.items()})


def table(
    title: str, data: Dataset, states: np.ndarray, learn: list[int], asked: list[int]
) -> dict[str, np.ndarray]:
    """Fit on ``learn``, forecast ``asked``, print; the probabilities by forecaster."""
    X, y = [data.trials[i] for i in learn], [data.labels[i] for i in learn]
    trials = [data.trials[i] for i in asked]
    starts = [data.start_dates[i] or FAR for i in asked]
    completed = [data.completion_dates[i] for i in learn]
    nearest = NearestForecaster().fit(X, y, completed=completed)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "base rate by phase": lambda: BaseRateForecaster().fit(X, y).predict_proba(trials),
        "TF-IDF + LR": lambda: TfidfForecaster().fit(X, y).predict_proba(trials),
        "nearest, all": lambda: nearest.predict_proba(trials),
        "nearest, earlier only": lambda: nearest.predict_proba(trials, before=starts),
        "nearest by both views, earlier only": lambda: both_views(
            nearest, data, states, learn, asked, starts
        ),
    }
    found = {name: way() for name, way in ways.items()}
    pooled = [np.log(found[name]) for name in ("TF-IDF + LR", "nearest, earlier only")]
    found["TF-IDF and nearest, equal log-odds"] = softmax(np.mean(pooled, axis=0), axis=1)
    print(f"\n{title}: learns from {len(learn)}, k {nearest.k_}, prior {nearest.prior_trials_:g}")
    show(title, data, asked, found)
    return found


def both_views(
    nearest: NearestForecaster,
    data: Dataset,
    states: np.ndarray,
    learn: list[int],
    asked: list[int],
    starts: list[str],
) -> np.ndarray:
    """The same share, of the neighbours that the two fused rankings give."""
    days = [last_day(data.completion_dates[i] or "") or 10**9 for i in learn]
    order = np.argsort(days, kind="stable")
    index = StateIndex.of(states[[learn[i] for i in order]])
    sorted_days = np.array(days)[order]
    found = []
    for row, start in zip(asked, starts, strict=True):
        within = int(np.searchsorted(sorted_days, first_day(start), side="left"))
        trial = data.trials[row]
        words = best(nearest.alike(words_text(trial), within), 200)
        model = index.nearest(index.query(states[row]), within, 200)
        found.append(nearest.share_of(trial, fuse([words, model])[: nearest.k_]))
    return np.array(found)


def show(title: str, data: Dataset, rows: list[int], found: dict[str, np.ndarray]) -> None:
    """Print ROC-AUC and log-loss of each forecaster on the rows."""
    y = np.array(data.label_indices)[rows]
    print(f"{title}: n {len(y)}, {y.mean():.1%} success")
    for name, p in found.items():
        figures = measure_probabilities(p, y)[0]
        auc, loss = figures["roc_auc"], figures["log_loss"]
        print(
            f"  {name:38} ROC-AUC {auc.value:.3f} [{auc.lower:.3f}, {auc.upper:.3f}]"
            f"  log-loss {loss.value:.3f} [{loss.lower:.3f}, {loss.upper:.3f}]",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
