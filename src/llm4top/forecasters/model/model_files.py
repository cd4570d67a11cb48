"""A base model's folder, looked through before anything in it is loaded.

A model folder may come from anywhere, so nothing in it is trusted. What may be read: tensors
(safetensors), the tokenizer's tables (``tokenizer.json``) and the numbers of a known architecture
(``config.json``). Its code, its chat template and any field that names code or a kernel to fetch
are never used (CVE-2026-4372 was such a field, with remote code switched off).
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from llm4top.errors import ModelError, ModelNotFoundError, UnsafeModelError
from llm4top.files import sha256_of
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.verify import language_part, read_manifest
from llm4top.forecasters.model.model_source import (
    HUB_NAME,
    MODEL_NAME,
    ModelSource,
    is_served,
    model_folder,
)
from llm4top.paths import models_folder

_BASE = "base"
_FLOAT32 = (2.0**-126, (2 - 2.0**-23) * 2.0**127)
"""The smallest and the largest number above 0 that float32 holds in full."""


def carried_base(name: str | Path) -> Path | None:
    """The folder of the trained model in a bundle; None where ``name`` is not a bundle.

    Of a blend it is that of its language model. ``name`` is "embedded", the name of a bundle in
    the store, or the folder of a bundle or of the run that made it. Raises ``ModelError`` for a
    bundle with an adapter: its base model is not trained.
    """
    folder = (
        paths.embedded_folder(str(name))
        if paths.is_embedded(str(name))
        else Path(name).expanduser()
    )
    places = [folder, folder / "bundle"]
    if not folder.exists() and paths.is_bundle_name(str(name)):
        places.append(paths.bundles_folder() / str(name))
    bundle = next((place for place in places if paths.is_bundle(place)), None)
    if bundle is None:
        return None
    part = language_part(bundle)
    if part is None:
        raise ModelError(
            "this bundle is not a language model that can be trained.", where=str(name)
        )
    place, entry = part
    # What a probe carries is its base model, as it was before.
    if entry.tuning.method in ("full", "probe") and (place / _BASE).is_dir():
        return place / _BASE
    kind = "a probe of" if entry.tuning.method == "probe" else "an adapter on"
    raise ModelError(
        f"this bundle is {kind} a base model, and cannot itself be trained further.",
        where=str(name),
        hint=f"Train its base model: {entry.base.id}.",
    )


def earlier_training(base: Path) -> Manifest | None:
    """The manifest of the bundle whose trained model is in ``base``; None for any other model.

    A model that is trained further was trained on that bundle's data too.
    """
    bundle = base.resolve().parent
    if base.name != _BASE or not paths.is_bundle(bundle):
        return None
    manifest = read_manifest(bundle)
    entry = manifest.language
    return manifest if entry is not None and entry.tuning.method == "full" else None


def earlier_trials(base: Path) -> TrainedOn | None:
    """The trials that the bundle with the trained model in ``base`` records; None of any other."""
    bundle = base.resolve().parent
    return TrainedOn.read(bundle) if base.name == _BASE and paths.is_bundle(bundle) else None


_LISTED = 8


def known_models() -> list[str]:
    """Names that a model goes by here: the embedded bundle, bundles in the store, base models."""
    store, models = paths.bundles_folder(), models_folder()
    bundles = [p.name for p in _folders(store) if paths.is_bundle(p)]
    bases = [
        p.name.replace("--", "/", 1) for p in _folders(models) if (p / "config.json").is_file()
    ]
    return [paths.EMBEDDED_NAME, *bundles, *bases]


def unknown_model(name: str) -> ModelNotFoundError:
    """The error for a name of which there is neither a folder nor a model.

    Only what has the form of a name on the hub, owner/name, is answered with a download: what
    looks like a path is a path, and a single word a slip of the keyboard.
    """
    if is_served(name):
        return ModelNotFoundError(
            "a model on a server can forecast and be benchmarked; this needs a model on this "
            "machine.",
            hint="Download it, and give its name or folder.",
        )
    path = Path(name).expanduser()
    if path.exists():
        return ModelNotFoundError(
            "there is no model folder here.",
            where=name,
            hint="Give a folder with config.json, tokenizer.json and safetensors files, "
            "or the name of a model.",
        )
    known = known_models()
    if HUB_NAME.fullmatch(name) and not path.parent.exists():
        return ModelNotFoundError(
            f"the base model {name} is not on this machine (looked in {model_folder(name)}), and "
            "there is no folder of this name.",
            hint=f"{_meant(name, known)}Download it once with: llm4top download {name}",
        )
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        siblings = [str(path.parent / p.name) for p in _folders(path.parent)]
        return ModelNotFoundError(
            "there is no such folder.",
            where=name,
            hint=f"{_meant(str(path), siblings)}Check the path.",
        )
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return ModelNotFoundError(
        f"there is no model {name!r:.100} here.",
        hint=f"{_meant(name, known)}Known here: {', '.join(known[:_LISTED])}{more}. Models on the "
        "hub have names of the form owner/name.",
    )


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    return f"Did you mean {near[0]!r}? " if near else ""


_NAMES_CODE = re.compile(
    r"auto_?map|remote_?code|kernel|attn_implementation|experts_implementation|^custom_|^hub_", re.I
)
_NATIVE_ATTENTION = ("eager", "sdpa")
_MAX_JSON_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BaseIdentity:
    """Which base model this is.

    ``id`` is its public name (or the folder's), ``revision`` the commit it was downloaded at,
    ``sha256`` one hash over the hashes of config, tokenizer and weights.
    """

    id: str
    revision: str | None
    sha256: str


def resolve_base(base: str | Path) -> Path:
    """The folder of ``base``: a folder as it is, or the name of a downloaded model.

    "embedded" and the folder of a bundle that has a fully trained model mean that model.

    Raises ``ModelNotFoundError`` with what is known here, or the command that downloads it, and
    ``ModelError`` for a bundle that holds an adapter only.
    """
    carried = carried_base(base)
    if carried is not None:
        return carried
    folder = Path(base).expanduser()
    if folder.is_dir():
        return folder
    name = str(base)
    if MODEL_NAME.fullmatch(name) and not folder.exists():
        downloaded = model_folder(name)
        if downloaded.is_dir():
            return downloaded
    raise unknown_model(name)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder; ``ModelError`` where it is none."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelError("the file is far larger than a model's settings are.", where=str(path))
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path.name} is missing.", where=str(path.parent), hint="Is this a model's folder?"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot be read as JSON ({error}).", where=str(path)) from None
    if not isinstance(values, dict):
        raise ModelError("holds no JSON object.", where=str(path))
    return values


def safe_config(folder: Path) -> dict[str, Any]:
    """The fields of ``config.json`` that are settings of an architecture, nothing private.

    Raises ``UnsafeModelError`` for a field that names code or a kernel to fetch, ``ModelError``
    for a folder that holds an adapter, for weights quantised beforehand, and for rotations of
    positions that no number type of a model can compute.
    """
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            "this folder holds an adapter, not a base model.",
            where=str(folder),
            hint="Give the base model's folder as the base and this one as the adapter.",
        )
    path = folder / "config.json"
    config = read_json(path)
    for name, value in _walk(config):
        if _NAMES_CODE.search(name) and _says_something(value):
            raise UnsafeModelError(
                f"the field {name!r} would make the model bring code of its own: {value!r:.80}.",
                where=str(path),
                hint="LLM4TOP runs no model's code. Choose a model that transformers knows itself.",
            )
        if name == "rope_theta" and not _is_rotation_base(value):
            raise ModelError(
                f"the field {name!r} is {value!r:.80}, and must be a number above 0 that float32 "
                "can hold.",
                where=str(path),
                hint="Download the model again.",
            )
    if config.get("quantization_config"):
        raise ModelError(
            "these weights are quantised already.",
            where=str(path),
            hint="Take the model's original weights; they can be loaded in 4 bits.",
        )
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _is_rotation_base(value: Any) -> bool:
    """Whether ``rope_theta`` makes sense; a model without rotations may have None."""
    if value is None:
        return True
    return type(value) in (int, float) and _FLOAT32[0] <= value <= _FLOAT32[1]


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _says_something(value: Any) -> bool:
    """Numbers and switches cannot name code; of texts, only the native attentions are harmless."""
    return value not in _NATIVE_ATTENTION and isinstance(value, str | dict | list) and bool(value)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files that hold the model's weights.

    Other weight files next to them are left alone, unread. Raises ``UnsafeModelError`` where there
    are only such files, ``ModelError`` where there are none or one of several is missing.
    """
    single = folder / "model.safetensors"
    if single.is_file():
        return (single,)
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        _refuse_other_weights(folder)
        raise ModelError("no model.safetensors in this folder.", where=str(folder))
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ModelError("names no weights.", where=str(index))
    files = []
    for name in sorted({str(name) for name in names.values()}):
        if PurePosixPath(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise UnsafeModelError(f"{name!r} is not a safetensors file of it.", where=str(index))
        if not (folder / name).is_file():
            raise ModelError(
                f"{name} is missing.", where=str(folder), hint="Download the model again."
            )
        files.append(folder / name)
    return tuple(files)


def _refuse_other_weights(folder: Path) -> None:
    kinds = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
    for path in sorted(folder.iterdir()):
        if path.suffix in kinds:
            raise UnsafeModelError(
                "the weights are in a format that can run code when loaded; "
                "LLM4TOP reads safetensors only.",
                where=str(path),
                hint="Take the model's safetensors version.",
            )


def identify(folder: Path) -> BaseIdentity:
    """Which model is in the folder. Uses the hashes of its download where there are some.

    Otherwise it reads every weight once: seconds for each gigabyte.
    """
    source = ModelSource.read(folder)
    known = source.files if source else {}
    lines = []
    for path in (folder / "config.json", folder / "tokenizer.json", *weight_files(folder)):
        lines.append(f"{path.name} {known.get(path.name) or sha256_of(path)}\n")
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    if source is None:
        return BaseIdentity(folder.resolve().name, None, digest)
    return BaseIdentity(
        source.origin if source.kind == "hub" else source.name, source.commit, digest
    )
