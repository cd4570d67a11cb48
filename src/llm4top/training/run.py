"""A training run from the data set to a bundle that has been reloaded and gives the same."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm4top import __version__
from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.scopes import of_phases
from llm4top.errors import ResumeError, TrainingError
from llm4top.forecasters.bundles.language_files import round_weights
from llm4top.forecasters.finetuning.finetune import FinetuneResult, finetune
from llm4top.forecasters.finetuning.section_dropout import section_dropout
from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.forecasters.finetuning.whole import made_whole
from llm4top.forecasters.forecaster import release_memory
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import BaseModel, load_base, prepare_process
from llm4top.forecasters.model.sharding import Shard
from llm4top.processes import is_main_process, process_count
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.training.config import TrainingConfig, prompt_spec
from llm4top.training.final_fit import WHOLE, Choice, OutOfFold, cross_fit_run, fit_checkpoints
from llm4top.training.finalize import Published, Publisher
from llm4top.training.memory import evaluation_rows, evaluation_size
from llm4top.training.preflight import PreflightReport, preflight
from llm4top.training.run_folder import RunFolder, keep_logits
from llm4top.training.watch import Watch, naming_processes, stop_on_signals

# What may differ when a run is resumed: paths and names. The data, the
# base model and the device are compared by what they are, not by their names.
FREE_TO_DIFFER = {
    "data",
    "base",
    "out",
    "preset",
    "device",
    "dtype",
    "log_steps",
    "shard",
    "name",
    "context_of_use",
    "licence",
}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished run.

    ``bundle`` is the folder of the bundle, reloaded and found to give the same probabilities
    within ``reload_difference``; ``metrics`` as ``measured`` gives them, on the validation split.
    Under ``torchrun`` all but process 0 get None and nothing for these three, and so does every
    process where nothing was to be published. With ``final_fit: all`` the metrics are those of the
    model that chose the steps, and ``out_of_fold`` has those of all learning rows. ``tried`` has a
    probe's ``layer``, ``pooling``, ``c`` and ``eval_log_loss``, once for each layer and pooling.
    """

    out: Path
    bundle: Path | None
    metrics: dict[str, Any]
    out_of_fold: dict[str, Any]
    reload_difference: float | None
    steps: int
    best_step: int | None
    best_log_loss: float | None
    stopped_early: bool
    tokens: int
    seconds: float
    tried: tuple[Mapping[str, Any], ...] = ()


def train(
    config: TrainingConfig,
    *,
    progress: OnProgress = ignore,
    resume: bool = False,
    publish: bool = True,
    checked: PreflightReport | None = None,
) -> TrainingResult:
    """Fine-tune a base model, calibrate it, write its bundle, and check the reloaded bundle.

    Only validation data decide which weights are kept, when to stop and how to calibrate. The
    test split is never read. Under ``torchrun`` every process calls this; process 0 writes. With
    ``final_fit: all`` the bundle's model is then fitted on train and valid together and calibrated
    on out-of-fold predictions: see ``final_fit``.

    Args:
        config: The settings, from ``make_config``.
        progress: Called with the progress of each stage: "preflight", "prompts", "training" (in
            optimiser steps, with its figures), "calibration", "cross-fitting" (in folds),
            "bundle", "check", "done".
        resume: Continue from the newest complete checkpoint, or from the start where a run died
            before its first. The weights are those of an uninterrupted run.
        publish: Whether to write a bundle. Without one the run ends with the logits of the
            validation split (``kept_logits``), by which a selection compares candidates.
        checked: The report of ``preflight`` for these settings; spares a second check.

    Returns:
        The finished run; ``out`` holds what ``RunFolder`` describes.

    Raises:
        PreflightError: With every reason why the run would fail.
        ResumeError: Names what differs from the run that was started.
        TrainingError: Another process writes to the folder, or the run fails.
        KeyboardInterrupt: Ctrl-C or SIGTERM. The run has a checkpoint and can be resumed.
        LLM4TOPError: What loading data and models raises.
    """
    prepare_process()
    main = is_main_process()
    report = progress if main else ignore
    dataset = checked.dataset if checked is not None else None
    if dataset is None:
        dataset = of_phases(load_dataset(config.data), config.phases)
    if main:
        report(Progress("preflight"))
        (checked or preflight(config, dataset=dataset, resume=resume)).raise_for_faults()
    run = RunFolder(config.out)
    with ExitStack() as stack:
        if main:
            stack.enter_context(run.locked())
            _check_free(run, resume=resume)
        should_stop = stack.enter_context(stop_on_signals())
        training = Training(config, dataset, run, report, should_stop, main, resume, publish)
        return training.run_recorded()


