"""Interpreters that have imported the large libraries, and the tests' processes as forks of them.

A process that needs torch, transformers and PEFT spends four to six processor seconds on importing
them, a Studio two, and the tests start dozens of both. Here ``subprocess.Popen`` has such a command
run by a fork of a warm process: the fork has its own pid, and the descriptors, environment, working
folder and session that it was given; it is signalled and waited for like any other process.
Everything else is started as always: other commands, platforms other than Linux, commands with
another ``PYTHONPATH``, and all commands where ``LLM4TOP_TEST_COLD`` is set.

``hook`` has code of a test run first in each process that imports torch.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "LLM4TOP_TEST_WARM"
HOOK = "LLM4TOP_TEST_HOOK"
COLD = "LLM4TOP_TEST_COLD"
GO = "LLM4TOP_TEST_GO"
SLOW = f"""
import os, time
from pathlib import Path
from torch.optim.optimizer import register_optimizer_step_post_hook

go, fast = Path(os.environ["{GO}"]), int(os.environ["{GO}_FAST"])
steps = 0

def wait(*_):
    global steps
    steps += 1
    end = time.monotonic() + 2
    while steps > fast and not go.exists() and time.monotonic() < end:
        time.sleep(0.02)

register_optimizer_step_post_hook(wait)
"""
"""Makes steps of a training wait, so that a test can stop it between two of them."""

SHARED = (
    "pydantic pydantic.types sqlalchemy.orm sqlalchemy.dialects.sqlite alembic.command lxml.etree "
    "numpy jinja2 rich.console typer yaml psutil platformdirs ahocorasick_rs safetensors filelock"
)
MODULES = {
    "torch": f"{SHARED} torch transformers transformers.models.qwen3.modeling_qwen3 "
    "transformers.models.auto transformers.tokenization_utils_tokenizers transformers.trainer peft "
    "safetensors.torch sklearn.linear_model sklearn.feature_extraction.text sklearn.ensemble "
    "sklearn.neighbors sklearn.isotonic scipy.optimize scipy.stats xgboost pyarrow.parquet "
    "matplotlib.figure matplotlib.backends.backend_svg llm4top.cli.app llm4top.workspace.workspace "
    "llm4top.workspace.jobs.worker llm4top.workspace.jobs.supervisor llm4top.forecasters.load "
    "llm4top.evaluation.evaluate llm4top.training.run llm4top.benchmark.run",
    "studio": f"{SHARED} nicegui nicegui.ui fastapi uvicorn uvicorn.protocols.http.httptools_impl "
    "uvicorn.protocols.websockets.websockets_impl llm4top.cli.app llm4top.studio.serve",
}
"""What each warm process imports."""

TRAIN_PLAN = "llm4top.workspace.jobs.train_plan"
COMMANDS = {"train", "select", "benchmark", "forecast", "evaluate", "compare"}
# Read once, when Python or a library is imported: with another value a fork would differ.
READ_AT_IMPORT = ("PYTHON", "HF_", "HUGGINGFACE_", "TORCH", "MPL", "LC_", "LANG", "LD_")
SET_BY_US = {"HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "PYTHONUNBUFFERED", "PYTHONBREAKPOINT"}
"""What our commands set, and Ray: a fork does the same without."""
TORCHRUN = ("TORCHELASTIC_", "TORCH_NCCL_ASYNC_ERROR_HANDLING")
"""What torchrun sets in its processes, which is read later."""
_Popen = subprocess.Popen
_waitpid = os.waitpid
_forks: WeakValueDictionary[int, WarmPopen] = WeakValueDictionary()
"""Forks that nobody has waited for yet, by pid."""


def is_possible() -> bool:
    """Whether processes can be forked from a warm one here."""
    return sys.platform == "linux" and COLD not in os.environ


def install(folder: Path | None = None) -> None:
    """From here on this process starts what imports much as forks.

    ``folder`` is where the warm processes listen, once they are needed; they end with the process
    that named it. Processes that are started with this one's environment share it.
    """
    if is_possible():
        if folder is not None:
            os.environ[ADDRESS] = f"{os.getpid()}:{folder / 'warm'}"
        subprocess.Popen = WarmPopen  # type: ignore[misc]
        os.waitpid = waitpid  # asyncio waits with it


def hook(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Have processes that are started with this environment run ``code`` first.

    Forks of the warm process that has torch run it; where there is none, all that run Python.
    """
    file = folder / "site" / "sitecustomize.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(code)
    if is_possible():
        patch.setenv(HOOK, str(file))
    else:
        patch.setenv("PYTHONPATH", str(file.parent), prepend=os.pathsep)


