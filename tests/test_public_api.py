"""The public interface: short, sorted, importable, and cheap to import."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import llm4top

HEAVY = ("torch", "transformers", "sklearn", "lxml", "pyarrow", "numpy", "peft", "pydantic")


def test_the_list_is_sorted_and_short() -> None:
    assert llm4top.__all__ == sorted(llm4top.__all__)
    assert len(llm4top.__all__) <= 46


def test_the_list_equals_what_is_importable() -> None:
    public = {
        name
        for name in dir(llm4top)
        if not name.startswith("_") and not inspect.ismodule(getattr(llm4top, name))
    } - {"TYPE_CHECKING", "lazy_names"}
    assert public == set(llm4top.__all__) - {"__version__"}


@pytest.mark.parametrize("name", llm4top.__all__)
def test_each_name_is_there_and_documented(name: str) -> None:
    value = getattr(llm4top, name)
    if name != "__version__":
        assert value.__name__ == name
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'llm4top' has no attribute 'nothing'"):
        llm4top.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, llm4top; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)
