"""The results of a selection: a bundle of the kind that was chosen, and ``selection.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm4top import __version__
from llm4top.data.dataset import Dataset
from llm4top.data.scopes import row_phases
from llm4top.evaluation.predictions import FloatArray
from llm4top.files import publishing
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.blend_files import copy_bundle
from llm4top.forecasters.bundles.figures import Evaluation
from llm4top.forecasters.bundles.manifest import BundleFacts
from llm4top.forecasters.bundles.paths import bundle_name
from llm4top.forecasters.bundles.read import confirm_reload, load_bundle
from llm4top.forecasters.bundles.save import save_forecaster
from llm4top.forecasters.bundles.trained_on import data_entry
from llm4top.forecasters.bundles.verify import read_manifest, verify_bundle
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.pool import LogPool, cross_pool
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.progress import OnProgress, ignore
from llm4top.training.final_fit import OutOfFold
from llm4top.training.finalize import CHOICE_NOTE, CHOSE, RELOAD_TOLERANCE, card_figures
from llm4top.training.memory import sample_rows
from llm4top.training.run_folder import RunFolder
from llm4top.training.selection import selection_file
from llm4top.training.selection.baselines import BaselineModels
from llm4top.training.selection.candidates import Candidate, SelectSettings
from llm4top.training.selection.decision import BASELINE, LANGUAGE, Decision, Finalists
from llm4top.training.selection.final import LANGUAGE_FOLDER, FinalFits
from llm4top.training.selection.runs import FinishedRun

BUNDLE_FOLDER = "bundle"
BASELINE_FOLDER = "baseline"
_MOST_RELOADED = 32
_FACTS = ("data", "base_rates", "licence", "context_of_use", "seed", "config_sha256")

_NOTE = (
    "Pool and calibration were cross-fitted for these figures: no row was measured by one that "
    "had seen it. The language model's weights, the candidate and the baseline were chosen on the "
    "same rows, so the figures are slightly optimistic."
)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The results of all steps of a selection. ``pool`` is None where no blend was tried."""

    settings: SelectSettings
    dataset: Dataset
    candidates: Sequence[Candidate]
    rungs: Sequence[selection_file.RungOutcome]
    run: FinishedRun
    finalists: Finalists
    models: BaselineModels
    baselines: Sequence[selection_file.BaselineOutcome]
    stack: selection_file.StackOutcome
    pool: LogPool | None
    stack_losses: FloatArray | None
    decision: Decision

    @property
    def final(self) -> bool:
        """Whether what was chosen is fitted again on all learning rows."""
        return self.settings.final_fit == "all"

    @property
    def language_bundle(self) -> Path:
        """The bundle of the best language model; of its final fit where it was chosen for that."""
        if self.final and self.decision.kind != "baseline":
            return self.settings.out / LANGUAGE_FOLDER
        return RunFolder(self.run.config.out).bundle

    @property
    def valid(self) -> Dataset:
        """The rows that everything was chosen on."""
        return self.dataset.select("valid")


def write_results(findings: Findings, progress: OnProgress = ignore) -> selection_file.Winner:
    """Write ``baseline/``, the best baseline, and ``bundle/``, what was chosen.

    With ``final_fit: all`` the baseline and the choice are fitted on train and valid before, and
    a language model that was chosen, alone or in a blend, is in ``language/``. Whatever is new is
    loaded again and must give the same probabilities.

    Raises:
        BundleError: It does not, or it cannot be written.
        KeyboardInterrupt: Ctrl-C in a final fit; the finished folds are kept.
    """
    decision, folder = findings.decision, findings.settings.out / BUNDLE_FOLDER
    settings, final = findings.settings, None
    if findings.final:
        final = FinalFits(
            findings.dataset,
            settings.out,
            findings.run,
            settings.folds,
            settings.encoder,
            progress,
        )
    baseline, beside = _write_baseline(findings, final)
    language = final.language() if final is not None and decision.kind != "baseline" else None
    if decision.kind == "stack" and final and beside and language:
        identity = _write_final_blend(findings, final, folder, baseline, (language, beside))
    elif decision.kind == "stack":
        identity = _write_blend(findings, folder, baseline)
    elif decision.kind == "baseline":
        identity = _write_copy(findings.settings.out / BASELINE_FOLDER, folder)
    else:
        identity = _write_copy(findings.language_bundle, folder)
    return selection_file.Winner(
        kind=decision.kind,
        name=decision.name,
        folder=BUNDLE_FOLDER,
        identity=identity,
        log_loss=decision.log_loss,
        gain=decision.gain,
    )


def _write_copy(source: Path, folder: Path) -> str:
    with publishing(folder) as staging:
        copy_bundle(source, read_manifest(source), staging)
    report = verify_bundle(folder)
    report.raise_for_problems()
    return report.manifest.identity


