"""Edits of a trial by paths that a person can type: "phase=Phase 3", "criteria-=3".

Nothing is changed in place: each edit gives a new ``Trial``, and what an edit says about the
outcome is withheld as it would be in a record. Only the allow-list can be edited, so no edit can
show a model anything that a record could not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from llm4top.errors import EditError
from llm4top.registry.edit_fields import (
    EDITABLE,
    ITEMS,
    LISTS,
    EditableField,
    checked_text,
    checked_value,
    editable_field,
)
from llm4top.registry.leak_guard import guard_fields
from llm4top.registry.trial import Arm, Trial, Withheld

Operation = Literal["set", "add", "remove"]
_SIGNS: dict[str, Operation] = {"=": "set", "+=": "add", "-=": "remove"}
_WRITTEN = re.compile(
    r"\s*([A-Za-z][\w -]*?)\s*(?:\[\s*(\d{1,6})\s*\])?(?:\.\s*(\w+))?\s*(\+=|-=|=)(.*)", re.DOTALL
)
_PATH = re.compile(r"\s*([A-Za-z][\w -]*?)\s*(?:\[\s*(\d{1,6})\s*\])?(?:\.\s*(\w+))?\s*")
FORMS = (
    "Write FIELD=VALUE, FIELD+=LINE, FIELD-=NUMBER, FIELD[NUMBER]=LINE or "
    "FIELD[NUMBER].PART=VALUE, such as phase=Phase 3 or criteria-=3."
)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a trial.

    Attributes:
        field: Name of the field, as ``Trial`` has it.
        operation: "set", "add" or "remove".
        value: A text as a person types it, or the JSON value; None empties the field. What
            "remove" takes away: a number from 1, or the text itself.
        number: Which line or item is set, from 1; for "add", the one it is put behind (0: at the
            front), None: at the end.
        part: Which part of the item is set.
    """

    field: str
    operation: Operation
    value: Any = None
    number: int | None = None
    part: str | None = None

    @classmethod
    def parse(cls, text: str) -> Edit:
        """The edit that ``text`` writes; see ``FORMS``. ``EditError`` where it is none."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise EditError(f"{text!r:.80} is no edit.", where="edit", hint=FORMS)
        name, number, part, sign, value = found.groups()
        return cls._of(name, number, part, _SIGNS[sign], _typed(value))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Edit:
        """Inverse of ``to_dict``; ``EditError`` for values of another shape."""
        path, operation = values.get("path"), values.get("operation", "set")
        found = _PATH.fullmatch(path) if isinstance(path, str) else None
        if found is None:
            raise EditError(f"{path!r:.80} is no path.", where="edit", hint=FORMS)
        if operation not in _SIGNS.values():
            raise EditError(
                f"{operation!r:.40} is no operation.", where="edit", hint="Use set, add or remove."
            )
        name, number, part = found.groups()
        return cls._of(name, number, part, operation, values.get("value"))

    @classmethod
    def _of(
        cls, name: str, number: str | None, part: str | None, operation: Operation, value: Any
    ) -> Edit:
        field = editable_field(name)
        place = None if number is None else int(number)
        if field.kind not in LISTS and (place is not None or operation != "set"):
            raise EditError(
                "it has one value, not a list.", where=field.name, hint=f"Write {field.name}=VALUE."
            )
        if part is not None:
            part = field.part(part.lower()).name
            if place is None or operation != "set":
                raise EditError(
                    "a part is of one item.",
                    where=f"{field.name}.{part}",
                    hint=f"Write {field.name}[1].{part}=VALUE.",
                )
        return cls(field.name, operation, value, place, part)

    @property
    def path(self) -> str:
        """Where it changes something: "criteria[3]", "arms[1].label"."""
        number = "" if self.number is None else f"[{self.number}]"
        return self.field + number + (f".{self.part}" if self.part else "")

    @property
    def text(self) -> str:
        """The edit as ``parse`` reads it."""
        sign = next(sign for sign, operation in _SIGNS.items() if operation == self.operation)
        value = self.value
        if value is None:
            value = ""
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif not isinstance(value, str):
            value = json.dumps(value, ensure_ascii=False)
        return f"{self.path}{sign}{value}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: "path", "operation" and "value"."""
        return {"path": self.path, "operation": self.operation, "value": self.value}


