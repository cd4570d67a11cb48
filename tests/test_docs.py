"""The examples of README and docs do what they say."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import llm4top
from llm4top.cli.app import app
from llm4top.cli.docs import with_choices
from llm4top.tasks.task_file import load_task

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(page: Path, *languages: str) -> list[tuple[str, str]]:
    """The code blocks of ``page`` in these languages, in their order, each with its language."""
    fenced = r"^```(\w*)\n(.*?)^```$"
    found = re.findall(fenced, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [(language, code) for language, code in found if language in languages]


def commands(code: str) -> list[str]:
    """The lines of ``code`` that call llm4top, without their comments."""
    lines = (line.partition(" #")[0] for line in code.splitlines())
    return [line for line in lines if line.startswith("llm4top ") and "&&" not in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if examples(p, "python", "sh")], ids=lambda p: p.stem
)
def test_examples_run_in_their_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python, and commands in blocks marked ``sh``; those marked ``text`` need other data."""
    shutil.copytree(ROOT / "src/llm4top/examples", tmp_path / "src/llm4top/examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))
    names: dict[str, object] = {}
    for number, (language, code) in enumerate(examples(page, "python", "sh"), 1):
        if language == "python":
            exec(compile(code, f"{page.name}, example {number}", "exec"), names)
            assert capsys.readouterr().out.strip() or "print" not in code
            continue
        for line in commands(code):
            done = CliRunner().invoke(app, shlex.split(line)[1:])
            assert done.exit_code == 0, f"{line}\n{done.output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_commands_exist_with_their_options(page: Path) -> None:
    for _, code in examples(page, "", "sh", "text"):
        for line in commands(code):
            words = shlex.split(line)[1:]
            command: Any = get_command(app)
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            if words and "..." not in words:
                parser = command.make_parser(typer.Context(command, info_name=line))
                parser.parse_args(words)


@pytest.mark.parametrize(
    "code", [code for _, code in examples(ROOT / "docs/own-questions.md", "yaml")]
)
def test_questions_of_the_page_can_be_loaded(code: str, tmp_path: Path) -> None:
    file = tmp_path / code.splitlines()[0].removeprefix("# ")
    file.write_text(code, encoding="utf-8")
    task = load_task(file)
    assert task.kind in code
    assert task.question in code


def test_every_kind_of_question_and_every_key_is_on_the_page() -> None:
    from llm4top.tasks.task_file import _TaskFile

    page = (ROOT / "docs/own-questions.md").read_text(encoding="utf-8")
    kinds = [load_kind for load_kind in ("binary", "multiclass", "ordinal") if load_kind in page]
    assert len(kinds) == 3
    for key, field in _TaskFile.model_fields.items():
        assert f"| `{key}` |" in page
        assert field.description


def test_the_choices_of_coded_fields_are_those_of_the_program() -> None:
    page = (ROOT / "docs/records.md").read_text(encoding="utf-8")
    assert page == with_choices(page), "run `make docs`"


def test_every_public_name_is_in_the_api_reference() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    named = re.findall(r"^::: llm4top\.(\w+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(set(llm4top.__all__) - {"__version__"})


def test_the_site_builds_and_loads_nothing_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = pytest.importorskip("mkdocs.commands.build", reason="the docs tools are not installed")
    from mkdocs.config import load_config

    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    build.build(config)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?([^\" >]+)", text)
        loaded += re.findall(r"<link[^>]+href=\"?([^\" >]+)", text)
        assert not [address for address in loaded if "//" in address], page.name
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", sheet.read_text("utf-8")), sheet.name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
