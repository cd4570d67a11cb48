"""The forecaster that a command's options ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm4top.cli.console import note
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
    if options.get("weights", True):
        _tell_bits(found)
    return found


def _tell_bits(forecaster: Forecaster) -> None:
    """Note where the weights have fewer bits than those that the model was calibrated with."""
    language = forecaster.language
    entry = forecaster.manifest and forecaster.manifest.language
    as_trained = entry.tuning.quantize if entry else None
    if language is not None and language.quantize not in (None, as_trained):
        note(
            f"The base model's weights are in {language.quantize[0]} bits: probabilities differ "
            "from those of the whole weights."
        )
