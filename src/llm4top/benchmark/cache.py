"""Finished pieces of work on disk, each found again by the hash of what it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from llm4top.files import publishing, write_json

KEY_FILE = "came_from.json"
_ARRAYS = "arrays.safetensors"
_VALUES = "values.json"
# The rooms whose code decides what a piece holds, and the libraries that compute it.
_ROOMS = ("registry", "tasks", "data", "prompts", "forecasters", "evaluation", "benchmark")
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "xgboost-cpu", "torch", "transformers", "peft")

Arrays = dict[str, NDArray[Any]]


class Pieces:
    """A folder of finished pieces.

    A piece is arrays and values, kept with everything it came from: data, settings, seed, the
    code and the libraries. It appears whole or not at all, so a killed benchmark goes on behind
    its last finished piece, and a piece is made anew as soon as anything it came from changes.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, kind: str, came_from: Mapping[str, Any]) -> Path:
        """Where the piece lies or would lie."""
        return self.folder / f"{kind}-{_hash(_key(kind, came_from))[:16]}"

    def has(self, kind: str, came_from: Mapping[str, Any]) -> bool:
        """Whether the piece is finished."""
        return (self.path(kind, came_from) / KEY_FILE).is_file()

    def arrays(self, kind: str, came_from: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """The piece's arrays, made now if they are not there."""

        def write(folder: Path) -> None:
            made = {name: np.ascontiguousarray(array) for name, array in make().items()}
            save_file(made, folder / _ARRAYS)

        found: Arrays = load_file(self._settle(kind, came_from, write) / _ARRAYS)
        return found

    def values(self, kind: str, came_from: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """The piece's JSON-able value, made now if it is not there."""

        def write(folder: Path) -> None:
            (folder / _VALUES).write_text(json.dumps(make(), ensure_ascii=False), "utf-8")

        return json.loads((self._settle(kind, came_from, write) / _VALUES).read_text("utf-8"))

    def _settle(
        self, kind: str, came_from: Mapping[str, Any], write: Callable[[Path], None]
    ) -> Path:
        folder = self.path(kind, came_from)
        if not self.has(kind, came_from):
            with publishing(folder) as scratch:
                write(scratch)
                write_json(scratch / KEY_FILE, _key(kind, came_from))
        return folder


def hash_of(values: Any) -> str:
    """One hash over JSON-able values."""
    return _hash(values)


def ids_hash(ids: Iterable[str]) -> str:
    """Which rows, in which order."""
    return _hash(list(ids))


def _key(kind: str, came_from: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind, **came_from, "code": code_hash(), "libraries": library_versions()}


def _hash(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_hash() -> str:
    """One hash over the source files of the rooms that compute."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((package / room).rglob("*.py")):
            digest.update(f"{file.relative_to(package)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute."""
    return {name: version(name) for name in _LIBRARIES}
