"""``--list-settings``: every training setting with what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer


def plain_value(value: object) -> str:
    """The value of a setting as it is written in YAML: "none" for None, "true" for True."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _print_settings(wanted: bool) -> None:
    """Print every setting with what it takes, its default and what it does, and stop."""
    if not wanted:
        return
    from llm4top.training.settings_text import describe_settings

    for setting in describe_settings():
        default = "must be given" if setting.must_be_given else _default(setting.values)
        typer.echo(f"{setting.name}  ({setting.takes}; {default})\n    {setting.description}.")
    raise typer.Exit


def _default(values: Mapping[str, object]) -> str:
    """The default, or one for each preset where they differ."""
    shown = {preset: plain_value(value) for preset, value in values.items()}
    if len(set(shown.values())) == 1:
        return f"default {shown['standard']}"
    return "default " + ", ".join(f"{preset} {value}" for preset, value in shown.items())


ListSettingsOption = Annotated[
    bool,
    typer.Option(
        "--list-settings",
        callback=_print_settings,
        is_eager=True,
        help="Print every setting with what it does, and stop.",
    ),
]