def read_edits(given: Iterable[Edit | str | Mapping[str, Any]]) -> tuple[Edit, ...]:
    """Edits from any of their forms: ``Edit``, its text, or its JSON form.

    Raises ``EditError`` for the first that is none.
    """
    found: list[Edit] = []
    for one in given:
        if isinstance(one, Edit):
            found.append(one)
        elif isinstance(one, str):
            found.append(Edit.parse(one))
        elif isinstance(one, Mapping):
            found.append(Edit.from_dict(one))
        else:
            raise EditError(f"{one!r:.60} is no edit.", where="edit", hint=FORMS)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Edited:
    """An edited trial, and what of the edits was withheld because it tells an outcome."""

    trial: Trial
    withheld: tuple[Withheld, ...] = ()


def apply_edits(trial: Trial, edits: Iterable[Edit | str | Mapping[str, Any]]) -> Edited:
    """A new trial: ``trial`` after all ``edits``, one after the other.

    Numbers of lines and items are those that the edits before have left. Where arms are added or
    removed and ``number_of_arms`` was their number, it stays so; where the last arm of a role gets
    another role, so do the interventions that it receives.

    Raises:
        EditError: A field, number, part or value that there is not; names the path.
    """
    given = read_edits(edits)
    for edit in given:
        trial = _edited(trial, edit)
    if not given:
        return Edited(trial)
    values: dict[str, Any] = {name: getattr(trial, name) for name in EDITABLE}
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
    withheld = guard_fields(values)
    if withheld:
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        trial = Trial(**values)
    return Edited(trial, tuple(withheld))


def numbered_lines(trial: Trial, name: str) -> list[str]:
    """The lines of a field of text as its edits count them, the first is number 1."""
    text: str | None = getattr(trial, name)
    return text.split("\n") if text else []


def _edited(trial: Trial, edit: Edit) -> Trial:
    field = EDITABLE[edit.field]
    changed: dict[str, Any] = {}
    if field.kind not in LISTS:
        changed[field.name] = checked_value(field, edit.value, edit.path)
        return replace(trial, **changed)
    lines = field.kind == "lines"
    items = numbered_lines(trial, field.name) if lines else list(getattr(trial, field.name))
    after = _LISTED[edit.operation](field, items, edit)
    changed[field.name] = ("\n".join(after) or None) if lines else tuple(after)
    edited = replace(trial, **changed)
    return _with_arms_in_line(trial, edited) if field.name == "arms" else edited


def _set(field: EditableField, items: list[Any], edit: Edit) -> list[Any]:
    if edit.number is None:
        return _all(field, edit)
    place = _place(field, items, edit.number, edit.path)
    if edit.part is None:
        item = _item(field, edit.value, edit.path, like=items[place])
        return [*items[:place], *([item] if item else []), *items[place + 1 :]]
    part = field.part(edit.part)
    value = checked_value(part, edit.value, edit.path)
    if value is None and part is field.parts[0]:
        value = ""
    return [*items[:place], replace(items[place], **{part.name: value}), *items[place + 1 :]]


def _all(field: EditableField, edit: Edit) -> list[Any]:
    """Every item of the field, from a list or a text: lines of text, else parted by semicolons."""
    given = edit.value
    if given is None:
        return []
    if isinstance(given, str):
        given = given.split("\n" if field.kind == "lines" else ";")
    if not isinstance(given, list | tuple):
        given = [given]
    found = [_item(field, one, f"{field.name}[{n}]") for n, one in enumerate(given, 1)]
    return [item for item in found if item]


def _add(field: EditableField, items: list[Any], edit: Edit) -> list[Any]:
    item = _item(field, edit.value, edit.path)
    if item is None:
        raise EditError("there is nothing to add.", where=edit.path, hint=FORMS)
    if edit.number is None:
        return [*items, item]
    place = edit.number and _place(field, items, edit.number, edit.path) + 1
    return [*items[:place], item, *items[place:]]


