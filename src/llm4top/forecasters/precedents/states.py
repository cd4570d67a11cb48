"""Trials by a language model's own representation: the hidden states that its answer is read from.

The states are those of the layer that the answer comes from: the probe's where the model has one,
else the last. They are standardised over the trials of the index, as otherwise a few dimensions
decide every cosine (Timkey & van Schijndel 2021, All bark and no bite).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.paths import ADAPTER_FILES, PROBE_FILE
from llm4top.forecasters.bundles.probe_files import probe_place
from llm4top.forecasters.bundles.verify import language_part, read_manifest
from llm4top.forecasters.forecaster import Forecaster
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.registry.trial import Trial

if TYPE_CHECKING:
    from llm4top.forecasters.language import LanguageForecaster

_BATCH = 256
Floats = NDArray[np.float32]


def hidden_states(
    forecaster: Forecaster, trials: Sequence[Trial], on_progress: OnProgress = ignore
) -> Floats:
    """The states of trials, one row each: float32 ``[n, h]``.

    Raises:
        BundleError: The forecaster has no language model.
    """
    from llm4top.forecasters.model.probe import POOLINGS, layer_count
    from llm4top.forecasters.model.scoring import default_budget, prompt_states

    scorer = language_of(forecaster).scorer
    layer = scorer.probe.layer if scorer.probe else layer_count(scorer.model)
    pooling = POOLINGS.index(scorer.probe.pooling if scorer.probe else "answer")
    budget = scorer.batch_tokens or default_budget(scorer.model, scorer.base.device)
    found = []
    for start in range(0, len(trials), _BATCH):
        ids = [scorer.writer.write(trial).token_ids for trial in trials[start : start + _BATCH]]
        states = prompt_states(scorer.model, ids, (layer,), budget=budget)
        found.append(states[:, 0, pooling].numpy())
        on_progress(Progress("reading with the model", start + len(ids), len(trials)))
    return np.concatenate(found)


def language_of(forecaster: Forecaster) -> LanguageForecaster:
    """The language model whose hidden states are compared; ``BundleError`` where there is none."""
    language = forecaster.language
    if language is None:
        raise BundleError(
            f"{forecaster.label} has no language model, so no hidden states.",
            hint="Compare by words alone (--model none), or choose another model.",
        )
    return language


def representation_of(forecaster: Forecaster) -> str:
    """Names what the hidden states of trials depend on: sha256 over model, prompt and layer.

    It stays the same where a bundle is calibrated again, or blended with other baselines. A
    forecaster that is not stored has its ``identity`` here.
    """
    part = language_part(forecaster.folder) if forecaster.folder else None
    if part is None:
        return forecaster.identity
    folder, entry = part
    files = read_manifest(folder).files
    facts = {
        "base": entry.base.sha256,
        "tokenizer": entry.tokenizer_sha256,
        "prompt": entry.prompt.fingerprint,
        "quantize": entry.tuning.quantize,
        "adapter": [files[name].sha256 for name in ADAPTER_FILES if name in files],
        # The probe's place counts, not its coefficients: they read the states.
        "place": probe_place(folder) if PROBE_FILE in files else {},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class StateIndex:
    """The standardised states of n trials as unit vectors: float32 ``[n, h]``.

    The search is exact. Trials lie in the order of their completion, so that the date rule is a
    slice, and faiss needs two milliseconds for a slice of a hundred thousand rows. A graph (HNSW)
    would need less, but it takes longest to build, has to be filtered by date, and finds not all
    of the nearest: see ``benchmarks/precedents.md``.
    """

    vectors: Floats
    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, states: Floats) -> Self:
        """Index states ``[n, h]``."""
        mean = states.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = states.std(axis=0, dtype=np.float64).astype(np.float32)
        scale[scale <= 1e-6] = 1.0
        return cls(_unit((states - mean) / scale), mean, scale)

    def query(self, state: Floats) -> Floats:
        """A trial's state ``[h]`` as the unit vector that is compared."""
        return np.asarray(_unit((state[None] - self.mean) / self.scale)[0])

    def nearest(self, query: Floats, within: int, k: int) -> NDArray[np.int64]:
        """Positions of the ``k`` most alike of the first ``within`` trials, in order."""
        k = min(k, within)
        if k == 0:
            return np.empty(0, dtype=np.int64)
        metric = faiss.METRIC_INNER_PRODUCT
        _, found = faiss.knn(query[None], self.vectors[:within], k, metric=metric)
        return np.asarray(found[0], dtype=np.int64)

    def similarity(self, query: Floats, rows: NDArray[np.int64]) -> Floats:
        """Cosines of a query to some trials: -1 to 1."""
        return np.asarray(self.vectors[rows] @ query)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a file stores of it."""
        return {"vectors": self.vectors, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n: int) -> Self:
        """Inverse of ``to_arrays`` for ``n`` trials; ``BundleError`` where they do not fit."""
        if set(arrays) != {"vectors", "mean", "scale"}:
            raise BundleError("holds other arrays than an index of hidden states has.")
        vectors, mean, scale = (arrays[name] for name in ("vectors", "mean", "scale"))
        fits = (
            vectors.ndim == 2
            and len(vectors) == n
            and mean.shape == scale.shape == vectors.shape[1:]
            and all(a.dtype == np.float32 and np.isfinite(a).all() for a in arrays.values())
        )
        if not fits:
            raise BundleError("holds an index of hidden states whose parts do not fit together.")
        return cls(vectors, mean, scale)


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
