"""The peers' own environment: made once, outside the checkout, and never mixed with ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TORCH = "torch==2.13.0"
REQUIREMENTS = Path(__file__).resolve().parent.parent / "peers.txt"
BUILT = {"llama-cpp-python": "llama-cpp-python==0.3.36"}
"""Built from source: g++ and CMake are needed, and about ten minutes of two cores."""
OTHERS = {
    "LLaMA-Factory": "not installed: 0.9.5 needs transformers of at most 5.6 and TRL of at "
    "most 0.24",
    "Unsloth": "not installed: 2026.10.9 needs transformers of at most 5.17, xformers and Triton, "
    "which are for GPUs",
}
"""Peers that are no part of the environment, and why."""


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_environment(folder: Path) -> dict[str, str]:
    """Install the peers into ``folder``, where they are not; what is missing, with its reason."""
    python = python_of(folder)
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    missing = dict(OTHERS)
    for what in ([TORCH], ["--requirement", str(REQUIREMENTS)]):
        if reason := _install(python, what):
            missing["TRL, PEFT"] = reason
    for name, requirement in BUILT.items():
        # Without its tools for pictures, which are a third of the build and no part of this.
        arguments = f"-DLLAVA_BUILD=OFF {os.environ.get('CMAKE_ARGS', '')}".strip()
        if reason := _install(python, [requirement], CMAKE_ARGS=arguments):
            missing[name] = reason
    return missing


def _install(python: Path, what: list[str], **environment: str) -> str:
    """Install with pip; the last line of its complaint, nothing where it went well."""
    command = [str(python), "-m", "pip", "install", "--quiet", *what]
    print("  installing", what[-1], flush=True)
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "pip failed without a word"