def slow_training(patch: pytest.MonkeyPatch, folder: Path, fast: int = 8) -> Path:
    """Have each training of a process make ``fast`` steps, and then one in two seconds.

    Returns the file that ends the waiting once it exists.
    """
    patch.setenv(GO, str(folder / "go"))
    patch.setenv(f"{GO}_FAST", str(fast))
    hook(patch, folder, SLOW)
    return folder / "go"


def libraries_of(args: Any) -> str:
    """Which of the warm processes has what a command imports; "" where none has."""
    if not isinstance(args, list | tuple) or args[0] != sys.executable:
        return ""
    way, what, first = [*(str(arg) for arg in args[1:5] if arg != "-u"), "", "", ""][:3]
    if way == "-c":
        return "torch" if TRAIN_PLAN in what else "studio" if first == "studio" else ""
    if way != "-m":
        return ""
    if what == "llm4top":
        return "torch" if first in COMMANDS and "--help" not in args else ""
    known = {"llm4top.workspace", "torch.distributed.run"}
    return "torch" if what in known or what.endswith("scoring_child") else ""


class WarmPopen(subprocess.Popen):  # type: ignore[type-arg]
    """``Popen``, whose process may be a fork of the warm one: not our child, but as good as one."""

    _link: socket.socket | None = None
    _end: tuple[int, int] | None = None

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *rest: Any) -> None:
        names = (
            "close_fds pass_fds cwd env startupinfo creationflags shell p2cread p2cwrite c2pread "
            "c2pwrite errread errwrite restore_signals gid gids uid umask start_new_session"
        )
        given = dict(zip(names.split(), rest, strict=False))
        environment = dict(os.environ if given["env"] is None else given["env"])
        libraries = "" if COLD in environment or preexec_fn else libraries_of(args)
        if libraries:
            standard = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
            fds = [n if own == -1 else own for n, own in enumerate(standard)]
            request = {
                "args": [os.fspath(arg) for arg in args[1:]],
                "env": {os.fspath(name): os.fspath(value) for name, value in environment.items()},
                "cwd": os.fspath(given["cwd"] or Path.cwd()),
                "session": bool(given["start_new_session"]),
                "targets": [0, 1, 2, *given["pass_fds"]],
            }
            self._link = ask(libraries, request, [*fds, *given["pass_fds"]])
        if self._link is None:
            super()._execute_child(args, executable, preexec_fn, *rest)  # type: ignore[misc]
            return
        self.pid = int(self._link.recv(64))
        _forks[self.pid] = self
        self._child_created = True
        pipes = "p2cread p2cwrite c2pread c2pwrite errread errwrite"
        self._close_pipe_fds(*(given[name] for name in pipes.split()))  # type: ignore[attr-defined]

    def _internal_poll(self, _deadstate: Any = None, **_: Any) -> int | None:
        if self._link is None:
            return super()._internal_poll(_deadstate)  # type: ignore[misc,no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if self._link is None:
            return super()._try_wait(flags)  # type: ignore[misc,no-any-return]
        if self._end is not None:
            return self._end
        try:
            status = self._link.recv(64, socket.MSG_DONTWAIT if flags & os.WNOHANG else 0)
        except BlockingIOError:
            return 0, 0
        if self._end is None:  # another thread may have waited too
            self._end = self.pid, int(status or signal.SIGKILL)
            self._link.close()
            _forks.pop(self.pid, None)
        return self._end


def waitpid(pid: int, options: int) -> tuple[int, int]:
    """``os.waitpid``, to which a fork of the warm process is a child too."""
    fork = _forks.get(pid)
    return _waitpid(pid, options) if fork is None else fork._try_wait(options)


def ask(libraries: str, request: dict[str, Any], fds: list[int]) -> socket.socket | None:
    """Have the warm process fork; the link on which the pid comes, or None where it cannot."""
    owner, _, path = os.environ.get(ADDRESS, "").partition(":")
    if not path:
        return None
    path = f"{path}-{libraries}"
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Path(path).exists():
            start(int(owner), path, libraries)
    with contextlib.suppress(OSError):  # if it is gone, the command is started as always
        link.connect(path)
        socket.send_fds(link, [json.dumps(request).encode()], fds)
        if link.recv(64) == b"ready":
            return link
    link.close()
    return None


