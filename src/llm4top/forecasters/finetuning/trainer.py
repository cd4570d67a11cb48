"""transformers' Trainer, training through the answer head.

Five things differ from the Trainer as it comes: the loss (cross-entropy over the answers' logits,
normalised over the whole effective batch), the order of the rows, the evaluation (log-loss and
ROC-AUC through the same head), the checkpoints (no pickle, written whole or not at all), and early
stopping, which is read off the history so that a resumed run stops where it would have stopped.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)
from transformers.trainer_callback import TrainerState

from llm4top.errors import TrainingError
from llm4top.files import publish
from llm4top.forecasters.finetuning import checkpoint as checkpoints
from llm4top.forecasters.finetuning.batches import FILLER, Collate, EpochBatches, PromptRows
from llm4top.forecasters.finetuning.lora import (
    AnswerScorer,
    load_weights,
    save_weights,
    trained_weights,
)


class _Rhythm(TrainerCallback):  # type: ignore[misc]
    """Decides when to evaluate, save and stop, and sets the batches' epoch."""

    def __init__(self, trainer: "AnswerTrainer", *, every: int, save_every: int):
        self.trainer = trainer
        self.every = every
        self.save_every = save_every

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any
    ) -> None:
        """Set the epoch from the step, which is exact in a resumed run."""
        batches = self.trainer.batches
        per_epoch = math.ceil(len(batches) / args.gradient_accumulation_steps)
        batches.epoch = state.global_step // per_epoch
        self.trainer.show_epoch(batches.epoch)

    def on_step_end(
        self, _: TrainingArguments, state: TrainerState, control: Any, **__: Any
    ) -> None:
        """Evaluate and save at regular steps, and both at the last one; stop when asked to."""
        last = state.global_step >= state.max_steps
        control.should_evaluate = last or state.global_step % self.every == 0
        control.should_save = control.should_evaluate or state.global_step % self.save_every == 0
        control.should_log = control.should_log or last
        if self.trainer.asked_to_stop():
            self.trainer.interrupted = not last
            control.should_save = control.should_training_stop = True


