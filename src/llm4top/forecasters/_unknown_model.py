"""What to say of a name that is not a model on this machine."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from llm4top.errors import ModelNotFoundError
from llm4top.forecasters._bundle_paths import EMBEDDED_NAME, bundles_folder, is_bundle
from llm4top.forecasters._download import model_folder
from llm4top.paths import models_folder

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LISTED = 8


def known_models() -> list[str]:
    """Names that a model goes by here: the embedded bundle, bundles in the store, base models."""
    store, models = bundles_folder(), models_folder()
    bundles = [p.name for p in _folders(store) if is_bundle(p)]
    bases = [
        p.name.replace("--", "/", 1) for p in _folders(models) if (p / "config.json").is_file()
    ]
    return [EMBEDDED_NAME, *bundles, *bases]


def unknown_model(name: str) -> ModelNotFoundError:
    """The error for a name of which there is neither a folder nor a model.

    Only what has the form of a name on the hub, owner/name, is answered with a download: what
    looks like a path is a path, and a single word a slip of the keyboard.
    """
    path = Path(name).expanduser()
    if path.exists():
        return ModelNotFoundError(
            "there is no model folder here.",
            where=name,
            hint="Give a folder with config.json, tokenizer.json and safetensors files, "
            "or the name of a model.",
        )
    known = known_models()
    if _HUB_NAME.fullmatch(name) and not path.parent.exists():
        return ModelNotFoundError(
            f"the base model {name} is not on this machine (looked in {model_folder(name)}), and "
            "there is no folder of this name.",
            hint=f"{_meant(name, known)}Download it once with: llm4top download {name}",
        )
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        beside = [str(path.parent / p.name) for p in _folders(path.parent)]
        return ModelNotFoundError(
            "there is no such folder.",
            where=name,
            hint=f"{_meant(str(path), beside)}Check the path.",
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