def _write_baseline(
    findings: Findings, final: FinalFits | None
) -> tuple[Forecaster, OutOfFold | None]:
    """Save the best baseline, calibrated on the validation split or on the out-of-fold logits.

    The latter are given back too.
    """
    finalists, dataset = findings.finalists, findings.dataset
    train, method = dataset.select("train"), findings.run.config.calibration
    if final is not None:
        return _write_final_baseline(findings, final)
    facts = BundleFacts(
        data=data_entry(dataset),
        base_rates=measure_base_rates(
            len(dataset.task.labels), [trial.phase for trial in train.trials], train.label_indices
        ),
        evaluations=(
            _evaluation(
                findings,
                {"this baseline, calibrated": {finalists.baseline.name: finalists.baseline.logits}},
                make_calibrator(method),
                {finalists.baseline.label + ", not calibrated": finalists.baseline.probabilities},
            ),
        ),
        seed=selection_file.SEED,
    )
    saved = save_forecaster(
        as_forecaster(findings.models.fitted(finalists.baseline.name)),
        findings.settings.out / BASELINE_FOLDER,
        name=finalists.baseline.name,
        dataset=dataset,
        validation=None,
        calibration=method,
        replace=True,
        facts=facts,
    )
    return saved, None


def _write_final_baseline(findings: Findings, final: FinalFits) -> tuple[Forecaster, OutOfFold]:
    finalists, method = findings.finalists, findings.run.config.calibration
    forecaster, found = final.baseline(finalists.baseline)
    own = {CHOSE[0]: {finalists.baseline.name: finalists.baseline.logits}}
    others = {CHOSE[1]: finalists.baseline.probabilities}
    evaluation = _evaluation(findings, own, make_calibrator(method), others)
    saved = save_forecaster(
        forecaster,
        findings.settings.out / BASELINE_FOLDER,
        name=finalists.baseline.name,
        dataset=None,
        validation=None,
        calibration=method,
        replace=True,
        facts=final.facts((final.evaluation(found, "this baseline"), evaluation)),
    )
    return saved, found


def _write_final_blend(
    findings: Findings,
    final: FinalFits,
    folder: Path,
    baseline: Forecaster,
    parts: tuple[OutOfFold, OutOfFold],
) -> str:
    """Write the blend of the parts' final fits; its identity.

    Its weights are those that the validation split chose, its calibration is fitted on the pooled
    out-of-fold logits of ``parts``.
    """
    if findings.pool is None:
        raise TypeError("there is no blend.")
    loading = _loading(findings)
    language = load_bundle(findings.language_bundle, weights=False, **loading)
    pooled = findings.pool.logits([part.cross.logits for part in parts])
    found = final.out_of_fold(pooled, parts[0].cross.folds)
    calibrator = final.calibrator(found)
    own = {CHOSE[0]: findings.finalists.sources}
    evaluations = (
        final.evaluation(found, "this blend"),
        _evaluation(findings, own, calibrator, _alone(findings)),
    )
    facts = BundleFacts.model_validate(
        {name: getattr(language.manifest, name) for name in (*_FACTS, "final_fit")}
    )
    facts = facts.model_copy(update={"evaluations": evaluations})
    return _save_blend(
        findings, folder, Blend((language, baseline), findings.pool), calibrator, facts
    )


def _save_blend(
    findings: Findings, folder: Path, blend: Blend, calibrator: Calibrator, facts: BundleFacts
) -> str:
    """Save a blend whose first part is the language model, reload and compare it; its identity."""
    language, loading = blend.parts[0], _loading(findings)
    valid = findings.valid
    rows = valid.take(sample_rows(len(valid), _MOST_RELOADED, selection_file.SEED))
    logits = blend.label_logits(rows.trials)
    save_bundle(
        folder,
        name=bundle_name(findings.run.config.name or findings.settings.out.resolve().name),
        forecaster=blend,
        calibration=calibrator,
        facts=facts,
        trained_on=language.trained_on,
        replace=True,
    )
    language.release()
    tolerance = RELOAD_TOLERANCE[loading["dtype"]]
    loaded = confirm_reload(folder, rows.trials, logits, calibrator, tolerance=tolerance, **loading)
    return loaded.identity


def _alone(findings: Findings) -> dict[str, FloatArray]:
    """The parts of the blend on the validation split, each scaled alone."""
    finalists = findings.finalists
    return {
        "the language model alone": finalists.scorer.scaled({LANGUAGE: finalists.logits}),
        finalists.baseline.label: finalists.scorer.scaled({BASELINE: finalists.baseline.logits}),
    }


