"""Time of one search among 100 000 trials, beside searches that do not use an index.

Words are drawn by Zipf's law (180 different ones a trial, as trials have), hidden states at random
around 500 centres; nothing of a real trial is in them. Times are medians and 95th percentiles over
the queries, in turn, on one thread. The search of ``Precedents`` is exact in both views; HNSW, with
a selector of the earlier trials, is shown with the share of the true ten nearest that it finds.
"find, by words" is the whole of ``Precedents.find``, with base rates, shares and differences.
Exits with 1 where the median of a search by both views is 50 ms or more; the time in which the
model reads the record, which does not depend on the index, comes on top of it.

    python benchmarks/precedents.py [--trials 100000] [--queries 100] [--dimensions 192]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from llm4top.data.parquet import encode_trial
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.precedents.fusion import best
from llm4top.forecasters.precedents.precedents import Precedents
from llm4top.forecasters.precedents.states import StateIndex, hidden_states
from llm4top.forecasters.precedents.store import SCHEMA, IndexCard, IndexData, write_index
from llm4top.forecasters.precedents.words import COLUMNS, WordIndex, weighted, word_counts
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import OUTCOME

MOST_MS = 50.0
_WORDS, _VOCABULARY, _CENTRES = 180, 60_000, 500


def main() -> int:
    options = parse()
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    n, h = options.trials, options.dimensions
    counts = words(rng, n)
    began = time.perf_counter()
    index = WordIndex.of_counts(counts)
    built = time.perf_counter() - began
    states = StateIndex.of(hidden(rng, n, h))
    texts, load, find = whole_search(rng, index, states, n)
    default = load_forecaster("embedded")
    rows = index_rows(counts, index)
    hnsw = faiss.IndexHNSWFlat(h, 32, faiss.METRIC_INNER_PRODUCT)
    began = time.perf_counter()
    hnsw.add(states.vectors)
    hnsw_built = time.perf_counter() - began
    took: dict[str, list[float]] = {}
    recall: list[float] = []
    for _ in range(options.queries):
        within = int(n * rng.uniform(0.3, 1))
        row = int(rng.integers(n))
        query, state = rows[row], states.vectors[row]
        trial = Trial(phase="Phase 2", criteria=texts(row))
        more = {
            "find, by words": lambda trial=trial: find(trial),
            "reading the record with the model": lambda t=trial: hidden_states(default, [t]),
        }
        for name, way in {**ways(index, states, rows, hnsw, query, state, within), **more}.items():
            began = time.perf_counter()
            found = way()
            took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            if name == "states: HNSW with a selector":
                recall.append(len(set(found) & set(states.nearest(state, within, 10))) / 10)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, one used, load {os.getloadavg()[0]:.1f}, "
        f"{n} trials, {h} dimensions, {options.queries} queries"
    )
    print(f"  words indexed in {built:.1f} s, HNSW in {hnsw_built:.1f} s, loaded in {load:.1f} s")
    whole = sum(np.median(took[name]) for name in ("find, by words", "states: faiss, exact"))
    for name, times in took.items():
        middle, high = np.percentile(times, [50, 95])
        print(f"  {name:34} {middle:8.1f} ms   95 % {high:8.1f} ms")
    print(f"  HNSW finds {np.mean(recall):.1%} of the ten nearest")
    print(f"  a search by both views {whole:.1f} ms, limit {MOST_MS:.0f}")
    return int(whole >= MOST_MS)


def ways(
    index: WordIndex,
    states: StateIndex,
    rows: csr_matrix,
    hnsw: Any,
    query: csr_matrix,
    state: np.ndarray,
    within: int,
) -> dict[str, Callable[[], Any]]:
    """The searches of one query by name."""

    def selected() -> Any:
        chosen = faiss.SearchParametersHNSW(sel=faiss.IDSelectorRange(0, within), efSearch=128)
        return hnsw.search(state[None], 10, params=chosen)[1][0].tolist()

    return {
        "words: index": lambda: best(index.similarities(query, within), 201),
        "words: brute force (sparse product)": lambda: best(
            (rows[:within] @ query.T).toarray().ravel(), 201
        ),
        "states: faiss, exact": lambda: states.nearest(state, within, 201),
        "states: brute force (NumPy)": lambda: best(states.vectors[:within] @ state, 201),
        "states: HNSW with a selector": selected,
    }


def words(rng: np.random.Generator, n: int) -> csr_matrix:
    """Counts ``[n, COLUMNS]`` of words that follow Zipf's law."""
    shares = 1 / np.arange(10, _VOCABULARY + 10)
    ladder = np.cumsum(shares / shares.sum())
    drawn = np.searchsorted(ladder, rng.random((n, 2 * _WORDS))).astype(np.int64)
    place = np.asarray(columns_of([f"word{i}" for i in range(_VOCABULARY)]))
    starts = np.arange(0, drawn.size + 1, drawn.shape[1])
    made = csr_matrix(
        (np.ones(drawn.size, np.float32), place[drawn].ravel(), starts), shape=(n, COLUMNS)
    )
    made.sum_duplicates()
    return made


def hidden(rng: np.random.Generator, n: int, h: int) -> np.ndarray:
    """States ``[n, h]`` around centres."""
    centres = rng.normal(size=(_CENTRES, h)).astype(np.float32)
    noise = rng.normal(size=(n, h)).astype(np.float32)
    return centres[rng.integers(_CENTRES, size=n)] + noise


def columns_of(words: list[str]) -> list[int]:
    """The column of each word."""
    return word_counts(words).indices.tolist()


def index_rows(counts: csr_matrix, index: WordIndex) -> csr_matrix:
    """The weights ``[n, COLUMNS]``, a row a trial: what the index holds a column a word."""
    return weighted(counts, index.idf)


def whole_search(
    rng: np.random.Generator, index: WordIndex, states: StateIndex, n: int
) -> tuple[Callable[[int], str], float, Callable[[Trial], Any]]:
    """Texts of queries, the seconds to verify and load the index, and ``Precedents.find``."""
    trial = encode_trial(Trial(phase="Phase 2", conditions=("asthma",), brief_title="A study"))
    columns = {
        "nct_id": [f"NCT{i:08d}" for i in range(n)],
        "label": ["success"] * n,
        "completion_date": ["2010-01"] * n,
        "start_date": ["2008"] * n,
        "phase": ["Phase 2"] * n,
        "trial": [trial] * n,
    }
    table = pa.table({f.name: pa.array(columns[f.name], type=f.type) for f in SCHEMA})
    card = IndexCard(
        name="synthetic",
        created="2026-01-01",
        task=OUTCOME.to_dict(),
        data=IndexData(name="synthetic", sha256="0" * 64),
        trials=n,
        counts={"failure": 0, "success": n},
        left_out={},
        first="2010-01",
        last="2010-01",
        by_chance=0.1,
        model="synthetic",
        model_identity="synthetic",
        files={},
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        arrays = {"words.safetensors": index.to_arrays(), "states.safetensors": states.to_arrays()}
        write_index(folder, card, table, arrays)
        began = time.perf_counter()
        loaded = Precedents.load(folder)
        load = time.perf_counter() - began

    def text(_row: int) -> str:
        shares = 1 / np.arange(10, _VOCABULARY + 10)
        ladder = np.cumsum(shares / shares.sum())
        drawn = np.searchsorted(ladder, rng.random(2 * _WORDS))
        return " ".join(f"word{i}" for i in drawn)

    loaded._states = None  # by words: the model of the index is none
    return text, load, loaded.find


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=192)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
