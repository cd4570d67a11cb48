"""The layout of the package: rooms, inner rooms, their order, and sizes that stay readable."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import llm4top

PACKAGE = Path(llm4top.__file__).parent
ROOMS = {
    "registry": set(),
    "tasks": set(),
    "data": {"audit"},
    "prompts": set(),
    "forecasters": {
        *("model", "finetuning", "baselines", "calibration", "bundles"),
        *("precedents", "reasons", "bulk"),
    },
    "evaluation": {"metrics", "reports", "probes"},
    "training": {"selection"},
    "benchmark": set(),
    "workspace": {"jobs", "serving", "views", "migrations"},
    "studio": {"api", "pages", "components", "guard"},
    "cli": set(),
}
"""The rooms in their order, each with its inner rooms."""

ORDER = tuple(ROOMS)
GROUND = {"errors", "paths", "progress", "text", "files", "schema", "lazy", "processes"}
"""The ground floor: every room may import it, and it imports no room."""

ROOF = {"__init__", "__main__", "testing"}
"""May import every room; no room imports it."""

MOST_LINES = 400
LONG_FUNCTION = 50
MOST_LONG_FUNCTIONS = 10

HEAVY = ("torch", "transformers", "sklearn", "peft", "accelerate", "tokenizers", "bitsandbytes")
LIGHT = ("errors", "registry", "tasks", "data", "prompts", "cli")


@cache
def sources():
    """The syntax tree of each module of the package, by path."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def module_of(path):
    """The dotted name of a file's module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def room_of(module):
    """The room, or the file beside the rooms, that a module belongs to; "" for the package."""
    return module.removeprefix("llm4top").lstrip(".").partition(".")[0]


def imports(path):
    """Line and module of each import from this package, including those inside functions."""
    modules = {module_of(p) for p in sources()}
    for node in ast.walk(sources()[path]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are absolute"
            inner = [
                f"{node.module}.{alias.name}" for alias in node.names if alias.name != "__version__"
            ]
            names = [name if name in modules else node.module for name in inner]
        else:
            continue
        for name in dict.fromkeys(names):
            if name == "llm4top" or name.startswith("llm4top."):
                yield node.lineno, name


def is_allowed(room, imported):
    """Whether a room, or a file beside the rooms, may import another."""
    if imported == room or imported in GROUND:
        return room not in GROUND or imported in GROUND
    if room in GROUND:
        return False
    if room in {"", *ROOF}:
        return True
    if imported not in ROOMS:
        return False
    return ORDER.index(imported) < ORDER.index(room)


@pytest.mark.parametrize("room", [*ROOMS, "beside the rooms"])
def test_a_room_imports_only_from_rooms_above_it(room):
    beside = room == "beside the rooms"
    wrong = [
        f"{path}, line {line}: {room} imports {name}"
        for path in sources()
        if (own := room_of(module_of(path))) == room or (beside and own not in ROOMS)
        for line, name in imports(path)
        if not is_allowed(own, room_of(name))
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_of(path): {name for _, name in imports(path)} for path in sources()}
    # Imported by name only, the package itself is its list of public names.
    graph.pop("llm4top")
    for module, needed in graph.items():
        needed -= {module, "llm4top"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail("imports in a circle: " + " -> ".join(circle.args[1]))


def test_the_rooms_and_inner_rooms_are_those_of_the_design():
    def folders(within):
        return {p.name for p in within.iterdir() if p.is_dir() and any(p.glob("*.py"))}

    assert folders(PACKAGE) == set(ROOMS)
    assert {room: folders(PACKAGE / room) for room in ROOMS} == ROOMS
    assert {path.stem for path in PACKAGE.glob("*.py")} <= GROUND | ROOF


def test_modules_have_plain_names():
    names = [path for path in sources() if path.stem.startswith("_") and "__" not in path.stem]
    assert names == []


def test_an_init_holds_a_docstring_only():
    more = [
        path
        for path, tree in sources().items()
        if path.name == "__init__.py" and path.parent != PACKAGE
        if len(tree.body) > 1 or not ast.get_docstring(tree)
    ]
    assert more == []


def test_files_and_functions_stay_short():
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}
    long = [
        f"{path}, line {node.lineno}: {node.name} has {length} lines"
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := node.end_lineno - node.lineno + 1) > LONG_FUNCTION
    ]
    assert len(long) <= MOST_LONG_FUNCTIONS, long


def test_where_things_are_is_answered_with_files_that_exist():
    text = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    section = re.search(r"^## Where is .*?(?=^## )", text, re.DOTALL | re.MULTILINE)[0]
    files = re.findall(r"\| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(files) >= 15
    assert [file for file in files if not (PACKAGE / file).is_file()] == []


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
        ("tasks", "", False),
        ("", "forecasters", True),
        ("__main__", "cli", True),
        ("testing", "forecasters", True),
    ],
)
def test_what_is_allowed(room, imported, right):
    assert is_allowed(room, imported) is right


def heavy_after(code):
    """The heavy packages that are imported once the code has run in a new interpreter."""
    code += f"\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.split(), done.stdout


@pytest.mark.parametrize("room", LIGHT)
def test_importing_a_light_room_loads_nothing_heavy(room):
    modules = sorted(module_of(path) for path in sources() if room_of(module_of(path)) == room)
    assert heavy_after("import " + ", ".join(modules))[0] == []


def test_help_imports_no_torch():
    heavy, shown = heavy_after(
        "import sys\n"
        "from llm4top.cli.app import main\n"
        "sys.argv = ['llm4top', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert "forecast" in shown
    assert heavy == []
