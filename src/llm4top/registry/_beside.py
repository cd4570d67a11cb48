"""What stands beside records in folders and archives and is none of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from llm4top._numbers import thousands
from llm4top.registry._detect import DOCUMENTS, EMPTY, PLAIN_TEXT, Foreign
from llm4top.registry._note import ReadNote
from llm4top.registry._zip import Archive

_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_TEXTS = ("", "txt", "md", "rst", "log", "md5", "sha1", "sha256")
_NAMED = 3
_LOOKED_AT = 64


class PassedOver:
    """Files that are passed over, in one folder or archive.

    They are what a file manager writes, and plain texts such as a list of contents, a read-me or
    a licence. What bears the name of a record is never among them.
    """

    def __init__(self, container: str):
        self._container = container
        self._count = 0
        self._first: list[str] = []

    def takes(self, name: str, found: str | Foreign) -> bool:
        """Whether a file of this name, found to be this, is passed over; counts it then."""
        last = last_part(name).lower()
        kind = last.rpartition(".")[2] if "." in last else ""
        text = kind in _TEXTS and (found is PLAIN_TEXT or found is EMPTY)
        if not text and not is_litter(name):
            return False
        self._count += 1
        if len(self._first) < _NAMED:
            self._first.append(last_part(name))
        return True

    def note(self) -> Iterator[ReadNote]:
        """What was passed over, if anything."""
        if self._count:
            rest = self._count - len(self._first)
            named = ", ".join(self._first) + (f" and {thousands(rest)} more" if rest else "")
            files = (
                "1 file that is not a record was"
                if self._count == 1
                else f"{thousands(self._count)} files that are not records were"
            )
            yield ReadNote(self._container, f"{files} passed over: {named}.")


def last_part(name: str) -> str:
    """A member's own name, whichever slash its folders are written with."""
    return name.replace("\\", "/").rpartition("/")[2]


def is_litter(name: str) -> bool:
    """Whether Windows wrote a file of this name, or Office for an open document."""
    last = last_part(name).lower()
    return last in _LITTER or last.startswith("~$")


def is_hidden(name: str) -> bool:
    """Whether a member is what file managers add ("__MACOSX/", ".DS_Store")."""
    *folders, last = name.replace("\\", "/").split("/")
    return last.startswith(".") or "__MACOSX" in folders


def document_in(archive: Archive) -> Foreign | None:
    """The document that an archive is, as those of Office are; None for any other archive."""
    names = [member.name for member in islice(archive.members(), _LOOKED_AT)]
    if "[Content_Types].xml" in names or "mimetype" in names[:1]:
        for start, document in DOCUMENTS:
            if any(name.startswith(start) for name in names):
                return document
    return None