def _remove(field: EditableField, items: list[Any], edit: Edit) -> list[Any]:
    given = edit.number if edit.number is not None else edit.value
    if isinstance(given, str) and not given.strip().isdigit():
        wanted = _plain(given)
        found = [n for n, item in enumerate(items) if _plain(_name(field, item)) == wanted]
        if not found:
            raise EditError(
                f"no {_noun(field)} reads {given.strip()!r:.80}.",
                where=field.name,
                hint=f"Give its number: {field.name}-=1.",
            )
        place = found[0]
    elif isinstance(given, int | str) and not isinstance(given, bool):
        place = _place(field, items, int(given), field.name)
    else:
        raise EditError(f"{given!r:.60} is no number.", where=field.name, hint=FORMS)
    return [*items[:place], *items[place + 1 :]]


_LISTED: dict[Operation, Callable[[EditableField, list[Any], Edit], list[Any]]] = {
    "set": _set,
    "add": _add,
    "remove": _remove,
}


def _item(field: EditableField, given: Any, where: str, *, like: Any = None) -> Any:
    """One line, text or item; None where it is empty. A bullet is put before criteria."""
    if field.kind != "items":
        text = checked_text(given, where) if given is not None else None
        bare = text.removeprefix("- ") if text else None
        if not bare:
            return None
        headed = bare.endswith(":") if like is None else not like.startswith("- ")
        return bare if field.name != "criteria" or headed else f"- {bare}"
    if not isinstance(given, Mapping):
        name = checked_value(field.parts[0], given, where)
        # Of an item that is there a text changes the name alone.
        return replace(like, **{field.parts[0].name: name}) if like and name else _new(field, name)
    values = {
        field.part(str(key)).name: checked_value(field.part(str(key)), value, f"{where}.{key}")
        for key, value in given.items()
    }
    return _new(field, **values)


def _new(field: EditableField, name: str | None = None, **values: Any) -> Any:
    first = field.parts[0].name
    values.setdefault(first, name)
    if not any(values.values()):
        return None
    return ITEMS[field.name](**{**values, first: values[first] or ""})


def _place(field: EditableField, items: list[Any], number: int, where: str) -> int:
    """The index of the item with that number; ``EditError`` where there is none."""
    if 1 <= number <= len(items):
        return number - 1
    noun = _noun(field)
    are = f"the last is {len(items)}" if items else "there are none"
    raise EditError(f"there is no {noun} {number}; {are}.", where=where, hint="Numbers begin at 1.")


def _noun(field: EditableField) -> str:
    return "line" if field.kind == "lines" else "item"


def _name(field: EditableField, item: Any) -> str:
    return str(item if field.kind != "items" else getattr(item, field.parts[0].name))


def _plain(text: str) -> str:
    return " ".join(text.removeprefix("- ").split()).casefold()


def _typed(text: str) -> Any:
    """What a person typed: without quotes around all of it; an object or list as JSON."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _with_arms_in_line(before: Trial, after: Trial) -> Trial:
    """``after``, what follows from its arms being others than ``before``."""
    changed: dict[str, Any] = {}
    if before.number_of_arms == len(before.arms) and before.arms:
        changed["number_of_arms"] = len(after.arms) or None
    renamed = _renamed_roles(before.arms, after.arms)
    if renamed:
        changed["interventions"] = tuple(
            replace(
                item,
                arm_roles=tuple(dict.fromkeys(renamed.get(role, role) for role in item.arm_roles)),
            )
            for item in after.interventions
        )
    return replace(after, **changed) if changed else after


def _renamed_roles(before: tuple[Arm, ...], after: tuple[Arm, ...]) -> dict[str, str]:
    """Roles that no arm has any more, by what the arm in the same place has instead."""
    if len(before) != len(after):
        return {}
    left = {arm.role for arm in after}
    return {
        old.role: new.role
        for old, new in zip(before, after, strict=True)
        if old.role and new.role and old.role not in left
    }
