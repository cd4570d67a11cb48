"""What ``--model`` and ``--task`` may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster, Writer
    from llm4top.tasks.task import Task


def named_task(name: str) -> Task:
    """The built-in task of that name, or the one that a YAML or JSON file describes."""
    from llm4top.tasks.builtin import get_task
    from llm4top.tasks.task_file import load_task

    return load_task(name) if name.endswith((".yaml", ".yml", ".json")) else get_task(name)


def open_forecaster(
    model: str, task: str | None, *, device: str, quantize: str | None, batch_tokens: int | None
) -> Forecaster:
    """A bundle, a run's bundle or an untrained base model, ready to forecast.

    Raises what ``load_forecaster`` raises.
    """
    from llm4top.forecasters.bundles.loading import AS_TRAINED
    from llm4top.forecasters.load import load_forecaster

    return load_forecaster(
        model,
        task=None if task is None else named_task(task),
        device=device,
        quantize=quantize or AS_TRAINED,
        batch_tokens=batch_tokens,
    )


def prompt_writer(model: str, task: str | None) -> Writer:
    """What writes the prompts of a bundle or base model, without reading its weights.

    ``task`` is the question to write in place of the bundle's own. Raises ``BundleError`` and
    ``ModelError`` as ``load_forecaster`` does.
    """
    from llm4top.forecasters.load import load_writer

    return load_writer(model, None if task is None else named_task(task))
