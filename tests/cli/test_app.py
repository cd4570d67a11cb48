"""The application as a whole: help, version, exit codes, errors, start-up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import llm4top
from llm4top import errors
from llm4top.cli import download as download_command
from llm4top.cli.app import app
from llm4top.cli.exit_codes import EXIT_CODES, exit_code_of

COMMANDS = ("forecast", "inspect", "ingest", "audit", "train", "select", "evaluate", "compare")
COMMANDS += ("benchmark", "draft", "pretrain", "download", "doctor")
BUNDLE_COMMANDS = ("list", "show", "verify", "export", "push", "import")
HEAVY = ("torch", "transformers", "sklearn", "lxml", "pyarrow", "numpy", "peft", "yaml")
EXAMPLES = Path(llm4top.__file__).parent / "examples"


def run(*args: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "llm4top", *args], capture_output=True, text=True, **kwargs
    )


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_bare_command_prints_help() -> None:
    result = CliRunner().invoke(app, [])
    assert "Usage: llm4top [OPTIONS] COMMAND [ARGS]..." in plain(result.output)
    for command in COMMANDS:
        assert f" {command} " in plain(result.output)


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"llm4top {llm4top.__version__}\n"


@pytest.mark.parametrize("args", [[c] for c in COMMANDS] + [["bundle", c] for c in BUNDLE_COMMANDS])
def test_each_help_has_examples(args: list[str]) -> None:
    result = CliRunner().invoke(app, [*args, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    text = plain(result.output)
    assert "Example" in text
    assert f"  llm4top {' '.join(args)}" in text.split("Example", 1)[1]


def test_every_option_has_a_help_text() -> None:
    def walk(command: object) -> list[object]:
        inner = getattr(command, "commands", {})
        return [command, *(found for sub in inner.values() for found in walk(sub))]

    for command in walk(get_command(app)):
        for parameter in command.params:  # type: ignore[attr-defined]
            assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"  # type: ignore[attr-defined]


def test_help_documents_the_exit_codes() -> None:
    text = plain(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).output)
    for code, words in EXIT_CODES:
        assert f"{code} {words}" in text


@pytest.mark.parametrize("args", [["--help"], [], ["forecast", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['llm4top', *{args!r}]\n"
        "from llm4top.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not set(HEAVY) & set(done.stderr.split())


def test_an_unknown_option_is_bad_usage() -> None:
    done = run("forecast", "--no-such-option")
    assert done.returncode == 2
    assert "No such option: --no-such-option" in plain(done.stderr)
    assert done.stdout == ""


def test_an_unknown_command_is_bad_usage() -> None:
    done = run("forcast")
    assert done.returncode == 2
    assert "No such command 'forcast'. Did you mean 'forecast'?" in plain(done.stderr)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.TaskError("x"), 2),
        (errors.ConfigError("x", []), 2),
        (errors.PreflightError("x", []), 2),
        (errors.ModelNotFoundError("x"), 2),
        (errors.UnknownFormatError("x", file="f"), 2),
        (errors.ResumeError("x"), 2),
        (errors.TrainingError("x"), 1),
        (errors.DownloadError("x"), 1),
        (errors.TamperedBundleError("x"), 1),
        (errors.UnsafeBundleError("x"), 1),
    ],
)
def test_exit_codes(error: errors.LLM4TOPError, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_users_mistake_is_one_sentence(tmp_path: Path) -> None:
    done = run("inspect", str(tmp_path / "nothing.xml"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: {tmp_path}/nothing.xml: there is no such file or folder. "
        "Check the path; give a record's file, a folder of them, or a zip.\n"
    )


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_trace(tmp_path: Path, place: str) -> None:
    args = ["inspect", str(tmp_path / "nothing.xml")]
    args = ["--debug", *args] if place == "before" else [*args, "--debug"]
    done = run(*args)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "UnknownFormatError" in done.stderr


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    """A pipe that never ends stands for long work; the signal goes to the process alone."""
    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)
    code = (
        # A shell starts background jobs, perhaps these tests, with Ctrl-C ignored.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import time, llm4top.cli.doctor, llm4top.forecasters.doctor as health\n"
        # Short naps: a signal that comes just before a nap is seen only at its end.
        "naps = lambda: [time.sleep(0.1) for _ in range(600)]\n"
        "health.all_checks = lambda: (print('ready', flush=True), naps())\n"
        "import sys; sys.argv = ['llm4top', 'doctor']\n"
        "from llm4top.cli.app import main; main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr == "Interrupted.\n"


def test_only_download_may_go_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    CliRunner().invoke(app, ["inspect", "/nowhere"])
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(download_command, "note", lambda _: None)
    CliRunner().invoke(app, ["download", "no model"])
    assert "HF_HUB_OFFLINE" not in os.environ
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(shell: str) -> None:
    result = CliRunner().invoke(
        app,
        ["--show-completion"],
        env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "", "SHELL": f"/bin/{shell}"},
    )
    assert result.exit_code in (0, 1)


def test_completion_completes_commands() -> None:
    done = run(
        env={
            **os.environ,
            "_LLM4TOP_COMPLETE": "complete_bash",
            "COMP_WORDS": "llm4top fore",
            "COMP_CWORD": "1",
        }
    )
    assert done.stdout.split() == ["forecast"]
