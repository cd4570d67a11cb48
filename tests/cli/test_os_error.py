"""What the operating system refuses becomes a sentence with the file and the next step."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import llm4top
from llm4top.cli.app import app
from llm4top.cli.exit_codes import report_of
from llm4top.cli.streams import adapt_streams, is_unicode

pytestmark = pytest.mark.slow

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"


def error(code: int, name: str | None = None) -> OSError:
    return OSError(code, os.strerror(code), name)


@pytest.mark.parametrize(
    ("code", "sentence", "exit_code"),
    [
        (errno.ENOSPC, "the disk is full. Free some space, or write to another disk.", 1),
        (errno.EACCES, "you may not read or write this. Check its permissions and its owner.", 2),
        (errno.EROFS, "this disk can only be read. Choose a folder that you may write to.", 2),
        (errno.ENOENT, "there is no such file or folder. Check the path; make the folder", 2),
        (errno.EISDIR, "this is a folder where a file is needed. Give the name of a file.", 2),
        (errno.EBUSY, "the system refuses: device or resource busy. Run it again with --debug", 2),
    ],
)
def test_each_kind_has_its_sentence(
    tmp_path: Path, code: int, sentence: str, exit_code: int
) -> None:
    name = str(tmp_path / "file")
    text, found = report_of(error(code, name))
    assert text.startswith(f"{name}: {sentence}")
    assert found == exit_code
    before = "writing failed: " if code == errno.ENOSPC else ""
    assert report_of(error(code))[0].startswith(before + sentence)


def test_a_scratch_file_in_a_folder_that_is_missing_names_the_folder(tmp_path: Path) -> None:
    text, _ = report_of(error(errno.ENOENT, str(tmp_path / "gone" / ".x.unfinished")))
    assert text == f"{tmp_path}/gone: there is no such folder. Make it first, or choose another."


def test_a_bad_home_is_named_as_such(home: Path) -> None:
    text, code = report_of(error(errno.EACCES, str(home / "models" / "x")))
    assert text == (
        f"{home}/models/x: you may not read or write this. "
        "Set LLM4TOP_HOME to a folder that you may write to."
    )
    assert code == 2


def test_commands_tell_and_debug_shows_the_trace(tiny_bundle: Path, tmp_path: Path) -> None:
    args = ["bundle", "export", str(tiny_bundle), str(tmp_path / "gone" / "x.zip")]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {tmp_path}/gone: there is no such folder. Make it first, or choose another.\n"
    )
    traced = CliRunner().invoke(app, ["--debug", *args])
    assert isinstance(traced.exception, FileNotFoundError)


@pytest.mark.parametrize("place", ["file", "missing"])
def test_a_bundle_is_not_blamed_for_a_bad_home(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    file = tmp_path / "tiny.zip"
    assert CliRunner().invoke(app, ["bundle", "export", str(tiny_bundle), str(file)]).exit_code == 0
    home = {"file": file / "home", "missing": Path("/proc/no-such-place")}[place]
    monkeypatch.setenv("LLM4TOP_HOME", str(home))
    result = CliRunner().invoke(app, ["bundle", "import", str(file)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {home}/bundles: cannot be written to (")
    assert result.stderr.endswith("Set LLM4TOP_HOME to a folder that you may write to.\n")


@pytest.mark.parametrize(
    "args", [["--help"], ["doctor"], ["forecast", "--help"], ["inspect", str(EXAMPLE)], ["runs"]]
)
def test_a_reader_that_goes_away_is_141_in_every_command(args: list[str], home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "llm4top", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        stderr = process.stderr.read().decode()
    # Without runs nothing is written, so nothing breaks.
    assert process.returncode == (0 if args == ["runs"] else 141)
    assert "Traceback" not in stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_doctor_speaks_to_an_old_terminal(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4top.forecasters import doctor

    checks = [doctor.Check("Models", "m", "missing", "none", "llm4top download Qwen/Qwen3-8B")]
    monkeypatch.setattr(doctor, "all_checks", lambda: checks)
    result = CliRunner(charset=encoding).invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "-> llm4top download Qwen/Qwen3-8B" in result.stdout


def test_a_unicode_stream_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    adapt_streams()
    assert (is_unicode(stream), stream.errors) == (True, "strict")
    assert is_unicode(io.StringIO())
