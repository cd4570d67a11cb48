#!/usr/bin/env python
"""Fit and judge the embedded model: scripts/embedded.py DATA BASE WORK [--out FOLDER]

DATA is described in learning_rows.py, BASE is the pre-trained language model, WORK keeps what is
finished, so that an interrupted run goes on. scripts/embedded.sh makes BASE and calls this.

1. Out-of-fold logits of every learning row by each part (5 folds by trial), of masked copies too.
2. Forecasts of later trials by parts that learned from earlier ones (three cuts), and of TOP's
   validation trials by parts that learned from all others.
3. All parts fitted on all rows; their log-odds pooled with equal weights; the calibration and the
   support fitted on 1; saved as one bundle, with the figures of 1 and 2 in its card.

Nothing is chosen here: what was tried, and why this, is in docs/negative-results.md.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from learning_rows import Learning, as_record, learning, representative
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

from llm4top.data.masked_copies import masked
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.baselines.extra_trees import ExtraTreesForecaster
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.baselines.structured import StructuredForecaster
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.figures import Evaluation, FinalFit
from llm4top.forecasters.bundles.language_files import plain_settings, round_weights
from llm4top.forecasters.bundles.manifest import BundleFacts, TuningEntry
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.trained_on import TrainedOn, data_entry
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.methods import NoCalibration, cross_calibrate, make_calibrator
from llm4top.forecasters.calibration.pool import log_probabilities
from llm4top.forecasters.cross_fit import FOLDS, LearningRows, calibrate_out_of_fold, cross_fit
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.forecasters.language import LanguageForecaster
from llm4top.registry.trial import Trial
from llm4top.training.finalize import card_figures

SEED = 0
TREES = 300
CUTS = ("2007-12", "2009-09", "2011-01")
"""Learn from trials started before a cut, forecast those that started from it to the next."""
UNKNOWN = "9999"
LICENCE = (
    "The weights have learnt from TOP and may be used for non-commercial purposes only. Registry "
    "text is from ClinicalTrials.gov. The code is under the Apache License 2.0."
)
NOTE = (
    "Besides TOP's training and validation files it learned from {n} other labelled trials of "
    "phases II and III, weighted to TOP's base rates, and its language model from registry texts "
    "without labels. No trial of TOP's test files is among them."
)
METHOD = "venn-abers"
LABELS = {"tfidf-alone": "TF-IDF + logistic regression", "base-rate": "base rate of the phase"}
SPLITS = {"later": "later", "valid": "valid", "out_of_fold": "out-of-fold"}
NOTES = {
    "later": "Trials that started after all those that were learned from, in three steps. The "
    "settings were chosen on these trials, so the figures are slightly optimistic.",
    "valid": "TOP's validation files, by models that were fitted on all other rows.",
    "out_of_fold": "Each trial was forecast by models that were fitted without it and its copies.",
}
MASKS = ("no criteria", "no phase", "no criteria, no phase", "no conditions", "no interventions",
         "title only", "empty")  # fmt: skip
"""Patterns of the masked copies that the support is learned from."""

Logits = np.ndarray
Predict = Callable[[Sequence[Trial]], Logits]


@dataclass(frozen=True)
class Part:
    """A part of the blend, or a yardstick: ``fit`` gives a fitted forecaster."""

    name: str
    fit: Callable[[LearningRows], Any]
    extra: bool = True
    """Whether it learns from the extra rows too."""

    def predictor(self, rows: LearningRows) -> Predict:
        """Fitted on ``rows``: log-probabilities of trials."""
        model = self.fit(rows)
        return lambda trials: log_probabilities(softmax(model.label_logits(trials)))


def parts(base: Path) -> list[Part]:
    """The parts of the blend, in the order of the card."""
    baselines: dict[str, Any] = {
        "tfidf": TfidfForecaster(titles=True, thin_copies=True, seed=SEED),
        "extra-trees": ExtraTreesForecaster(trees=TREES, least_leaf=2, thin_copies=True, seed=SEED),
        "structured": StructuredForecaster(trees=TREES, least_leaf=10, thin_copies=True, seed=SEED),
    }
    return [Part("language", lambda rows: fit_language(base, rows))] + [
        Part(name, lambda rows, model=model: fit_baseline(model, rows))
        for name, model in baselines.items()
    ]


def yardsticks() -> list[Part]:
    """What the blend is compared with, fitted on TOP's rows alone as a benchmark fits them."""
    return [
        Part(
            "base-rate",
            lambda rows: fit_baseline(BaseRateForecaster(), unweighted(rows)),
            extra=False,
        ),
        Part(
            "tfidf-alone",
            lambda rows: fit_baseline(TfidfForecaster(), unweighted(rows)),
            extra=False,
        ),
    ]


def unweighted(rows: LearningRows) -> LearningRows:
    """The rows, each as heavy as any other."""
    return replace(rows, weights=None)


