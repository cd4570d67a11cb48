"""One way to a forecaster: the embedded one, a bundle, or a base model that is asked untrained."""

from __future__ import annotations

from pathlib import Path

from llm4top.errors import BundleError, ModelNotFoundError
from llm4top.forecasters.bundles.paths import EMBEDDED_NAME, resolve_bundle
from llm4top.forecasters.bundles.read import AS_TRAINED, LoadedForecaster, load_bundle
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import Quantize, load_base
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task


def load_forecaster(
    model: str | Path = EMBEDDED_NAME,
    *,
    task: Task | str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    quantize: str | None = AS_TRAINED,
    base: str | Path | None = None,
    batch_tokens: int | None = None,
) -> LoadedForecaster:
    """The forecaster of that name, ready to forecast.

    ``model`` is "embedded", a bundle's folder or its name in the store, else a base model's
    folder or the name of a downloaded one, which is then asked untrained and uncalibrated.
    ``task`` is the question: a bundle has its own and accepts no other; a base model is asked
    "outcome" where there is none. The other arguments are as for ``load_bundle``.

    Raises ``BundleError`` where there is neither bundle nor model of that name or the bundle
    answers another question, and what ``load_bundle`` and ``load_base`` raise.
    """
    asked = None if task is None else get_task(task)
    try:
        folder = resolve_bundle(model)
    except BundleError as error:
        if str(model) == EMBEDDED_NAME:
            raise
        return _untrained(model, asked, error, device, dtype, quantize, batch_tokens)
    loaded = load_bundle(
        folder,
        device=device,
        dtype=dtype,
        quantize=quantize,
        base=base,
        batch_tokens=batch_tokens,
    )
    if asked is not None and asked != loaded.task:
        raise BundleError(
            f"it answers {loaded.task.name!r} ({loaded.task.question}), not {asked.name!r}.",
            where=loaded.identity,
            hint="Leave the task out, or choose a bundle trained on that task.",
        )
    return loaded


def _untrained(
    model: str | Path,
    task: Task | None,
    no_bundle: BundleError,
    device: str,
    dtype: str,
    quantize: str | None,
    batch_tokens: int | None,
) -> LoadedForecaster:
    try:
        folder = resolve_base(model)
    except ModelNotFoundError as error:
        raise BundleError(
            f"{str(model)!r:.200} is neither a bundle nor a base model on this machine.",
            hint=error.hint,
        ) from no_bundle
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise no_bundle
    question = task or get_task("outcome")
    kind: Quantize = None if quantize == AS_TRAINED else quantize  # type: ignore[assignment]
    base = load_base(folder, device=device, dtype=dtype, quantize=kind)
    limit = base.context_length or PromptSpec().max_tokens
    spec = PromptSpec(max_tokens=min(PromptSpec().max_tokens, limit))
    forecaster = LanguageForecaster.from_model(base, question, spec=spec, batch_tokens=batch_tokens)
    found = base.identity
    return LoadedForecaster(
        task=question,
        forecaster=forecaster,
        calibration=NoCalibration(),
        base_rates={},
        identity=f"{found.id}-untrained-{found.sha256[:12]}",
    )
