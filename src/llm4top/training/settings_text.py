"""Every training setting in words: what it takes, what it does, and its value in each preset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from llm4top.training.config import PRESETS, TrainingConfig, preset_value

_WORDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true, false",
    Path: "folder",
    type(None): "none",
}


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting of ``TrainingConfig``.

    ``takes`` says in words which values it takes and ``description`` what it does. ``values`` maps
    each preset to the value there, which is the default of a run with that preset; it is empty
    where the setting ``must_be_given``.
    """

    name: str
    takes: str
    description: str
    must_be_given: bool
    values: Mapping[str, Any]

    @property
    def default(self) -> Any:
        """Its value where nothing is chosen: that of the preset "standard"."""
        return self.values.get("standard")


def describe_settings() -> tuple[SettingInfo, ...]:
    """All settings of a training run, in the order in which ``TrainingConfig`` has them."""
    found = []
    for name, field in TrainingConfig.model_fields.items():
        extra = field.json_schema_extra
        takes = extra["takes"] if isinstance(extra, Mapping) else None
        values = {preset: preset_value(preset, name) for preset in PRESETS}
        found.append(
            SettingInfo(
                name=name,
                takes=str(takes or _takes(field.annotation)),
                description=str(field.description),
                must_be_given=field.is_required(),
                values={} if field.is_required() else values,
            )
        )
    return tuple(found)


def _takes(annotation: Any) -> str:
    """A type in words: "4bit or none", "whole number", "text"."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, parts))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_takes(part) for part in parts)
    if get_origin(annotation) is Annotated:
        return _takes(parts[0])
    return _WORDS[annotation]
