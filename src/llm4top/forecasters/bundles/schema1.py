"""Bundles of LLM4TOP 0.1.0, read as the present schema. They are no longer written.

Version 0.1.0 had three kinds of folder: a language model (``manifest.json`` with the language
model's fields at the top level), a stack (the same, with ``stack.json`` and a baseline in
``baseline/``) and a saved baseline (``baseline.json``, without a calibration).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BASELINE_MANIFEST_FILE = "baseline.json"
STACK_FILE = "stack.json"
BASELINE_FOLDER = "baseline"
FILES = re.compile(rf"{STACK_FILE}|{BASELINE_FOLDER}/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}")
"""The files of a stack that no present bundle has."""

_UNCALIBRATED_FLOOR = 1e-15
_LANGUAGE_FIELDS = ("tuning", "base", "tokenizer_sha256", "prompt", "answers")
_BASELINE_FIELDS = ("baseline", "label", "settings", "classes", "encoder", "probe")


def manifest_file(folder: Path) -> Path:
    """Where the manifest in ``folder`` is: a baseline of 0.1.0 has another name for it."""
    present, old = folder / "manifest.json", folder / BASELINE_MANIFEST_FILE
    return old if old.is_file() and not present.is_file() else present


def upgraded(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of 0.1.0 with the present fields; the model checks what they hold."""
    values = dict(stored)
    if "baseline" in values:
        entry = _taken(values, _BASELINE_FIELDS) | {"floor": _UNCALIBRATED_FLOOR}
        return {**values, "kind": "baseline", "calibration": "none", "baseline": entry}
    language = _taken(values, _LANGUAGE_FIELDS)
    stack = values.pop("stack", None)
    if stack is None:
        return {**values, "kind": "language", "language": language}
    return {**values, "kind": "blend", "blend": _blend(stack, language)}


def language_part(stored: Mapping[str, Any]) -> str:
    """The manifest of the language model in a stack, which shares the stack's folder, as JSON."""
    alone = {name: value for name, value in stored.items() if name != "stack"}
    own = {n: e for n, e in stored["files"].items() if FILES.fullmatch(n) is None}
    return json.dumps({**alone, "files": own})


def expected_files(kind: str, expected: set[str], names: set[str]) -> tuple[set[str], set[str]]:
    """The files that a bundle of 0.1.0 must have, and those that it may have.

    Args:
        kind: The bundle's kind.
        expected: The files that a present bundle of the kind must have.
        names: The files that this one lists.
    """
    if kind == "baseline":
        return expected - {"calibration.json"}, set()
    if kind == "language":
        return expected, {"learnt_from.json"}
    baseline = {name for name in names if name.startswith(f"{BASELINE_FOLDER}/")}
    needed = (expected - {"blend.json"}) | {STACK_FILE, f"{BASELINE_FOLDER}/baseline.json"}
    # Which files the language model has is checked when its own manifest is read.
    own = {name for name in names if name.startswith(("base/", "adapter_"))}
    return needed, baseline | own | {"learnt_from.json"}


def _blend(stack: Any, language: Mapping[str, Any]) -> Any:
    try:
        parts = [
            (".", "language", "language", language["base"]["id"]),
            (BASELINE_FOLDER, "baseline", stack["baseline_identity"], stack["baseline"]),
        ]
        names = ("folder", "name", "kind", "identity", "label", "weight")
        rows = [(f, n, n, i, label, stack["weights"][n]) for f, n, i, label in parts]
        return {"parts": [dict(zip(names, r, strict=True)) for r in rows], "n": stack["n"]}
    except (KeyError, TypeError):
        return stack  # the model names the field that is wrong


def _taken(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values.pop(name) for name in names if name in values}
