"""The baselines that a language model has to beat: fitted, scored, and checked in time."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from llm4top import __version__
from llm4top.data.dataset import Dataset
from llm4top.data.scopes import newest_check
from llm4top.errors import ConfigError, LLM4TOPError, SplitError, TooFewRowsError
from llm4top.evaluation.predictions import FloatArray
from llm4top.files import replacing
from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline
from llm4top.forecasters.calibration.pool import log_probabilities
from llm4top.training.selection.selection_file import (
    SEED,
    BaselineOutcome,
    SelectionScorer,
    is_gain,
)

BASE_RATE = "base-rate"
_NEVER = ("always",)
"""Baselines that log-loss cannot scorer: they are certain."""
NOT_BLENDED = ("sentence",)
"""Baselines that need more than a bundle holds."""


@dataclass(slots=True)
class BaselineModel:
    """A fitted baseline: its probabilities on the validation split, and its losses there."""

    name: str
    probabilities: FloatArray
    losses: FloatArray

    @property
    def label(self) -> str:
        """Its name in tables."""
        return BASELINES[self.name].label

    @property
    def logits(self) -> FloatArray:
        """What is pooled: its log-probabilities ``[n, K]``."""
        return log_probabilities(self.probabilities)


def chosen_baselines(names: Sequence[str] | None, encoder: Path | None) -> tuple[str, ...]:
    """The baselines to scorer, the base rate always among them, in the order of ``BASELINES``.

    None takes all of them. Raises ``ConfigError`` for a name that is none, or cannot be judged.
    """
    able = [name for name in BASELINES if name not in _NEVER]
    if encoder is None:
        able.remove("sentence")
    unknown = [name for name in names or () if name not in able]
    if unknown:
        raise ConfigError(
            "the settings of the selection are wrong.",
            [
                f"baselines: {name!r:.60} "
                + ("needs an encoder" if name == "sentence" else f"is none of {', '.join(able)}")
                for name in unknown
            ],
        )
    wanted = set(able if names is None else names) | {BASE_RATE}
    return tuple(name for name in able if name in wanted)


@dataclass(slots=True)
class BaselineModels:
    """All baselines on one data set; ``folder`` caches their predictions by what they came from."""

    dataset: Dataset
    scorer: SelectionScorer
    folder: Path
    encoder: Path | None
    on_step: Callable[[str], None]
    found: dict[str, BaselineModel] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _newest: Dataset | None = None

    def fit(self, names: Sequence[str]) -> None:
        """Fit each on the training split, and score it on the validation split.

        A baseline that cannot be fitted to these data is left out; ``failed`` holds its error.
        """
        valid = self.dataset.select("valid")
        for name in names:
            self.on_step(f"baseline: {BASELINES[name].label}")
            try:
                predictions = self._predictions(name, self.dataset, valid)
                losses = self.scorer.losses({name: log_probabilities(predictions)})
            except (LLM4TOPError, ValueError) as error:
                if name == BASE_RATE:
                    raise
                self.failed[name] = str(error)
                continue
            self.found[name] = BaselineModel(name, predictions, losses)

    def best(self) -> tuple[BaselineModel, list[BaselineOutcome], str]:
        """The best baseline, the results of all, and a sentence on the check in time.

        The best has the lowest validation log-loss among those whose gain over the base rate also
        holds on the newest training trials when they are fitted on the older ones only.
        """
        order = sorted(self.found.values(), key=lambda baseline: float(baseline.losses.mean()))
        outcomes = {baseline.name: self._outcome(baseline) for baseline in order}
        outcomes |= {
            name: BaselineOutcome(name=name, label=BASELINES[name].label, log_loss=None, note=why)
            for name, why in self.failed.items()
        }
        chosen, sentence = self.found[BASE_RATE], "No baseline beats the base rate by phase."
        unconfirmed = []
        for baseline in order:
            if baseline.name == BASE_RATE:
                break
            checked = self._check_newest(baseline, outcomes[baseline.name])
            outcomes[baseline.name] = checked
            if checked.confirmed is False:
                unconfirmed.append(baseline.label)
                continue
            chosen, sentence = baseline, _in_time(checked)
            break
        if unconfirmed:
            sentence += (
                f" {' and '.join(unconfirmed)}: better on the validation split, which is drawn "
                "from the same years as the training trials, but not on the newest trials."
            )
        return chosen, list(outcomes.values()), sentence

    def _outcome(self, baseline: BaselineModel) -> BaselineOutcome:
        return BaselineOutcome(
            name=baseline.name, label=baseline.label, log_loss=self.scorer.mean(baseline.losses)
        )

    def _check_newest(self, baseline: BaselineModel, outcome: BaselineOutcome) -> BaselineOutcome:
        """``outcome`` with the gain on trials that are newer than all it was fitted on."""
        try:
            newest = self._newest = self._newest or newest_check(self.dataset)
            rows = newest.select("valid")
            scorer = SelectionScorer.of(rows, draws=self.scorer.draws, split="newest")
        except (TooFewRowsError, SplitError) as error:
            return outcome.model_copy(update={"note": f"not checked in time: {error}"})
        self.on_step(f"check in time: {baseline.label}")
        losses = [
            scorer.losses({name: log_probabilities(self._predictions(name, newest, rows))})
            for name in (baseline.name, BASE_RATE)
        ]
        difference = scorer.mean(losses[0] - losses[1])
        return outcome.model_copy(update={"newest": difference, "confirmed": is_gain(difference)})

    def _predictions(self, name: str, data: Dataset, rows: Dataset) -> FloatArray:
        """Probabilities ``[n, K]`` of ``rows`` from ``name`` fitted on the train rows of ``data``.

        They are computed once and cached in ``folder``.
        """
        origin = {
            "baseline": name,
            "data": data.sha256,
            "rows": hashlib.sha256("\n".join(rows.nct_ids).encode()).hexdigest(),
            "seed": SEED,
            "encoder": str(self.encoder) if name == "sentence" else None,
            "llm4top": __version__,
        }
        key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
        file = self.folder / f"{name}-{key}.safetensors"
        try:
            return np.asarray(load_file(file)["probabilities"], dtype=np.float64)
        except (OSError, SafetensorError, KeyError):
            fitted = self.fitted(name, data)
        found = np.asarray(fitted.predict_proba(rows.trials), dtype=np.float64)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as scratch:
            save_file({"probabilities": np.ascontiguousarray(found)}, scratch)
        return found

    def fitted(self, name: str, data: Dataset | None = None) -> Any:
        """The baseline, fitted on the train rows of ``data`` (the whole data set's if None)."""
        learn = (data or self.dataset).select("train")
        baseline = make_baseline(name, learn.task, seed=SEED, encoder=self.encoder)
        return baseline.fit(learn.trials, np.asarray(learn.label_indices, dtype=np.int64))


def _in_time(outcome: BaselineOutcome) -> str:
    if outcome.newest is None:
        return (
            f"Whether the gain of {outcome.label} holds for newer trials was not checked"
            f" ({outcome.note.removeprefix('not checked in time: ').rstrip('.')})."
        )
    return (
        f"The gain of {outcome.label} over the base rate holds in time: fitted on the older "
        f"trials, its log-loss on the newest {outcome.newest.n} is lower by "
        f"{figure_text(outcome.newest, sign=-1)}."
    )


def figure_text(figure: Any, *, sign: int = 1) -> str:
    """A figure, times ``sign``: "0.0120 (95 % interval 0.0040 to 0.0200)"."""
    lower, upper = sorted(sign * bound for bound in (figure.lower, figure.upper))
    return f"{sign * figure.value:.4f} (95 % interval {lower:.4f} to {upper:.4f})"
