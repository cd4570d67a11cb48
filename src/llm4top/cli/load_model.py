"""The forecaster that a command's options ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm4top.cli.options import ModelLoading, ServedLoading, named_task, tell_privacy

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster


def load_options(task: str | None, loading: ModelLoading, served: ServedLoading) -> dict[str, Any]:
    """What ``load_forecaster`` is asked for beside the model."""
    from llm4top.forecasters.bundles.loading import AS_TRAINED

    return {
        "task": named_task(task),
        "device": loading.device,
        "quantize": loading.quantize or AS_TRAINED,
        "batch_tokens": loading.batch_tokens,
        "tokenizer": served.tokenizer,
        "allow_remote": served.allow_remote,
    }


def load_model(model: str, **options: Any) -> Forecaster:
    """The forecaster, noting which other machine its records go to."""
    from llm4top.forecasters.load import load_forecaster

    found = load_forecaster(model, **options)
    tell_privacy([model])
    return found
