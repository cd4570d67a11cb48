"""From what a selection found to what it leaves: a bundle or a baseline, and ``selection.json``."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm4top import __version__
from llm4top.data.dataset import Dataset
from llm4top.data.scopes import row_phases
from llm4top.evaluation.predictions import FloatArray
from llm4top.forecasters.baselines.manifest import BaselineFacts
from llm4top.forecasters.baselines.store import save_baseline
from llm4top.forecasters.bundles.blend import link_or_copy, stack_bundle
from llm4top.forecasters.bundles.manifest import (
    MANIFEST_FILE,
    DataEntry,
    Evaluation,
    measure_base_rates,
)
from llm4top.forecasters.bundles.paths import bundle_name
from llm4top.forecasters.bundles.read import confirm_reload
from llm4top.forecasters.bundles.verify import read_manifest, verify_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.pool import LogPool, cross_pool
from llm4top.forecasters.folders import publish_folder
from llm4top.training.card_figures import card_figures
from llm4top.training.finalize import RELOAD_TOLERANCE
from llm4top.training.preflight import sample_rows
from llm4top.training.run_folder import RunFolder
from llm4top.training.selection.baselines import Rivals
from llm4top.training.selection.candidates import Candidate, SelectSettings
from llm4top.training.selection.decision import Finalists, Verdict
from llm4top.training.selection.losses import SEED
from llm4top.training.selection.runs import FinishedRun
from llm4top.training.selection.selection_file import (
    BaselineOutcome,
    RungOutcome,
    Selection,
    StackOutcome,
    Winner,
)

BUNDLE_FOLDER = "bundle"
BASELINE_FOLDER = "baseline"
_MOST_RELOADED = 500

_NOTE = (
    "Pool and calibration were cross-fitted for these figures: no row was measured by one that "
    "had seen it. The language model's weights, the candidate and the baseline were chosen on the "
    "same rows, so the figures are slightly optimistic."
)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything a selection found out. ``pool`` is None where no stack was tried."""

    settings: SelectSettings
    dataset: Dataset
    candidates: Sequence[Candidate]
    rungs: Sequence[RungOutcome]
    run: FinishedRun
    finalists: Finalists
    rivals: Rivals
    baselines: Sequence[BaselineOutcome]
    stack: StackOutcome
    pool: LogPool | None
    stack_losses: FloatArray | None
    verdict: Verdict

    @property
    def language_bundle(self) -> Path:
        """The bundle of the best language model."""
        return RunFolder(self.run.config.out).bundle

    @property
    def valid(self) -> Dataset:
        """The rows that everything was chosen on."""
        return self.dataset.select("valid")


def leave(findings: Findings) -> Winner:
    """Write ``baseline/`` and, unless a baseline alone was chosen, ``bundle/``.

    What is new is loaded again and must give the same probabilities. Raises ``BundleError`` where
    it does not, and what writing it raises.
    """
    out, verdict = findings.settings.out, findings.verdict
    baseline = _leave_baseline(findings)
    bundle = out / BUNDLE_FOLDER
    if verdict.kind == "baseline":
        # A bundle of an earlier call would pass for this one's choice.
        shutil.rmtree(bundle, ignore_errors=True)
        folder, identity = BASELINE_FOLDER, baseline
    elif verdict.kind == "stack":
        folder, identity = BUNDLE_FOLDER, _leave_stack(findings, bundle)
    else:
        folder, identity = BUNDLE_FOLDER, _leave_language(findings, bundle)
    return Winner(
        kind=verdict.kind,
        name=verdict.name,
        folder=folder,
        identity=identity,
        log_loss=verdict.log_loss,
        gain=verdict.gain,
    )


def _leave_baseline(findings: Findings) -> str:
    """Save the best baseline, which is loaded again there and then; its identity."""
    rival, dataset = findings.finalists.rival, findings.dataset
    learn, counts = dataset.select("train"), dataset.counts()
    facts = BaselineFacts(
        data=DataEntry(
            name=dataset.card.name,
            sha256=dataset.card.sha256,
            counts={split: sum(rows.values()) for split, rows in counts.items()},
            licence=" ".join(dataset.card.terms)[:2000],
            note=" ".join(dataset.card.warnings)[:2000],
        ),
        base_rates=measure_base_rates(
            dataset.task, [trial.phase for trial in learn.trials], learn.label_indices
        ),
    )
    rows = sample_rows(len(findings.valid), _MOST_RELOADED, SEED)
    manifest = save_baseline(
        findings.settings.out / BASELINE_FOLDER,
        findings.rivals.fitted(rival.name),
        name=rival.name,
        facts=facts,
        trials=findings.valid.take(rows).trials,
        replace=True,
    )
    return manifest.identity


