"""Declared dependencies, the imports of the source, and the lock files agree."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NOT_IMPORTED = {"accelerate"}
"""Declared because a library that we use imports it."""
NOT_LOCKED = {"torch"}
"""Its builds share a version and differ in their hashes."""


def requirements(*tables: list[str]) -> dict[str, Requirement]:
    found = [Requirement(line) for table in tables for line in table]
    return {canonicalize_name(r.name): r for r in found}


def locked(name: str) -> dict[str, list[str]]:
    """Each package of a lock file with its versions; more than one where Pythons differ."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([\w.-]+)(?:\[[^\]]*\])?==([^ ;]+)", line):
            versions.setdefault(canonicalize_name(match[1]), []).append(match[2])
    return versions


def imported_packages() -> set[str]:
    """Distributions that the source imports anywhere, by the names of their modules."""
    modules: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
    homes = packages_distributions()
    third_party = modules - set(sys.stdlib_module_names) - {"llm4top"}
    return {canonicalize_name(homes.get(module, [module])[0]) for module in third_party}


def test_what_is_imported_is_declared_and_the_reverse() -> None:
    listed = requirements(PROJECT["project"]["dependencies"])
    declared = {name for name, r in listed.items() if r.marker is None or r.marker.evaluate()}
    optional = set(requirements(*PROJECT["project"]["optional-dependencies"].values()))
    assert imported_packages() - optional == declared - NOT_IMPORTED


@pytest.mark.parametrize(
    ("name", "groups"),
    [("requirements.lock", ["build"]), ("requirements-dev.lock", ["build", "dev", "docs"])],
)
def test_the_lock_files_hold_a_fitting_version_of_everything(name: str, groups: list[str]) -> None:
    tables = [PROJECT["dependency-groups"][group] for group in groups]
    versions = locked(name)
    for package, needed in requirements(PROJECT["project"]["dependencies"], *tables).items():
        if package not in NOT_LOCKED:
            assert versions.get(package), f"{package}: run `make lock`"
            assert all(v in needed.specifier for v in versions[package]), package


def test_both_lock_files_have_the_same_versions() -> None:
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert run == {package: dev.get(package) for package in run}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_no_host_is_named(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


def test_every_file_that_is_no_module_is_part_of_the_package() -> None:
    package = ROOT / "src/llm4top"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["llm4top"]
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    others = {p for p in package.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert others - shipped == set()
