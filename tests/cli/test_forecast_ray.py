"""``llm4top forecast --engine ray`` on a real cluster of this machine with two processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from llm4top.cli.app import app
from tests.forecasters.bulk.kit import make_zip, refused_in, rows_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Ray about itself
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (extra ray)"),
]
RECORDS, SHARD = 40, 4
BROKEN = (5, 21)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster with two cores; all tests of this file share it."""
    from llm4top.forecasters.bulk.ray_cluster import started

    with started(None, 2, gpus=False) as ray:
        yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zip(tmp_path_factory.mktemp("zip") / "registry.zip", RECORDS, broken=BROKEN)


@pytest.fixture(scope="module")
def local(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same forecasts by this process."""
    out = tmp_path_factory.mktemp("local") / "out"
    done = forecast(archive, out, "--format", "parquet")
    assert done.exit_code == 1, done.output
    return out


def forecast(path: Path, out: Path, *more: str) -> Any:
    options = ["--out", str(out), "--shard-records", str(SHARD), *more]
    return CliRunner().invoke(app, ["forecast", str(path), *options])


def kill_one_worker(out: Path, killed: list[int]) -> None:
    """Kill a process of Ray's that forecasts, as soon as a first shard is finished."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if list(out.glob("part-*")):
            for process in psutil.Process().children(recursive=True):
                if "MapWorker" in " ".join(process.cmdline()):
                    process.kill()
                    killed.append(process.pid)
                    return
        time.sleep(0.02)


@pytest.mark.timeout(300)
def test_a_killed_worker_changes_no_row(
    cluster: str, archive: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_worker, args=(out, killed))
    killer.start()
    done = forecast(archive, out, "--engine", "ray")
    killer.join()
    assert done.exit_code == 1, done.output  # two records were refused
    assert killed
    assert rows_in(out) == rows_in(local)
    assert len(rows_in(out)) == RECORDS - len(BROKEN)
    assert refused_in(out) == refused_in(local)
    assert [row["member"] for row in refused_in(out)] == ["NCT90000005.xml", "NCT90000021.xml"]
    assert "38 forecast by" in done.output
