"""The baselines that a language model has to beat: learnt, judged, and checked in time."""

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
from llm4top.training.selection.losses import SEED, Judge, is_gain
from llm4top.training.selection.selection_file import BaselineOutcome

BASE_RATE = "base-rate"
_NEVER = ("always",)
"""Baselines that log-loss cannot judge: they are certain."""
UNSTACKABLE = ("sentence",)
"""Baselines that need more than a bundle holds."""


@dataclass(slots=True)
class Rival:
    """A baseline that has learnt: what it said of the validation split, and its losses there."""

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
    """The baselines to judge, the base rate always among them, in the order of ``BASELINES``.

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
class Rivals:
    """All baselines on one data set; ``folder`` keeps what each has said, by what it came from."""

    dataset: Dataset
    judge: Judge
    folder: Path
    encoder: Path | None
    tell: Callable[[str], None]
    found: dict[str, Rival] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _newest: Dataset | None = None

    def learn(self, names: Sequence[str]) -> None:
        """Let each learn from the training split, and judge it on the validation split.

        A baseline that cannot learn from these data is out, and its reason is kept.
        """
        choose = self.dataset.select("valid")
        for name in names:
            self.tell(f"baseline: {BASELINES[name].label}")
            try:
                said = self._said(name, self.dataset, choose)
                losses = self.judge.losses({name: log_probabilities(said)})
            except (LLM4TOPError, ValueError) as error:
                if name == BASE_RATE:
                    raise
                self.failed[name] = str(error)
                continue
            self.found[name] = Rival(name, said, losses)

    def best(self) -> tuple[Rival, list[BaselineOutcome], str]:
        """The best baseline, how each of them did, and a sentence on the check in time.

        The best is the one of least validation log-loss whose gain over the base rate holds on
        the newest learning trials too, once it has learnt from the older ones alone.
        """
        order = sorted(self.found.values(), key=lambda rival: float(rival.losses.mean()))
        outcomes = {rival.name: self._outcome(rival) for rival in order}
        outcomes |= {
            name: BaselineOutcome(name=name, label=BASELINES[name].label, log_loss=None, note=why)
            for name, why in self.failed.items()
        }
        chosen, sentence = self.found[BASE_RATE], "No baseline beats the base rate by phase."
        unconfirmed = []
        for rival in order:
            if rival.name == BASE_RATE:
                break
            checked = self._check_newest(rival, outcomes[rival.name])
            outcomes[rival.name] = checked
            if checked.confirmed is False:
                unconfirmed.append(rival.label)
                continue
            chosen, sentence = rival, _in_time(checked)
            break
        if unconfirmed:
            sentence += (
                f" {' and '.join(unconfirmed)}: better on the validation split, which is drawn "
                "from the same years as the training trials, but not on the newest trials."
            )
        return chosen, list(outcomes.values()), sentence

    def _outcome(self, rival: Rival) -> BaselineOutcome:
        return BaselineOutcome(
            name=rival.name, label=rival.label, log_loss=self.judge.mean(rival.losses)
        )

    def _check_newest(self, rival: Rival, outcome: BaselineOutcome) -> BaselineOutcome:
        """``outcome`` with what the baseline is worth on trials newer than all it learnt from."""
        try:
            newest = self._newest = self._newest or newest_check(self.dataset)
            asked = newest.select("valid")
            judge = Judge.of(asked, draws=self.judge.draws, split="newest")
        except (TooFewRowsError, SplitError) as error:
            return outcome.model_copy(update={"note": f"not checked in time: {error}"})
        self.tell(f"check in time: {rival.label}")
        losses = [
            judge.losses({name: log_probabilities(self._said(name, newest, asked))})
            for name in (rival.name, BASE_RATE)
        ]
        difference = judge.mean(losses[0] - losses[1])
        return outcome.model_copy(update={"newest": difference, "confirmed": is_gain(difference)})

    def _said(self, name: str, data: Dataset, asked: Dataset) -> FloatArray:
        """Probabilities ``[n, K]`` of ``asked`` from ``name`` fitted on the train rows of ``data``.

        Said once, it is kept.
        """
        came_from = {
            "baseline": name,
            "data": data.sha256,
            "rows": hashlib.sha256("\n".join(asked.nct_ids).encode()).hexdigest(),
            "seed": SEED,
            "encoder": str(self.encoder) if name == "sentence" else None,
            "llm4top": __version__,
        }
        key = hashlib.sha256(json.dumps(came_from, sort_keys=True).encode()).hexdigest()[:16]
        file = self.folder / f"{name}-{key}.safetensors"
        try:
            kept = np.asarray(load_file(file)["probabilities"], dtype=np.float64)
        except (OSError, SafetensorError, KeyError):
            pass
        else:
            return kept
        said = np.asarray(self.fitted(name, data).predict_proba(asked.trials), dtype=np.float64)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as scratch:
            save_file({"probabilities": np.ascontiguousarray(said)}, scratch)
        return said

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
        f"The gain of {outcome.label} over the base rate holds in time: having learnt from the "
        f"older trials, its log-loss on the newest {outcome.newest.n} is lower by "
        f"{told(outcome.newest, sign=-1)}."
    )


def told(figure: Any, *, sign: int = 1) -> str:
    """A figure with its interval, in words: "0.012 [0.004, 0.020]"; ``sign`` -1 turns it over."""
    bounds = sorted(sign * bound for bound in (figure.lower, figure.upper))
    return f"{sign * figure.value:.4f} [{bounds[0]:.4f}, {bounds[1]:.4f}]"
