"""Pre-training on registry text: a small model from nothing, or a given base carried on.

Next-token prediction over trials as the prompts write them (``trial_sections``), so that what is
read here is spelled as it will be spelled in a forecast. Only ``Trial`` values are read: the leak
guard holds for unlabelled text too.
"""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from llm4top.data.dataset import Dataset
from llm4top.errors import ConfigError, TrainingError
from llm4top.files import publishing, write_json
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.model.base_model import load_base, prepare_process, quietly
from llm4top.forecasters.model.device import Device, choose_device, trains_in_bf16
from llm4top.forecasters.model.model_files import earlier_training
from llm4top.prompts.sections import SECTION_NAMES, SECTIONS_BEYOND_RECORDS, trial_sections
from llm4top.registry.trial import Trial
from llm4top.text import thousands as count
from llm4top.training.next_token_loss import next_token_loss
from llm4top.training.tokenizer import train_tokenizer


def through_its_base(earlier: Manifest) -> str:
    """For a card: what a model was trained on through its base; "" where nothing is recorded."""
    if earlier.data is None:
        return ""
    rows = ", ".join(f"{split}: {count(n)}" for split, n in earlier.data.counts.items())
    return (
        f"Through its base model, {earlier.name}, it was also trained on the data set "
        f"{earlier.data.name} (trials in {rows})."
    )


def learnt_before(
    earlier: Manifest, trained_on: TrainedOn | None, dataset: Dataset | None, valid_split: str
) -> str:
    """For the check before a training: what the base was trained on, and what that means here.

    ``trained_on`` recognises the trials that the base was trained, tuned or calibrated on, where
    its bundle has that.
    """
    if trained_on is not None and dataset is not None:
        rows = dataset.select(valid_split).nct_ids
        parts = Counter(trained_on.part_of(nct_id) for nct_id in rows)
        if not parts["train"] + parts["valid"]:
            return "It was not trained on any of these validation trials."
        return (
            f"Of these {count(len(rows))} validation trials it was trained on "
            f"{count(parts['train'])}, and selected or calibrated on {count(parts['valid'])}: "
            "figures on them are optimistic."
        )
    if earlier.data is None:
        return "Its training data are not recorded: figures on any data may be optimistic."
    name = earlier.data.name
    if dataset is not None and dataset.sha256 == earlier.data.sha256:
        return (
            f"It was trained and tuned on this very data set, {name}: figures on its validation "
            "trials are optimistic."
        )
    return (
        f"Its weights were already trained on the training trials of {name} and were selected on "
        f"{name}'s validation trials: figures on any of those trials are optimistic."
    )


def beyond_what_was_seen(base: Path, longest: int) -> str:
    """What to do where prompts are longer than all that the base model has read; else empty."""
    block = pretrained_context(base)
    if block is not None and longest > block:
        return (
            f"The base model was pre-trained on blocks of {count(block)} tokens and has seen "
            f"no longer text: set max_tokens to {block}, or pre-train with a larger --context."
        )
    earlier = earlier_training(base)
    entry = earlier.language if earlier is not None else None
    if entry is not None and longest > (most := entry.prompt.spec.max_tokens):
        return (
            f"The base model was trained on prompts of at most {count(most)} tokens: set "
            f"max_tokens to {most}."
        )
    return ""


