"""Fine-tuning through the answer head: the run and its result."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from llm4top.errors import TrainingError
from llm4top.forecasters.finetuning import checkpoint as checkpoints
from llm4top.forecasters.finetuning import lora
from llm4top.forecasters.finetuning.activations import wants_checkpointing
from llm4top.forecasters.finetuning.batches import EpochBatches, PromptRows
from llm4top.forecasters.finetuning.settings import KEEP_CHECKPOINTS, FinetuneSettings
from llm4top.forecasters.model.device import trains_in_bf16
from llm4top.forecasters.model.sharding import is_sharded
from llm4top.processes import process_count
from llm4top.progress import OnProgress, ignore

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from llm4top.forecasters.finetuning.trainer import AnswerTrainer
    from llm4top.forecasters.model.base_model import BaseModel
    from llm4top.forecasters.model.probe import Probe


@dataclass(frozen=True, slots=True)
class FinetuneResult:
    """A fine-tuned model and how it came about.

    ``model`` is the base model itself (tuning "full") or a PEFT model around it, in evaluation
    mode, with the weights of the best evaluation (of the last step where nothing was evaluated).
    Weights trained in full are in the base's number type again; adapters stay float32. A model that
    was loaded as shards stays so, in float32 where it was trained in full: see ``made_whole``.
    ``history`` holds one dict a log or evaluation: ``step``, ``epoch`` and ``loss``,
    ``learning_rate``, ``tokens_per_second``, or ``eval_log_loss``, ``eval_roc_auc``.
    With tuning "probe" the model is the base as it was, ``probe`` reads its hidden states, there
    are no steps, and ``history`` holds one dict a layer and pooling: ``layer``, ``pooling``, ``c``,
    ``eval_log_loss``.
    ``stopped_early`` says that patience ended it before its last step.
    ``tokens`` and ``seconds`` count this call alone, not what a resumed run did before.
    """

    model: Any
    history: tuple[dict[str, Any], ...]
    steps: int
    best_step: int | None
    best_log_loss: float | None
    stopped_early: bool
    tokens: int
    seconds: float
    batch_size: int
    probe: Probe | None = None


def finetune(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    targets: Sequence[int],
    answer_ids: Sequence[int],
    settings: FinetuneSettings,
    *,
    sample_weight: Sequence[float] | None = None,
    epoch_prompts: Callable[[int], Sequence[Sequence[int]]] | None = None,
    eval_prompts: Sequence[Sequence[int]] | None = None,
    eval_targets: Sequence[int] | None = None,
    output_dir: Path | str | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    should_stop: Callable[[], bool] | None = None,
    on_progress: OnProgress = ignore,
    resume: bool = False,
) -> FinetuneResult:
    """Train ``base`` to answer each prompt with its target's answer token.

    ``prompts`` are token ids that end where the answer begins; ``targets`` are label indices,
    ``answer_ids`` the labels' token ids. The base model is changed in place: load it again for
    another run. Under ``torchrun`` every process calls this with the same arguments; process 0
    writes. Out of memory, the batch is halved and the accumulation doubled, which changes nothing
    but the speed. ``sample_weight`` is each row's weight in the loss. ``epoch_prompts`` gives the
    rows' prompts for an epoch (from 0) where these change: see ``SectionDropout``; a probe, which
    has no epochs, reads those of the first as copies of the rows with half their weight.

    ``output_dir`` keeps checkpoints (see ``_finetune_checkpoint``); with ``resume`` the newest one
    is continued and ends at the weights the uninterrupted run would have had (bit-equal on the
    CPU; on a GPU as far as its kernels repeat themselves). ``should_stop`` is called after every
    optimiser step; when it says so, a checkpoint is written and ``KeyboardInterrupt`` raised.
    ``on_progress`` is for tuning "probe", which has no steps that ``callbacks`` could watch.

    Raises ``TrainingError`` for data that cannot train a model or a run that fails, and
    ``ResumeError`` for a checkpoint of another run.
    """
    rows = _rows(prompts, targets, answer_ids, settings)
    rows.sample_weight = sample_weight
    eval_rows = None
    if eval_prompts is not None and eval_targets is not None:
        eval_rows = _rows(eval_prompts, eval_targets, answer_ids, None)
    folder = Path(output_dir) if output_dir else Path(tempfile.mkdtemp(prefix="llm4top-"))
    if output_dir and not resume and checkpoints.last_checkpoint(folder):
        raise TrainingError(
            "the folder holds the checkpoints of an earlier run.",
            where=str(folder),
            hint="Resume that run, or train into a new folder.",
        )
    try:
        if settings.tuning == "probe":
            if epoch_prompts is not None:
                rows = rows.with_copies(epoch_prompts(0))
            return _probe(base, rows, eval_rows, settings, folder, on_progress, should_stop)
        scorer = _scorer(base, answer_ids, settings, max(rows.lengths))
        run = _Run(base, scorer, settings, rows, eval_rows, folder, callbacks, should_stop)
        run.epoch_prompts = epoch_prompts
        return run.finish(resume=resume)
    finally:
        if not output_dir:
            shutil.rmtree(folder, ignore_errors=True)


def _rows(
    prompts: Sequence[Sequence[int]],
    targets: Sequence[int],
    answer_ids: Sequence[int],
    settings: FinetuneSettings | None,
) -> PromptRows:
    """Checked rows; ``settings`` bring the class weights of training rows."""
    if len(prompts) != len(targets) or not prompts:
        raise TrainingError(f"{len(prompts)} prompts and {len(targets)} targets cannot be paired.")
    if not all(len(ids) for ids in prompts):
        raise TrainingError("a prompt is empty.")
    labels = len(answer_ids)
    if not set(targets) <= set(range(labels)):
        raise TrainingError(f"the targets are not all label indices from 0 to {labels - 1}.")
    if settings is None or settings.class_weights is None:
        return PromptRows(prompts, targets)
    if settings.class_weights != "balanced":
        if isinstance(settings.class_weights, dict) or len(settings.class_weights) != labels:
            raise TrainingError(
                f"{len(settings.class_weights)} class weights for {labels} labels.",
                hint="Give one weight a label, in label order.",
            )
        return PromptRows(prompts, targets, settings.class_weights)
    counts = [list(targets).count(label) for label in range(labels)]
    weights = [len(targets) / (labels * n) if n else 0.0 for n in counts]
    return PromptRows(prompts, targets, weights)


def _probe(
    base: BaseModel,
    rows: PromptRows,
    eval_rows: PromptRows | None,
    settings: FinetuneSettings,
    folder: Path,
    on_progress: OnProgress,
    should_stop: Callable[[], bool] | None,
) -> FinetuneResult:
    from llm4top.forecasters.finetuning.probe import fit_probe

    if process_count() > 1:
        raise TrainingError(
            "a probe is fitted by one process.", hint="Start it without torchrun, on one device."
        )
    started = time.perf_counter()
    fitted = fit_probe(
        base,
        rows,
        eval_rows,
        settings,
        folder=folder,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return FinetuneResult(
        model=base.model,
        history=fitted.history,
        steps=0,
        best_step=None,
        best_log_loss=fitted.best.eval_log_loss,
        stopped_early=False,
        tokens=fitted.tokens,
        seconds=time.perf_counter() - started,
        batch_size=0,
        probe=fitted.probe,
    )


def with_adapter(model: Any, settings: FinetuneSettings) -> Any:
    """The model with a new LoRA adapter of the settings' rank, scale and dropout."""
    return lora.add_lora(
        model,
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        dropout=settings.lora_dropout,
    )


