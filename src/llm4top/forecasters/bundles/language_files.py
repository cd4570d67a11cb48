"""The files of a language model in a bundle: an adapter, a whole model, a probe, or nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llm4top.errors import (
    BundleError,
    ModelNotFoundError,
    TamperedBundleError,
    UnsafeBundleError,
    UnsafeModelError,
)
from llm4top.files import sha256_of, write_json
from llm4top.forecasters.bundles.loading import AS_TRAINED, Loading
from llm4top.forecasters.bundles.manifest import (
    AnswerEntry,
    BaseEntry,
    LanguageEntry,
    Manifest,
    PromptEntry,
    TuningEntry,
)
from llm4top.forecasters.bundles.paths import is_bundle
from llm4top.forecasters.bundles.probe_files import read_probe, write_probe
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.finetuning.settings import unused_settings
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.light_forward import read_light_model
from llm4top.forecasters.model.light_scorer import LightScorer
from llm4top.forecasters.model.model_files import identify, resolve_base, weight_files
from llm4top.forecasters.model.model_source import ModelSource
from llm4top.forecasters.model.tokenizer import PLAIN_CONFIG, load_tokenizer
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    import torch

    from llm4top.forecasters.model.base_model import BaseModel

CARRIED_UP_TO = 256 * 1024 * 1024
"""A base model that was not downloaded is put into the bundle up to this many bytes of weights."""
_PATHS = ("base", "adapter", "task", "device", "dtype", "quantize", "batch_tokens", "class_weight")
"""Parameters that have an entry of their own, or say where something lies on this machine."""
_STORAGE = ("float32", "bfloat16", "float16")


def write_language(
    folder: Path,
    forecaster: LanguageForecaster,
    tuning: TuningEntry,
    *,
    carry_base: bool | None = None,
    storage: str | None = None,
) -> LanguageEntry:
    """Write the model's files into ``folder`` and return what the manifest says about them.

    Args:
        folder: The bundle that is being written.
        forecaster: The model.
        tuning: What training changed; decides which files are written.
        carry_base: Whether an untuned base model is put into the bundle too. None does so for a
            small one that was not downloaded, since it could not be found elsewhere.
        storage: The number type of a fully tuned model's weights on disk; its own where None.

    Raises:
        BundleError: The model does not go with ``tuning``, or ``storage`` would change it.
    """
    scorer, method = forecaster.scorer, tuning.method
    _check_tuning(scorer, method)
    carried = method == "full" or (_should_carry(scorer.base) if carry_base is None else carry_base)
    if method == "full":
        _write_model(folder / "base", scorer.model, scorer.base, storage)
    elif carried:
        _copy_base(folder / "base", scorer.base)
    base = _base_entry(scorer.base, folder if carried else None)
    if method == "lora":
        shared = getattr(scorer, "adapter", None)
        _write_adapter(folder, scorer.model, base, shared.name if shared else "default")
    if scorer.probe is not None:
        write_probe(folder, scorer.probe)
    task = scorer.task
    return LanguageEntry(
        tuning=tuning,
        base=base,
        tokenizer_sha256=sha256_of(scorer.base.folder / "tokenizer.json"),
        prompt=PromptEntry(spec=scorer.writer.spec, fingerprint=scorer.writer.fingerprint),
        answers=tuple(
            AnswerEntry(label=label, word=word, token_id=token)
            for label, word, token in zip(task.labels, task.answers, scorer.answer_ids, strict=True)
        ),
    )


def read_language(folder: Path, manifest: Manifest, loading: Loading) -> LanguageForecaster:
    """The language model of the verified bundle in ``folder``.

    Raises:
        ModelNotFoundError: The base model is not on this machine; says how to download it.
        BundleError: Another base model, or prompts that are written differently today.
        UnsafeBundleError: A file of it could run code.
    """
    entry = manifest.language
    if entry is None:
        raise BundleError("has no language model.", where=folder.name)
    where = _base_folder(folder, entry.base, loading.base)
    # Anything else than its two values is refused by load_base.
    quantize: Any = loading.quantize
    if quantize == AS_TRAINED:
        quantize = entry.tuning.quantize
    try:
        light = None
        if entry.tuning.method == "probe" and quantize is None and _may_be_light(loading):
            light = _read_light(folder, where, entry, manifest.task)
        if light is not None:
            forecaster = LanguageForecaster.from_light(light)
        else:
            forecaster = _read_whole(folder, where, entry, manifest.task, loading, quantize)
    except UnsafeModelError as error:
        raise UnsafeBundleError(error.message, where=error.where, hint=error.hint) from error
    _check_prompts(forecaster, where, entry, manifest)
    return forecaster


def _may_be_light(loading: Loading) -> bool:
    """Whether nothing that was asked for needs torch."""
    return loading.device in ("auto", "cpu") and loading.dtype in ("auto", "float32", "fp32")


def _read_light(folder: Path, where: Path, entry: LanguageEntry, task: Task) -> LightScorer | None:
    """The model with its probe as one that needs no torch; None where it is not of that kind."""
    light = read_light_model(where)
    if light is None or light.context_length < entry.prompt.spec.max_tokens:
        return None
    tokenizer = load_tokenizer(where)
    if len(tokenizer) > light.vocabulary:
        return None
    shape = {"layers": len(light.layers), "hidden_size": light.hidden_size}
    probe = read_probe(folder, **shape, labels=len(entry.answers))
    return LightScorer(where, light, tokenizer, task, entry.prompt.spec, probe)


def _read_whole(
    folder: Path,
    where: Path,
    entry: LanguageEntry,
    task: Task,
    loading: Loading,
    quantize: Any,
) -> LanguageForecaster:
    from llm4top.forecasters.model.base_model import load_base
    from llm4top.forecasters.model.probe import layer_count
    from llm4top.forecasters.model.shared_base import shared_base

    probe = adapter = None
    how: dict[str, Any] = {"device": loading.device, "dtype": loading.dtype, "quantize": quantize}
    if entry.tuning.method == "lora":
        _check_adapter_config(folder, entry)
        adapter = shared_base(where, entry.base.sha256, **how).add(folder)
    base = load_base(where, **how) if adapter is None else adapter.shared.base
    if entry.tuning.method == "probe":
        hidden_size = int(base.model.config.get_text_config().hidden_size)
        shape = {"layers": layer_count(base.model), "hidden_size": hidden_size}
        probe = read_probe(folder, **shape, labels=len(entry.answers))
    forecaster = LanguageForecaster.from_model(
        base, task, probe=probe, spec=entry.prompt.spec, batch_tokens=loading.batch_tokens
    )
    if adapter is not None:
        scorer: Any = forecaster.scorer
        scorer.model, scorer.adapter = adapter.shared.model, adapter
    return forecaster


def round_weights(model: Any, storage: str) -> None:
    """Round a model's weights in place to what ``storage`` ("bfloat16", "float16") can hold.

    The model keeps its number type. Do it before calibrating, so that the bundle's smaller file
    holds exactly the weights that were calibrated and measured.
    """
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(getattr(torch, storage)).to(parameter.dtype))


def _check_tuning(scorer: Any, method: str) -> None:
    adapted = hasattr(scorer.model, "peft_config")
    if (scorer.probe is not None) != (method == "probe"):
        raise BundleError(
            f"the model {'has no' if scorer.probe is None else 'has a'} probe, which does not go "
            f"with tuning {method!r}."
        )
    if adapted != (method == "lora"):
        raise BundleError(
            f"the model {'has an' if adapted else 'has no'} adapter, which does not go with "
            f"tuning {method!r}."
        )


def _should_carry(base: BaseModel) -> bool:
    if ModelSource.read(base.folder) is not None:
        return False
    files = weight_files(base.folder)
    return len(files) == 1 and files[0].stat().st_size <= CARRIED_UP_TO


def _base_entry(base: BaseModel, bundle: Path | None) -> BaseEntry:
    """The base model's entry; with ``bundle``, of the model that this bundle carries."""
    source = base.identity
    parent = base.folder.resolve().parent
    if base.folder.name == "base" and is_bundle(parent):
        # Tuned from a model that itself came in a bundle: that is its name.
        public = read_manifest(parent).identity
    else:
        public = source.id
    held = identify(bundle / "base").sha256 if bundle else source.sha256
    return BaseEntry(id=public, revision=source.revision, sha256=held, carried=bundle is not None)