def fit_baseline(model: Any, rows: LearningRows) -> Any:
    """A clone of the baseline, fitted."""
    weights = {} if rows.weights is None else {"sample_weight": rows.weights}
    return clone(model).fit(rows.trials, rows.labels, **weights)


def fit_language(base: Path, rows: LearningRows) -> LanguageForecaster:
    """The language model, fine-tuned with the settings of embedded.yaml.

    It takes no sample weights: a row is drawn as often as its weight says (systematic resampling,
    so that a weight of 1 is one copy).
    """
    settings = yaml.safe_load((Path(__file__).parent / "embedded.yaml").read_text("utf-8"))
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    counts = np.diff(np.floor(np.concatenate([[0.5], 0.5 + np.cumsum(weights)]))).astype(int)
    drawn = rows.take(np.repeat(np.arange(len(rows)), counts))
    trials = [as_record(trial) for trial in drawn.trials]
    return LanguageForecaster(base, **settings).fit(trials, drawn.labels)


def out_of_fold(data: Learning, part: Part, work: Path) -> dict[str, Logits]:
    """Logits ``[n, K]`` of all learning rows by models that saw neither them nor their copies.

    "full" are the rows as they are, "record" without what no record has, then ``MASKS``.
    """
    found = cross_fit(
        lambda fold: part.predictor(fold.learn),
        data.rows,
        extra=data.extra if part.extra else None,
        also=variants(data.rows.trials),
        seed=SEED,
        store=work / "out-of-fold" / part.name,
        identity={"part": part.name},
        on_progress=lambda p: print(f"{part.name}: fold {p.done} of {p.total}", flush=True),
    )
    return {"full": found.logits, **found.also}


def variants(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """The trials as records, and with fields missing."""
    records = [as_record(trial) for trial in trials]
    return {"record": records} | {name: [masked(t, name) for t in records] for name in MASKS}


def later(data: Learning, part: Part, work: Path) -> dict[str, Logits]:
    """Logits of trials that started from a cut to the next, by models of the earlier ones.

    NaN where a trial started before the first cut, or nobody knows when.
    """
    dates, extra_dates = (
        np.array([d or "9999" for d in ds]) for ds in (data.dates, data.extra_dates)
    )
    known = dates < "9999"
    found: dict[str, Logits] = {}
    for cut, end in zip(CUTS, (*CUTS[1:], "9999"), strict=True):
        learn, asked = (
            np.flatnonzero(dates < cut),
            np.flatnonzero((dates >= cut) & (dates < end) & known),
        )
        more = data.extra.take(np.flatnonzero(extra_dates < cut))
        _judge(data, part, work / "later" / cut, learn, more, asked, found)
    return found


def valid(data: Learning, part: Part, work: Path) -> dict[str, Logits]:
    """Logits of TOP's validation trials by models of all other rows."""
    found: dict[str, Logits] = {}
    learn, asked = np.flatnonzero(~data.in_valid), np.flatnonzero(data.in_valid)
    _judge(data, part, work / "valid", learn, data.extra, asked, found)
    return found


def _judge(
    data: Learning,
    part: Part,
    folder: Path,
    learn: np.ndarray,
    extra: LearningRows,
    asked: np.ndarray,
    found: dict[str, Logits],
) -> None:
    """Fit on ``learn`` and ``extra``, fill ``found`` with the logits of ``asked``; kept on disk."""
    file = folder / f"{part.name}.safetensors"
    if not file.is_file():
        print(f"{part.name}: {folder.name}, {len(learn)} rows to learn from", flush=True)
        rows = data.rows.take(learn)
        predict = part.predictor(
            rows if part.name in {y.name for y in yardsticks()} else rows.plus(extra)
        )
        trials = [data.rows.trials[i] for i in asked]
        logits = {"full": predict(trials)} | {k: predict(v) for k, v in variants(trials).items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: np.ascontiguousarray(v) for k, v in logits.items()}, file)
    for name, logits in load_file(file).items():
        found.setdefault(name, np.full((len(data.rows), logits.shape[1]), np.nan))[asked] = logits


@dataclass(frozen=True, eq=False)
class Judged:
    """What is known of every part and yardstick, by name and variant: logits ``[n, K]``."""

    data: Learning
    blend: tuple[str, ...]
    out_of_fold: Mapping[str, Mapping[str, Logits]]
    later: Mapping[str, Mapping[str, Logits]]
    valid: Mapping[str, Mapping[str, Logits]]

    def pooled(self, source: str, variant: str, without: str | None = None) -> Logits:
        """The blend's logits, or those of a blend that lacks a part."""
        found = getattr(self, source)
        return np.mean([found[n][variant] for n in self.blend if n != without], axis=0)


