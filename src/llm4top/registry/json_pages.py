"""JSON values: pages of the API's answers, whether all of them are there, and single studies.

A page is ``{"totalCount": 4, "studies": [...], "nextPageToken": "..."}``; the API gives the total
on request only, on the first page or on each, and the token on every page but the last.
"""

import json
import re
from typing import Any

from llm4top.errors import LimitError, MalformedRecordError, RegistryError
from llm4top.registry.limits import Limits, beyond
from llm4top.registry.normalize_text import clean
from llm4top.registry.trial import ReadNote
from llm4top.text import thousands

AGAIN = "Export the studies again from ClinicalTrials.gov."
_KEYS = ("totalCount", "nextPageToken")
FRAME = re.compile(
    rb'\{\s*+(?:"(?:totalCount|nextPageToken)"\s*+:[^,{\[]*+,\s*+)*"studies"\s*+:\s*+\['
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


_CONTROL = re.compile(rb"\\u(?:00[01]|007[fF]|[dD][89a-fA-F])")


def load(data: bytes, line: int, name: str, limits: Limits) -> Any:
    """The value of one study's bytes, which begin on ``line``."""
    # A value needs two bytes at least, so only a large study can hold too many.
    if len(data) > 2 * limits.values and data.count(b",") >= limits.values:
        raise LimitError(
            f"the record has more than {thousands(limits.values)} values.",
            file=name,
            line=line,
            hint=beyond("values"),
        )
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=distinct
        )
    except json.JSONDecodeError as error:
        raise _broken(error.msg, name, line + error.lineno - 1) from None
    except UnicodeDecodeError:
        raise _broken("it is not in UTF-8", name, line) from None
    except (ValueError, RecursionError) as error:
        why = "a number has too many digits" if "digits" in str(error) else str(error)
        raise _broken(why, name, line) from None
    if len(data) > limits.text_length or _CONTROL.search(data):
        return _checked(value, name, limits, line)
    return value


def _checked(value: Any, name: str, limits: Limits, line: int) -> Any:
    """``value`` with clean texts, none of them too long."""
    if isinstance(value, str):
        if len(value) > limits.text_length:
            raise LimitError(
                f"a text has {thousands(len(value))} characters, the limit is "
                f"{thousands(limits.text_length)}.",
                file=name,
                line=line,
                hint=beyond("text_length"),
            )
        return clean(value)
    if isinstance(value, list):
        return [_checked(item, name, limits, line) for item in value]
    if isinstance(value, dict):
        return {clean(key): _checked(item, name, limits, line) for key, item in value.items()}
    return value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def _broken(message: str, name: str, line: int) -> MalformedRecordError:
    return MalformedRecordError(f"the JSON is broken: {message}.", file=name, line=line, hint=AGAIN)
