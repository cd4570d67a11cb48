"""A first forecast imports nothing that takes longer than the forecast."""

import subprocess
import sys
from pathlib import Path

import pytest

import llm4top

HEAVY = ("torch", "transformers", "sklearn", "scipy", "pyarrow", "pandas", "peft", "nicegui")
RUN = f"""
import runpy, sys
try:
    runpy.run_module("llm4top", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("heavy:", *sorted({set(HEAVY)} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", [["forecast", "RECORD"], ["inspect", "RECORD"], ["--help"]])
def test_what_a_command_does_not_import(command: list[str]) -> None:
    record = str(Path(llm4top.__file__).parent / "examples" / "example.xml")
    arguments = [record if word == "RECORD" else word for word in command]
    ran = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=True
    )
    assert ran.stderr.splitlines()[-1].split() == ["heavy:"]
    assert ran.stdout
