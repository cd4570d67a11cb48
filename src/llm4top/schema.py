"""From JSON or settings to a checked pydantic model, or to an error that a person can act on."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from llm4top.errors import ConfigError, LLM4TOPError

FAULT_MARK = "\x1f"
"""Stands between the faults of one validator, since pydantic carries one message an error."""
VERSION_KEY = "schema_version"
M = TypeVar("M", bound=BaseModel)
_UPGRADE = "Upgrade LLM4TOP to the version that wrote it."

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

_ALTERNATIVE = re.compile(r"\[|^(constrained-)?(int|str|float|bool|none)$")
"""How pydantic names one of a field's alternative types in the place of a fault."""


class Strict(BaseModel):
    """A model that refuses fields it does not know and infinite numbers, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_model(
    model: type[M],
    source: Path | str | bytes,
    *,
    what: str,
    error: type[LLM4TOPError],
    where: str | None = None,
    hint: str | None = None,
    version: int | None = None,
    oldest: int = 1,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> M:
    """The model that a JSON file holds.

    Args:
        model: The pydantic model of the content.
        source: The file, or its content.
        what: What the file is, as the errors call it: "the manifest".
        error: The class of the errors that are raised.
        where: The name of the file in errors; the path of ``source`` where None.
        hint: What to do about a file that is wrong.
        version: The newest schema version that is read; None where the file has none.
        oldest: The oldest one.
        prepare: Checks the parsed content or converts it from an older version, before the
            model sees it; may raise other errors.

    Raises:
        LLM4TOPError: Of the class ``error``: the file cannot be read, is not a JSON object, has
            a schema version that is not read, or its first wrong field by name.
    """
    if isinstance(source, Path):
        where = str(source) if where is None else where
        source = _content(source, what, error, where, hint)
    values = _object(source, what, error, where, hint)
    fault = None if version is None else _version_fault(values.get(VERSION_KEY), oldest, version)
    if fault is not None:
        reason, is_newer = fault
        raise error(f"{what} {reason}.", where=where, hint=_UPGRADE if is_newer else hint)
    if prepare is not None:
        source = json.dumps(prepare(values))
    try:
        return model.model_validate_json(source)
    except ValidationError as wrong:
        raise error(f"{what} is {first_fault(wrong)}.", where=where, hint=hint) from None
    except LLM4TOPError as wrong:  # a validator's own: a task or prompt that cannot be
        raise error(wrong.message, where=where, hint=hint) from wrong


def validate_settings(model: type[M], values: Any, *, message: str, hint: str | None = None) -> M:
    """The settings ``values`` as a checked model.

    Args:
        model: The pydantic model of the settings.
        values: Settings by name.
        message: What the error says before the faults: "the training settings are wrong."
        hint: What it says after them.

    Raises:
        ConfigError: With every fault at once, see ``setting_faults``.
    """
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        raise ConfigError(message, setting_faults(fault, model.model_fields), hint=hint) from None


def first_fault(error: ValidationError) -> str:
    """The first fault that pydantic found: "wrong in 'task.name': Field required"."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    place = f" in {field!r:.100}" if field else ""
    return f"wrong{place}: {first['msg'].removeprefix('Value error, '):.300}"


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
    """Words after a fault that suggest the nearest known name; "" without one."""
    close = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _content(
    path: Path, what: str, error: type[LLM4TOPError], where: str, hint: str | None
) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        reason = fault.strerror or fault
        raise error(f"{what} cannot be read: {reason}.", where=where, hint=hint) from fault


def _object(
    text: str | bytes, what: str, error: type[LLM4TOPError], where: str | None, hint: str | None
) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as broken:
        raise error(f"{what} is not JSON ({broken}).", where=where, hint=hint) from None
    if not isinstance(values, dict):
        raise error(f"{what} is not a JSON object.", where=where, hint=hint)
    return values


def _version_fault(given: object, oldest: int, newest: int) -> tuple[str, bool] | None:
    """Why a schema version is not read, and whether a newer LLM4TOP may read it."""
    if not isinstance(given, int) or isinstance(given, bool):
        return "has no schema version", False
    if oldest <= given <= newest:
        return None
    read = f"version {newest}" if oldest == newest else f"versions {oldest} to {newest}"
    return f"has schema version {given}; this LLM4TOP reads {read}", given > newest


def _place(parts: tuple[int | str, ...]) -> str:
    """Where in the file: "grid.epochs.0". Names of a field's alternative types are left out."""
    own = (str(part) for part in parts[1:] if not _ALTERNATIVE.search(str(part)))
    return ".".join([*(str(part) for part in parts[:1]), *own])


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