def _scorer(
    base: BaseModel, answer_ids: Sequence[int], settings: FinetuneSettings, longest: int
) -> lora.AnswerScorer:
    from transformers import set_seed

    set_seed(settings.seed)
    model = base.model
    if settings.tuning == "full":
        lora.make_fully_trainable(model)
    else:
        model = with_adapter(model, settings)
    lora.set_activation_checkpointing(model, wants_checkpointing(base, settings, longest))
    bf16 = trains_in_bf16(base.device, settings.precision)
    return lora.AnswerScorer(model, answer_ids, autocast=bf16)


@dataclass(slots=True)
class _Run:
    """One call of ``finetune``: makes a trainer, and another with smaller batches if it must."""

    base: BaseModel
    scorer: lora.AnswerScorer
    settings: FinetuneSettings
    rows: PromptRows
    eval_rows: PromptRows | None
    folder: Path
    callbacks: Sequence[TrainerCallback]
    should_stop: Callable[[], bool] | None
    epoch_prompts: Callable[[int], Sequence[Sequence[int]]] | None = None

    def finish(self, *, resume: bool) -> FinetuneResult:
        from llm4top.forecasters.finetuning.trainer import out_of_patience

        started = time.perf_counter()
        trainer = self._train(resume=resume)
        if trainer.interrupted:
            raise KeyboardInterrupt
        trainer.load_best()
        if self.settings.tuning == "full" and not is_sharded(self.scorer.model):
            # As the base was loaded: what is measured and saved is then what will forecast.
            self.scorer.model.to(self.base.dtype.torch)
        lora.set_activation_checkpointing(self.scorer.model, on=False)
        self.scorer.eval()
        state = trainer.state
        return FinetuneResult(
            model=self.scorer.model,
            history=tuple(state.log_history),
            steps=state.global_step,
            best_step=state.best_global_step or None,
            best_log_loss=state.best_metric,
            stopped_early=state.global_step < state.max_steps
            and out_of_patience(state, self.settings.patience),
            tokens=trainer.tokens_seen,
            seconds=time.perf_counter() - started,
            batch_size=trainer.args.per_device_train_batch_size,
        )

    def _train(self, *, resume: bool) -> AnswerTrainer:
        from transformers.trainer_callback import TrainerState

        from llm4top.forecasters.finetuning.trainer import out_of_patience

        batch_size, accumulation = self.settings.batch_size, self.settings.accumulation
        start = {name: p.detach().cpu().clone() for name, p in self._small_start().items()}
        while True:
            last = checkpoints.last_checkpoint(self.folder) if resume else None
            trainer = self._trainer(batch_size, accumulation)
            try:
                if last:
                    file = str(last / checkpoints.STATE_FILE)
                    trainer.state = TrainerState.load_from_json(file)
                    if out_of_patience(trainer.state, self.settings.patience):
                        lora.load_weights(self.scorer, last / checkpoints.WEIGHTS_FILE)
                        return trainer
                trainer.train(resume_from_checkpoint=str(last) if last else None)
            except torch.OutOfMemoryError as error:
                self._refuse_if_stuck(batch_size, trainer, error)
                batch_size, accumulation = batch_size // 2, accumulation * 2
                if self.settings.gradient_checkpointing == "auto":
                    lora.set_activation_checkpointing(self.scorer.model, on=True)
                resume = True
            else:
                return trainer
            del trainer
            self._forget_failed_step(start)

    def _small_start(self) -> dict[str, torch.nn.Parameter]:
        # A run that fails before its first checkpoint starts again from here. Full weights are
        # not copied: running out of memory before the first step leaves them as they were.
        return {} if self.settings.tuning == "full" else self.scorer.trainable()

    def _forget_failed_step(self, start: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.scorer.trainable().items():
                parameter.grad = None
                if name in start:
                    parameter.copy_(start[name])
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _refuse_if_stuck(self, batch_size: int, trainer: AnswerTrainer, error: Exception) -> None:
        """Go on only where a smaller batch may help and leads to the same weights."""
        hint = "Turn gradient checkpointing on, lower max_tokens, or use LoRA on a 4-bit base."
        if batch_size == 1:
            raise TrainingError("out of memory with one row at a time.", hint=hint) from error
        lost = trainer.state.global_step and not checkpoints.last_checkpoint(self.folder)
        odd = batch_size % 2 == 1
        if lost or odd or trainer.args.world_size > 1:
            raise TrainingError(
                f"out of memory with {batch_size} rows at a time.",
                hint=f"Halve the batch size and double the accumulation. {hint}",
            ) from error

    def _trainer(self, batch_size: int, accumulation: int) -> AnswerTrainer:
        from llm4top.forecasters.finetuning.trainer import AnswerTrainer

        args = self._arguments(batch_size, accumulation)
        settings = self.settings
        batches = EpochBatches(
            self.rows.lengths,
            batch_size=batch_size,
            accumulation=accumulation,
            processes=args.world_size,
            process=args.process_index,
            seed=settings.seed,
        )
        return AnswerTrainer(
            self.scorer,
            args,
            rows=self.rows,
            eval_rows=self.eval_rows,
            batches=batches,
            pad_id=self.base.pad_id,
            patience=settings.patience,
            evals_per_epoch=settings.evals_per_epoch,
            checkpoint_steps=settings.checkpoint_steps,
            keep=KEEP_CHECKPOINTS,
            should_stop=self.should_stop,
            callbacks=self.callbacks,
            epoch_prompts=self.epoch_prompts,
        )

    def _arguments(self, batch_size: int, accumulation: int) -> Any:
        from transformers import TrainingArguments

        settings = self.settings
        processes = process_count()
        per_epoch = math.ceil(len(self.rows) / (batch_size * accumulation * processes))
        steps = math.ceil(per_epoch * settings.epochs)
        if settings.max_steps is not None:
            steps = min(steps, settings.max_steps)
        args = TrainingArguments(
            output_dir=str(self.folder),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=2 * batch_size,
            gradient_accumulation_steps=accumulation,
            max_steps=steps,
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.schedule,
            warmup_steps=math.ceil(settings.warmup_ratio * steps),
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            optim="adamw_torch_fused" if self.base.device.kind == "cuda" else "adamw_torch",
            logging_steps=settings.log_steps,
            logging_nan_inf_filter=False,
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            log_level="error",
            remove_unused_columns=False,
            ddp_find_unused_parameters=False,
            dataloader_pin_memory=False,
            use_cpu=self.base.device.kind == "cpu",
            seed=settings.seed,
        )
        # Several visible GPUs in one process would mean DataParallel; torchrun is the way.
        args._n_gpu = min(args.n_gpu, 1)
        place = torch.device(self.base.device.torch)
        if (place.index or 0) != (args.device.index or 0):
            raise TrainingError(
                f"the model is on {place}, but training takes the first GPU it sees.",
                hint=f"Set CUDA_VISIBLE_DEVICES={place.index} and use the device 'cuda'.",
            )
        return args