def evaluations(judged: Judged) -> list[Evaluation]:
    """The figures of the card: later trials, TOP's validation trials, and all out of fold."""
    data, y = judged.data, judged.data.rows.labels
    found = []
    for source, note in NOTES.items():
        logits = judged.pooled(source, "full")
        rows = np.flatnonzero(~np.isnan(logits[:, 0]))
        names = {"this model": calibrated(judged, source)[rows]}
        others = getattr(judged, source)
        for part in judged.blend:
            names[f"{part} alone"] = softmax(others[part]["full"][rows])
        names |= {LABELS[n]: softmax(others[n]["full"][rows]) for n in LABELS}
        names["always success"] = np.tile([0.0, 1.0], (len(rows), 1))
        phases = [data.phases[i] for i in rows]
        figures = card_figures(names, y[rows], split=SPLITS[source], phases=phases, seed=SEED)
        found.append(Evaluation.model_validate({**figures, "note": note}))
    return found


def calibrated(judged: Judged, source: str) -> np.ndarray:
    """The blend's probabilities ``[n, K]``, by a calibration that has seen none of the rows judged.

    Later trials: fitted on out-of-fold logits of the trials before their cut. Validation trials:
    on those of all others. Out of fold: cross-fitted over the same folds.
    """
    data, oof = judged.data, judged.pooled("out_of_fold", "full")
    asked = judged.pooled(source, "full")
    if source == "out_of_fold":
        fitted = make_calibrator(METHOD)
        rows = data.rows
        return cross_calibrate(fitted, oof, rows.labels, rows.phases, folds=FOLDS).probabilities
    fits = representative(data)
    found = np.full_like(asked, np.nan)
    if source == "valid":
        groups = [(fits[~data.in_valid[fits]], np.flatnonzero(data.in_valid))]
    else:
        dates = np.array([date or UNKNOWN for date in data.dates])
        ends = (*CUTS[1:], UNKNOWN)
        groups = [
            (fits[dates[fits] < cut], np.flatnonzero((dates >= cut) & (dates < end)))
            for cut, end in zip(CUTS, ends, strict=True)
        ]
    for learn, rows in groups:
        calibrator = calibrate_out_of_fold(oof[learn], data.rows.take(learn), METHOD)
        phases = [data.rows.trials[i].phase for i in rows]
        found[rows] = calibrator.calibrate(asked[rows], phases).probabilities
    return found


def saved_language(model: LanguageForecaster, folder: Path) -> Forecaster:
    """The language model as a bundle of its own, its weights rounded to bfloat16."""
    round_weights(model.scorer.model, "bfloat16")
    settings = {k: v for k, v in model.get_params(deep=False).items() if k not in ("base", "task")}
    save_bundle(
        folder,
        name="language",
        forecaster=model,
        calibration=NoCalibration(),
        facts=BundleFacts(base_rates=dict(model.base_rates_), licence=LICENCE, seed=SEED),
        tuning=TuningEntry(method="full", settings=plain_settings(settings)),
        storage="bfloat16",
    )
    return load_bundle(folder)


def make(judged: Judged, base: Path, folder: Path) -> None:
    """Fit everything on all rows and write the bundle."""
    data = judged.data
    everything = data.rows.plus(data.extra)
    fitted: dict[str, Forecaster] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for part in parts(base):
            print(f"{part.name}: all {len(everything)} rows", flush=True)
            model = part.fit(everything)
            language = part.name == "language"
            fitted[part.name] = (
                saved_language(model, Path(scratch) / "language")
                if language
                else as_forecaster(model)
            )
        blend = Blend.equal(fitted)
        rows = representative(data)
        learned = data.rows.take(rows)
        logits = judged.pooled("out_of_fold", "full")[rows]
        calibrator = calibrate_out_of_fold(logits, learned, METHOD)
        entry = data_entry(data.dataset)
        save_bundle(
            folder,
            name="llm4top-mini",
            forecaster=blend,
            calibration=calibrator,
            facts=BundleFacts(
                data=entry.model_copy(update={"note": NOTE.format(n=len(data.extra))}),
                base_rates=measure_base_rates(2, learned.phases, learned.labels.tolist()),
                final_fit=FinalFit(trials=len(rows), folds=FOLDS),
                evaluations=tuple(evaluations(judged)),
                licence=LICENCE,
                seed=SEED,
            ),
            trained_on=TrainedOn.of(everything.groups, (), data_sha256=data.dataset.sha256),
            replace=True,
        )


def main() -> None:
    """Everything that is asked for, step by step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="+", help="compute the logits of these parts, then stop")
    parser.add_argument("--out", type=Path, help="where to write the bundle")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = learning(asked.data, Path(scratch))
    found: dict[str, dict[str, Any]] = {"later": {}, "valid": {}, "out_of_fold": {}}
    blend = parts(asked.base)
    for part in [*yardsticks(), *blend]:
        if asked.only and part.name not in asked.only:
            continue
        found["later"][part.name] = later(data, part, asked.work)
        found["valid"][part.name] = valid(data, part, asked.work)
        found["out_of_fold"][part.name] = out_of_fold(data, part, asked.work)
    if not asked.only:
        judged = Judged(data, tuple(part.name for part in blend), **found)
        make(judged, asked.base, asked.out or asked.work / "bundle")


if __name__ == "__main__":
    main()
