"""The order of the rooms: each imports only from those above it, and light things stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llm4top

PACKAGE = Path(llm4top.__file__).parent
ROOMS = (
    "registry",
    "tasks",
    "data",
    "prompts",
    "forecasters",
    "evaluation",
    "training",
    "benchmark",
    "workspace",
    "studio",
    "cli",
)
# Below every room: they may be imported by all and import none.
GROUND = {"errors", "paths", "progress", "text", "files", "schema"}
GROUND |= {"lazy"}
# On top of every room: they may import all and are imported by none.
ROOF = {"cli", "studio", "__main__", "testing", "embedded"}
HEAVY = ("torch", "transformers", "sklearn", "peft", "accelerate", "tokenizers", "bitsandbytes")
LIGHT = ("llm4top", "llm4top.errors", "llm4top.registry", "llm4top.tasks", "llm4top.data")
LIGHT += ("llm4top.prompts", "llm4top.cli")


def room_of(module):
    """The part of the package a dotted module name belongs to ("" for the package itself)."""
    return module.removeprefix("llm4top").lstrip(".").partition(".")[0]


def imports(path):
    """Line and dotted name of each import of this package, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are absolute"
            module = node.module or ""
            whole = module == "llm4top"
            names = [f"{module}.{alias.name}" if whole else module for alias in node.names]
        else:
            continue
        for name in names:
            if name == "llm4top" or name.startswith("llm4top."):
                yield node.lineno, name


def allowed(room, imported):
    if imported == room or imported in GROUND or imported.startswith("__version"):
        return True
    if room == "cli" and imported == "studio":
        return True
    if room in GROUND or imported in {"__main__", "cli", "studio"} - {room}:
        return room == "__main__"
    if room in ROOF or room == "":
        return True
    return imported in ROOMS and ROOMS.index(imported) < ROOMS.index(room)


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above_it(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    room = "" if parts == ("__init__",) else parts[0]
    wrong = [
        f"{path}, line {line}: {room or 'llm4top'} imports {name}"
        for line, name in imports(path)
        if not allowed(room, room_of(name))
    ]
    assert not wrong


def test_every_folder_of_the_package_is_a_room():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    assert folders <= set(ROOMS)


@pytest.mark.parametrize(
    ("room", "imported", "right"),
    [
        ("data", "registry", True),
        ("data", "prompts", False),
        ("prompts", "data", True),
        ("registry", "errors", True),
        ("errors", "registry", False),
        ("paths", "errors", True),
        ("training", "cli", False),
        ("cli", "studio", True),
        ("studio", "cli", False),
        ("workspace", "studio", False),
        ("cli", "training", True),
        ("training", "evaluation", True),
        ("evaluation", "training", False),
        ("tasks", "testing", False),
        ("", "forecasters", True),
    ],
)
def test_what_is_allowed(room, imported, right):
    assert allowed(room, imported) is right


@pytest.mark.parametrize("module", LIGHT)
def test_importing_a_light_room_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_imports_no_torch():
    code = (
        "import sys\n"
        "from llm4top.cli.app import main\n"
        "sys.argv = ['llm4top', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "forecast" in done.stdout
    assert done.stderr.split() == []
