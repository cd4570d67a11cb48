"""Parts of a zip: its members from one number to another, for whoever reads a share of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from llm4top.errors import RegistryError
from llm4top.registry.input_files import PassedOver
from llm4top.registry.limits import Limits
from llm4top.registry.reader import RecordReader, members_items
from llm4top.registry.trial import ReadNote
from llm4top.registry.zip_reader import Archive, Member


class ZipParts:
    """An open zip whose members are read in parts.

    Parts in rising order cost one pass over the list of members together; a part that lies before
    the last one starts a new pass.

    Raises what ``Archive`` raises, and ``OSError``.
    """

    def __init__(self, path: Path, name: str):
        self._file = path.open("rb")
        self._name = name
        self._limits = Limits()
        try:
            self._archive = Archive(self._file, name, self._limits)
        except BaseException:
            self._file.close()
            raise
        self._members: Iterator[Member] = self._archive.members()
        self._at = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def records(
        self,
        start: int,
        stop: int,
        passed: PassedOver,
        on_refusal: Callable[[RegistryError], None] | None = None,
        on_note: Callable[[ReadNote], None] | None = None,
    ) -> RecordReader:
        """The records of the members ``start`` (from 0) to ``stop``, which is not among them.

        They are to be read to their end before the next part. ``passed`` gets what is passed over.
        """
        if start < self._at:
            self._members, self._at = self._archive.members(), 0
        before = start - self._at
        self._at = stop
        members = islice(self._members, before, before + stop - start)
        items = members_items(self._archive, members, self._name, self._limits, passed)
        return RecordReader(items, on_refusal, on_note)
