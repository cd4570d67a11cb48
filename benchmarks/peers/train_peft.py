"""LoRA training with the peers: "trl" is its SFTTrainer, "sequence" the usual classifier head.

Both take the settings that their documentation gives for speed on this machine, as far as they
go: no checkpointing of activations, no padding beyond the batch, the same batches and adapter.
"""

import sys
import tempfile
import warnings
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments
from work import load, read_plan, serve

plan = read_plan()
way = sys.argv[2]
made: list[Any] = []
warnings.simplefilter("ignore")
COMMON = {
    "per_device_train_batch_size": plan["batch"],
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 1,
    "learning_rate": 2e-4,
    "use_cpu": True,
    "bf16": plan["dtype"] == "bfloat16",
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
    "seed": 0,
    # Rows of like length together, as on our side.
    "train_sampling_strategy": "group_by_length",
}


def lora(task: str) -> LoraConfig:
    return LoraConfig(
        r=plan["lora"]["lora_rank"],
        lora_alpha=plan["lora"]["lora_alpha"],
        lora_dropout=plan["lora"]["lora_dropout"],
        target_modules="all-linear",
        task_type=task,
    )


def tokenizer() -> PreTrainedTokenizerFast:
    """The rows are tokens already; TRL asks for something that knows how to pad."""
    words = Tokenizer(WordLevel({"<pad>": 0, "<eos>": 1, "<unk>": 2}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )


def trl_trainer(rows: list[list[int]], targets: list[int]) -> Any:
    from trl import SFTConfig, SFTTrainer

    ids = [[*row, plan["answers"][t]] for row, t in zip(rows, targets, strict=True)]
    labels = [[-100] * (len(row) - 1) + row[-1:] for row in ids]
    options = {**COMMON, "gradient_checkpointing": False, "max_length": None}
    return SFTTrainer(
        load(plan),
        SFTConfig(tempfile.mkdtemp(), **options),
        train_dataset=Dataset.from_dict({"input_ids": ids, "labels": labels}),
        processing_class=tokenizer(),
        peft_config=lora("CAUSAL_LM"),
    )


def padded(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    fill = [longest - len(row["input_ids"]) for row in rows]
    pairs = list(zip(rows, fill, strict=True))
    return {
        "input_ids": torch.tensor([row["input_ids"] + [0] * n for row, n in pairs]),
        "attention_mask": torch.tensor([[1] * (longest - n) + [0] * n for n in fill]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def sequence_trainer(rows: list[list[int]], targets: list[int]) -> Any:
    model = load(plan, "AutoModelForSequenceClassification", num_labels=2, pad_token_id=0)
    return Trainer(
        get_peft_model(model, lora("SEQ_CLS")),
        TrainingArguments(tempfile.mkdtemp(), **COMMON),
        train_dataset=Dataset.from_dict({"input_ids": rows, "labels": targets}),
        data_collator=padded,
    )


def prepare(rows: Any = None, targets: Any = None) -> None:
    trainer = trl_trainer if way == "trl" else sequence_trainer
    made[:] = [trainer(rows or plan["rows"], targets or plan["targets"])]


def warm_up() -> None:
    prepare([plan["rows"][0][:32]], [0])
    made[0].train()


def train() -> None:
    made[0].train()


serve(warm_up, train, prepare)
