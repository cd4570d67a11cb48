"""What the documentation takes from the program itself: ``make docs``.

``python -m llm4top.cli._docs docs/cli.md README.md`` writes the reference from the commands' own
help, and the README's example from the embedded model's real output.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from llm4top.cli._app import app
from llm4top.cli._docs_names import (
    CHOICES_MARK,
    NAMES_MARK,
    coded_choices,
    public_names,
    with_part,
)
from llm4top.cli._exit import EXIT_CODES
from llm4top.cli._settings_list import plain_value
from llm4top.forecasters.forecast_format import COLUMNS

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
    from llm4top.training import PRESETS, describe_settings

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
