"""What pydantic found wrong with settings, in sentences for the person who wrote them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

FAULT_MARK = "\x1f"
"""Stands between the faults of one validator, since pydantic carries one message an error."""

_MUST = {
    "bool": "true or false",
    "date": "a date",
    "dict": "a value for each name",
    "finite_number": "a number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model_attributes": "lines of 'name: value'",
    "model": "lines of 'name: value'",
    "path": "a path",
    "string": "text",
    "tuple": "a list",
}
"""What a value of a type must be; keys are the beginnings of pydantic's kinds of error."""

_LIMITS = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"),
    "less_than": ("lt", "less than {}"),
    "too_short": ("min_length", "a list of {} or more"),
    "too_long": ("max_length", "a list of {} at most"),
    "string_too_short": ("min_length", "{} characters or longer"),
    "string_too_long": ("max_length", "{} characters or shorter"),
}


def setting_faults(error: ValidationError, known: Mapping[str, FieldInfo]) -> list[str]:
    """One sentence for each setting that is wrong: "epochs: must be a number, not 'banana'".

    ``known`` are the fields of the model that refused. A name that is not one of them is answered
    with the nearest that is; a field that must be given, with its description; a field whose
    ``json_schema_extra`` says what it ``takes``, with that where pydantic would list alternatives.
    """
    faults: dict[str, str] = {}
    for item in error.errors(include_url=False):
        place = _place(item["loc"])
        field = known.get(str(item["loc"][0])) if item["loc"] else None
        if item["type"] == "value_error":
            prefix = f"{place}: " if place else ""
            for text in str(item["ctx"]["error"]).split(FAULT_MARK):
                faults.setdefault(text, prefix + text)
        elif item["type"] == "extra_forbidden":
            faults[place] = f"{place}: no such setting{did_you_mean(str(item['loc'][-1]), known)}"
        elif item["type"] == "missing":
            what = f" ({field.description.rstrip('.')})" if field and field.description else ""
            faults[place] = f"{place}: must be given{what}"
        else:
            # The alternatives of one field give a fault each; the first says enough.
            where = place or "file"
            text = f"{where}: must be {_needed(item, field)}, not {_short(item)}"
            faults.setdefault(where, text + _unquoted(item))
    return list(faults.values())


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The words that suggest the nearest known name, to stand behind a fault; "" without one."""
    close = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _place(parts: tuple[int | str, ...]) -> str:
    """Where in the file: "grid.epochs.0". Names of a field's alternative types are left out."""
    own = (str(part) for part in parts[1:] if not _ALTERNATIVE.search(str(part)))
    return ".".join([*(str(part) for part in parts[:1]), *own])


_ALTERNATIVE = re.compile(r"\[|^(constrained-)?(int|str|float|bool|none)$")
"""How pydantic names one of a field's alternative types in the place of a fault."""


def _needed(item: Mapping[str, Any], field: FieldInfo | None) -> str:
    kind, limits = str(item["type"]), item.get("ctx", {})
    extra = field.json_schema_extra if field else None
    if isinstance(extra, Mapping) and "takes" in extra and kind not in _LIMITS:
        return str(extra["takes"])
    if kind == "literal_error":
        return str(limits["expected"])
    if kind == "string_too_short" and limits["min_length"] == 1:
        return "text that is not empty"
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        limit = limits[name]
        return words.format(int(limit) if limit == int(limit) else limit)
    for beginning, words in _MUST.items():
        if kind.startswith(beginning):
            return words
    message = str(item["msg"])
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def _unquoted(item: Mapping[str, Any]) -> str:
    """What to do about a word that YAML took for a truth value or a number."""
    value = item["input"]
    if item["type"] != "string_type" or not isinstance(value, bool | int | float):
        return ""
    word = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return f' (put it in quotes: "{word}")'


def _short(item: Mapping[str, Any]) -> str:
    text = repr(item["input"])
    return text if len(text) <= 60 else text[:57] + "..."
