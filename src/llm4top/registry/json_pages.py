"""The API's answers as they stand in a file: pages of a search, and whether all of them are there.

A page is ``{"totalCount": 4, "studies": [...], "nextPageToken": "..."}``; the API gives the total
on request only, on the first page or on each, and the token on every page but the last.
"""

import json
import re
from typing import Any

from llm4top.errors import MalformedRecordError, RegistryError
from llm4top.registry.trial import ReadNote
from llm4top.text import thousands

_KEYS = ("totalCount", "nextPageToken")
FRAME = re.compile(
    rb'\{\s*+(?:"(?:totalCount|nextPageToken)"\s*+:[^,{\[]*+,\s*+)*+"studies"\s*+:\s*+\['
)
"""What a page holds up to its list of studies."""


class Page:
    """A page while it is read: what stood before its studies, where, and how many there are."""

    __slots__ = ("before", "held", "line")

    def __init__(self, before: bytes, line: int):
        self.before = before
        self.line = line
        self.held = 0


class Search:
    """Counts the studies of pages that belong together, and notes what is missing of them."""

    def __init__(self, name: str):
        self._name = name
        self._total: int | None = None
        self._held = 0
        self._open = False
        """Whether the last page said that another follows."""

    def add(self, page: Page, after: bytes) -> list[RegistryError | ReadNote]:
        """A page that was read to its end, with the bytes behind its studies."""
        try:
            values = json.loads(page.before + after, object_pairs_hook=distinct)
        except (ValueError, RecursionError) as error:
            return [self._error(page, f"the JSON is broken behind the studies: {error}.")]
        found: list[RegistryError | ReadNote] = []
        strange = [key for key in values if key != "studies" and key not in _KEYS]
        if strange:
            named = " and ".join(f"“{key[:40]}”" for key in strange[:3])
            found.append(
                self._error(page, f"beside the studies stands {named}, which is not read.")
            )
        total = values.get("totalCount")
        total = total if isinstance(total, int) else None
        if self._open and total is not None and total != self._total:
            found += self.end()
        self._total = self._total if total is None else total
        self._held += page.held
        self._open = bool(values.get("nextPageToken"))
        if not self._open:
            found += self.end()
        return found

    def end(self) -> list[ReadNote]:
        """What is missing of the pages so far; what follows is another search's."""
        total, held, open_ = self._total, self._held, self._open
        self._total, self._held, self._open = None, 0, False
        if total is not None and total > held:
            message = (
                f"this file holds {thousands(held)} of the {thousands(total)} studies that its "
                f"search found: {thousands(total - held)} missing, on further pages."
            )
        elif open_ and total is None:
            message = (
                f"this file holds {thousands(held)} studies of a search that has further pages; "
                "how many are missing is not said in it."
            )
        else:
            return []
        hint = "Fetch the next pages too (pageToken), or larger ones (pageSize, at most 1000)."
        return [ReadNote(self._name, message, hint)]

    def _error(self, page: Page, message: str) -> MalformedRecordError:
        return MalformedRecordError(
            message,
            file=self._name,
            line=page.line,
            hint="Save the API's answer as it comes, or the list of studies alone.",
        )


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ``ValueError`` where a key stands twice, as only one could be read."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key “{twice[:60]}” appears twice in one object")
    return values
