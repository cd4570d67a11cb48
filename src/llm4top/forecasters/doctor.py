"""The checks behind ``llm4top doctor``: each says what was found and which command mends it."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from llm4top.errors import BundleError, LLM4TOPError

State = Literal["ok", "missing", "broken", "info"]

PYTHON_FLOOR = (3, 11)
FLOORS: tuple[tuple[str, str, str], ...] = (
    ("torch", "2.6", "older versions can run code from a weights file"),
    ("transformers", "5.3", "older versions can run code from a model's config.json"),
    ("jinja2", "3.1.5", "older versions let a template leave its sandbox"),
    ("peft", "0.21", "writes and reads the adapters"),
    ("safetensors", "0.6", "reads the weights"),
    ("tokenizers", "0.22", "reads the tokenizer"),
    ("scikit-learn", "1.7", "the estimators' interface"),
    ("lxml", "6.0", "reads the legacy XML"),
    ("pyarrow", "20.0", "stores the data sets"),
    ("pydantic", "2.11", "checks the settings"),
)
"""Package, lowest version, why. The first three are matters of security."""

EXTRAS: tuple[tuple[str, str, str], ...] = (
    ("bitsandbytes", "four-bit", "base models in 8 or 4 bits, for less memory"),
    ("gguf", "gguf", "GGUF files as base models"),
    ("psycopg", "postgresql", "a workspace on PostgreSQL"),
    ("ray", "ray", "forecasts with --engine ray"),
    ("mlflow-skinny", "mlflow", "--log-to mlflow"),
)

LOW_DISK = 5 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's screen.

    ``state``: "ok"; "missing" (optional, or not made yet); "broken" (something that is needed);
    "info". ``mend`` is the command or step that mends it.
    """

    group: str
    name: str
    state: State
    found: str
    mend: str = ""


def all_checks() -> Iterator[Check]:
    """Every check, in the order in which the screen shows them."""
    for group in (_versions, _machine, _network, _embedded, _extras, _models, _bundles):
        yield from group()


def _versions() -> Iterator[Check]:
    yield Check("Versions", "llm4top", "ok", _version("llm4top") or "not installed as a package")
    python_ok = sys.version_info >= PYTHON_FLOOR
    yield Check(
        "Versions",
        "python",
        "ok" if python_ok else "broken",
        f"{platform.python_version()} (3.11 or later)",
        "" if python_ok else "Install Python 3.11 or later.",
    )
    for package, floor, why in FLOORS:
        yield _floor(package, floor, why)


def _floor(package: str, floor: str, why: str) -> Check:
    from packaging.version import Version

    found = _version(package)
    mend = f"pip install '{package}>={floor}'"
    if found is None:
        return Check("Versions", package, "broken", f"absent; {why}", mend)
    if Version(found) < Version(floor):
        return Check("Versions", package, "broken", f"{found}, below {floor}: {why}", mend)
    return Check("Versions", package, "ok", f"{found} ({floor} or later)")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> Iterator[Check]:
    import psutil

    from llm4top.forecasters.model.device import choose_device, choose_dtype
    from llm4top.paths import home_folder

    yield _guarded("Machine", "device", lambda: choose_device().reason)
    yield _guarded("Machine", "number type", lambda: choose_dtype(choose_device()).reason)
    memory = psutil.virtual_memory()
    found = f"{_gigabytes(memory.available)} free of {_gigabytes(memory.total)}"
    yield Check("Machine", "memory", "info", found)
    home = home_folder()
    nearest = next(path for path in (home, *home.parents) if path.exists())
    disk = shutil.disk_usage(nearest)
    found = f"{_gigabytes(disk.free)} free of {_gigabytes(disk.total)} at {home}"
    if disk.free < LOW_DISK:
        mend = "Free some space, or set LLM4TOP_HOME to a folder on a larger disk."
        yield Check("Machine", "disk", "missing", found, mend)
    else:
        yield Check("Machine", "disk", "ok", found)
    problem = _home_problem(home, nearest)
    if problem:
        mend = "Set LLM4TOP_HOME to a folder that you may write to."
        yield Check("Machine", "home", "broken", problem, mend)


def _home_problem(home: Path, nearest: Path) -> str:
    """Why nothing can be kept in ``home``, of which ``nearest`` is the part that is there."""
    if not nearest.is_dir():
        return f"{home} cannot be made: {nearest} is a file"
    try:
        # Rights alone do not tell: the owner of the machine may "write" where nothing can be.
        with tempfile.TemporaryDirectory(prefix=".llm4top-", dir=nearest):
            return ""
    except OSError as error:
        return f"{nearest} cannot be written to ({error.strerror or error})"


def _network() -> Iterator[Check]:
    offline = os.environ.get("HF_HUB_OFFLINE") == "1"
    yield Check(
        "Network",
        "offline",
        "ok" if offline else "broken",
        "only `llm4top download` uses the network, and what is given the address of a server"
        if offline
        else "HF_HUB_OFFLINE is not set",
        "" if offline else "Run this through the command `llm4top doctor`.",
    )


def _embedded() -> Iterator[Check]:
    yield _guarded("Models", "embedded", _verified_embedded)


def _verified_embedded() -> str:
    from llm4top.forecasters.bundles.verify import verify_bundle

    report = verify_bundle("embedded")
    report.raise_for_problems()
    return f"{report.manifest.identity}: all {len(report.files)} files match their hashes"


def _extras() -> Iterator[Check]:
    for package, extra, why in EXTRAS:
        found = _version(package)
        if found is None:
            mend = f"pip install 'llm4top[{extra}]'"
            yield Check("Optional", package, "missing", f"absent; {why}", mend)
        else:
            yield Check("Optional", package, "ok", f"{found}; {why}")


def _models() -> Iterator[Check]:
    from llm4top.forecasters.model.model_source import ModelSource
    from llm4top.paths import home_folder

    folder = home_folder() / "models"
    found = sorted(p for p in folder.glob("*") if (p / "config.json").is_file())
    if not found:
        mend = "llm4top download Qwen/Qwen3-8B"
        yield Check("Models", "base models", "missing", "none; needed only to train on one", mend)
    for path in found:
        source = ModelSource.read(path)
        name = source.name if source else path.name
        origin = f"commit {source.commit[:12]}" if source and source.commit else "local copy"
        yield Check("Models", name, "ok", f"{origin}, {_gigabytes(_size(path))}")


def _bundles() -> Iterator[Check]:
    from llm4top.forecasters.bundles.paths import is_embedded
    from llm4top.forecasters.bundles.store import list_bundles

    broken: list[tuple[Path, BundleError]] = []
    found = list_bundles(on_problem=lambda folder, error: broken.append((folder, error)))
    bundles = [bundle for bundle in found if not is_embedded(bundle.name)]
    for folder, error in broken:
        yield Check("Models", folder.name, "broken", str(error), f"rm -r {folder}")
    if not bundles and not broken:
        mend = "llm4top train --data DIR --base MODEL --out DIR"
        yield Check("Models", "own bundles", "missing", "none yet", mend)
    for bundle in bundles:
        yield Check("Models", bundle.name, "ok", str(bundle.folder))


def _guarded(group: str, name: str, check: Callable[[], str]) -> Check:
    """Run a check that may fail in any way: a doctor must not fall ill itself."""
    try:
        return Check(group, name, "ok", check())
    except LLM4TOPError as error:
        found = str(error)
    except Exception as error:  # an import may fail with any error at all
        found = f"{type(error).__name__}: {error}"
    return Check(group, name, "broken", found, "pip install --force-reinstall llm4top")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
