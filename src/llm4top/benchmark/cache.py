"""Finished work on disk, found again by the hash of its inputs."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from llm4top.files import publishing, write_json

KEY_FILE = "inputs.json"
_ARRAYS = "arrays.safetensors"
_VALUES = "values.json"
# The rooms whose code decides what an entry holds, and the libraries that compute it.
_ROOMS = ("registry", "tasks", "data", "prompts", "forecasters", "evaluation", "benchmark")
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "xgboost-cpu", "torch", "transformers", "peft")

Arrays = dict[str, NDArray[Any]]


class WorkCache:
    """A folder of finished work.

    An entry is arrays or values, stored with all inputs: data, settings, seed, the code and the
    libraries. It appears whole or not at all, so that a killed benchmark resumes after its last
    finished entry, and an entry is made again as soon as any input changes.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, kind: str, inputs: Mapping[str, Any]) -> Path:
        """Where the entry is, or would be."""
        return self.folder / f"{kind}-{hash_of(_key(kind, inputs))[:16]}"

    def has(self, kind: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the work is finished."""
        return (self.path(kind, inputs) / KEY_FILE).is_file()

    def arrays(self, kind: str, inputs: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """The entry's arrays, made now if they are not there."""

        def write(folder: Path) -> None:
            made = {name: np.ascontiguousarray(array) for name, array in make().items()}
            save_file(made, folder / _ARRAYS)

        found: Arrays = load_file(self._folder(kind, inputs, write) / _ARRAYS)
        return found

    def values(self, kind: str, inputs: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """The entry's JSON-able value, made now if it is not there."""

        def write(folder: Path) -> None:
            (folder / _VALUES).write_text(json.dumps(make(), ensure_ascii=False), "utf-8")

        return json.loads((self._folder(kind, inputs, write) / _VALUES).read_text("utf-8"))

    def _folder(self, kind: str, inputs: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        folder = self.path(kind, inputs)
        if not self.has(kind, inputs):
            with publishing(folder) as scratch:
                write(scratch)
                write_json(scratch / KEY_FILE, _key(kind, inputs))
        return folder


def hash_of(values: Any) -> str:
    """One hash over JSON-able values."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _key(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind, **inputs, "code": code_hash(), "libraries": library_versions()}


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
