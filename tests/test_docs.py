"""The examples of README and docs do what they say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import llm4top
from llm4top.cli._docs import generated_parts
from llm4top.cli._docs_names import with_part
from llm4top.tasks import load_task

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "src/llm4top/examples", tmp_path / "src/llm4top/examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))
    names: dict[str, object] = {}
    for number, code in enumerate(blocks(page, "python"), 1):
        exec(compile(code, f"{page.name}, example {number}", "exec"), names)
        assert capsys.readouterr().out.strip() or "print" not in code


@pytest.mark.parametrize("code", blocks(ROOT / "docs/own-questions.md", "yaml"))
def test_questions_of_the_page_can_be_loaded(code: str, tmp_path: Path) -> None:
    file = tmp_path / code.splitlines()[0].removeprefix("# ")
    file.write_text(code, encoding="utf-8")
    task = load_task(file)
    assert task.kind in code
    assert task.question in code


def test_every_kind_of_question_and_every_key_is_on_the_page() -> None:
    from llm4top.tasks._file import _TaskFile

    page = (ROOT / "docs/own-questions.md").read_text(encoding="utf-8")
    kinds = [load_kind for load_kind in ("binary", "multiclass", "ordinal") if load_kind in page]
    assert len(kinds) == 3
    for key, field in _TaskFile.model_fields.items():
        assert f"| `{key}` |" in page
        assert field.description


@pytest.mark.parametrize("name", generated_parts())
def test_generated_parts_are_what_the_program_says(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert page == with_part(page, *generated_parts()[name]), "run `make docs`"


def test_every_public_name_is_listed() -> None:
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    for name in llm4top.__all__:
        assert re.search(rf"^- `{name}[`(]", page, re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
