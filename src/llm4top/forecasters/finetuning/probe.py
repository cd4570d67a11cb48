"""Fitting a probe: hidden states once, then one logistic regression a layer, pooling and penalty.

The states are kept in files of some hundred prompts each, so that a run that was stopped goes on
where it was, and only one layer at a time is held in memory while fitting.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from llm4top.errors import TrainingError
from llm4top.files import replacing
from llm4top.forecasters.finetuning.batches import PromptRows
from llm4top.forecasters.finetuning.settings import MOST_LAYERS, FinetuneSettings
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.device import trains_in_bf16
from llm4top.forecasters.model.probe import POOLINGS, Pooling, Probe, layer_count
from llm4top.forecasters.model.scoring import default_budget, prompt_states
from llm4top.progress import OnProgress, Progress, TimeLeft, ignore

PENALTIES = tuple(10.0 ** (half / 2) for half in range(-16, 1))
"""Inverse strengths of the L2 penalty (scikit-learn's C), the strongest penalty first."""
_PATIENCE = 2
_CHUNK = 256
_FOLDS = 5

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tried:
    """A layer and pooling with its best penalty, and the log-loss on rows it was not fitted on."""

    layer: int
    pooling: Pooling
    c: float
    eval_log_loss: float


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """The chosen probe, every layer and pooling that was tried, and the tokens read for it."""

    probe: Probe
    best: Tried
    tried: tuple[Tried, ...]
    tokens: int

    @property
    def history(self) -> tuple[dict[str, Any], ...]:
        """What was tried, one dict each, in the order of the layers."""
        return tuple(asdict(one) for one in self.tried)


def chosen_layers(count: int) -> tuple[int, ...]:
    """The layers to look at in a model of ``count``: all of a small one, else a spread."""
    spread = np.linspace(count / MOST_LAYERS, count, MOST_LAYERS)
    return tuple(sorted({max(1, round(float(layer))) for layer in spread}))


def fit_probe(
    base: BaseModel,
    rows: PromptRows,
    eval_rows: PromptRows | None,
    settings: FinetuneSettings,
    *,
    folder: Path,
    on_progress: OnProgress = ignore,
    should_stop: Callable[[], bool] | None = None,
) -> FittedProbe:
    """Fit a probe of the base model, which stays as it is.

    Layer, pooling and penalty are those of the least log-loss on ``eval_rows``; without them, in
    five-fold cross-validation. The chosen probe is fitted on ``rows``.

    Args:
        base: The model.
        rows: Prompts, label indices and weights to learn from.
        eval_rows: Those to choose on.
        settings: ``precision`` and ``seed`` are used.
        folder: Keeps the hidden states. Those of this model that are there, of an earlier fit or
            one that was stopped, are not computed again.
        on_progress: Called after each batch (stage "training", in prompts).
        should_stop: Asked after each file of states; ``KeyboardInterrupt`` where it says so.

    Raises:
        TrainingError: A label has too few rows to learn from, or a state is not finite.
        ModelError: The model's layers cannot be found, or a prompt does not fit into memory.
    """
    chosen = chosen_layers(layer_count(base.model))
    every = [*rows.prompts, *(eval_rows.prompts if eval_rows else ())]
    low = trains_in_bf16(base.device, settings.precision)
    states = _States(base, chosen, autocast=low, folder=folder)
    tokens = states.compute(every, on_progress, should_stop)
    n = len(rows)
    targets = np.array([*rows.targets, *(eval_rows.targets if eval_rows else ())], dtype=np.int64)
    weights = _row_weights(rows, eval_rows)
    folds = list(_folds(targets, n, rows.copies, settings.seed))
    tried: list[Tried] = []
    for layer in chosen:
        on_progress(Progress("Fitting the probe", len(tried), len(chosen) * len(POOLINGS)))
        both = states.of_layer(layer, every)
        for place, pooling in enumerate(POOLINGS):
            c, loss = _best_penalty(both[:, place], targets, folds, weights)
            tried.append(Tried(layer, pooling, c, loss))
    best = min(tried, key=lambda one: one.eval_log_loss)
    X = states.of_layer(best.layer, every[:n])[:, POOLINGS.index(best.pooling)]
    return FittedProbe(_fitted(X, targets[:n], best, weights[:n]), best, tuple(tried), tokens)


class _States:
    """Pooled hidden states by prompt, in files of some hundred prompts of like length.

    What was computed for one fit is there for every other over the same folder: the key of a
    prompt's states is a hash of everything that they depend on.
    """

    def __init__(self, base: BaseModel, layers: Sequence[int], *, autocast: bool, folder: Path):
        self.base, self.layers, self.autocast, self.folder = base, tuple(layers), autocast, folder
        how = (base.identity.sha256, base.device.kind, base.dtype.name, base.quantize)
        self._prefix = repr((how, autocast, self.layers)).encode()
        self._places: dict[str, tuple[Path, int]] = {}

    def compute(
        self,
        prompts: Sequence[Sequence[int]],
        on_progress: OnProgress,
        should_stop: Callable[[], bool] | None,
    ) -> int:
        """Write the states that are not there yet; the tokens that were read for them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in self.folder.glob("states-*.safetensors"):
            self._take(file)
        wanted = {self._key(ids): ids for ids in prompts}
        # The longest first: memory runs out at once or not at all.
        missing = sorted(wanted.keys() - self._places.keys(), key=lambda k: (-len(wanted[k]), k))
        shown = _Shown(on_progress, len(wanted) - len(missing), len(wanted))
        for start in range(0, len(missing), _CHUNK):
            if should_stop is not None and should_stop():
                raise KeyboardInterrupt
            keys = missing[start : start + _CHUNK]
            chunk = [wanted[key] for key in keys]
            states = prompt_states(
                self.base.model,
                chunk,
                self.layers,
                budget=default_budget(self.base.model, self.base.device),
                autocast=self.autocast,
                on_progress=shown,
            )
            if not bool(torch.isfinite(states).all()):
                raise TrainingError(
                    "the model's hidden states are not finite numbers.",
                    hint="The number type overflows: try dtype float32.",
                )
            self._write(keys, states)
            shown.finished(chunk)
        return shown.tokens

    def of_layer(self, layer: int, prompts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """``[n, 2, h]`` of one layer, a row for each of the prompts."""
        places = [self._places[self._key(ids)] for ids in prompts]
        parts: dict[Path, NDArray[np.float32]] = {}
        for path in {path for path, _ in places}:
            with safe_open(path, framework="np") as file:
                parts[path] = file.get_tensor(f"layer-{layer}")
        return np.stack([parts[path][row] for path, row in places])

    def _key(self, ids: Sequence[int]) -> str:
        content = self._prefix + np.asarray(ids, dtype=np.int64).tobytes()
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def _write(self, keys: Sequence[str], states: Tensor) -> None:
        path = self.folder / f"states-{keys[0]}.safetensors"
        by_layer = {f"layer-{n}": states[:, i].contiguous() for i, n in enumerate(self.layers)}
        with replacing(path) as scratch:
            save_file(by_layer, scratch, metadata={"keys": " ".join(keys)})
        self._take(path)

    def _take(self, path: Path) -> None:
        with safe_open(path, framework="np") as file:
            keys = file.metadata()["keys"].split()
        self._places.update({key: (path, row) for row, key in enumerate(keys)})


class _Shown:
    """Reports the batches of one file as progress of all prompts."""

    def __init__(self, report: OnProgress, done: int, total: int):
        self.report, self.done, self.total = report, done, total
        self.tokens = 0
        self._started, self._left = time.perf_counter(), TimeLeft()

    def __call__(self, batch: Progress) -> None:
        done = self.done + batch.done
        read = self.tokens + batch.figures["tokens"]
        figures = {"tokens_per_second": read / (time.perf_counter() - self._started)}
        left = self._left(done, self.total, "training")
        if left is not None:
            figures["eta_seconds"] = left
        self.report(Progress("training", done, self.total, figures=figures))

    def finished(self, prompts: Sequence[Sequence[int]]) -> None:
        """The file of these prompts is written."""
        self.done += len(prompts)
        self.tokens += sum(len(ids) for ids in prompts)


def _folds(targets: Ints, n: int, copies: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Rows to fit on and rows to choose on: the first ``n`` and the others, else five folds.

    A copy, one of the last ``copies`` of the ``n`` rows, is fitted on with its row, never chosen
    on.
    """
    if n < len(targets):
        yield np.arange(n), np.arange(n, len(targets))
        return
    whole = targets[: n - copies]
    if np.bincount(whole).min() < _FOLDS:
        raise TrainingError(
            f"the rarest label has fewer than {_FOLDS} trials, too few to choose a layer on.",
            hint="Give validation trials (eval_set), or more trials.",
        )
    for learn, check in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(
        whole, whole
    ):
        yield (np.concatenate((learn, learn + n - copies)) if copies else learn), check


def _best_penalty(
    X: NDArray[np.float32],
    y: Ints,
    folds: Sequence[tuple[Ints, Ints]],
    weights: Floats,
) -> tuple[float, float]:
    """The C of the least log-loss over all folds, and that log-loss.

    The path goes from strong to weak penalties and ends where the loss rises: weaker ones take
    longest, and overfit.
    """
    labels = np.unique(y)
    fits = []
    for learn, check in folds:
        mean, scale = _standard(X[learn])
        parts = ((X[rows].astype(np.float64) - mean) / scale for rows in (learn, check))
        fits.append((_regression(warm_start=True), *parts, learn, check))
    best, worse = (PENALTIES[0], np.inf), 0
    for c in PENALTIES:
        losses = []
        for model, learn_X, check_X, learn, check in fits:
            _fit(model.set_params(C=c), learn_X, y[learn], weights[learn])
            losses.append(log_loss(y[check], model.predict_proba(check_X), labels=labels))
        loss = float(np.average(losses, weights=[len(check) for _, check in folds]))
        worse = worse + 1 if loss >= best[1] else 0
        if not worse:
            best = (c, loss)
        if worse == _PATIENCE:
            break
    return best


def _fitted(X: NDArray[np.float32], y: Ints, chosen: Tried, weights: Floats) -> Probe:
    """The chosen probe, fitted from zero to the optimum: no trace of the path is left in it."""
    mean, scale = _standard(X)
    model = _regression(C=chosen.c, tol=1e-9, max_iter=10_000)
    _fit(model, (X.astype(np.float64) - mean) / scale, y, weights)
    weights_of_labels = [model.coef_, model.intercept_]
    if len(model.intercept_) == 1:  # of two labels, the second's log-odds
        weights_of_labels = [np.concatenate((-w / 2, w / 2)) for w in weights_of_labels]
    coefficients, intercept = (w.astype(np.float32) for w in weights_of_labels)
    return Probe(chosen.layer, chosen.pooling, mean, scale, coefficients, intercept)


def _standard(X: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and scale ``[h]`` of the columns; a column that hardly varies keeps its size.

    What varies less than float32 rounds is noise, which a scale would blow up.
    """
    mean, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    scale[scale <= 1e-5 * np.abs(mean)] = 1.0
    return mean.astype(np.float32), scale.astype(np.float32)


def _row_weights(rows: PromptRows, eval_rows: PromptRows | None) -> Floats:
    """The weight of each row in the fit; those to choose on are not fitted on and weigh 1."""
    weights = np.ones(len(rows))
    if rows.weights is not None:
        weights *= np.asarray(rows.weights)[list(rows.targets)]
    if rows.sample_weight is not None:
        weights *= np.asarray(rows.sample_weight)
    return np.concatenate([weights, np.ones(len(eval_rows) if eval_rows else 0)])


def _regression(**settings: Any) -> LogisticRegression:
    return LogisticRegression(**{"max_iter": 1000, **settings})


def _fit(model: LogisticRegression, X: Floats, y: Ints, weights: Floats) -> None:
    with warnings.catch_warnings():
        # At the limit of float64 the line search ends without a step, which is near enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weights)