DOCUMENT_END = "<|endoftext|>"
ACCOUNT_FILE = "pretraining.json"


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """Settings of a pre-training run; the defaults made the embedded model.

    The shape (``vocab_size`` to ``heads``) only counts where no base is given. ``context`` is the
    block length in tokens, ``max_tokens`` ends training early, ``precision`` is as in
    ``FinetuneSettings``. ``leave_out`` names prompt sections that are not read: detailed
    descriptions are half of a registry's text and the last thing a short prompt has room for;
    ICD-10 codes and SMILES stand in no registry record and would fill a small vocabulary.
    ``plain_text`` shows the words alone, as the setting of that name does when such a model is
    trained.

    Raises ``ConfigError`` with every fault.
    """

    vocab_size: int = 8192
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    context: int = 768
    epochs: float = 1.0
    max_tokens: int | None = None
    batch_size: int = 4
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    warmup_fraction: float = 0.05
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    checkpoint_steps: int = 200
    leave_out: tuple[str, ...] = ("detailed_description", *SECTIONS_BEYOND_RECORDS)
    plain_text: bool = False

    def __post_init__(self) -> None:
        counts = (
            "vocab_size",
            "hidden",
            "layers",
            "heads",
            "context",
            "batch_size",
            "checkpoint_steps",
        )
        faults = [f"{name}: must be 1 or more" for name in counts if getattr(self, name) < 1]
        faults += [
            f"{name}: must be above 0"
            for name in ("epochs", "learning_rate")
            if not getattr(self, name) > 0
        ]
        if self.max_tokens is not None and self.max_tokens < self.context:
            faults.append(f"max_tokens: must be at least one block of {self.context}")
        if self.heads > 0 and self.hidden % (2 * self.heads):
            faults.append(f"hidden: must be a multiple of {2 * self.heads} (twice the heads)")
        if self.precision not in ("auto", "bf16", "fp32"):
            faults.append(f"precision: {self.precision!r} is none of auto, bf16, fp32")
        faults += [
            f"leave_out: no section {name!r}"
            for name in self.leave_out
            if name not in SECTION_NAMES
        ]
        if faults:
            raise ConfigError("the pre-training settings are wrong.", faults)


def trial_document(trial: Trial, leave_out: Sequence[str] = (), *, plain_text: bool = False) -> str:
    """A trial's whole text: every section but those left out, nothing cut."""
    sections = trial_sections(trial, plain=plain_text)
    return "\n".join(section.block for section in sections if section.name not in leave_out)


