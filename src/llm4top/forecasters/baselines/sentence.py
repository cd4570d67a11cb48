"""Sentence embeddings under a logistic regression, where a local encoder is named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from llm4top.errors import BundleError, ModelError, ModelNotFoundError
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    taken,
)
from llm4top.forecasters.baselines.feature_matrix import remembered
from llm4top.forecasters.baselines.features import FloatArray, all_text
from llm4top.forecasters.baselines.learners import (
    DenseLearner,
    numbers,
    one_thread,
    read_regression,
)
from llm4top.forecasters.model import base_model
from llm4top.forecasters.model.model_files import BaseIdentity, identify, weight_files
from llm4top.forecasters.model.tokenizer import load_tokenizer
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task
from llm4top.text import first_line

MAX_TOKENS = 256
"""Longer texts are cut here: most sentence encoders were trained on no longer ones."""

_BATCH = 32
_UNUSED = ("pooler.", "lm_head.", "cls.")


@dataclass(eq=False)
class TextEncoder:
    """A transformer in evaluation mode on the CPU, in float32, with its tokenizer."""

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    folder: Path
    max_tokens: int

    @cached_property
    def identity(self) -> BaseIdentity:
        """Which encoder this is; hashes the weights at the first use."""
        return identify(self.folder)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """The mean of each text's last hidden states: ``[n, hidden]``."""
        tokens = [self._tokens(text) for text in texts]
        out = np.empty((len(texts), int(self.model.config.hidden_size)))
        # Texts of like length together: hardly any of the work is padding.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            out[batch] = self._means([tokens[i] for i in batch])
        return out

    def _tokens(self, text: str) -> list[int]:
        # At least one token, so that there is something to take the mean of.
        found: list[int] = self.tokenizer(text)["input_ids"][: self.max_tokens]
        return found or [0]

    @torch.inference_mode()
    def _means(self, batch: list[list[int]]) -> FloatArray:
        longest = max(map(len, batch))
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        means = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return np.asarray(means.double().numpy())


def load_encoder(folder: str | Path) -> TextEncoder:
    """Load the encoder in a folder; the last one stays loaded.

    Raises ``ModelNotFoundError`` where there is no folder, ``UnsafeModelError`` where it would
    run code or has no safetensors, and ``ModelError`` where it cannot be used.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ModelNotFoundError(
            "there is no encoder here.",
            where=str(folder),
            hint="Give a folder with config.json, tokenizer.json and model.safetensors.",
        )
    if not (path / "config.json").exists() and (path / "0_Transformer").is_dir():
        path = path / "0_Transformer"
    marks = tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in weight_files(path))
    return _load(path.resolve(), marks)


@lru_cache(maxsize=1)
def _load(folder: Path, _marks: tuple[Any, ...]) -> TextEncoder:
    """``_marks`` change when the folder's files do."""
    base_model.prepare_process()
    tokenizer = load_tokenizer(folder)
    config, model = _read_weights(folder)
    base_model.check_vocabulary(tokenizer, model, "encoder", folder)
    # RoBERTa and its kin keep two positions back.
    positions = int(getattr(config, "max_position_embeddings", None) or MAX_TOKENS + 2) - 2
    return TextEncoder(model.eval(), tokenizer, folder, max(1, min(MAX_TOKENS, positions)))


def _read_weights(folder: Path) -> tuple[Any, Any]:
    """The encoder's configuration and model."""
    from transformers import AutoModel

    config = base_model.load_config(folder, encoder=True)
    if config.is_encoder_decoder:
        raise ModelError(
            f"{config.model_type!r} encodes and decodes; a sentence encoder only encodes.",
            where=str(folder / "config.json"),
        )
    try:
        architecture = AutoModel._model_mapping[type(config)]
        model, report = base_model.read_pretrained(
            architecture, folder, config=config, dtype=torch.float32
        )
    except Exception as error:
        # transformers, safetensors and torch raise many kinds for a damaged file.
        raise ModelError(
            f"the encoder cannot be loaded: {first_line(error)}",
            where=str(folder),
            hint="Download it again.",
        ) from error
    _refuse_gaps(report, folder)
    return config, model


def _refuse_gaps(report: dict[str, Any], folder: Path) -> None:
    """Weights that were missing are random now; those that no mean of states needs do not count."""
    gaps = [str(n) for what in ("missing_keys", "mismatched_keys") for n in report.get(what) or ()]
    if needed := sorted(name for name in gaps if not name.startswith(_UNUSED)):
        raise ModelError(
            f"{len(needed)} weights are missing or of another shape, the first is {needed[0]}.",
            where=str(folder),
            hint="The weights do not belong to this config.json: download the encoder again.",
        )


class SentenceForecaster(BaselineForecaster):
    """A logistic regression over the mean of an encoder's last hidden states.

    ``encoder`` is a folder with a text encoder: see ``load_encoder`` for the layouts and the
    errors. It reads the first 256 tokens of what ``all_text`` gives: phase, codes, conditions,
    interventions, titles and outcomes come first, the criteria last. ``regularisation`` is
    scikit-learn's ``C``, over standardised dimensions; its default had the lowest log-loss in
    5-fold cross-validation inside TOP's phase III training rows, with a six-layer MiniLM.

    Attributes after ``fit``: ``classes_``; ``means_`` and ``scales_`` of the embedding's
    dimensions; ``learner_``, the regression; ``encoder_``.
    """

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        encoder: str | Path,
        regularisation: float = 0.003,
    ):
        self.task = task
        self.encoder = encoder
        self.regularisation = regularisation

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Embed and learn weights; ``TaskError`` for labels that are none of the task's."""
        trials, targets = self._learn(X, y)
        self.encoder_: TextEncoder = load_encoder(self.encoder)
        rows = self._embedded(trials)
        self.means_: FloatArray = rows.mean(axis=0)
        spread = rows.std(axis=0)
        self.scales_: FloatArray = np.where(spread > 1e-9, spread, 1.0)
        with one_thread():
            model = LogisticRegression(C=self.regularisation, max_iter=2000)
            model.fit((rows - self.means_) / self.scales_, targets)
        self.learner_: DenseLearner = read_regression(model)
        return self

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        rows = (self._embedded(trials) - self.means_) / self.scales_
        return self.learner_.predict_proba(rows)

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``; the encoder itself is not stored."""
        own = {"means": self.means_, "scales": self.scales_}
        return BaselineState({**own, **self.learner_.to_arrays()})

    def restore(self, state: BaselineState) -> None:
        """Inverse of ``state``, which loads the encoder; ``BundleError`` if it does not fit."""
        arrays = dict(state.arrays)
        means, scales = taken(arrays, "means", "scales")
        self.encoder_ = load_encoder(self.encoder)
        width = int(self.encoder_.model.config.hidden_size)
        if numbers(means, 1).shape != (width,) or numbers(scales, 1).shape != (width,):
            raise BundleError("holds weights for another encoder.")
        if not (scales > 0).all():
            raise BundleError("holds scales that are not above zero.")
        self.means_, self.scales_ = means, scales
        self.learner_ = DenseLearner.from_arrays(arrays, width, len(self.classes_))

    def _embedded(self, trials: list[Trial]) -> FloatArray:
        encoder = self.encoder_
        key = (id(encoder), "embeddings", *map(hash, trials))
        texts = map(all_text, trials)
        return remembered(key, lambda: encoder.encode(list(texts)), holding=encoder)
