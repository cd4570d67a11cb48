"""Files that the browser keeps back: each by its name, with the reason and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm4top.studio._components._parts import things
from llm4top.workspace._parsing import Refusal

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What one drop may hold: ``accept`` as ".xml,.zip", bytes and files of all together."""

    accept: str
    max_bytes: int
    max_files: int

    @property
    def kinds(self) -> str:
        """The kinds of file in words: "XML, JSON or zip"."""
        known = {".xml": "XML", ".json": "JSON", ".csv": "CSV"}
        *most, last = [known.get(kind, kind.lstrip(".")) for kind in self.accept.split(",")]
        return f"{', '.join(most)} or {last}" if most else last

    def refusal(self, name: str, why: str) -> Refusal:
        """The refusal of one file; ``why`` is the uploader's word for what it breaks."""
        megabytes = self.max_bytes // 1_000_000
        reason, hint = {
            "max-total-size": (
                f"With it, the files are larger than {things(megabytes, 'megabyte')} together.",
                "Drop it by itself, or split it.",
            ),
            "max-files": (
                f"Only {things(self.max_files, 'file')} are taken at once.",
                "Drop it afterwards, or pack the files into one zip.",
            ),
            "duplicate": ("It is being read already.", "Wait for it."),
        }.get(why, (f"Not an {self.kinds} file.", f"Drop {self.kinds} files."))
        return Refusal(name, "LimitError" if "max" in why else "UnknownFormatError", reason, hint)


def not_taken(told: Any, limits: Limits) -> Sequence[Refusal]:
    """What the browser told of the files it kept back; whatever else it tells is left out."""
    entries = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
    return [
        limits.refusal(str(entry.get("name", ""))[:_LONGEST_NAME], str(entry.get("why", "")))
        for entry in entries
    ]
