"""Files of a bundle, looked at as bytes before any parser may have them.

A pickle, a zip of one (what ``torch.save`` writes) or an array of objects runs code when it is
loaded. None of a bundle's parsers loads such a file whatever it is called; it is refused all the
same, by name and by content, so that no other tool is handed one.
"""

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 256

_RUNS_CODE = {
    ".bin", ".ckpt", ".dill", ".h5", ".joblib", ".keras", ".npy", ".npz", ".pickle", ".pkl",
    ".pt", ".pth", ".py", ".pyc", ".so", ".dll", ".sh",
}  # fmt: skip
_MAGIC = {
    b"PK\x03\x04": "a zip archive, as torch.save writes it",
    b"\x93NUMPY": "a NumPy array",
    b"\x7fELF": "a program",
    b"#!": "a script",
}
_DTYPES = {"F32": 4, "F16": 2, "BF16": 2}
_BASELINE_DTYPES = {
    **_DTYPES, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
_BASELINE_WEIGHTS = "weights.safetensors"
_TOKENIZER_FIELDS = {
    "tokenizer_class", "model_max_length", "clean_up_tokenization_spaces", "eos_token",
    "pad_token", "unk_token", "bos_token",
}  # fmt: skip


def entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything in the folder and below that is no folder, by its relative POSIX name.

    Links are named, never followed. Stops after 257 entries: a bundle has ten, the
    embedded blend 30, and a download from the Hub has a note or two about each.
    """
    waiting, seen = [(folder, "")], 0
    while waiting:
        current, prefix = waiting.pop()
        with os.scandir(current) as found:
            for entry in sorted(found, key=lambda e: e.name):
                seen += 1
                if seen > MAX_ENTRIES + 1:
                    return
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
                else:
                    yield prefix + entry.name, entry


def unsafe_kind(name: str, entry: os.DirEntry[str]) -> str | None:
    """Why a file may not be in a bundle at all, by its name and kind; None if it may."""
    if entry.is_symlink():
        return "is a link"
    if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
        return "is not an ordinary file"
    if Path(name).suffix.lower() in _RUNS_CODE:
        return "is of a kind that can run code when it is loaded"
    return None


def unsafe_content(name: str, path: Path) -> str | None:
    """Why a file's content may not be in a bundle, whatever its name; None if it may.

    A baseline's tensors may be of any plain number type, a model's are floating-point numbers.
    """
    dtypes = _BASELINE_DTYPES if name.rpartition("/")[2] == _BASELINE_WEIGHTS else _DTYPES
    with path.open("rb") as file:
        head = file.read(16)
    pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    # A safetensors file may begin so too: there the byte is part of the header's length.
    if pickled and (not name.endswith(".safetensors") or safetensors_fault(path, dtypes)):
        return "is a pickle, which can run code when it is loaded"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return f"is {what}, which can run code when it is loaded"
    if name.endswith(".safetensors"):
        return safetensors_fault(path, dtypes)
    if name.endswith(".json"):
        return _json_fault(name, path)
    return None


def _json_fault(name: str, path: Path) -> str | None:
    if path.stat().st_size > MAX_JSON_BYTES:
        return f"is larger than {MAX_JSON_BYTES >> 20} MiB"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(values, dict):
        return "is not a JSON object"
    if name.endswith("tokenizer_config.json"):
        for field, value in values.items():
            if field not in _TOKENIZER_FIELDS or isinstance(value, dict | list):
                return f"has the field {field!r:.60}, which could hold a program"
    return None


def safetensors_fault(path: Path, dtypes: Mapping[str, int] = _DTYPES) -> str | None:
    """Why a file is no safetensors of the number types ``dtypes``, from its header alone, or None.

    Format: eight bytes with the header's length, a JSON header, then the tensors without gaps.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            return "is not a safetensors file: its header would be longer than the file"
        if length > MAX_HEADER_BYTES:
            return f"has a header of {length} bytes, over the limit of {MAX_HEADER_BYTES}"
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        return "is not a safetensors file: its header is not a JSON object"
    spans = []
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        span = _span(tensor, dtypes)
        if isinstance(span, str):
            return f"holds the tensor {name!r:.100}, {span}"
        spans.append(span)
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            return "is not a safetensors file: its tensors overlap or leave gaps"
        end = stop
    return None if end == size - 8 - length else "holds bytes that belong to no tensor"


def _span(tensor: Any, dtypes: Mapping[str, int]) -> tuple[int, int] | str:
    """Where a header's tensor begins and ends, or why it is none."""
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        return "which is not described as a tensor"
    dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if dtype not in dtypes:
        *most, last = dtypes
        return f"whose number type is {dtype!r:.20}, not {', '.join(most)} or {last}"
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        return "whose shape or place makes no sense"
    start, stop = offsets
    if stop - start != math.prod(shape) * dtypes[dtype]:
        return "whose shape does not fit its bytes"
    return start, stop


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in values)