def start(owner: int, path: str, libraries: str) -> None:
    """The warm process, once it listens; it imports while the first request waits."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment.pop(HOOK, None)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tests.warm as w; w.main()"
    with Path(f"{path}.log").open("wb") as log:
        _Popen(
            [sys.executable, "-c", code, str(owner), path, libraries],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).wait()
    end = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < end, Path(f"{path}.log").read_text()
        time.sleep(0.01)


def main() -> None:
    """Import, then fork for every request until the owner is gone; a fork does its command."""
    owner, path, libraries = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    sys.path.remove(str(ROOT))
    install()  # for libraries that import the name Popen
    if os.fork():  # nobody's child, and so nobody's to wait for
        os._exit(0)
    request = serve(owner, path, MODULES[libraries].split())
    if request is not None:
        run(request)


def serve(owner: int, path: str, modules: list[str]) -> dict[str, Any] | None:
    """Answer requests. Gives the request in each fork, and None in the warm process at its end."""
    gone = os.pidfd_open(owner)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"{path}.new")
    listening.listen(64)
    Path(f"{path}.new").rename(path)
    fixed = read_at_import(dict(os.environ))
    for module in modules:
        importlib.import_module(module)
    gc.freeze()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    links: dict[int, socket.socket] = {}
    while True:
        ready = select.select([listening, ended, gone], [], [])[0]
        if gone in ready:
            return None
        if ended in ready:
            os.read(ended, 4096)
            reap(links)
        if listening in ready:
            link = listening.accept()[0]
            message, fds, _, _ = socket.recv_fds(link, 1 << 20, 32)
            request: dict[str, Any] = json.loads(message or "{}")
            possible = bool(request) and read_at_import(request["env"]) == fixed
            # Who asked may have been killed since.
            with contextlib.suppress(OSError):
                link.send(b"ready" if possible else b"other")
            pid = os.fork() if possible else -1
            if pid == 0:
                break
            for number in fds:
                os.close(number)
            if possible:
                links[pid] = link
                with contextlib.suppress(OSError):
                    link.send(str(pid).encode())
            else:
                link.close()
    signal.set_wakeup_fd(-1)
    for own in (link, listening, *links.values()):
        own.close()
    for number in (gone, ended, wake):
        os.close(number)
    place(fds, request["targets"])
    return request


def read_at_import(environment: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_IMPORT)
        and name not in SET_BY_US
        and not name.startswith(TORCHRUN)
    }


def reap(links: dict[int, socket.socket]) -> None:
    """Tell those who wait how their forks ended."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            link = links.pop(found[0])
            with contextlib.suppress(OSError):
                link.send(str(found[1]).encode())
            link.close()


def place(fds: list[int], targets: list[int]) -> None:
    """Give the received descriptors the numbers that the command expects."""
    high = [fcntl.fcntl(number, fcntl.F_DUPFD, 300) for number in fds]
    for number in fds:
        os.close(number)
    for number, target in zip(high, targets, strict=True):
        os.dup2(number, target)
        os.close(number)


def standard(number: int, mode: str, **more: Any) -> Any:
    return os.fdopen(number, mode, encoding="utf-8", closefd=False, **more)


def run(request: dict[str, Any]) -> None:
    """Do in this fork what ``python`` does with the command's arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    # Those of the warm process know what kind of file was behind them there.
    sys.stdin = sys.__stdin__ = standard(0, "r")
    sys.stdout = sys.__stdout__ = standard(1, "w")
    sys.stderr = sys.__stderr__ = standard(2, "w", buffering=1, errors="backslashreplace")
    way, what, *rest = request["args"][request["args"][0] == "-u" :]
    sys.path[0] = "" if way == "-c" else request["cwd"]
    install()
    if "torch" in sys.modules and HOOK in os.environ:
        runpy.run_path(os.environ[HOOK])
    sys.argv = [what if way == "-m" else "-c", *rest]
    code: Any = 0
    try:
        if way == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        code = end.code
    if code is None or isinstance(code, int):
        leave(code or 0)
    sys.exit(code)


def leave(code: int) -> None:
    """End as Python does, without taking modules apart; return if output cannot be written."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
