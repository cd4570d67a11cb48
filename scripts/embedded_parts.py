"""The parts of the embedded model, and what each forecasts of trials that it has not learned from.

Logits are kept in a folder as they are finished: a later run reads them and goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from learning_rows import Learning, as_record
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

from llm4top.data.masked_copies import AT_RANDOM, PATTERNS, masked, masked_copies
from llm4top.forecasters.baselines.classical import ClassicalForecaster
from llm4top.forecasters.baselines.extra_trees import ExtraTreesForecaster
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.baselines.structured import StructuredForecaster
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.pool import log_probabilities
from llm4top.forecasters.cross_fit import LearningRows, cross_fit
from llm4top.forecasters.language import LanguageForecaster
from llm4top.registry.trial import Trial

SEED = 0
TREES = 300
CUTS = ("2007-12", "2009-09", "2011-01")
"""Learn from trials started before a cut, forecast those that started from it to the next."""
UNKNOWN = "9999"

Logits = np.ndarray


@dataclass(frozen=True)
class Part:
    """A part of the blend, or a yardstick, which learns from TOP's rows alone.

    ``fit`` gives a fitted forecaster.
    """

    name: str
    fit: Callable[[LearningRows], Any]
    yardstick: bool = False

    def predictor(self, rows: LearningRows) -> Callable[[Sequence[Trial]], Logits]:
        """Fitted on ``rows``: log-probabilities ``[n, K]`` of trials."""
        model = self.fit(rows)
        return lambda trials: log_probabilities(softmax(model.label_logits(trials)))


def parts(base: Path, work: Path) -> list[Part]:
    """The parts of the blend, in the order of the card."""
    return [
        Part("language", partial(fit_language, base, work / "states")),
        _baseline("tfidf", TfidfForecaster(titles=True, thin_copies=True, seed=SEED)),
        _baseline(
            "extra-trees",
            ExtraTreesForecaster(trees=TREES, least_leaf=2, thin_copies=True, seed=SEED),
        ),
        _baseline(
            "structured",
            StructuredForecaster(trees=TREES, least_leaf=10, thin_copies=True, seed=SEED),
        ),
    ]


def yardsticks() -> list[Part]:
    """What the blend is compared with, fitted as a benchmark fits them."""
    return [
        _baseline("base-rate", BaseRateForecaster(), yardstick=True),
        _baseline("tfidf-alone", TfidfForecaster(), yardstick=True),
        _baseline("xgboost", ClassicalForecaster(learner="xgboost", seed=SEED), yardstick=True),
    ]


def _baseline(name: str, model: Any, *, yardstick: bool = False) -> Part:
    def fit(rows: LearningRows) -> Any:
        weights = {} if yardstick else {"sample_weight": rows.weights}
        return clone(model).fit(rows.trials, rows.labels, **weights)

    return Part(name, fit, yardstick)


def fit_language(base: Path, states: Path, rows: LearningRows) -> LanguageForecaster:
    """The language model with the settings of embedded.yaml; ``states`` keeps its hidden states."""
    settings = yaml.safe_load((Path(__file__).parent / "embedded.yaml").read_text("utf-8"))
    trials = [as_record(trial) for trial in rows.trials]
    model = LanguageForecaster(base, **settings)
    return model.fit(trials, rows.labels, sample_weight=rows.weights, output_dir=states)


def copies_of(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """The trials as records ("record"), and these with fields missing, by pattern.

    The copies with fields emptied at random depend on the order of the trials.
    """
    records = [as_record(trial) for trial in trials]
    patterns = [name for name in PATTERNS if name not in ("full", AT_RANDOM)]
    found = {"record": records} | {name: [masked(t, name) for t in records] for name in patterns}
    return found | {AT_RANDOM: masked_copies(records, seed=SEED).trials}


@dataclass(frozen=True, eq=False)
class Judged:
    """Logits ``[n, K]`` of every part and yardstick for the learning rows and their copies.

    By the name of the part, then of the copy; "full" are the rows as they are. ``out_of_fold`` are
    those of models that saw neither a row nor its copies (5 folds), ``later`` those of models that
    learned from trials before a cut, of trials that started from it to the next (NaN for others),
    ``valid`` those of TOP's validation trials by models of all others (NaN likewise).
    """

    data: Learning
    out_of_fold: Mapping[str, Mapping[str, Logits]]
    later: Mapping[str, Mapping[str, Logits]]
    valid: Mapping[str, Mapping[str, Logits]]

    def pooled(self, source: str, copy: str = "full", without: str | None = None) -> Logits:
        """The blend's logits; those of a blend that lacks the part ``without``."""
        found = getattr(self, source)
        blend = [name for name in found if name not in {y.name for y in yardsticks()}]
        return np.mean([found[name][copy] for name in blend if name != without], axis=0)

    def cuts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each cut, the positions of the rows before it and of those from it to the next."""
        dates = np.array([date or UNKNOWN for date in self.data.dates])
        return [
            (np.flatnonzero(dates < cut), np.flatnonzero((dates >= cut) & (dates < end)))
            for cut, end in zip(CUTS, (*CUTS[1:], UNKNOWN), strict=True)
        ]


def judge(data: Learning, chosen: Sequence[Part], work: Path) -> Judged:
    """Fit and judge the parts; what is in ``work`` already is read."""
    judged = Judged(data, {}, {}, {})
    dates = np.array([date or UNKNOWN for date in data.extra_dates])
    for part in chosen:
        later: dict[str, Logits] = {}
        for cut, (learn, asked) in zip(CUTS, judged.cuts(), strict=True):
            extra = data.extra.take(np.flatnonzero(dates < cut))
            _fill(later, data, part, learn, extra, asked, work / "later" / cut)
        valid: dict[str, Logits] = {}
        learn, asked = np.flatnonzero(~data.in_valid), np.flatnonzero(data.in_valid)
        _fill(valid, data, part, learn, data.extra, asked, work / "valid")
        found = cross_fit(
            lambda fold, part=part: part.predictor(fold.learn),
            data.rows,
            extra=None if part.yardstick else data.extra,
            also=copies_of(data.rows.trials),
            seed=SEED,
            store=work / "out-of-fold" / part.name,
            identity={"part": part.name},
            on_progress=partial(_say, part.name),
        )
        for source, logits in (
            (judged.later, later),
            (judged.valid, valid),
            (judged.out_of_fold, {"full": found.logits, **found.also}),
        ):
            source[part.name] = logits
    return judged


def _say(name: str, progress: Any) -> None:
    print(f"{name}: fold {progress.done} of {progress.total}", flush=True)


def _fill(
    found: dict[str, Logits],
    data: Learning,
    part: Part,
    learn: np.ndarray,
    extra: LearningRows,
    asked: np.ndarray,
    folder: Path,
) -> None:
    """Fit on ``learn`` and ``extra``; logits of ``asked`` and their copies go into ``found``."""
    file = folder / f"{part.name}.safetensors"
    if not file.is_file():
        print(f"{part.name}: {folder.name}, {len(learn)} rows to learn from", flush=True)
        rows = data.rows.take(learn)
        predict = part.predictor(rows if part.yardstick else rows.plus(extra))
        trials = [data.rows.trials[i] for i in asked]
        logits = {name: predict(rows) for name, rows in _with_full(trials).items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(v) for name, v in logits.items()}, file)
    for name, logits in load_file(file).items():
        found.setdefault(name, np.full((len(data.rows), logits.shape[1]), np.nan))[asked] = logits


def _with_full(trials: Sequence[Trial]) -> dict[str, Sequence[Trial]]:
    return {"full": trials, **copies_of(trials)}
