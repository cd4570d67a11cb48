"""``llm4top doctor``: what works, what is missing, what mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.forecasters import doctor as _health
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.doctor import Check
from llm4top.forecasters.model import device


@pytest.fixture
def whole(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation whose embedded model is the tiny one."""
    monkeypatch.setattr(paths, "_EMBEDDED_FOLDER", tiny_bundle)


def doctor() -> tuple[int, dict[str, dict[str, Any]]]:
    result = CliRunner().invoke(app, ["doctor", "--format", "json"])
    report = json.loads(result.stdout)
    assert report["healthy"] == (result.exit_code == 0)
    return result.exit_code, {check["name"]: check for check in report["checks"]}


@pytest.mark.usefixtures("whole")
def test_a_whole_installation() -> None:
    code, checks = doctor()
    assert code == 0, [check for check in checks.values() if check["state"] == "broken"]
    assert checks["torch"]["found"].endswith("(2.6 or later)")
    assert checks["device"]["state"] == "ok"
    assert "free of" in checks["memory"]["found"]
    assert checks["offline"]["state"] == "ok"
    assert "match their hashes" in checks["embedded"]["found"]
    assert checks["base models"]["mend"] == "llm4top download Qwen/Qwen3-8B"
    assert {"gguf", "psycopg", "ray", "mlflow-skinny"} <= set(checks)


@pytest.mark.usefixtures("whole")
def test_the_screen_groups_and_ends_with_a_verdict() -> None:
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines()]
    order = [lines.index(group) for group in ("Versions", "Machine", "Network", "Models")]
    assert order == sorted(order)
    assert lines[-1] == "All that is needed works."
    assert "→ llm4top download Qwen/Qwen3-8B" in lines


@pytest.mark.usefixtures("whole")
def test_an_old_version_is_broken_and_says_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.5.1", "transformers": "5.2.0", "jinja2": None}
    real = _health._version
    monkeypatch.setattr(_health, "_version", lambda p: versions[p] if p in versions else real(p))
    code, checks = doctor()
    assert code == 1
    assert checks["torch"]["found"] == (
        "2.5.1, below 2.6: older versions can run code from a weights file"
    )
    assert checks["torch"]["mend"] == "pip install 'torch>=2.6'"
    assert checks["transformers"]["state"] == "broken"
    assert checks["jinja2"]["found"].startswith("absent;")


def test_a_missing_embedded_model_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_EMBEDDED_FOLDER", tmp_path / "nothing")
    code, checks = doctor()
    assert code == 1
    assert checks["embedded"]["state"] == "broken"
    assert "holds no embedded model" in checks["embedded"]["found"]


@pytest.mark.usefixtures("whole")
def test_models_and_bundles_are_listed(home: Path, tiny_model: Path, tiny_bundle: Path) -> None:
    result = CliRunner().invoke(app, ["download", str(tiny_model), "--as", "mine/tiny"])
    assert result.exit_code == 0, result.output
    shutil.copytree(tiny_bundle, home / "bundles" / "own")
    broken = home / "bundles" / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    code, checks = doctor()
    assert code == 1
    assert checks["mine/tiny"]["found"].startswith("local copy")
    assert checks["own"]["state"] == "ok"
    assert checks["broken"]["mend"] == f"rm -r {broken}"


@pytest.mark.usefixtures("whole")
def test_a_doctor_does_not_fall_ill(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Check:
        raise RuntimeError("driver too old")

    monkeypatch.setattr(device, "choose_device", fail)
    code, checks = doctor()
    assert code == 1
    assert checks["device"]["found"] == "RuntimeError: driver too old"


def test_every_fault_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "_EMBEDDED_FOLDER", tmp_path)
    monkeypatch.setattr(_health, "_version", lambda _: None)

    def broken() -> Iterator[Check]:
        return (check for check in _health.all_checks() if check.state == "broken")

    found = list(broken())
    assert found
    assert all(check.mend for check in found)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("place", ["file", "system"])
def test_a_home_where_nothing_can_be_kept_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home" if place == "file" else Path("/proc/no-such-place")
    monkeypatch.setenv("LLM4TOP_HOME", str(home))
    code, checks = doctor()
    assert code == 1
    found = checks["home"]["found"]
    if place == "file":
        assert found == f"{home} cannot be made: {tmp_path}/file is a file"
    else:
        assert found.startswith("/proc cannot be written to (")
    assert checks["home"]["mend"] == "Set LLM4TOP_HOME to a folder that you may write to."
