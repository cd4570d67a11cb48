"""Trials from a table in memory: a DataFrame of pandas or polars, an Arrow table, or plain rows.

None of these packages is required: rows are read through the table's own methods.
"""

import ast
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, NoReturn, get_type_hints

from llm4top.errors import MalformedRecordError
from llm4top.registry import codes
from llm4top.registry.criteria import normal_criteria
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.leak_guard import guard_fields
from llm4top.registry.normalize_text import clean, from_lines, one_line
from llm4top.registry.top_csv import is_smiles
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial

_WHERE = "the table"
_IDENTIFIERS = ("nct_id", "nctid")
_FROM_TOP = {field.top[0]: field.name for field in ALLOWED_FIELDS if field.top}
_COLUMNS = {**_FROM_TOP, **{field.name: field.name for field in ALLOWED_FIELDS}}
_PARTS: dict[str, tuple[type[Any], str]] = {
    "interventions": (Intervention, "name"),
    "arms": (Arm, "label"),
    "primary_outcomes": (Outcome, "measure"),
    "secondary_outcomes": (Outcome, "measure"),
    "collaborators": (Collaborator, "name"),
}
"""What a list of a trial holds, and the part of it that a plain text stands for."""

_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_HINTS = get_type_hints(Trial)


def trials_from_frame(frame: Any) -> list[Trial]:
    """Make trials from a table, one per row.

    A list may be a list, a text that holds one (``"['asthma', 'copd']"``), or one text for a list
    of one. Interventions, arms, outcome measures and collaborators are texts (their name, label
    or measure) or mappings of their fields. Sentences that reveal the outcome are cut from free
    text, as they are from records.

    Args:
        frame: A DataFrame of pandas or polars, a table of pyarrow, or an iterable of mappings.
            Columns are named as the fields of ``Trial`` (``phase``, ``conditions``, ``criteria``,
            ...) or as in TOP's CSV (``diseases``, ``drugs``, ``icdcodes``, ``smiless``). Other
            columns, such as labels and identifiers, are ignored. Missing values (None, NaN) are
            absent fields.

    Returns:
        The trials, in the order of the rows.

    Raises:
        MalformedRecordError: Names the row (from 0) and the column that cannot be read, or a
            column whose name is nearly that of a field.
        TypeError: ``frame`` is not a table.
    """
    rows = _rows(frame)
    trials = []
    for number, row in enumerate(rows):
        if number == 0:
            _check_columns(row)
        trials.append(_trial(row, number))
    return trials


def _rows(frame: Any) -> Iterable[Mapping[str, Any]]:
    """The rows of a table as mappings from column to value."""
    if hasattr(frame, "to_pylist"):  # pyarrow
        return list(frame.to_pylist())
    if hasattr(frame, "to_dicts"):  # polars
        return list(frame.to_dicts())
    if hasattr(frame, "columns") and hasattr(frame, "to_dict"):  # pandas
        return list(frame.to_dict("records"))
    rows = list(frame) if isinstance(frame, Iterable) and not isinstance(frame, Mapping) else None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(
            f"trials come from a DataFrame or from rows that are mappings, not from "
            f"{type(frame).__name__}."
        )
    return rows


def _check_columns(row: Mapping[str, Any]) -> None:
    names = [str(name) for name in row]
    known = [name for name in names if name.lower() in _COLUMNS]
    for name in names:
        if name in known or name.lower() in _IDENTIFIERS:
            continue
        near = difflib.get_close_matches(name.lower(), _COLUMNS, n=1, cutoff=0.8)
        if near and near[0] not in known:
            _refuse(f"is not an input; did you mean {near[0]}?", None, name, "Rename or drop it.")
    if not known:
        _refuse(
            f"no column holds an input: there is {', '.join(names) or 'no column'}.",
            None,
            None,
            f"Name columns as the fields of a trial: {', '.join(_HINTS)}.",
        )


def _trial(row: Mapping[str, Any], number: int) -> Trial:
    values: dict[str, Any] = {}
    for column, value in row.items():
        field = _COLUMNS.get(str(column).lower())
        value = _plain(value)
        if field is None or value is None:
            continue
        try:
            read = _READERS[_kind(field)](value, field)
        except ValueError as error:
            _refuse(str(error), number, str(column), "Correct the cell, or leave it empty.")
        if read not in (None, []):
            values[field] = read
    if "phase" in values:
        values["phase"] = codes.phase(values["phase"])
    guard_fields(values)
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Trial(**made)


def _plain(value: Any) -> Any:
    """A cell as Python has it; None where it is missing."""
    if hasattr(value, "tolist"):  # an array, or a number of numpy's
        value = value.tolist()
    if isinstance(value, float) and math.isnan(value):
        return None
    # pandas' NA and NaT are not equal to themselves, or cannot say.
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value


def _kind(field: str) -> str:
    if field in _PARTS:
        return "parts"
    hint = str(_HINTS[field])
    if hint.startswith("tuple"):
        return "texts"
    return next((kind for kind in ("bool", "int") if kind in hint), "text")


def _text(value: Any, field: str) -> str | None:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {value!r:.60}.")  # noqa: TRY004 - reported with its place
    text = clean(value)
    if field == "criteria":
        return normal_criteria(text)
    return from_lines(text) if field in _PARAGRAPHS else one_line(text)


_PARAGRAPHS = {"brief_summary", "detailed_description"}


def _number(value: Any, _: str) -> int:
    number = float(value) if isinstance(value, str) and value.strip().isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number % 1 != 0:
        raise ValueError(f"must be a whole number, not {value!r:.60}.")
    return int(number)


def _truth(value: Any, _: str) -> bool:
    found = value if isinstance(value, bool) else _YES_NO.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"must be true or false, not {value!r:.60}.")
    return found


def _listed(value: Any) -> list[Any]:
    """A cell as a list: a list, a text that holds one, or one item."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"begins like a list but is not one: {value!r:.60}.") from None
    if isinstance(value, list | tuple):
        # TOP's ICD-10 codes are lists in texts in a list.
        nested = [_listed(item) if _is_list(item) else [item] for item in value]
        return [item for items in nested for item in items]
    return [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.startswith("["))


def _texts(value: Any, field: str) -> list[str]:
    texts = (_text(item, field) for item in _listed(value))
    kept = (text for text in texts if text and (field != "smiles" or is_smiles(text)))
    return list(dict.fromkeys(kept))


def _parts(value: Any, field: str) -> list[Any]:
    kind, main = _PARTS[field]
    names = [part.name for part in fields(kind)]
    made = []
    for item in _listed(value):
        given = {main: item} if not isinstance(item, Mapping) else dict(item)
        unknown = sorted(set(map(str, given)) - set(names))
        if unknown or not given.get(main):
            fault = f"has no {unknown[0]!r}" if unknown else f"needs a {main}"
            raise ValueError(f"an item {fault}; it has {', '.join(names)}.")
        roles = {k: tuple(_texts(v, k)) for k, v in given.items() if k == "arm_roles" and v}
        texts = {k: _text(v, k) for k, v in given.items() if k != "arm_roles" and v is not None}
        made.append(kind(**{**texts, **roles}))
    return made


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "bool": _truth,
    "int": _number,
    "parts": _parts,
    "text": _text,
    "texts": _texts,
}


def _refuse(message: str, row: int | None, column: str | None, hint: str) -> NoReturn:
    place = [f"row {row}"] if row is not None else []
    place += [f"column {column!r}"] if column is not None else []
    raise MalformedRecordError(message, file=_WHERE, element=", ".join(place) or None, hint=hint)