def _write_blend(findings: Findings, folder: Path, baseline: Forecaster) -> str:
    """Write the blend's bundle, load it again and see that it gives the same; its identity."""
    if findings.pool is None:
        raise TypeError("there is no blend.")
    finalists, config = findings.finalists, findings.run.config
    scorer = finalists.scorer
    loading = _loading(findings)
    language = load_bundle(findings.language_bundle, weights=False, **loading)
    pooled = findings.pool.logits(list(finalists.sources.values()))
    phases = [trial.phase for trial in findings.valid.trials]
    calibrator = make_calibrator(config.calibration).fit(pooled, scorer.y, phases)
    source = read_manifest(findings.language_bundle)
    evaluation = _evaluation(
        findings,
        {"this blend, calibrated": finalists.sources},
        calibrator,
        _alone(findings),
    )
    facts = BundleFacts.model_validate({name: getattr(source, name) for name in _FACTS})
    blend = Blend((language, baseline), findings.pool)
    facts = facts.model_copy(update={"evaluations": (evaluation,)})
    return _save_blend(findings, folder, blend, calibrator, facts)


def _loading(findings: Findings) -> dict[str, Any]:
    """How to load the language model so that it computes as its run did."""
    from llm4top.forecasters.model.device import choose_device, choose_dtype
    from llm4top.forecasters.model.model_files import resolve_base

    config = findings.run.config
    device = choose_device(config.device)
    loading: dict[str, Any] = {
        "device": device.torch,
        "dtype": choose_dtype(device, config.dtype).name,
    }
    entry = read_manifest(findings.language_bundle).language
    if entry is not None and not entry.base.carried:
        loading["base"] = resolve_base(config.base)
    return loading


def _evaluation(
    findings: Findings,
    own: Mapping[str, Mapping[str, FloatArray]],
    calibrator: Calibrator,
    others: Mapping[str, FloatArray],
) -> Evaluation:
    """A card's figures: its own, cross-fitted, the ``others``' and the base rate's.

    ``own`` has one entry: its name, and the logits ``[n, K]`` that are pooled and calibrated.
    """
    finalists, valid = findings.finalists, findings.valid
    y, phases = finalists.scorer.y, [trial.phase for trial in valid.trials]
    forecasts = {
        name: cross_pool(sources, y, calibrator=calibrator, phases=phases, seed=selection_file.SEED)
        for name, sources in own.items()
    }
    forecasts |= {**others, finalists.base_rate.label: finalists.base_rate.probabilities}
    figures = card_figures(
        forecasts, y, split="valid", phases=row_phases(valid), seed=selection_file.SEED
    )
    note = f"{CHOICE_NOTE} {_NOTE}" if findings.final else _NOTE
    return Evaluation.model_validate({**figures, "note": note})


def to_selection(findings: Findings, winner: selection_file.Winner) -> selection_file.Selection:
    """The content of ``selection.json``. Paths are relative to the selection's folder."""
    settings, dataset = findings.settings, findings.dataset
    return selection_file.Selection(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        llm4top=__version__,
        task=dataset.task.name,
        data={
            "name": dataset.card.name,
            "sha256": dataset.card.sha256,
            "rows": {split: sum(rows.values()) for split, rows in dataset.counts().items()},
        },
        settings=settings.model_dump(mode="json", exclude={"data", "out", "encoder"}),
        candidates={c.name: dict(c.settings) for c in findings.candidates},
        rungs=tuple(findings.rungs),
        language=findings.run.outcome,
        language_bundle=findings.language_bundle.relative_to(settings.out).as_posix(),
        baselines=tuple(findings.baselines),
        baseline=findings.finalists.baseline.name,
        stack=findings.stack,
        winner=winner,
        why=findings.decision.why,
        notes=_notes(findings),
    )


def _notes(findings: Findings) -> tuple[str, ...]:
    notes = [
        "All figures are log-losses on the validation split, of forecasters scaled alike (a slope "
        "and an offset a label) by cross-fitting; intervals are 95 %, by the paired stratified "
        "bootstrap. The test split was not read.",
        "The winner was chosen on these rows, so its figure is slightly optimistic; the validation "
        "split is drawn from the same years as the training trials. Use an untouched test split to "
        "measure it.",
    ]
    if findings.final:
        n = sum(split != "test" for split in findings.dataset.splits)
        notes.append(
            f"Protocol (final_fit: all): with the settings and weights chosen here, the choice "
            f"was then fitted on all {n} train and valid trials and calibrated on out-of-fold "
            f"predictions of them ({findings.settings.folds} folds; in the bundle's card). The "
            "figures here are those of the models that made the choices, fitted on train alone."
        )
    if len(findings.settings.seeds) > 1:
        notes.append(
            "Candidates are compared by the mean of their seeds. Of the last one's runs the one "
            "with the middle log-loss is taken, not the best, whose figure would be optimistic."
        )
    if len(findings.rungs) > 1:
        notes.append(
            "Language models are not checked in time, because each would have to be trained again. "
            "Each rung has its own learning-rate schedule; only the last one is a full training."
        )
    return tuple(notes)
