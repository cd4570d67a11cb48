"""What the documentation takes from the program itself: ``make docs``.

``python -m llm4top.cli.docs docs/cli.md README.md`` writes the reference from the commands' own
help, and the README's example from the embedded model's real output.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.cli.exit_codes import EXIT_CODES
from llm4top.cli.train import plain_value
from llm4top.forecasters.forecast_format import COLUMNS

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
    from llm4top.registry.codes import CHOICES

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


EXAMPLE_MARK = "<!-- example output: make docs -->"

_HEAD = """\
# The command line

Made from the commands' own help with `make docs`; a test holds the two together.
"""


def reference() -> str:
    """Every command with its arguments, options and examples, as Markdown."""
    root = get_command(app)
    lines = [_HEAD, *_options(root), "Exit codes:", ""]
    lines += [f"- {code}: {words}" for code, words in EXIT_CODES]
    for path, command in _commands(root, "llm4top"):
        lines += ["", f"## {path}", "", _prose(command.help or ""), "", *_options(command)]
    lines += ["", *_training_settings()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _training_settings() -> list[str]:
    """Every setting of a training run: what it does and takes, and what each preset makes it."""
    from llm4top.training.config import PRESETS
    from llm4top.training.settings_text import describe_settings

    lines = [
        "## Training settings",
        "",
        "Each can stand in a YAML file (`--config`) or be given as `--set KEY=VALUE`. Options",
        "override the file, and the file overrides the preset. To print this list:",
        "`llm4top train --list-settings`.",
        "",
        f"| setting | what it does | takes | {' | '.join(PRESETS)} |",
        f"|---|---|---|{'---|' * len(PRESETS)}",
    ]
    for setting in describe_settings():
        if setting.name == "preset":
            continue
        values = [f"`{plain_value(value)}`" for value in setting.values.values()]
        shown = " | ".join(values or ["must be given"] * len(PRESETS))
        what = f"{setting.description[0].upper()}{setting.description[1:]}."
        lines.append(f"| `{setting.name}` | {what} | {setting.takes} | {shown} |")
    return lines


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _prose(help_text: str) -> str:
    """Rich markup as Markdown; runs of indented example lines as one code block."""
    text = re.sub(r"\[bold\](.*?)\[/(?:bold)?\]", r"**\1**", help_text).replace("\\[", "[")
    blocks: list[str] = []
    for paragraph in text.split("\n\n"):
        if not paragraph.startswith(" "):
            blocks.append(paragraph)
        elif blocks and blocks[-1].endswith("\n```"):
            blocks[-1] = blocks[-1].removesuffix("```") + paragraph.strip() + "\n```"
        else:
            blocks.append(f"```\n{paragraph.strip()}\n```")
    return "\n\n".join(blocks)


def _options(command: Any) -> list[str]:
    """One list item an argument or option: its names, its values, its help and its default."""
    lines = []
    for parameter in command.params:
        if "--show-completion" in parameter.opts or "--help" in parameter.opts:
            continue
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            names = f"`{parameter.metavar or parameter.name.upper()}`"
        needed = " (required)" if parameter.required else ""
        lines.append(f"- {names}{needed}: {parameter.help}{_default(parameter)}")
    return [*lines, ""]


def _default(parameter: Any) -> str:
    default = parameter.default
    if default in (None, False, (), []) or parameter.required or callable(default):
        return ""
    return f" Default: `{getattr(default, 'value', default)}`."


def with_example(readme: str) -> str:
    """``readme`` with the demo's real output in the block below the mark ``EXAMPLE_MARK``."""
    shown = CliRunner().invoke(app, ["forecast", "--example"], env={"COLUMNS": "88"})
    if shown.exit_code != 0:
        raise SystemExit(shown.output)
    output = "\n".join(line.rstrip() for line in shown.stdout.splitlines())
    before, mark, after = readme.partition(EXAMPLE_MARK)
    if not mark:
        raise SystemExit(f"there is no {EXAMPLE_MARK} in the README.")
    rest = re.sub(r"\A\n*```text\n.*?\n```\n", "", after, count=1, flags=re.DOTALL).lstrip("\n")
    return f"{before}{mark}\n```text\n{output}\n```\n\n{rest}"


def with_columns(readme: str) -> str:
    """``readme`` with the columns of the CSV as they are."""
    mark = r"(\*\*CSV columns\*\*[^`]*`)[^`]*`"
    return re.sub(mark, rf"\g<1>{','.join(COLUMNS)}`", readme)


def generated_parts() -> dict[str, tuple[str, str]]:
    """By the page that has one: the mark before its generated part, and that part."""
    return {
        "python.md": (NAMES_MARK, public_names()),
        "records.md": (CHOICES_MARK, coded_choices()),
    }


def main() -> None:
    """Write the reference, the generated parts beside it, and the example of a README if named."""
    page = Path(sys.argv[1])
    page.write_text(reference(), encoding="utf-8")
    for name, part in generated_parts().items():
        beside = page.with_name(name)
        beside.write_text(with_part(beside.read_text("utf-8"), *part), encoding="utf-8")
    for readme in map(Path, sys.argv[2:]):
        text = with_columns(readme.read_text(encoding="utf-8"))
        readme.write_text(with_example(text), encoding="utf-8")


if __name__ == "__main__":
    main()
