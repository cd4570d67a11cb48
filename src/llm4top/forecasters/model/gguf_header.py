"""The header of a GGUF file, held against the file's size before any library reads it.

GGUF is llama.cpp's format for language models: a header of named values and a table of tensors,
then the tensors. The header's counts and lengths are numbers that somebody wrote, and the readers
of other libraries believe them: one of them may ask for more memory than any machine has. Here
nothing is read, and no loop run, for which the file has no bytes.
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4top.errors import DownloadError
from llm4top.text import file_size, thousands

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_KEYS, _TENSORS, _NAME, _TEXT, _ENTRIES, _DIMENSIONS = 10_000, 200_000, 1024, 1 << 24, 1 << 22, 4
_ALIGNMENT, _MOST_ALIGNMENT = 32, 1 << 20
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor: its shape (innermost dimension first), its type's number and its first byte."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about itself. ``fields`` has arrays as their length."""

    fields: Mapping[str, Any]
    tensors: tuple[GgufTensor, ...]
    data_start: int

    def text(self, name: str) -> str:
        """A field that is a text, on one line; empty where there is none."""
        value = self.fields.get(name)
        return " ".join(value.split())[:300] if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """A field that is a whole number; None where there is none."""
        value = self.fields.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def architecture(self) -> str:
        """The kind of model, as llama.cpp calls it: "llama", "qwen3", ..."""
        return self.text("general.architecture")

    @property
    def elements(self) -> int:
        """How many numbers all tensors hold: the model's parameters."""
        return sum(tensor.elements for tensor in self.tensors)


def read_gguf_header(path: Path) -> GgufHeader:
    """Read and check the header of a GGUF file; reads no tensor.

    Raises ``DownloadError`` where the file is none, is of a version or a byte order that is not
    read, ends early, or states counts and lengths that its own size rules out.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < 24 or file.read(4) != MAGIC:
            raise DownloadError(
                "this is not a GGUF file: it does not begin with the four letters GGUF.",
                where=str(path),
                hint="Give a .gguf file, a folder, or a name such as Qwen/Qwen3-8B.",
            )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data, size).header()
            except _FaultError as fault:
                raise DownloadError(str(fault), where=str(path), hint=fault.hint) from None


class _FaultError(Exception):
    """What is wrong with the file, and what to do."""

    def __init__(
        self,
        message: str,
        hint: str = "The file is damaged or made up: get it again from its source.",
    ):
        super().__init__(message)
        self.hint = hint


def _broken(what: str) -> _FaultError:
    return _FaultError(f"the header is broken: {what}.")


class _Reader:
    """Walks through the header; every step first asks whether the file has the bytes."""

    def __init__(self, data: mmap.mmap, size: int):
        self._data, self._size, self._at = data, size, 4

    def header(self) -> GgufHeader:
        version = self._one("I")
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
            words = "is in big-endian byte order" if swapped else f"is of version {version}"
            raise _FaultError(
                f"this GGUF file {words}; versions 2 and 3 in little-endian order are read.",
                "Get a newer conversion of the same model.",
            )
        tensors, keys = self._one("Q"), self._one("Q")
        self._count(tensors, _TENSORS, 24, "tensors")
        self._count(keys, _KEYS, 13, "fields")
        fields: dict[str, Any] = {}
        for _ in range(keys):
            name = self._string(_NAME, "a field's name")
            if name in fields:
                raise _broken(f"the field {name!r} is there twice")
            fields[name] = self._value(self._one("I"), name)
        table = tuple(self._tensor() for _ in range(tensors))
        alignment = fields.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= _MOST_ALIGNMENT:
            raise _broken(f"the alignment is {alignment!r:.40}")
        return GgufHeader(fields, table, -(-self._at // alignment) * alignment)

    def _tensor(self) -> GgufTensor:
        name = self._string(_NAME, "a tensor's name")
        dimensions = self._one("I")
        if not 1 <= dimensions <= _DIMENSIONS:
            raise _broken(f"the tensor {name!r:.80} has {dimensions} dimensions")
        shape = tuple(self._one("Q") for _ in range(dimensions))
        kind, offset = self._one("I"), self._one("Q")
        # Even one bit a number takes an eighth of a byte; the exact size depends on the type.
        if not all(shape) or math.prod(shape) > 8 * self._size or offset > self._size:
            raise _FaultError(
                f"the tensor {name!r:.80} of shape {'x'.join(map(str, shape)):.80} does not fit "
                f"into the file of {file_size(self._size)}.",
                "The file is cut short or made up: get it again from its source.",
            )
        return GgufTensor(name, shape, kind, offset)

    def _value(self, kind: int, name: str) -> Any:
        if kind in _NUMBERS:
            return self._one(_NUMBERS[kind])
        if kind == _STRING:
            return self._string(_TEXT, f"the field {name!r:.80}")
        if kind != _ARRAY:
            raise _broken(f"the field {name!r:.80} is of the unknown type {kind}")
        inner, count = self._one("I"), self._one("Q")
        if inner in _NUMBERS:
            width = struct.calcsize(f"<{_NUMBERS[inner]}")
            self._count(count, _ENTRIES, width, f"entries of {name!r:.80}")
            self._at += count * width
        elif inner == _STRING:
            self._count(count, _ENTRIES, 8, f"entries of {name!r:.80}")
            for _ in range(count):
                length = self._one("Q")
                self._need(length, f"an entry of {name!r:.80}")
                self._at += length
        else:
            raise _broken(f"the field {name!r:.80} is a list of the type {inner}")
        return count

    def _count(self, count: int, most: int, width: int, what: str) -> None:
        """Refuse a count that is absurd, or for which the rest of the file is too short."""
        if count > most or count * width > self._size - self._at:
            raise _broken(
                f"it states {thousands(count)} {what}, and the file has {file_size(self._size)}"
            )

    def _need(self, length: int, what: str) -> None:
        if length > self._size - self._at:
            raise _FaultError(
                f"the file ends inside {what}.", "It is cut short: get it again from its source."
            )

    def _one(self, kind: str) -> Any:
        width = struct.calcsize(f"<{kind}")
        self._need(width, "the header")
        (value,) = struct.unpack_from(f"<{kind}", self._data, self._at)
        self._at += width
        return value

    def _string(self, most: int, what: str) -> str:
        length = self._one("Q")
        if length > most:
            raise _broken(f"{what} has {thousands(length)} bytes")
        self._need(length, what)
        raw = self._data[self._at : self._at + length]
        self._at += length
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _broken(f"{what} is no UTF-8 text") from None