def _leave_language(findings: Findings, folder: Path) -> str:
    source = findings.language_bundle
    names = [MANIFEST_FILE, *read_manifest(source).files]

    def write(staging: Path) -> None:
        for name in names:
            link_or_copy(source / name, staging / name)

    publish_folder(folder, write)
    report = verify_bundle(folder)
    report.raise_for_problems()
    return report.manifest.identity


def _leave_stack(findings: Findings, folder: Path) -> str:
    """Write the stack's bundle, load it again and see that it gives the same; its identity."""
    if findings.pool is None:
        raise TypeError("there is no stack.")
    finalists, config = findings.finalists, findings.run.config
    pooled = findings.pool.logits(list(finalists.sources.values()))
    phases = [trial.phase for trial in findings.valid.trials]
    calibrator = make_calibrator(config.calibration).fit(pooled, finalists.judge.y, phases)
    manifest = stack_bundle(
        findings.language_bundle,
        folder,
        baseline=findings.settings.out / BASELINE_FOLDER,
        pool=findings.pool,
        calibration=calibrator,
        name=bundle_name(config.name or findings.settings.out.resolve().name),
        evaluations=(_evaluation(findings, calibrator),),
        replace=True,
    )
    rows = sample_rows(len(pooled), _MOST_RELOADED, SEED)
    loading = _loading(config.base if not manifest.base.carried else None, findings)
    loaded = confirm_reload(
        folder,
        findings.valid.take(rows).trials,
        pooled[rows],
        calibrator,
        tolerance=RELOAD_TOLERANCE[loading["dtype"]],
        **loading,
    )
    return loaded.identity


def _loading(base: str | None, findings: Findings) -> dict[str, Any]:
    """How to load the bundle so that it computes as the run did."""
    from llm4top.forecasters.model.device import choose_device, choose_dtype
    from llm4top.forecasters.model.model_files import resolve_base

    config = findings.run.config
    device = choose_device(config.device)
    loading: dict[str, Any] = {
        "device": device.torch,
        "dtype": choose_dtype(device, config.dtype).name,
    }
    return loading if base is None else {**loading, "base": resolve_base(base)}


def _evaluation(findings: Findings, calibrator: Calibrator) -> Evaluation:
    """The card's figures of the stack, the two it is made of and the base rate."""
    finalists = findings.finalists
    y = finalists.judge.y
    forecasts: Mapping[str, FloatArray] = {
        "this stack, calibrated": cross_pool(
            finalists.sources,
            y,
            calibrator=calibrator,
            phases=[trial.phase for trial in findings.valid.trials],
            seed=SEED,
        ),
        "the language model alone": finalists.judge.scaled({"language": finalists.logits}),
        finalists.rival.label: finalists.judge.scaled({"baseline": finalists.rival.logits}),
        finalists.base_rate.label: finalists.base_rate.probabilities,
    }
    figures = card_figures(
        forecasts, y, split="valid", phases=row_phases(findings.valid), seed=SEED
    )
    return Evaluation.model_validate({**figures, "note": _NOTE})


def to_selection(findings: Findings, winner: Winner) -> Selection:
    """What ``selection.json`` says. Paths are told relative to the selection's folder."""
    settings, dataset = findings.settings, findings.dataset
    return Selection(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        llm4top=__version__,
        task=dataset.task.name,
        data={
            "name": dataset.card.name,
            "sha256": dataset.card.sha256,
            "rows": {split: sum(rows.values()) for split, rows in dataset.counts().items()},
        },
        settings=settings.model_dump(mode="json", exclude={"data", "out", "encoder"}),
        candidates={c.name: _plain(c.settings) for c in findings.candidates},
        rungs=tuple(findings.rungs),
        language=findings.run.outcome,
        language_bundle=findings.language_bundle.relative_to(settings.out).as_posix(),
        baselines=tuple(findings.baselines),
        baseline=findings.finalists.rival.name,
        stack=findings.stack,
        winner=winner,
        why=findings.verdict.why,
        notes=_notes(findings),
    )


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()
    }


def _notes(findings: Findings) -> tuple[str, ...]:
    notes = [
        "All figures are log-losses on the validation split, of forecasters scaled alike (a slope "
        "and an offset a label) by cross-fitting; intervals are 95 %, by the paired stratified "
        "bootstrap. The test split was not read.",
        "The winner was chosen on these rows, so its figure is slightly optimistic; the validation "
        "split is drawn from the same years as the training trials. An untouched test split is "
        "the judge.",
    ]
    if len(findings.settings.seeds) > 1:
        notes.append(
            "Candidates are compared by the mean of their seeds. Of the last one's runs the one "
            "with the middle log-loss is taken, not the best, whose figure would be optimistic."
        )
    if len(findings.rungs) > 1:
        notes.append(
            "Language models are not checked in time: each would have to be trained anew. Rungs "
            "are runs with a schedule of their own; only the last is trained in full."
        )
    return tuple(notes)