def _write_adapter(folder: Path, model: Any, base: BaseEntry, name: str) -> None:
    """The adapter in PEFT's files. PEFT's own writer would look at the model hub first."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    save_file(plain, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = dict(model.peft_config[name].to_dict())
    config.update(
        base_model_name_or_path=base.id,
        revision=base.revision,
        inference_mode=True,
        auto_mapping=None,
        task_type="CAUSAL_LM",
        peft_type="LORA",
    )
    config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    write_json(folder / "adapter_config.json", config)


def _write_model(folder: Path, model: Any, base: BaseModel, storage: str | None) -> None:
    from llm4top.forecasters.model.base_model import quietly

    options: dict[str, Any] = {}
    if storage is not None:
        options["state_dict"] = _stored_weights(model, storage)
    with quietly():
        model.save_pretrained(folder, max_shard_size="100TB", **options)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # A private field may hold the folder on this machine that the model came from.
    config = {key: value for key, value in config.items() if not key.startswith("_")}
    if storage is not None:
        config["dtype"] = storage
    write_json(folder / "config.json", config)
    _write_tokenizer(folder, base)


def _stored_weights(model: Any, storage: str) -> dict[str, torch.Tensor]:
    import torch

    if storage not in _STORAGE:
        raise BundleError(f"no number type {storage!r}.", hint=f"Choose of: {', '.join(_STORAGE)}.")
    weights: dict[str, torch.Tensor] = model.state_dict()
    # Tied weights stay one tensor, so that they are written once.
    converted = {w.data_ptr(): w.to(getattr(torch, storage)) for w in weights.values()}
    stored = {name: converted[weight.data_ptr()] for name, weight in weights.items()}
    for name, weight in weights.items():
        if not torch.equal(stored[name].to(weight.dtype), weight):
            raise BundleError(
                f"storing {name} as {storage} would change it.",
                hint="Round the model's weights with round_weights before calibrating it.",
            )
    return stored


def _copy_base(folder: Path, base: BaseModel) -> None:
    files = weight_files(base.folder)
    if len(files) != 1:
        raise BundleError(
            f"the base model's weights are in {len(files)} files; a bundle carries one file.",
            where=base.folder.name,
            hint="Leave the base model out of the bundle (carry_base=False).",
        )
    folder.mkdir()
    shutil.copyfile(files[0], folder / "model.safetensors")
    shutil.copyfile(base.folder / "config.json", folder / "config.json")
    _write_tokenizer(folder, base)


def _write_tokenizer(folder: Path, base: BaseModel) -> None:
    shutil.copyfile(base.folder / "tokenizer.json", folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", PLAIN_CONFIG)


def _base_folder(bundle: Path, needed: BaseEntry, base: str | Path | None) -> Path:
    """The folder of the base model, once it has shown to be the one that the bundle needs."""
    if needed.carried:
        if base is not None:
            raise BundleError(
                "the bundle carries its base model; it takes no other.",
                where=bundle.name,
                hint="Leave the base model out.",
            )
        return bundle / "base"
    revision = f" --revision {needed.revision}" if needed.revision else ""
    fetch = f"llm4top download {needed.id}{revision}"
    try:
        folder = resolve_base(needed.id if base is None else base)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"its base model {needed.id} is not on this machine.",
            where=bundle.name,
            hint=f"Download it once with: {fetch}" if "/" in needed.id else "Name its folder.",
        ) from error
    found = identify(folder)
    if found.sha256 != needed.sha256:
        raise BundleError(
            f"the base model in {folder} is not the {needed.id} that the bundle was made with "
            f"(its files hash to {found.sha256[:12]}, not {needed.sha256[:12]}).",
            where=bundle.name,
            hint=f"Get that very one with: {fetch}" if "/" in needed.id else "Name its folder.",
        )
    return folder


def _check_adapter_config(folder: Path, entry: LanguageEntry) -> None:
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    named = config.get("base_model_name_or_path")
    if named != entry.base.id:
        raise TamperedBundleError(
            f"names the base model {named!r:.200}, the manifest {entry.base.id!r}.",
            where=f"{folder.name}/adapter_config.json",
        )


def _check_prompts(
    forecaster: LanguageForecaster, base: Path, entry: LanguageEntry, manifest: Manifest
) -> None:
    """The model must be prompted exactly as it was in training."""
    scorer = forecaster.scorer
    expected = tuple(answer.token_id for answer in entry.answers)
    if sha256_of(base / "tokenizer.json") != entry.tokenizer_sha256:
        fault = "its tokenizer is another one"
    elif scorer.writer.fingerprint != entry.prompt.fingerprint:
        fault = "this version of LLM4TOP writes its prompts in other words"
    elif scorer.answer_ids != expected:
        fault = "its answers are other tokens"
    else:
        return
    raise BundleError(
        f"{fault} than when it was made.",
        where=manifest.identity,
        hint=f"It was made by LLM4TOP {manifest.versions.get('llm4top', '(unknown version)')}.",
    )


def tuning_of(forecaster: Forecaster) -> TuningEntry:
    """What training changed in a language model, stored or in memory."""
    if forecaster.manifest is not None and forecaster.manifest.language is not None:
        return forecaster.manifest.language.tuning
    model: Any = forecaster.forecaster
    method: Literal["lora", "full", "probe", "none"] = "none"
    if model.scorer.probe is not None:
        method = "probe"
    elif hasattr(model.scorer.model, "peft_config"):
        method = "lora"
    elif model.tuning == "full":
        method = "full"
    left_out = {*_PATHS, *unused_settings(method)}
    settings = {k: v for k, v in model.get_params(deep=False).items() if k not in left_out}
    return TuningEntry(method=method, quantize=model.quantize, settings=plain_settings(settings))


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a manifest can store: values that are not plain JSON are left out."""
    plain = (str, int, float, bool, type(None))
    return {
        name: tuple(value) if isinstance(value, list | tuple) else value
        for name, value in settings.items()
        if isinstance(value, plain)
        or (isinstance(value, list | tuple) and all(isinstance(v, str | float) for v in value))
    }
