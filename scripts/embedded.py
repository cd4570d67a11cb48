#!/usr/bin/env python
"""Fit and judge the embedded model: scripts/embedded.py DATA BASE WORK [--out FOLDER]

DATA is described in learning_rows.py, BASE is the pre-trained language model, WORK keeps what is
finished, so that an interrupted run goes on. scripts/embedded.sh makes BASE and calls this.

1. Every part forecasts all learning rows out of fold, later trials after learning from earlier
   ones, and TOP's validation trials after learning from all others; masked copies of them too.
2. All parts are fitted on all rows, and their log-odds are pooled with equal weights.
3. The calibration and the support are fitted on 1, and all is saved as one bundle, with the
   figures of 1 in its card.

Nothing is chosen here: what was tried, and why this, is in docs/negative-results.md.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from embedded_parts import SEED, Judged, copies_of, judge, parts, yardsticks
from embedded_tables import what_it_reads
from learning_rows import learning, representative

from llm4top.evaluation.metrics.ablation import ablate_parts
from llm4top.forecasters.base_rates import BaseRate, measure_base_rates
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.figures import Ablation, Evaluation, FinalFit
from llm4top.forecasters.bundles.manifest import BundleFacts
from llm4top.forecasters.bundles.read import confirm_reload
from llm4top.forecasters.bundles.trained_on import TrainedOn, data_entry
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrated, Calibrator, softmax
from llm4top.forecasters.calibration.methods import cross_calibrate, make_calibrator
from llm4top.forecasters.cross_fit import FOLDS, LearningRows, assign_folds, calibrate_out_of_fold
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.forecasters.support import Support
from llm4top.forecasters.support_fit import Judged as Copies
from llm4top.forecasters.support_fit import learn_support
from llm4top.forecasters.support_slices import coverage_table
from llm4top.training.finalize import card_figures

NAME = "llm4top-mini"
METHOD = "platt"
SECTIONS = ("phase", "brief_title", "conditions", "interventions", "criteria")
"""What registry records have of what the parts read."""
LABELS = {
    "tfidf-alone": "TF-IDF + logistic regression",
    "xgboost": "XGBoost",
    "base-rate": "base rate of the phase",
}
NOTES = {
    "later": "Trials that started after all those that were learned from, in three steps. The "
    "settings were chosen on these trials, so the figures are slightly optimistic.",
    "valid": "TOP's validation files, by models that were fitted on all other rows.",
    "out_of_fold": "Each trial was forecast by models that were fitted without it and its copies.",
}
SPLITS = {"later": "later", "valid": "valid", "out_of_fold": "out-of-fold"}
LICENCE = (
    "The weights have learnt from TOP and may be used for non-commercial purposes only. Registry "
    "text is from ClinicalTrials.gov. The code is under the Apache License 2.0."
)
NOTE = (
    "It learned from {rows} trials of TOP's training and validation files and from {n} other "
    "labelled trials of phases II and III, weighted to TOP's base rates; its language model also "
    "from registry texts without labels. The calibration and the base rates are fitted on {fits} "
    "of TOP's trials, which have the base rates of TOP's whole files. No trial of TOP's test files "
    "is among them."
)


def make(judged: Judged, base: Path, work: Path, folder: Path, registry: Path) -> None:
    """Fit everything on all rows and write the bundle.

    ``registry`` are records to show on what edits do to a forecast.
    """
    data, rows = judged.data, representative(judged.data)
    everything, learned = data.rows.plus(data.extra), data.rows.take(rows)
    fitted: dict[str, Forecaster] = {}
    for part in parts(base, work):
        print(f"{part.name}: all {len(everything)} rows", flush=True)
        fitted[part.name] = as_forecaster(part.fit(everything))
    calibrator, blend = calibrated_on(judged, rows), Blend.equal(fitted)
    later = [later_copies(judged, *cut, rows) for cut in judged.cuts()]
    support = learned_support(judged, rows, later)
    note = NOTE.format(n=len(data.extra), rows=len(data.rows), fits=len(rows))
    facts = BundleFacts(
        data=data_entry(data.dataset).model_copy(update={"note": note}),
        base_rates=rates_of(learned),
        final_fit=FinalFit(trials=len(rows), folds=FOLDS),
        evaluations=tuple(evaluations(judged)),
        ablation=what_parts_add(judged),
        licence=LICENCE,
        seed=SEED,
    )
    save = partial(
        save_bundle,
        folder,
        name=NAME,
        forecaster=blend,
        calibration=calibrator,
        support=support,
        trained_on=TrainedOn.of(everything.groups, (), data_sha256=data.dataset.sha256),
        replace=True,
    )
    save(facts=facts)
    compared = learned.trials[:: len(learned) // 200]
    logits = blend.label_logits(compared)
    saved = confirm_reload(folder, compared, logits, calibrator)
    tables = (
        coverage_table(support, later),
        what_it_reads(saved, registry),
    )
    save(facts=facts.model_copy(update={"tables": tuple(t for t in tables if t is not None)}))
    confirm_reload(folder, compared, logits, calibrator)


def rates_of(rows: LearningRows) -> dict[str, BaseRate]:
    """The base rates of rows, as a bundle stores them."""
    return measure_base_rates(2, rows.phases, rows.labels.tolist())


def calibrated_on(judged: Judged, rows: np.ndarray) -> Calibrator:
    """The calibration of the blend on the out-of-fold logits of those rows."""
    logits = judged.pooled("out_of_fold")[rows]
    return calibrate_out_of_fold(logits, judged.data.rows.take(rows), METHOD)


def learned_support(judged: Judged, rows: np.ndarray, later: Sequence[Copies]) -> Support:
    """How far the blend knows trials that lack fields, from copies of those rows."""
    data = judged.data
    learned = data.rows.take(rows)
    copies = {"full": data.rows.trials, **copies_of(data.rows.trials)}
    copies = {name: [trials[i] for i in rows] for name, trials in copies.items()}
    strata = list(zip(data.rows.labels.tolist(), data.rows.phases, strict=True))
    folds = assign_folds(data.rows.groups, strata, folds=FOLDS, seed=SEED)[rows]
    return learn_support(
        learned,
        {name: judged.pooled("out_of_fold", name)[rows] for name in copies},
        copies,
        folds,
        rates_of(learned),
        sections=SECTIONS,
        starts=[data.dates[i] for i in rows],
        later=later,
        calibration=METHOD,
    )


def later_copies(judged: Judged, before: np.ndarray, asked: np.ndarray, fits: np.ndarray) -> Copies:
    """Trials that started from a cut to the next, forecast by what the earlier ones taught."""
    data, past = judged.data, np.intersect1d(before, fits)
    rows = data.rows.take(asked)
    copies = {"full": rows.trials, **copies_of(rows.trials)}
    calibrator = calibrated_on(judged, past)
    forecasts: dict[str, Calibrated] = {
        name: calibrator.predict(judged.pooled("later", name)[asked], [t.phase for t in trials])
        for name, trials in copies.items()
    }
    starts = [data.dates[i] for i in asked]
    return Copies.of(rows, copies, forecasts, rates_of(data.rows.take(past)), starts)


def probabilities(judged: Judged, source: str) -> np.ndarray:
    """The blend's calibrated probabilities ``[n, K]``; no row was calibrated on.

    Later trials: by a calibration on the out-of-fold logits of the trials before their cut.
    Validation trials: on those of all others. Out of fold: cross-fitted over the same folds.
    """
    data, asked = judged.data, judged.pooled(source)
    if source == "out_of_fold":
        rows, fits = data.rows, make_calibrator(METHOD)
        return cross_calibrate(fits, asked, rows.labels, rows.phases, folds=FOLDS).probabilities
    found = np.full_like(asked, np.nan)
    pairs = judged.cuts()
    if source == "valid":
        pairs = [(np.flatnonzero(~data.in_valid), np.flatnonzero(data.in_valid))]
    for learn, rows in pairs:
        calibrator = calibrated_on(judged, np.intersect1d(learn, representative(data)))
        phases = [data.rows.trials[i].phase for i in rows]
        found[rows] = calibrator.predict(asked[rows], phases).probabilities
    return found


def evaluations(judged: Judged) -> list[Evaluation]:
    """The figures of the card: later trials, TOP's validation trials, and all out of fold."""
    data, y = judged.data, judged.data.rows.labels
    found = []
    for source, note in NOTES.items():
        own = probabilities(judged, source)
        rows = np.flatnonzero(~np.isnan(own[:, 0]))
        logits = getattr(judged, source)
        names = {"this model, calibrated": own[rows]}
        names |= {f"{n} alone": softmax(logits[n]["full"][rows]) for n in logits if n not in LABELS}
        names |= {label: softmax(logits[n]["full"][rows]) for n, label in LABELS.items()}
        names["always success"] = np.tile([0.0, 1.0], (len(rows), 1))
        phases = [data.phases[i] for i in rows]
        figures = card_figures(names, y[rows], split=SPLITS[source], phases=phases, seed=SEED)
        found.append(Evaluation.model_validate({**figures, "note": note}))
    return found


def what_parts_add(judged: Judged) -> Ablation:
    """The blend against blends that lack one part, on later trials."""
    rows = np.flatnonzero(~np.isnan(judged.pooled("later")[:, 0]))
    logits = {
        name: found["full"][rows] for name, found in judged.later.items() if name not in LABELS
    }
    return ablate_parts(logits, judged.data.rows.labels[rows], split=SPLITS["later"], seed=SEED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge the parts, then make the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="+", help="judge these parts, then stop")
    parser.add_argument("--out", type=Path, help="where to write the bundle")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        data = learning(asked.data, Path(scratch))
    chosen = [*yardsticks(), *parts(asked.base, asked.work)]
    if asked.only:
        judge(data, [part for part in chosen if part.name in asked.only], asked.work)
        return
    judged = judge(data, chosen, asked.work)
    registry = asked.data / "registry" / "AllPublicXML-sample.zip"
    make(judged, asked.base, asked.work, asked.out or asked.work / "bundle", registry)


if __name__ == "__main__":
    main()
