"""``llm4top forecast --engine ray`` on a real cluster of this machine with two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.errors import EngineError, ShardError
from tests.forecasters.bulk.kit import make_zip, refused_in, rows_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Ray about itself
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (extra ray)"),
]
RECORDS, SHARD = 80, 4
SHARDS = RECORDS // SHARD
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


def kill_one_worker(out: Path, before: int, killed: list[int]) -> None:
    """Kill a process of Ray's that forecasts, as soon as one more shard than before is finished.

    ``killed`` gets how many were finished then.
    """
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if len(list(out.glob("part-*"))) > before:
            for process in psutil.Process().children(recursive=True):
                if "MapWorker" in " ".join(process.cmdline()):
                    process.kill()
                    killed.append(len(list(out.glob("part-*"))))
                    return
        time.sleep(0.02)


@pytest.mark.timeout(300)
def test_after_a_killed_driver_and_a_killed_worker_the_rows_are_those_of_one_process(
    cluster: str, archive: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    start = [sys.executable, "-c", "from llm4top.cli.app import main; main()"]
    options = ["forecast", str(archive), "--engine", "ray", "--address", cluster]
    options += ["--out", str(out), "--shard-records", str(SHARD)]
    with subprocess.Popen([*start, *options], stderr=subprocess.PIPE) as driver:
        while not list(out.glob("part-*")) and driver.poll() is None:
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        assert driver.stderr is not None
        assert f"Connecting to Ray: {cluster}." in driver.stderr.read().decode()
    wait_until_at_rest(out)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 0 < len(before) < SHARDS
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_worker, args=(out, len(before), killed))
    killer.start()
    done = forecast(archive, out, "--engine", "ray", "--address", cluster)
    killer.join()
    assert done.exit_code == 1, done.output  # two records were refused
    assert f"{len(before)} of {SHARDS} shards." in done.output
    assert "78 forecast by" in done.output
    assert len(before) < killed[0] < SHARDS  # in the middle
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert before.items() <= after.items()
    assert rows_in(out) == rows_in(local)
    assert len(rows_in(out)) == RECORDS - len(BROKEN)
    assert refused_in(out) == refused_in(local)
    assert [row["member"] for row in refused_in(out)] == ["NCT90000005.xml", "NCT90000021.xml"]
    assert list((out / "_busy").iterdir()) == []


def wait_until_at_rest(out: Path) -> None:
    """Wait until the processes of a driver that is dead have stopped as well."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 2:
        found = len(list(out.glob("part-*")))
        if found != count:
            count, since = found, time.monotonic()
        time.sleep(0.1)


def test_nothing_listens_beyond_loopback_and_nothing_is_reported(cluster: str) -> None:
    from ray._common.usage import usage_lib

    addresses = set()
    for process in psutil.Process().children(recursive=True):
        found = process.net_connections(kind="inet")
        addresses |= {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}
    assert addresses
    assert {address.removeprefix("::ffff:") for address in addresses} <= {"127.0.0.1", "::1"}
    assert not usage_lib.usage_stats_enabled()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["RAY_AUTH_MODE"] == "token"  # nor can other users of the machine come in


def test_machines_that_lack_something_are_named(
    cluster: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4top.forecasters.bulk import ray_engine
    from llm4top.forecasters.bulk.work import Work

    asked = ray_engine.Asked({"model": "/no/bundle"}, Work(str(tmp_path)), "x", uses_device=False)
    (tmp_path / "_job.json").write_text("{}")
    ray = import_module("ray")
    monkeypatch.setattr(ray_engine, "__version__", "9.9")
    with pytest.raises(EngineError) as told:
        ray_engine._check_machines(ray, asked, [archive, Path("/no/records.zip")])
    text = str(told.value)
    assert text.startswith("machines of the cluster cannot forecast:\n  - ")
    assert "(127.0.0.1): it cannot read /no/records.zip." in text
    assert "it cannot read /no/bundle." in text
    assert "not 9.9." in text
    assert str(archive) not in text
    assert "does not see" not in text


@pytest.mark.timeout(300)
def test_a_process_with_another_model_says_so_with_its_machine(
    cluster: str, archive: Path, tmp_path: Path
) -> None:
    from llm4top.forecasters.bulk.plan import plan
    from llm4top.forecasters.bulk.ray_engine import Asked, forecast_on_ray, this_machine
    from llm4top.forecasters.bulk.work import BUSY_FOLDER, Work

    (tmp_path / BUSY_FOLDER).mkdir()
    asked = Asked({"model": "embedded"}, Work(str(tmp_path)), "mine-0123", uses_device=False)
    with pytest.raises(ShardError) as told:
        list(forecast_on_ray(plan([archive], 20), asked, workers=1))
    assert str(told.value).startswith(f"machine {this_machine()}: cannot forecast: its model is ")
    assert "not mine-0123. Give all machines the same bundle." in str(told.value)
