"""Fine-tuning through the answer head, on a tiny random model."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import TrainerCallback

from llm4top.errors import ConfigError, ResumeError, TrainingError
from llm4top.forecasters.finetuning import checkpoint as checkpoints
from llm4top.forecasters.finetuning.batches import FILLER, Collate, EpochBatches, PromptRows
from llm4top.forecasters.finetuning.finetune import FinetuneResult, finetune
from llm4top.forecasters.finetuning.lora import AnswerScorer, add_lora, set_activation_checkpointing
from llm4top.forecasters.finetuning.settings import (
    KEEP_CHECKPOINTS,
    FinetuneSettings,
    finetune_settings,
)
from llm4top.forecasters.model.answer_head import answer_logits, pad_right
from llm4top.forecasters.model.base_model import BaseModel, load_base
from llm4top.testing import make_tiny_model

pytestmark = pytest.mark.slow

ANSWERS = (260, 261)
FAST = FinetuneSettings(
    lora_rank=4,
    lora_alpha=8,
    lora_dropout=0.0,
    learning_rate=5e-3,
    epochs=1,
    batch_size=8,
    accumulation=1,
    evals_per_epoch=1,
    gradient_checkpointing=False,
    log_steps=1,
    patience=None,
    precision="fp32",  # so that weights can be compared to the last digits, on any machine
)


def replace(settings: FinetuneSettings, **changes: Any) -> FinetuneSettings:
    return finetune_settings(**{**settings.model_dump(), **changes})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def base(tiny_model_folder: Path) -> BaseModel:
    return load_base(tiny_model_folder, device="cpu", dtype="float32")


def planted(count: int, seed: int = 0) -> tuple[list[list[int]], list[int]]:
    """Prompts of a few random tokens; those near the end tell the target."""
    rng = random.Random(seed)
    prompts, targets = [], []
    for _ in range(count):
        target = rng.randint(0, 1)
        ids = [rng.randint(20, 27) for _ in range(rng.randint(5, 30))]
        ids[-3:-1] = [300 + target] * 2
        prompts.append(ids)
        targets.append(target)
    return prompts, targets


def train(
    base: BaseModel, settings: FinetuneSettings, count: int = 24, **options: Any
) -> FinetuneResult:
    prompts, targets = planted(count)
    return finetune(base, prompts, targets, ANSWERS, settings, **options)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def losses(result: FinetuneResult) -> list[float]:
    return [entry["loss"] for entry in result.history if "loss" in entry]


class Collector(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.logs.append(dict(logs))


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_the_loss_falls_on_a_planted_rule(base: BaseModel, tuning: str) -> None:
    prompts, targets = planted(96)
    collector = Collector()
    result = finetune(
        base,
        prompts[:64],
        targets[:64],
        ANSWERS,
        replace(FAST, tuning=tuning, epochs=8, learning_rate=1e-2 if tuning == "lora" else 3e-3),
        eval_prompts=prompts[64:],
        eval_targets=targets[64:],
        callbacks=[collector],
    )
    first, *_, last = losses(result)
    assert last < 0.5 * first
    assert result.best_log_loss is not None
    assert result.best_log_loss < 0.6
    assert result.steps == 64
    assert result.tokens == 8 * sum(len(ids) for ids in prompts[:64])
    assert any("tokens_per_second" in logs for logs in collector.logs)
    assert all(not module.training for module in result.model.modules())


def test_the_best_weights_are_the_ones_handed_back(base: BaseModel) -> None:
    prompts, targets = planted(40)
    held_out, labels = planted(16, seed=1)
    result = finetune(
        base,
        prompts,
        targets,
        ANSWERS,
        replace(FAST, epochs=4, learning_rate=2e-2, evals_per_epoch=2),
        eval_prompts=held_out,
        eval_targets=labels,
    )
    evaluations = [e["eval_log_loss"] for e in result.history if "eval_log_loss" in e]
    assert result.best_log_loss == min(evaluations)
    ids, lengths = pad_right(held_out, 0)
    with torch.no_grad():
        logits = answer_logits(result.model, ids, lengths, ANSWERS)
    again = float(functional.cross_entropy(logits.double(), torch.tensor(labels)))
    assert again == pytest.approx(result.best_log_loss, abs=1e-5)


@pytest.mark.parametrize("class_weights", [None, (1.0, 3.0)])
def test_accumulation_gives_the_weights_of_the_large_batch(
    tiny_model_folder: Path, class_weights: tuple[float, ...] | None
) -> None:
    # 20 rows: the last step of an epoch is incomplete, and its batches are of unequal size.
    settings = replace(FAST, class_weights=class_weights, epochs=2)
    results = []
    for batch_size, accumulation in ((8, 1), (2, 4), (3, 3)):
        base = load_base(tiny_model_folder, device="cpu")
        shape = replace(settings, batch_size=batch_size, accumulation=accumulation)
        results.append(train(base, shape, count=20))
    large, small, odd = results
    assert furthest(weights(large.model), weights(small.model)) < 1e-5
    assert losses(large) == pytest.approx(losses(small), abs=1e-5)
    assert furthest(weights(large.model), weights(odd.model)) > 1e-4  # steps of 9 rows, not 8


def test_gradient_checkpointing_changes_no_gradient(tiny_model_folder: Path) -> None:
    prompts, targets = planted(6)
    batch = Collate(0)([PromptRows(prompts, targets)[i] for i in range(6)])
    gradients = []
    for on in (False, True):
        torch.manual_seed(0)
        model = add_lora(load_base(tiny_model_folder).model, rank=4, alpha=8, dropout=0.0)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        set_activation_checkpointing(model, on)
        scorer = AnswerScorer(model.train(), ANSWERS)
        logits = scorer(batch["input_ids"], batch["lengths"])
        functional.cross_entropy(logits, batch["labels"]).backward()
        gradients.append({n: p.grad.clone() for n, p in scorer.trainable().items()})
    assert all(float(g.abs().max()) > 0 for g in gradients[0].values())
    assert furthest(*gradients) < 1e-6


def test_a_run_with_gradient_checkpointing_ends_at_the_same_weights(
    tiny_model_folder: Path,
) -> None:
    plain = train(load_base(tiny_model_folder), FAST, count=16)
    frugal = train(load_base(tiny_model_folder), replace(FAST, gradient_checkpointing=True), 16)
    assert furthest(weights(plain.model), weights(frugal.model)) < 1e-6


def test_lora_sits_on_every_projection_and_not_on_the_head(base: BaseModel) -> None:
    model = add_lora(base.model, rank=4, alpha=8, dropout=0.0)
    names = {
        n.split(".lora_A")[0].split(".")[-1] for n, _ in model.named_parameters() if "lora_A" in n
    }
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_weighted_losses_are_divided_by_the_sum_of_their_weights(base: BaseModel) -> None:
    prompts, targets = planted(8)
    ids, lengths = pad_right(prompts, 0)
    with torch.no_grad():
        logits = answer_logits(base.model, ids, lengths, ANSWERS)
    expected = functional.cross_entropy(
        logits, torch.tensor(targets), weight=torch.tensor([1.0, 3.0])
    )
    result = finetune(
        base, prompts, targets, ANSWERS, replace(FAST, class_weights=(1.0, 3.0), max_steps=1)
    )
    assert losses(result) == [pytest.approx(float(expected), abs=1e-5)]


def test_balanced_weights_give_each_label_the_same_say() -> None:
    from llm4top.forecasters.finetuning.finetune import _rows

    settings = replace(FAST, class_weights="balanced")
    rows = _rows([[1]] * 4, [0, 1, 1, 1], ANSWERS, settings)
    assert [rows[i][2] for i in range(4)] == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])


def test_training_stops_early_and_keeps_the_best(base: BaseModel) -> None:
    prompts, targets = planted(32)
    # Validation labels are turned round: the better the rule is learnt, the worse the log-loss.
    result = finetune(
        base,
        prompts,
        targets,
        ANSWERS,
        replace(FAST, tuning="full", epochs=10, patience=2),
        eval_prompts=prompts,
        eval_targets=[1 - t for t in targets],
    )
    assert result.stopped_early
    assert result.steps < 40
    evaluations = [e["eval_log_loss"] for e in result.history if "eval_log_loss" in e]
    assert evaluations[-3] == min(evaluations) == result.best_log_loss


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class KillAt(TrainerCallback):  # type: ignore[misc]
    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise Killed


@pytest.mark.parametrize("step", [2, 4, 7])
def test_a_resumed_run_ends_at_the_same_weights(
    tiny_model_folder: Path, tmp_path: Path, step: int
) -> None:
    # 20 rows by 2 x 4: three steps an epoch, so 2 and 7 are inside one and 4 after a boundary.
    settings = replace(
        FAST, epochs=3, batch_size=2, accumulation=4, lora_dropout=0.2, checkpoint_steps=1
    )
    held_out, labels = planted(8, seed=1)
    options: dict[str, Any] = {"eval_prompts": held_out, "eval_targets": labels}
    whole = train(load_base(tiny_model_folder), settings, 20, **options)
    killed: dict[str, Any] = {"output_dir": tmp_path, "callbacks": [KillAt(step)]}
    with pytest.raises(Killed):
        train(load_base(tiny_model_folder), settings, 20, **killed, **options)
    assert checkpoints.last_checkpoint(tmp_path) == tmp_path / f"checkpoint-{step}"
    resumed = train(
        load_base(tiny_model_folder), settings, 20, output_dir=tmp_path, resume=True, **options
    )
    assert furthest(weights(whole.model), weights(resumed.model)) == 0
    assert losses(whole) == losses(resumed)
    assert whole.best_step == resumed.best_step


def test_resuming_a_finished_run_changes_nothing(tiny_model_folder: Path, tmp_path: Path) -> None:
    held_out, labels = planted(8, seed=1)
    options: dict[str, Any] = {"eval_prompts": held_out, "eval_targets": labels}
    settings = replace(FAST, epochs=6, patience=1, learning_rate=3e-2)
    one = train(load_base(tiny_model_folder), settings, output_dir=tmp_path, **options)
    two = train(load_base(tiny_model_folder), settings, output_dir=tmp_path, resume=True, **options)
    assert furthest(weights(one.model), weights(two.model)) == 0
    assert one.steps == two.steps
    assert one.stopped_early == two.stopped_early


def test_half_written_checkpoints_are_ignored(tiny_model_folder: Path, tmp_path: Path) -> None:
    settings = replace(FAST, checkpoint_steps=1)
    with pytest.raises(Killed):
        train(load_base(tiny_model_folder), settings, output_dir=tmp_path, callbacks=[KillAt(1)])
    broken = tmp_path / ".unfinished-checkpoint-2"
    broken.mkdir()
    (broken / "weights.safetensors").write_bytes(b"half")
    result = train(load_base(tiny_model_folder), settings, output_dir=tmp_path, resume=True)
    assert result.steps == 3
    assert not broken.exists()


def test_a_row_without_weight_teaches_nothing(tiny_model_folder: Path) -> None:
    prompts, targets = planted(24)
    settings = replace(FAST, tuning="full", batch_size=24, learning_rate=1e-3)
    weights = []
    for n, sample_weight in ((24, [2.0] * 12 + [0.0] * 12), (12, None)):
        base = load_base(tiny_model_folder, device="cpu", dtype="float32")
        result = finetune(
            base, prompts[:n], targets[:n], ANSWERS, settings, sample_weight=sample_weight
        )
        weights.append(torch.cat([p.flatten() for p in result.model.parameters()]))
    assert torch.allclose(*weights, atol=1e-6)


def test_every_epoch_reads_its_own_prompts_and_a_resumed_run_the_same(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    prompts, targets = planted(24)
    asked: list[int] = []

    def shortened(epoch: int) -> list[list[int]]:
        asked.append(epoch)
        return [ids[epoch:] for ids in prompts]

    def run(**options: Any) -> FinetuneResult:
        base = load_base(tiny_model_folder, device="cpu", dtype="float32")
        settings = replace(FAST, epochs=3)
        return finetune(
            base, prompts, targets, ANSWERS, settings, epoch_prompts=shortened, **options
        )

    whole = run()
    assert asked == [0, 1, 2]
    # An epoch has 3 steps; the run is stopped within the second.
    stops = iter([False] * 3 + [True])
    with pytest.raises(KeyboardInterrupt):
        run(output_dir=tmp_path, should_stop=lambda: next(stops))
    resumed = run(output_dir=tmp_path, resume=True)
    assert losses(resumed) == losses(whole)
    assert whole.tokens == sum(len(ids) - epoch for ids in prompts for epoch in range(3))


def test_checkpoints_hold_no_pickle(base: BaseModel, tmp_path: Path) -> None:
    prompts, targets = planted(16)
    train(
        base,
        replace(FAST, epochs=3),
        output_dir=tmp_path,
        eval_prompts=prompts,
        eval_targets=targets,
    )
    suffixes = {file.suffix for file in tmp_path.rglob("*") if file.is_file()}
    assert suffixes == {".safetensors", ".json"}
    assert len(list(tmp_path.glob("checkpoint-*"))) == KEEP_CHECKPOINTS
    named = {
        json.loads((path / checkpoints.STATE_FILE).read_text())["best_global_step"]
        for path in tmp_path.glob("checkpoint-*")
    }
    assert {path.name for path in tmp_path.glob("best-*")} == {f"best-{step}" for step in named}


def test_being_asked_to_stop_leaves_a_checkpoint(base: BaseModel, tmp_path: Path) -> None:
    asked = iter([False, True])
    with pytest.raises(KeyboardInterrupt):
        train(base, FAST, output_dir=tmp_path, should_stop=lambda: next(asked))
    assert checkpoints.last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_a_folder_with_checkpoints_is_not_overwritten(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    train(load_base(tiny_model_folder), FAST, output_dir=tmp_path)
    with pytest.raises(TrainingError, match="checkpoints of an earlier run"):
        train(load_base(tiny_model_folder), FAST, output_dir=tmp_path)


def test_other_weights_in_a_checkpoint_are_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    train(load_base(tiny_model_folder), FAST, output_dir=tmp_path)
    with pytest.raises(TrainingError, match="other weights"):
        train(
            load_base(tiny_model_folder),
            replace(FAST, tuning="full"),
            output_dir=tmp_path,
            resume=True,
        )


def test_fewer_processes_before_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="no random state of process 1"):
        checkpoints.load_random_state(tmp_path, 1)


def test_bfloat16_learns_too(base: BaseModel) -> None:
    settings = replace(FAST, tuning="full", precision="bf16", epochs=6, learning_rate=3e-3)
    result = train(base, settings, count=32)
    assert losses(result)[-1] < 0.6 * losses(result)[0]
    assert {p.dtype for p in result.model.parameters()} == {torch.float32}


@pytest.fixture
def base_in_four_bits(tmp_path: Path) -> BaseModel:
    pytest.importorskip("bitsandbytes", reason="the extra four-bit is not installed")
    # bitsandbytes packs blocks of 64 numbers: its CPU kernels want rows at least as long.
    folder = make_tiny_model(tmp_path / "wide", hidden=64)
    return load_base(folder, device="cpu", quantize="4bit")


@pytest.mark.filterwarnings("ignore:.*gemv_4bit.*")
def test_four_bits_learn_too(base_in_four_bits: BaseModel) -> None:
    base = base_in_four_bits
    result = train(base, replace(FAST, epochs=6, learning_rate=2e-2), count=32)
    assert losses(result)[-1] < 0.8 * losses(result)[0]


@pytest.mark.filterwarnings("ignore:.*gemv_4bit.*")
def test_four_bits_cannot_be_trained_in_full(base_in_four_bits: BaseModel) -> None:
    with pytest.raises(TrainingError, match="quantised base model cannot be trained in full"):
        train(base_in_four_bits, replace(FAST, tuning="full"))


def test_full_tuning_of_a_bfloat16_base_trains_in_float32_and_hands_back_bfloat16(
    tiny_model_folder: Path,
) -> None:
    base = load_base(tiny_model_folder, device="cpu", dtype="bfloat16")
    result = train(base, replace(FAST, tuning="full", epochs=6, learning_rate=1e-3), count=32)
    assert losses(result)[-1] < losses(result)[0]
    assert {p.dtype for p in result.model.parameters()} == {torch.bfloat16}


class OutOfMemoryAbove:
    """Makes any batch of more than ``rows`` rows run out of memory."""

    def __init__(self, rows: int):
        self.rows = rows
        self.seen: list[int] = []

    def __call__(self, scorer: Any, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.seen.append(len(inputs[0]))
        if len(inputs[0]) > self.rows:
            raise torch.OutOfMemoryError


def test_out_of_memory_halves_the_batch_and_changes_nothing_else(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(load_base(tiny_model_folder), FAST)
    forward = AnswerScorer.forward
    guard = OutOfMemoryAbove(2)

    def small_only(self: AnswerScorer, input_ids: Any, lengths: Any) -> torch.Tensor:
        guard(self, (input_ids, lengths))
        return forward(self, input_ids, lengths)

    monkeypatch.setattr(AnswerScorer, "forward", small_only)
    frugal = train(load_base(tiny_model_folder), FAST)
    assert frugal.batch_size == 2
    assert guard.seen[:3] == [8, 4, 2]
    assert furthest(weights(plain.model), weights(frugal.model)) < 1e-5
    guard.rows = 0
    with pytest.raises(TrainingError, match="out of memory with one row at a time"):
        train(load_base(tiny_model_folder), FAST)


def order(batches: EpochBatches, epoch: int) -> list[list[int]]:
    batches.epoch = epoch
    return list(batches)


def split(rows: Sequence[int], size: int) -> list[set[int]]:
    return [set(rows[i : i + size]) for i in range(0, len(rows), size)]


def test_the_rows_of_a_step_do_not_depend_on_how_it_is_split() -> None:
    lengths = [(7 * i) % 101 + 1 for i in range(150)]
    options: dict[str, Any] = {"seed": 3}
    one = EpochBatches(lengths, batch_size=16, **options)
    two = EpochBatches(lengths, batch_size=4, accumulation=4, **options)
    left, right = (
        EpochBatches(lengths, batch_size=8, processes=2, process=i, **options) for i in (0, 1)
    )
    for epoch in (0, 1):
        whole = [set(batch) for batch in order(one, epoch)]
        assert split([i for batch in order(two, epoch) for i in batch], 16) == whole
        pairs = zip(order(left, epoch), order(right, epoch), strict=True)
        assert [(set(a) | set(b)) - {FILLER} for a, b in pairs] == whole
        assert sorted(i for batch in order(one, epoch) for i in batch) == list(range(150))
    assert order(one, 0) != order(one, 1)


def test_the_longest_rows_come_first_and_like_stands_with_like() -> None:
    rng = random.Random(0)
    lengths = [rng.randint(1, 2000) for _ in range(640)]
    batches = order(EpochBatches(lengths, batch_size=8), 0)
    assert max(lengths[i] for i in batches[0]) == max(lengths)
    shown = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    assert shown < 1.1 * sum(lengths)


def test_faults_in_the_settings_are_reported_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        finetune_settings(epochs=0, batch_size=0, lora_dropout=1.0, patience=0)
    assert caught.value.faults == (
        "lora_dropout: must be less than 1, not 1.0",
        "epochs: must be more than 0, not 0",
        "batch_size: must be 1 or more, not 0",
        "patience: must be 1 or more, not 0",
    )


@pytest.mark.parametrize(
    ("prompts", "targets", "message"),
    [
        ([], [], "0 prompts and 0 targets"),
        ([[1]], [0, 1], "1 prompts and 2 targets"),
        ([[1], []], [0, 1], "a prompt is empty"),
        ([[1], [2]], [0, 2], "label indices from 0 to 1"),
    ],
)
def test_data_that_cannot_train_a_model_is_refused(
    base: BaseModel, prompts: list[list[int]], targets: list[int], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        finetune(base, prompts, targets, ANSWERS, FAST)


def test_a_loss_that_is_no_number_stops_the_run(base: BaseModel) -> None:
    with torch.no_grad():
        base.model.lm_head.weight[ANSWERS[0]] = float("nan")
    with pytest.raises(TrainingError, match="the loss is nan at step 1"):
        train(base, FAST)