def small_model(vocab_size: int, settings: PretrainSettings) -> Any:
    """A randomly initialised Qwen3 of the settings' shape, embeddings tied."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(settings.seed)
    config = Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=settings.hidden,
        intermediate_size=3 * settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=max(1, settings.heads // 2),
        head_dim=settings.hidden // settings.heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config)


def pack(documents: Sequence[str], tokenizer: Any, context: int, seed: int) -> np.ndarray:
    """Shuffled documents as blocks of token ids ``[blocks, context]``; the last rest is dropped.

    Raises ``TrainingError`` where the text does not fill one block.
    """
    order = list(documents)
    random.Random(seed).shuffle(order)
    end = tokenizer.convert_tokens_to_ids(DOCUMENT_END)
    ids: list[int] = []
    for start in range(0, len(order), 256):
        for row in tokenizer(order[start : start + 256], add_special_tokens=False)["input_ids"]:
            ids.extend(row)
            ids.append(end)
    blocks = len(ids) // context
    if not blocks:
        raise TrainingError(
            f"{len(ids)} tokens of text do not fill one block of {context}.",
            hint="Give more records or a shorter context.",
        )
    return np.asarray(ids[: blocks * context], dtype=np.int32).reshape(blocks, context)


class _Blocks(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __init__(self, blocks: np.ndarray):
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.blocks[index].astype(np.int64))
        return {"input_ids": ids}


def pretrain(
    trials: Iterable[Trial],
    out: Path,
    settings: PretrainSettings | None = None,
    *,
    base: str | Path | None = None,
    progress: Callable[[int, int, float], None] | None = None,
    resume: bool = False,
) -> Path:
    """Pre-train on ``trials`` and write model, tokenizer and ``pretraining.json`` into ``out``.

    ``base`` is a model to carry on from, as for ``load_base``; without it, tokenizer and model
    are made from scratch. ``progress`` is called with (step, steps, loss). Checkpoints are stored
    next to ``out`` until it is complete; ``resume`` continues from the newest, with the same
    trials and settings. Returns ``out``.

    Raises ``TrainingError`` where ``out`` is taken, there is nothing to resume, or the text does
    not fill one block; and what ``load_base`` raises.
    """
    settings = settings or PretrainSettings()
    checkpoints = out.with_name(f".{out.name}.checkpoints")
    _check_place(out, checkpoints, resume=resume)
    prepare_process()
    written = (
        trial_document(trial, settings.leave_out, plain_text=settings.plain_text)
        for trial in trials
    )
    documents = [text for text in written if text]
    if base is None:
        tokenizer = train_tokenizer(documents, vocab_size=settings.vocab_size)
        model = small_model(len(tokenizer), settings)
    else:
        loaded = load_base(base, dtype="float32")
        tokenizer, model = loaded.tokenizer, loaded.model.train()
    blocks = pack(documents, tokenizer, settings.context, settings.seed)
    if settings.max_tokens is not None:
        blocks = blocks[: settings.max_tokens // settings.context]
    trainer = _trainer(model, blocks, checkpoints, settings, progress)
    result = trainer.train(resume_from_checkpoint=resume or None)
    account = {
        "settings": asdict(settings),
        "base": None if base is None else Path(base).name,
        "documents": len(documents),
        "tokens": int(blocks.size),
        "parameters": int(sum(p.numel() for p in model.parameters())),
        "loss": result.training_loss,
    }
    _publish(out, model, tokenizer, account)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return out


def training_device() -> Device:
    """Where ``pretrain`` computes: the first GPU of CUDA, else the CPU."""
    return choose_device("cuda" if torch.cuda.is_available() else "cpu")


def pretrained_context(folder: Path) -> int | None:
    """The block of tokens that ``pretrain`` made the model in ``folder`` with; None for others."""
    try:
        account = json.loads((folder / ACCOUNT_FILE).read_text("utf-8"))
        context = account["settings"]["context"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return context if isinstance(context, int) else None


def _check_place(out: Path, checkpoints: Path, *, resume: bool) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingError(
            "there is something here already.", where=str(out), hint="Choose another folder."
        )
    if resume and not any(checkpoints.glob("checkpoint-*")):
        raise TrainingError(
            "there is no checkpoint to continue from.",
            where=str(out),
            hint="Start without --resume.",
        )
    if not resume:
        shutil.rmtree(checkpoints, ignore_errors=True)


def _publish(out: Path, model: Any, tokenizer: Any, account: dict[str, Any]) -> None:
    with publishing(out) as scratch:
        with quietly():
            model.float().cpu().save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        write_json(scratch / ACCOUNT_FILE, account)


def _trainer(
    model: Any,
    blocks: np.ndarray,
    folder: Path,
    settings: PretrainSettings,
    progress: Callable[[int, int, float], None] | None,
) -> Any:
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    device = training_device()
    dtype = torch.bfloat16 if trains_in_bf16(device, settings.precision) else torch.float32

    class Report(TrainerCallback):  # type: ignore[misc]
        def on_log(self, _args: Any, state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
            if progress is not None and "loss" in (logs or {}):
                progress(state.global_step, state.max_steps, logs["loss"])

    class NextToken(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Any:
            ids, head = inputs["input_ids"], model.get_output_embeddings()
            with torch.autocast(device.kind, dtype, enabled=dtype is not torch.float32):
                decoded = model.get_decoder()(input_ids=ids, use_cache=False)
            return next_token_loss(decoded.last_hidden_state, head.weight, ids, dtype)

    steps = int(settings.epochs * len(blocks) / settings.batch_size)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, int(steps * settings.warmup_fraction)),
        use_cpu=device.kind == "cpu",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,
        logging_steps=10,
        seed=settings.seed,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=device.kind == "cuda",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs would mean DataParallel
    trainer = NextToken(
        model=model, args=arguments, train_dataset=_Blocks(blocks), callbacks=[Report()]
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
