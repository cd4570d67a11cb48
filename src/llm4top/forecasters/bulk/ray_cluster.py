"""Ray, started or connected to without noise: no telemetry, no dashboard, loopback only."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm4top.data.shared_reading import cores
from llm4top.errors import EngineError, MissingExtraError

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning; each process is told its device
}
"""Read when Ray is imported. The first two are against telemetry, the others against noise."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to 0, Ray listens on loopback only: its default on macOS and Windows, not on Linux."""
_AUTH_MODE, _AUTH_TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
"""With a token of its own no other user of this machine can run anything through Ray's ports."""
_SLOW_START = "timed out during startup"
_STORE_BYTES = 100_000_000
"""Ray's shared memory: names of files and counts need little."""
_CONNECT_S = 5.0
_START = (
    "Give the address that `ray start --head` printed, or leave --address out to use this machine."
)


def check_ray(address: str | None = None) -> None:
    """Find at once what Ray would find after an import and a minute.

    Raises ``MissingExtraError`` where Ray is not installed, ``EngineError`` where nothing answers
    at the address.
    """
    if find_spec("ray") is None:
        raise MissingExtraError(
            "forecasting on Ray needs a package that is not installed.",
            hint='Install it with: pip install "llm4top[ray]"',
        )
    if address not in (None, "auto"):
        _check_address(address)


def quiet_ray(address: str | None) -> Any:
    """The module ``ray`` with ``ray.data``, imported with its telemetry off."""
    os.environ |= _SETTINGS
    if address is None:
        os.environ.setdefault(_LOOPBACK, "0")
        if _AUTH_MODE not in os.environ:
            os.environ |= {_AUTH_MODE: "token", _AUTH_TOKEN: secrets.token_hex(32)}
    ray = import_module("ray")
    import_module("ray.util.scheduling_strategies")
    data = import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    data.DataContext.get_current().enable_progress_bars = False
    return ray


@contextmanager
def started(address: str | None, workers: int | None, *, gpus: bool) -> Iterator[Any]:
    """Ray on this machine, or connected to the cluster at ``address``; ended with the block.

    Where this process is connected already, that is used and left as it is. What Ray prints on
    standard output is dropped meanwhile.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: It cannot be started, or there is no cluster at the address.
    """
    check_ray(address)
    ray = quiet_ray(address)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        if not ray.is_initialized():
            options: dict[str, Any] = {"address": address}
            if address is None:
                # Ray opens its own folder to all users of the machine; this one is closed to them.
                folder = tempfile.mkdtemp(prefix="llm4top-ray-", dir=_short_folder())
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                options = {
                    "address": "local",
                    "num_cpus": max(1, min(workers or cores(), cores())),
                    "include_dashboard": False,
                    "object_store_memory": _STORE_BYTES,
                    "_temp_dir": f"{folder}/r",
                    **({} if gpus else {"num_gpus": 0}),
                }
            stack.callback(ray.shutdown)
            _init(ray, options)
        yield ray


@contextmanager
def _without_standard_error() -> Iterator[None]:
    """Drop what C++ writes to this process's standard error meanwhile: that a setting was read."""
    with Path(os.devnull).open("w") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _init(ray: Any, options: dict[str, Any], *, again: bool = True) -> None:
    try:
        with _without_standard_error():
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except ConnectionError as error:
        where = options["address"]
        raise EngineError(
            "no Ray cluster is running on this machine."
            if where == "auto"
            else "no Ray cluster answers there.",
            where=f"--address {where}",
            hint=f"{_START} A cluster with a token needs RAY_AUTH_MODE and RAY_AUTH_TOKEN.",
        ) from error
    except Exception as error:  # Ray raises the class itself, too
        if again and _SLOW_START in str(error):  # it waits 30 s, which a busy machine may need
            ray.shutdown()
            _init(ray, options, again=False)
            return
        raise EngineError(
            f"Ray does not start: {' '.join(str(error).split())[:400]}",
            hint="All machines need the same versions of Ray and Python, and some free memory.",
        ) from error


def _check_address(address: str) -> None:
    """Raise ``EngineError`` at once where nothing listens: Ray would wait for a minute."""
    host, colon, port = address.rpartition(":")
    where = f"--address {address}"
    if not colon or not host or not port.isdigit() or "/" in host:
        raise EngineError("is neither auto nor HOST:PORT.", where=where, hint=_START)
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise EngineError(f"nothing answers there: {reason}.", where=where, hint=_START) from error


def _short_folder() -> str | None:
    """Where Ray's sockets fit: their names have at most 107 characters with the folder's."""
    return None if len(tempfile.gettempdir()) < 24 else "/tmp"