def _check_free(run: RunFolder, *, resume: bool) -> None:
    """Check the folder once more, now that it is locked."""
    if run.identity_file.is_file() and not resume:
        raise TrainingError(
            "the folder holds a run already.",
            where=str(run.path),
            hint="Resume it, or choose another.",
        )
    if resume and run.state().get("state") == "done":
        raise ResumeError(
            f"the run is finished; its bundle is {run.bundle}."
            if run.bundle.exists()
            else "the run is finished.",
            where=str(run.path),
            hint="To train again, choose another folder.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One fit of a run: the rows that it learns from, and those that stop it, if any do.

    Without them it takes ``steps`` steps. ``part`` names it among several fits.
    """

    learn: Dataset
    checkpoints: Path
    choose: Dataset | None = None
    steps: int | None = None
    part: str = ""

    def length(self, settings: FinetuneSettings) -> dict[str, Any]:
        """The settings that say how long it is, where these rows do not choose that."""
        if self.steps is None:
            return {}
        # Rounding must not let the number of epochs end it sooner.
        return {"max_steps": self.steps, "epochs": settings.epochs + 1}


@dataclass(slots=True)
class Training:
    """The steps of ``train``, for a folder that this process has locked.

    ``begun`` says that the run is written down in its folder already.
    """

    config: TrainingConfig
    dataset: Dataset
    run: RunFolder
    report: OnProgress
    should_stop: Callable[[], bool]
    main: bool
    resume: bool
    publish: bool
    begun: bool = False

    def run_recorded(self) -> TrainingResult:
        """Run, and record in ``state.json`` how it ended."""
        with ExitStack() as stack:
            if self.main:
                stopped = "stopped on request; it can be resumed"
                stack.enter_context(self.run.recorded(stopped=stopped))
            stack.enter_context(naming_processes(self.run))
            result = self.go()
        if self.main:
            self.run.record("done", reload_difference=result.reload_difference)
        return result

    def go(self) -> TrainingResult:
        """Choose, fit again where that is asked for, and publish."""
        started = time.perf_counter()
        again = self.config.final_fit == "all"
        choice, forecaster = (Choice.read(self.run) if again and self.resume else None), None
        if choice is None:
            forecaster, tuned = self._tune()
            choice = Choice.of(tuned, self.dataset.splits.count(self.config.train_split))
        _leave_process_group()
        published = None
        if self.main:
            if forecaster is not None and (again or not self.publish):
                self._score(forecaster)
                forecaster = None
            choice.keep(self.run)
            if self.publish:
                publisher = self._final_fit(choice) if again else self._publisher(forecaster)
                # The publisher alone holds the weights now, and lets go of them in time.
                del forecaster
                published = publisher.publish()
            for folder in (self.run.checkpoints, self.run.folds):
                shutil.rmtree(folder, ignore_errors=True)
            where = self.run.bundle if self.publish else self.run.path
            self.report(Progress("done", detail=str(where)))
        return self._result(choice, published, time.perf_counter() - started)

    def _publisher(self, forecaster: LanguageForecaster | None) -> Publisher:
        return Publisher(self.run, self.config, self.dataset, forecaster, self.report)

    def _final_fit(self, choice: Choice) -> Publisher:
        release_memory()
        found = self.cross_fit(choice, folds=self.config.folds)
        publisher = self._publisher(self.fit(found.rows, choice, WHOLE))
        publisher.out_of_fold = found
        return publisher

    def cross_fit(self, choice: Choice, *, folds: int) -> OutOfFold:
        """Out-of-fold logits of all learning rows; see ``cross_fit_run``."""
        return cross_fit_run(
            self.config,
            self.dataset,
            self.run,
            choice,
            self.fit,
            folds=folds,
            on_progress=self.report,
        )

    def fit(self, rows: Dataset, choice: Choice, part: str) -> LanguageForecaster:
        """These settings fitted on ``rows`` for as long as chosen, without a look at others.

        ``part`` names the fit. One that was stopped goes on from its last checkpoint.
        """
        place = fit_checkpoints(self.run, part)
        if self.config.tuning == "probe":
            place = self.run.checkpoints  # the hidden states there are the same for every fit
        fit = Fit(rows, place, None, choice.steps_for(len(rows)), part)
        return self._tune(fit)[0]

    def _score(self, forecaster: LanguageForecaster) -> None:
        rows = self.dataset.select(self.config.valid_split)
        logits = forecaster.answer_logits(
            rows.trials,
            on_progress=lambda done: self.report(Progress("calibration", done.done, done.total)),
        )
        keep_logits(self.run, logits)

    def _tune(self, fit: Fit | None = None) -> tuple[LanguageForecaster, FinetuneResult]:
        """The tuned forecaster, and the result of tuning without the model.

        Without a ``fit`` it learns from the train split and stops by the valid split.
        """
        shard: Shard = "trained" if self.config.tuning == "full" else "frozen"
        base = load_base(
            self.config.base,
            device=self.config.device,
            dtype=self.config.dtype,
            quantize=self.config.quantize,
            shard=shard if self.config.shard else None,
        )
        task = self.dataset.task
        train = self.dataset.select(self.config.train_split)
        if fit is None:
            choose = self.dataset.select(self.config.valid_split)
            fit = Fit(train, self.run.checkpoints, choose)
        spec = prompt_spec(self.config, train.trials, task)
        untuned = LanguageForecaster.from_model(base, task, spec=spec)
        self._begin(base, untuned)
        tuned = made_whole(base, self._finetune(base, untuned, fit), self.config)
        forecaster = LanguageForecaster.from_model(
            base, task, model=tuned.model, probe=tuned.probe, spec=spec
        )
        if self.config.storage is not None and self.main:
            round_weights(forecaster.scorer.model, self.config.storage)
        return forecaster, replace(tuned, model=None)

    def _begin(self, base: BaseModel, untuned: LanguageForecaster) -> None:
        if not self.main or self.begun:
            return
        self.begun = True
        fields = self.config.model_dump(mode="json", exclude=FREE_TO_DIFFER)
        identity = {
            "data": self.dataset.sha256,
            "base": base.identity.sha256,
            "device": base.device.kind,
            "dtype": base.dtype.name,
            "prompts": untuned.scorer.writer.fingerprint,
            "processes": process_count(),
            **fields,
        }
        self.run.settle_identity(identity, resume=self.resume)
        header = f"# The settings of this run as used by llm4top {__version__}.\n"
        self.run.config_file.write_text(header + self.config.to_yaml(), "utf-8")
        self.run.record("running")
        self.run.add_event(
            "begin", resume=self.resume, device=base.device.reason, dtype=base.dtype.reason
        )

    def _finetune(self, base: BaseModel, untuned: LanguageForecaster, fit: Fit) -> FinetuneResult:
        learn, choose = fit.learn, fit.choose
        looks: dict[str, Any] = {}
        prompts = self._prompts(untuned, learn)
        if choose is not None:
            size = evaluation_size(self.config, len(learn), len(choose))
            picked = choose.take(evaluation_rows(choose.label_indices, size, self.config.seed))
            looks = {
                "eval_prompts": self._prompts(untuned, picked),
                "eval_targets": picked.label_indices,
            }
        settings = self.config.for_labels(self.dataset.task.labels)
        return finetune(
            base,
            prompts,
            learn.label_indices,
            untuned.scorer.answer_ids,
            settings.model_copy(update=fit.length(settings)),
            epoch_prompts=section_dropout(untuned.scorer.writer, learn.trials, settings),
            **looks,
            output_dir=fit.checkpoints,
            callbacks=[Watch(self.run, self.report, fit.part)] if self.main else [],
            should_stop=self.should_stop,
            on_progress=self.report,
            # A fit after the first one is begun and resumed within one and the same run.
            resume=self.resume if choose is not None else fit.checkpoints.is_dir(),
        )

    def _prompts(self, untuned: LanguageForecaster, rows: Dataset) -> list[Sequence[int]]:
        """Token ids of every trial, written once; the texts are not kept."""
        prompts: list[Sequence[int]] = []
        cut = 0
        for trial in rows.trials:
            prompt = untuned.scorer.writer.write(trial)
            prompts.append(prompt.token_ids)
            cut += prompt.tokens_cut > 0
            if len(prompts) % 50 == 0 or len(prompts) == len(rows):
                self.report(Progress("prompts", len(prompts), len(rows)))
            if self.should_stop():
                raise KeyboardInterrupt
        if self.main:
            tokens = sum(len(ids) for ids in prompts)
            self.run.add_event("prompts", trials=len(prompts), tokens=tokens, shortened=cut)
        return prompts

    def _result(self, tuned: Choice, published: Published | None, seconds: float) -> TrainingResult:
        return TrainingResult(
            out=self.run.path,
            bundle=published.folder if published else None,
            metrics=published.metrics if published else {},
            out_of_fold=published.out_of_fold if published else {},
            reload_difference=published.reload_difference if published else None,
            steps=tuned.steps,
            best_step=tuned.best_step,
            best_log_loss=tuned.best_log_loss,
            stopped_early=tuned.stopped_early,
            tokens=tuned.tokens,
            seconds=seconds,
            tried=tuple(tuned.tried),
        )


def _leave_process_group() -> None:
    """Under torchrun: end the other processes; one process does the rest."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
