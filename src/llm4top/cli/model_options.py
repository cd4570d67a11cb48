"""What ``--model`` and ``--task`` may name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.read import LoadedForecaster
    from llm4top.prompts.prompt import PromptWriter
    from llm4top.tasks.task import Task


def named_task(name: str) -> Task:
    """The built-in task of that name, or the one that a YAML or JSON file describes."""
    from llm4top.tasks.builtin import get_task
    from llm4top.tasks.task_file import load_task

    return load_task(name) if name.endswith((".yaml", ".yml", ".json")) else get_task(name)


def bundle_place(model: str) -> str:
    """``model``, or the bundle inside it where it is the folder of a training run."""
    inside = Path(model).expanduser() / "bundle"
    return str(inside) if (inside / "manifest.json").is_file() else model


def open_forecaster(
    model: str, task: str | None, *, device: str, quantize: str | None, batch_tokens: int | None
) -> LoadedForecaster:
    """A bundle, a run's bundle or an untrained base model, ready to forecast.

    Raises what ``load_forecaster`` raises, and ``BundleError`` for a saved baseline.
    """
    from llm4top.errors import BundleError
    from llm4top.forecasters.baselines.store import is_baseline
    from llm4top.forecasters.bundles.read import AS_TRAINED
    from llm4top.forecasters.load import load_forecaster

    if is_baseline(Path(model).expanduser()):
        raise BundleError(
            "this is a saved baseline, which makes no forecasts of records.",
            where=model,
            hint="llm4top evaluate and llm4top compare measure it; forecast with a bundle.",
        )
    return load_forecaster(
        bundle_place(model),
        task=None if task is None else named_task(task),
        device=device,
        quantize=quantize or AS_TRAINED,
        batch_tokens=batch_tokens,
    )


def prompt_writer(model: str, task: str | None) -> PromptWriter:
    """The prompt writer of a bundle or base model, without loading its weights.

    ``task`` is what to ask in place of the bundle's own question. Raises ``BundleError`` and
    ``ModelError`` as ``load_forecaster`` does.
    """
    from llm4top.errors import BundleError
    from llm4top.forecasters.bundles.verify import verify_bundle
    from llm4top.forecasters.model.base_model import load_tokenizer
    from llm4top.forecasters.model.model_files import resolve_base
    from llm4top.prompts.prompt import PromptSpec, PromptWriter
    from llm4top.tasks.builtin import get_task

    place = bundle_place(model)
    try:
        report = verify_bundle(place)
    except BundleError:
        if place == "embedded" or (Path(place) / "manifest.json").is_file():
            raise
        folder = resolve_base(place)
        question = named_task(task) if task else get_task("outcome")
        return PromptWriter(load_tokenizer(folder), question, PromptSpec())
    report.raise_for_problems()
    manifest = report.manifest
    folder = report.folder / "base" if manifest.base.carried else resolve_base(manifest.base.id)
    question = named_task(task) if task else manifest.task
    return PromptWriter(load_tokenizer(folder), question, manifest.prompt.spec)
