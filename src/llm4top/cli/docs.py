"""Generated parts of the documentation, for ``make docs``.

``python -m llm4top.cli.docs docs/cli.md README.md`` writes the command reference from the help
texts, and the example in the README from the output of the embedded model.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer import Context
from typer.main import get_command
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.cli.exit_codes import EXIT_CODES
from llm4top.cli.train import plain_value
from llm4top.registry.codes import CHOICES

CHOICES_MARK = "<!-- choices: make docs -->"


def with_choices(page: str) -> str:
    """``page`` with the codes of each coded field, in both formats, behind ``CHOICES_MARK``."""
    before, found, _ = page.partition(CHOICES_MARK)
    if not found:
        raise SystemExit(f"there is no {CHOICES_MARK} in the page.")
    lines = [
        f"{before}{CHOICES_MARK}",
        "",
        "| field in the JSON | codes in the JSON, and the words of the legacy XML |",
        "|---|---|",
    ]
    for path, codes in CHOICES.items():
        listed = ", ".join(f"`{code}` ({word})" for code, word in codes.items())
        lines.append(f"| `{path}` | {listed} |")
    return "\n".join(lines) + "\n"


EXAMPLE_MARK = "<!-- example output: make docs -->"

_HEAD = """\
# Command line

`make docs` generates this page from the help texts of the commands.
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
    from llm4top.training.config import PRESETS, describe_settings

    lines = [
        "## Training settings",
        "",
        "Set any of these in a YAML file (`--config`) or with `--set KEY=VALUE`. Options override",
        "the file, and the file overrides the preset. `llm4top train --list-settings` prints this",
        "list.",
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
    for parameter in command.get_params(Context(command)):
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


def main() -> None:
    """Write the reference, the choices in records.md, and the example of each README named."""
    page = Path(sys.argv[1])
    page.write_text(reference(), encoding="utf-8")
    records = page.with_name("records.md")
    records.write_text(with_choices(records.read_text("utf-8")), encoding="utf-8")
    for readme in map(Path, sys.argv[2:]):
        readme.write_text(with_example(readme.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