class AnswerTrainer(Trainer):  # type: ignore[misc]
    """Trains an ``AnswerScorer``; ``finetune`` is the way to use it.

    ``evals_per_epoch`` evaluations are spread over each epoch and one falls on the last step;
    training stops after ``patience`` of them without a better validation log-loss (None: never).
    ``eval_rows`` may be None: nothing is evaluated then, and the last weights are the result.
    ``should_stop`` is called after each optimiser step; where it is true the run saves a
    checkpoint, stops and is ``interrupted``. ``epoch_prompts`` gives the prompts of each epoch
    where they differ from those of ``rows``.
    """

    def __init__(
        self,
        scorer: AnswerScorer,
        args: TrainingArguments,
        *,
        rows: PromptRows,
        eval_rows: PromptRows | None,
        batches: EpochBatches,
        pad_id: int,
        patience: int | None,
        evals_per_epoch: int,
        checkpoint_steps: int | None,
        keep: int,
        should_stop: Callable[[], bool] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        epoch_prompts: Callable[[int], Sequence[Sequence[int]]] | None = None,
    ):
        self.batches = batches
        self.epoch_prompts = epoch_prompts
        self.eval_rows = eval_rows
        self.patience = patience
        self.keep = keep
        self.collate = Collate(pad_id)
        self.should_stop = should_stop
        self.interrupted = False
        self.tokens_seen = 0
        self._clock = (time.perf_counter(), 0)
        per_epoch = math.ceil(len(batches) / args.gradient_accumulation_steps)
        every = max(per_epoch // evals_per_epoch, 1)
        rhythm = _Rhythm(self, every=every, save_every=checkpoint_steps or every)
        super().__init__(scorer, args, train_dataset=rows, callbacks=[*callbacks, rhythm])
        self.remove_callback(PrinterCallback)
        # Our loss is already normalised over the whole effective batch: the Trainer must not
        # divide it by the number of accumulation steps again.
        self.model_accepts_loss_kwargs = True

    # --- the rows -------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """This process's batches; the order is ours, so accelerate has nothing to shard."""
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=self.collate,
            # A generator of its own: the loader must not draw from the state dropout draws from.
            generator=torch.Generator(),
        )

    def show_epoch(self, epoch: int) -> None:
        """Let the rows show the prompts of an epoch; their order follows the new lengths."""
        if self.epoch_prompts is not None:
            self.train_dataset.show(self.epoch_prompts(epoch))
            self.batches.lengths = np.asarray(self.train_dataset.lengths)

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Tensor]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Tensor]], Tensor]:
        """The batches of one optimiser step, and the sum of their rows' weights everywhere."""
        batches = list(itertools.islice(epoch_iterator, num_batches))
        total = torch.zeros(2, dtype=torch.float64)
        for batch in batches:
            total[0] += batch["weights"].sum()
            total[1] += batch["lengths"].sum()
        total = self._summed(total.float().to(device))
        self.tokens_seen += int(total[1])
        return batches, total[0]

    def asked_to_stop(self) -> bool:
        """Whether any process is to stop; the answer is the same in all of them."""
        if self.should_stop is None:
            return False
        stops = torch.tensor(float(self.should_stop()), device=self.args.device)
        return bool(self._summed(stops) > 0)

    def _summed(self, values: Tensor) -> Tensor:
        if self.args.world_size == 1:
            return values
        summed: Tensor = self.accelerator.reduce(values, "sum")
        return summed

    # --- the loss -------------------------------------------------------------------------------

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """Weighted cross-entropy over the answers, divided by the effective batch's weight."""
        logits = model(inputs["input_ids"], inputs["lengths"])
        losses = functional.cross_entropy(logits, inputs["labels"], reduction="none")
        weights = inputs["weights"]
        total = weights.sum() if num_items_in_batch is None else num_items_in_batch
        # Gradients are averaged over processes, so each scales its part up to a sum.
        loss = (losses * weights).sum() / total.clamp_min(1e-12) * self.args.world_size
        return (loss, logits) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add tokens per second; stop where the loss is no longer a number."""
        if "loss" in logs:
            if not math.isfinite(logs["loss"]):
                raise TrainingError(
                    f"the loss is {logs['loss']} at step {self.state.global_step}.",
                    hint="Lower the learning rate, or train in float32 or bfloat16.",
                )
            now, before = time.perf_counter(), self._clock
            logs["tokens_per_second"] = (self.tokens_seen - before[1]) / max(now - before[0], 1e-9)
            self._clock = (now, self.tokens_seen)
        super().log(logs, start_time)

    # --- evaluation -----------------------------------------------------------------------------

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Log-loss (and, for two labels, ROC-AUC) on the validation rows; keeps the best weights.

        Class weights play no part here: log-loss judges the probabilities as they are.
        """
        if self.eval_rows is None:
            return {}
        started = time.perf_counter()
        logits = self.predict_logits(self.eval_rows)
        targets = torch.tensor(self.eval_rows.targets)
        metrics = {"eval_log_loss": float(functional.cross_entropy(logits, targets))}
        if logits.shape[1] == 2 and len(set(self.eval_rows.targets)) == 2:
            score = logits[:, 1] - logits[:, 0]
            metrics["eval_roc_auc"] = float(roc_auc_score(targets.numpy(), score.numpy()))
        metrics["eval_seconds"] = time.perf_counter() - started
        self._clock = (self._clock[0] + metrics["eval_seconds"], self._clock[1])
        if self.state.best_metric is None or metrics["eval_log_loss"] < self.state.best_metric:
            self.state.best_metric = metrics["eval_log_loss"]
            self.state.best_global_step = self.state.global_step
            self._save_best()
        self.log(metrics)
        control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        if out_of_patience(self.state, self.patience):
            control.should_training_stop = True
        self.control: TrainerControl = control
        return metrics

    def predict_logits(self, rows: PromptRows) -> Tensor:
        """Logits ``[rows, labels]``, float64 on the CPU, in the order of the rows."""
        scorer: AnswerScorer = self.accelerator.unwrap_model(self.model)
        device = self.args.device
        order = np.argsort(-np.asarray(rows.lengths), kind="stable").tolist()
        mine = order[self.args.process_index :: self.args.world_size]
        size = self.args.per_device_eval_batch_size
        logits = torch.zeros(len(rows), len(scorer.answer_ids))
        was_training = scorer.training
        scorer.eval()
        with torch.no_grad():
            # As many passes in each process, the last one over a filler: shards are gathered in
            # every pass, by all of them.
            for first in range(0, math.ceil(len(order) / self.args.world_size), size):
                picked = mine[first : first + size]
                batch = self.collate([rows[i] for i in picked or [FILLER]])
                out = scorer(batch["input_ids"].to(device), batch["lengths"].to(device))
                if picked:
                    logits[picked] = out.float().cpu()
        scorer.train(was_training)
        return self._summed(logits.to(device)).cpu().double()

    # --- checkpoints ----------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where checkpoints are written."""
        return Path(self.args.output_dir)

    def _save_best(self) -> None:
        weights = trained_weights(self._scorer)
        if self.args.should_save:
            target = checkpoints.best_folder(self.folder, self.state.global_step)
            staging = checkpoints.staging_folder(target)
            save_weights(weights, staging / checkpoints.WEIGHTS_FILE)
            publish(staging, target)
        self._wait()

    def _save_checkpoint(self, *_: Any, **__: Any) -> None:
        target = checkpoints.checkpoint_folder(self.folder, self.state.global_step)
        staging = target.with_name(f".unfinished-{target.name}")
        if self.args.should_save:
            staging = checkpoints.staging_folder(target)
        self._wait()
        checkpoints.save_random_state(staging, self.args.process_index)
        self._wait()
        weights = trained_weights(self._scorer)
        if self.args.should_save:
            save_weights(weights, staging / checkpoints.WEIGHTS_FILE)
        del weights
        moments = checkpoints.optimiser_tensors(self.optimizer)
        if self.args.should_save:
            checkpoints.save_optimiser(staging, moments, self.optimizer, self.lr_scheduler)
            self.state.save_to_json(str(staging / checkpoints.STATE_FILE))
            publish(staging, target)
            checkpoints.discard_old(self.folder, keep=self.keep)
        self._wait()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *_: Any) -> None:
        load_weights(self._scorer, Path(resume_from_checkpoint) / checkpoints.WEIGHTS_FILE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_optimiser(Path(checkpoint), self.optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_random_state(Path(checkpoint), self.args.process_index)

    def load_best(self) -> None:
        """Put the weights of the best evaluation back, where there was one."""
        if self.state.best_global_step:
            folder = checkpoints.best_folder(self.folder, self.state.best_global_step)
            load_weights(self._scorer, folder / checkpoints.WEIGHTS_FILE)

    @property
    def _scorer(self) -> AnswerScorer:
        scorer: AnswerScorer = self.accelerator.unwrap_model(self.model)
        return scorer

    def _wait(self) -> None:
        if self.args.world_size > 1:
            self.accelerator.wait_for_everyone()

    # The base model is where its loader put it; a quantised one must not be moved.
    def _move_model_to_device(self, model: Any, device: torch.device) -> None: ...


def out_of_patience(state: TrainerState, patience: int | None) -> bool:
    """Whether the last ``patience`` evaluations brought no better log-loss than the best."""
    best: int | None = state.best_global_step
    if patience is None or not best:
        return False
    steps: list[int] = [e["step"] for e in state.log_history if "eval_log_loss" in e]
    return sum(step > best for step in steps) >= patience
