"""One way to a forecaster: the embedded one, a bundle of any kind, or an untrained base model."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from llm4top.errors import BundleError, ModelError, ModelNotFoundError
from llm4top.forecasters.baselines.base import PlainWriter
from llm4top.forecasters.bundles.loading import AS_TRAINED, Loading
from llm4top.forecasters.bundles.paths import EMBEDDED_NAME, is_bundle, is_embedded, resolve_bundle
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import language_part, verify_bundle
from llm4top.forecasters.forecaster import Forecaster, Model, Writer
from llm4top.forecasters.model.model_files import identify, resolve_base
from llm4top.forecasters.model.model_source import is_served
from llm4top.prompts.prompt import PromptSpec, PromptWriter
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
    encoder: str | Path | None = None,
    weights: bool = True,
    tokenizer: str | Path | None = None,
    allow_remote: bool = False,
) -> Forecaster:
    """The forecaster of that name, ready to forecast.

    Args:
        model: "embedded", which answers "outcome", or "embedded:QUESTION" for another of the
            questions that ship (completion, duration, why-it-fails); the folder of a bundle, or
            of the run that made it; a name in the store; or what forecasts untrained: a base
            model's folder or name, or "URL#NAME" of a model on a server.
        task: The question. A bundle accepts only its own; a base model's default is "outcome".
        device: Where a language model computes: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: Its number type: "auto", "float32", "bfloat16" or "float16".
        quantize: "as trained", "4bit", "8bit" or None; see ``load_base``.
        base: The folder of a bundle's base model, where it is not the downloaded one.
        batch_tokens: Padded tokens of a batch; None fits the memory. It changes the speed only.
        encoder: The folder of the text encoder that the baseline "sentence" needs.
        weights: Whether to read the model now; else at its first use, after all checks.
        tokenizer, allow_remote: As for ``find_served``, of a model on a server.

    Raises:
        BundleError: There is nothing of that name, or the bundle answers another question.
        TamperedBundleError, UnsafeBundleError: A file of it is changed, or could run code.
        ModelError: The base model cannot be loaded, or ``batch_tokens`` is below 1.
    """
    question = None if task is None else get_task(task)
    loading = Loading(device, dtype, quantize, base, batch_tokens, encoder)
    if is_served(model):
        return _served(str(model), question, tokenizer, allow_remote)
    try:
        folder = resolve_bundle(model)
    except BundleError as error:
        if is_embedded(str(model)):
            raise
        return _untrained(model, question or get_task("outcome"), error, loading, weights)
    loaded = load_bundle(folder, weights=weights, **asdict(loading))
    if question is not None and question != loaded.task:
        raise _another_question(loaded, question)
    return loaded


def _another_question(loaded: Forecaster, question: Task) -> BundleError:
    return BundleError(
        f"it answers {loaded.task.name!r} ({loaded.task.question}), not {question.name!r}.",
        where=loaded.identity,
        hint="Leave the task out, or choose a bundle trained on that task.",
    )


def _served(
    model: str, question: Task | None, tokenizer: str | Path | None, allow_remote: bool
) -> Forecaster:
    from llm4top.forecasters.served import load_served

    asked = question or get_task("outcome")
    return load_served(model, asked, tokenizer=tokenizer, allow_remote=allow_remote)


def load_writer(model: str | Path, task: Task | str | None = None) -> Writer:
    """What writes the prompts of a bundle or base model, without reading its weights.

    Args:
        model: As for ``load_forecaster``.
        task: The question to write, in place of the bundle's own.

    Raises:
        BundleError: The bundle is damaged.
        ModelError: There is neither a bundle nor a base model of that name.
    """
    from llm4top.forecasters.model.tokenizer import load_tokenizer

    if is_served(model):
        from llm4top.forecasters.served import find_served

        tokenizer = load_tokenizer(find_served(str(model)).tokenizer)
        return PromptWriter(tokenizer, get_task(task or "outcome"), PromptSpec())
    try:
        report = verify_bundle(model)
    except BundleError:
        if is_embedded(str(model)) or is_bundle(Path(model).expanduser()):
            raise
        question = get_task(task or "outcome")
        return PromptWriter(load_tokenizer(resolve_base(model)), question, PromptSpec())
    report.raise_for_problems()
    question = get_task(task or report.manifest.task)
    part = language_part(report.folder)
    if part is None:
        sections = load_bundle(report.folder).writer.spec.sections
        return PlainWriter(question, sections)
    folder, entry = part
    base = folder / "base" if entry.base.carried else resolve_base(entry.base.id)
    return PromptWriter(load_tokenizer(base), question, entry.prompt.spec)


def _untrained(
    model: str | Path, task: Task, no_bundle: BundleError, loading: Loading, weights: bool
) -> Forecaster:
    try:
        folder = resolve_base(model)
    except ModelNotFoundError as error:
        raise BundleError(
            f"{str(model)!r:.200} is neither a bundle nor a base model on this machine.",
            hint=error.hint,
        ) from no_bundle
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise no_bundle
    ready = None
    if weights:
        ready = _read_base(folder, task, loading)
    try:
        found = identify(folder)
    except ModelError:
        # Loading the model says best what is wrong with it.
        _read_base(folder, task, loading)
        raise
    return Forecaster(
        task=task,
        kind="language",
        name=found.id,
        label=f"{found.id}, zero-shot",
        identity=f"{found.id}-untrained-{found.sha256[:12]}",
        trained_on_text="nothing: not trained",
        model=ready,
        read=lambda: _read_base(folder, task, loading),
    )


def _read_base(folder: Path, task: Task, loading: Loading) -> Model:
    from llm4top.forecasters.language import LanguageForecaster
    from llm4top.forecasters.model.base_model import load_base

    # Anything else is refused by load_base.
    quantize: Any = None if loading.quantize == AS_TRAINED else loading.quantize
    base = load_base(folder, device=loading.device, dtype=loading.dtype, quantize=quantize)
    limit = base.context_length or PromptSpec().max_tokens
    spec = PromptSpec(max_tokens=min(PromptSpec().max_tokens, limit))
    return LanguageForecaster.from_model(base, task, spec=spec, batch_tokens=loading.batch_tokens)
