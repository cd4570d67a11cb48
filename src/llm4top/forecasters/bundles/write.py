"""Writing a bundle: whole or not at all."""

from __future__ import annotations

import json
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from llm4top import __version__
from llm4top.errors import BundleError
from llm4top.forecasters.bundles.card import render_card
from llm4top.forecasters.bundles.manifest import (
    CALIBRATION_FILE,
    CARD_FILE,
    LEARNT_FILE,
    MANIFEST_FILE,
    AnswerEntry,
    BaseEntry,
    BundleFacts,
    FileEntry,
    Manifest,
    PromptEntry,
    ReloadCheck,
)
from llm4top.forecasters.bundles.paths import checked_name, is_bundle
from llm4top.forecasters.bundles.safe_files import sha256_of
from llm4top.forecasters.bundles.trained_on import LearntFrom
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.folders import publish_folder, replace_file
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import BaseModel, quietly
from llm4top.forecasters.model.download import ModelSource
from llm4top.forecasters.model.model_files import identify, weight_files
from llm4top.tasks.task import Task

CARRIED_UP_TO = 256 * 1024 * 1024
"""A base model that is no download is carried in the bundle if its weights take no more bytes."""

_STORAGE = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def save_bundle(
    folder: str | Path,
    *,
    name: str,
    forecaster: LanguageForecaster,
    calibration: Calibrator,
    facts: BundleFacts,
    carry_base: bool | None = None,
    storage: str | None = None,
    learnt_from: LearntFrom | None = None,
    replace: bool = False,
) -> Manifest:
    """Write ``forecaster`` and its calibration as a bundle into ``folder``; return its manifest.

    The folder appears complete or not at all. What is written follows ``facts.tuning``: an
    adapter in PEFT's format ("lora"), the whole model ("full"), or calibration alone ("none").
    ``carry_base`` puts an untuned base model into the bundle too; None does so for a small one
    that was not downloaded, since nobody else could find it. ``storage`` is the number type of
    a fully tuned model's weights on disk, its own if None: see ``round_weights``.
    ``learnt_from`` recognises the trials it has learnt from. ``replace`` exchanges a bundle that is
    there already.

    A bundle is done when it has been reloaded: call ``confirm_reload`` next.

    Raises ``BundleError`` for a name that is none, a folder that is taken, a model that does not
    go with ``facts.tuning``, or a storage type that would change its weights.
    """
    folder = Path(folder)
    checked_name(name)
    check_vacant(folder, replace=replace)
    scorer = forecaster.scorer
    _check_tuning(scorer.model, facts)
    carried = facts.tuning.method == "full" or (
        _should_carry(scorer.base) if carry_base is None else carry_base
    )

    def write(staging: Path) -> None:
        if facts.tuning.method == "full":
            _write_model(staging / "base", scorer.model, scorer.base, storage)
        elif carried:
            _copy_base(staging / "base", scorer.base)
        base = _base_entry(scorer.base, staging if carried else None)
        if facts.tuning.method == "lora":
            _write_adapter(staging, scorer.model, base)
        write_calibration(staging, scorer.task, calibration)
        if learnt_from is not None:
            write_json(staging / LEARNT_FILE, learnt_from.model_dump())
        manifest = Manifest(
            **dict(facts),
            name=name,
            created=datetime.now(UTC).date().isoformat(),
            task=scorer.task,
            base=base,
            tokenizer_sha256=sha256_of(scorer.base.folder / "tokenizer.json"),
            prompt=PromptEntry(spec=scorer.writer.spec, fingerprint=scorer.writer.fingerprint),
            answers=tuple(
                AnswerEntry(label=label, word=word, token_id=token)
                for label, word, token in zip(
                    scorer.task.labels, scorer.task.answers, scorer.answer_ids, strict=True
                )
            ),
            calibration=calibration.method,  # type: ignore[arg-type]
            versions=versions(),
            files={**file_entries(staging), CARD_FILE: FileEntry(sha256="0" * 64, size=0)},
        )
        write_manifest(staging, manifest)

    publish_folder(folder, write)
    return read_manifest(folder)


def round_weights(model: Any, storage: str) -> None:
    """Round a model's weights in place to what ``storage`` ("bfloat16", "float16") can hold.

    The model keeps its number type. Do it before calibrating, so that the bundle's smaller file
    holds exactly the weights that were calibrated and measured.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(_STORAGE[storage]).to(parameter.dtype))


def note_reload(folder: Path, manifest: Manifest, check: ReloadCheck) -> Manifest:
    """Add the reload check to the manifest of the bundle in ``folder``, in one step."""
    noted = manifest.model_copy(update={"reload_check": check})
    replace_file(folder / MANIFEST_FILE, noted.to_json().encode())
    return read_manifest(folder)


def write_calibration(folder: Path, task: Task, calibration: Calibrator) -> None:
    """Write ``calibration.json``: the labels and the state of the calibration."""
    stored = {"labels": list(task.labels), "calibrator": calibration.to_dict()}
    write_json(folder / CALIBRATION_FILE, stored)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the card that follows from the manifest, and the manifest that names its hash."""
    card = render_card(manifest).encode()
    (folder / CARD_FILE).write_bytes(card)
    entry = FileEntry(sha256=sha256_of(folder / CARD_FILE), size=len(card))
    files = dict(sorted({**manifest.files, CARD_FILE: entry}.items()))
    text = manifest.model_copy(update={"files": files}).to_json()
    (folder / MANIFEST_FILE).write_bytes(text.encode())


def check_vacant(folder: Path, *, replace: bool) -> None:
    """``BundleError`` unless a bundle may be written into ``folder``."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if replace and is_bundle(folder):
        return
    held = "a bundle" if is_bundle(folder) else "something else"
    raise BundleError(
        f"there is {held} here already.",
        where=str(folder),
        hint="Choose another folder" + (", or replace it." if is_bundle(folder) else "."),
    )


def _check_tuning(model: Any, facts: BundleFacts) -> None:
    adapted = hasattr(model, "peft_config")
    if adapted != (facts.tuning.method == "lora"):
        raise BundleError(
            f"the model {'has an' if adapted else 'has no'} adapter, which does not go with "
            f"tuning {facts.tuning.method!r}."
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


def _write_adapter(folder: Path, model: Any, base: BaseEntry) -> None:
    """The adapter in PEFT's files. PEFT's own writer would look at the model hub first."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    save_file(plain, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = dict(model.peft_config["default"].to_dict())
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
    if storage not in _STORAGE:
        raise BundleError(f"no number type {storage!r}.", hint=f"Choose of: {', '.join(_STORAGE)}.")
    weights: dict[str, torch.Tensor] = model.state_dict()
    # Tied weights stay one tensor, so that they are written once.
    converted = {w.data_ptr(): w.to(_STORAGE[storage]) for w in weights.values()}
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
    # For other tools. LLM4TOP reads tokenizer.json alone, and no chat template from anybody.
    plain = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    write_json(folder / "tokenizer_config.json", plain)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """A JSON file as bundles have them."""
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Hash and size of every file in the folder and below, by its relative POSIX name."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(
            sha256=sha256_of(path), size=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def versions() -> dict[str, str]:
    """The versions of what makes forecasts, by package."""
    packages = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")
    found = {package: version(package) for package in packages}
    return {"llm4top": __version__, "python": platform.python_version(), **found}
