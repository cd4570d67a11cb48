"""How many records to expect of a file, before it is read."""

from __future__ import annotations

from pathlib import Path

from llm4top.errors import RegistryError
from llm4top.registry._beside import is_hidden, is_litter
from llm4top.registry._detect import file_kind
from llm4top.registry._limits import Limits
from llm4top.registry._zip import Archive


def expected_records(file: Path, limits: Limits | None = None) -> int | None:
    """The number of records, told from a file's first bytes and a zip's directory alone.

    For showing progress: whether each can be read turns out later. None where only reading tells
    (JSON and CSV hold any number of records), and for a zip that cannot be read at all. A file of
    another kind counts as the one that will be refused.
    """
    try:
        with file.open("rb") as stream:
            kind = file_kind(stream)
            if kind != "zip":
                return None if kind in ("json", "csv") else 1
            found = 0
            for member in Archive(stream, file.name, limits or Limits()).members():
                if member.is_folder or is_hidden(member.name) or is_litter(member.name):
                    continue
                if member.name.lower().endswith(".txt"):  # a list of contents, a licence
                    continue
                if not member.name.lower().endswith(".xml"):
                    return None
                found += 1
            return found
    except (OSError, RegistryError):
        return None
