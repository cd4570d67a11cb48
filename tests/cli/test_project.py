"""What the README, the reference and the Makefile promise."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from typer.main import get_command

import llm4top
from llm4top.cli.app import app
from llm4top.cli.docs import EXAMPLE_MARK, reference, with_example
from llm4top.cli.exit_codes import EXIT_CODES
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.doctor import FLOORS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_what_the_commands_say() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run `make docs`"


def test_the_readme_names_every_command() -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"llm4top {name}" in README


def test_the_readme_names_every_exit_code() -> None:
    words = " ".join(README.split())
    for code, meaning in EXIT_CODES:
        assert f"{code} {meaning}" in words.replace("(", "").replace(")", "").replace(":", "") or (
            f"{code} {meaning.split(':')[0]}" in words
        )


def test_the_readmes_example_is_of_the_examples() -> None:
    """The figures are those of the model of the day; the rest is the demo's own output."""
    if not (Path(llm4top.__file__).parent / "embedded" / "manifest.json").is_file():
        pytest.skip("this checkout has no embedded model yet")
    (shown,) = re.findall(rf"{EXAMPLE_MARK}\n```text\n(.*?)```", README, flags=re.DOTALL)
    assert shown.split()[:3] == ["Trial", "Phase", "Chance"]
    assert shown.count("NCT99999901") == 2
    assert re.search(r"\d+ to \d+\s%", shown)


def test_the_example_can_be_written_anew(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_EMBEDDED_FOLDER", tiny_bundle)
    readme = f"before\n\n{EXAMPLE_MARK}\n```text\nold\n```\n\nafter\n"
    new = with_example(readme)
    assert new.startswith(f"before\n\n{EXAMPLE_MARK}\n```text\nTrial")
    assert new.endswith("```\n\nafter\n")
    assert "old" not in new
    assert with_example(new) == new


def test_the_readmes_tree_is_the_tree() -> None:
    listed = set(re.findall(r"^  (\w+)/ ", README, flags=re.MULTILINE))
    package = Path(llm4top.__file__).parent
    rooms = {p.name for p in package.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms <= listed
    assert listed - rooms <= {"embedded", "embedded_questions"}


def test_the_readmes_python_is_python_and_public() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert max(len(code.splitlines()) for code in blocks) <= 16
    imported = [
        alias.name
        for node in ast.walk(ast.parse("\n".join(blocks)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert set(imported) <= set(llm4top.__all__)


def test_the_readmes_first_commands_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target} " in README
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_no_package_index_is_named() -> None:
    for name in ("Makefile", ".ci/run", "README.md", "pyproject.toml", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"pypi\.|pythonhosted|download\.pytorch|index-url", text), name


def test_the_package_asks_for_what_the_doctor_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {r.name.lower(): r for r in map(Requirement, project["dependencies"])}
    for package, floor, _ in FLOORS:
        if package in asked:
            (lowest,) = [s.version for s in asked[package].specifier if s.operator == ">="]
            assert Version(lowest) >= Version(floor), package


@pytest.mark.parametrize("answer", ["Python 3.9.6", None])
def test_set_up_refuses_an_old_python_in_words(tmp_path: Path, answer: str | None) -> None:
    python = tmp_path / "python"
    if answer is not None:
        python.write_text(
            f'#!/bin/sh\ncase "$1" in -c) exit 1;; --version) echo "{answer}";; esac\n'
        )
        python.chmod(0o755)
    done = subprocess.run(
        ["make", f"PYTHON={python}", f"VENV={tmp_path}/venv", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert (
        f"LLM4TOP needs Python 3.11 or later, and '{python}' is {answer or 'absent'}."
        in done.stderr
    )
    assert not (tmp_path / "venv").exists()
