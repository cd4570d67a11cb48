"""LoRA training as LLM4TOP does it, with its defaults."""

from pathlib import Path
from typing import Any

from work import load, read_plan, serve

from llm4top.forecasters.finetuning.finetune import finetune
from llm4top.forecasters.finetuning.settings import finetune_settings
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.device import choose_device, choose_dtype
from llm4top.forecasters.model.packing import use_packing

plan = read_plan()
made: list[BaseModel] = []


def prepare() -> None:
    """The base as it was: training changes it."""
    model = load(plan)
    assert use_packing(model)
    place = choose_device("cpu")
    number = choose_dtype(place, plan["dtype"])
    made[:] = [BaseModel(model, None, place, number, Path(plan["model"]))]


def train(rows: list[list[int]], targets: list[int]) -> None:
    settings: Any = finetune_settings(
        **plan["lora"],
        batch_size=plan["batch"],
        accumulation=1,
        epochs=1,
        patience=None,
        precision="fp32" if plan["dtype"] == "float32" else "bf16",
        log_steps=1000,
    )
    finetune(made[0], rows, targets, plan["answers"], settings)


def warm_up() -> None:
    prepare()
    train([plan["rows"][0][:32]], [0])


serve(warm_up, lambda: train(plan["rows"], plan["targets"]), prepare)
