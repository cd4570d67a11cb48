"""Parts of the documentation that list the public names and the choices of coded fields."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

NAMES_MARK = "<!-- names: make docs -->"
CHOICES_MARK = "<!-- choices: make docs -->"
_MANY = 8


def public_names() -> str:
    """Every public name with its arguments or fields and the first sentence about it."""
    import llm4top

    lines = ["## Every name", ""]
    for name in llm4top.__all__:
        value = getattr(llm4top, name)
        if name == "__version__":
            lines.append("- `__version__`: the version of LLM4TOP.")
            continue
        about = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0]
        text = " ".join(about.replace("``", "`").split())
        lines.append(f"- `{_call(name, value)}`: {text[0].lower()}{text[1:]}{_fields(value)}")
    return "\n".join(lines) + "\n"


def coded_choices() -> str:
    """The codes of each coded field, as the JSON and the legacy XML write them."""
    from llm4top.registry._choices import CHOICES

    lines = [
        "| field in the JSON | codes in the JSON, and the words of the legacy XML |",
        "|---|---|",
    ]
    for path, codes in CHOICES.items():
        listed = ", ".join(f"`{code}` ({word})" for code, word in codes.items())
        lines.append(f"| `{path}` | {listed} |")
    return "\n".join(lines) + "\n"


def with_part(page: str, mark: str, part: str) -> str:
    """``page`` with everything behind ``mark`` replaced by ``part``."""
    before, found, _ = page.partition(mark)
    if not found:
        raise SystemExit(f"there is no {mark} in the page.")
    return f"{before}{mark}\n\n{part}"


def _call(name: str, value: Any) -> str:
    if isinstance(value, type) and issubclass(value, Exception):
        return name
    parameters = inspect.signature(value).parameters.values()
    if isinstance(value, type) and len(parameters) > _MANY:
        return name
    shown = []
    keyword_only = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
            keyword_only = True
        default = parameter.default
        given = default is not parameter.empty and default is not MISSING
        plain = isinstance(default, str | int | float | bool | tuple) or default is None
        shown.append(f"{parameter.name}={default!r}" if given and plain else parameter.name)
    return f"{name}({', '.join(shown)})"


def _fields(value: Any) -> str:
    """The fields of a class that has too many for one line of arguments."""
    if not isinstance(value, type) or issubclass(value, Exception):
        return ""
    if hasattr(value, "model_fields"):
        return " The settings are listed in [cli.md](cli.md#training-settings)."
    if is_dataclass(value):
        names = [field.name for field in fields(value) if not field.name.startswith("_")]
    else:
        names = list(inspect.signature(value).parameters)
    if len(names) <= _MANY:
        return ""
    return f" Fields: {', '.join(f'`{name}`' for name in names)}."
