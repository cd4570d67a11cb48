"""What the benchmark's tests share: invented files under TOP's names, and settings of seconds."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llm4top.benchmark.settings import BenchmarkSettings, make_settings

COLUMNS = (
    "nctid",
    "status",
    "why_stop",
    "label",
    "phase",
    "diseases",
    "icdcodes",
    "drugs",
    "smiless",
    "criteria",
)
ROWS = {"train": 120, "valid": 40, "test": 24}
PHASES = {"I": "phase 1", "II": "phase 2"}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices: threads would only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, where the ledger is written."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LLM4TOP_HOME", str(folder))
    return folder


def invented_row(rng: random.Random, number: int, phase: str) -> dict[str, str]:
    """A trial whose disease often tells the label, and whose status nearly always does."""
    good = rng.random() < 0.55
    likely = good if rng.random() < 0.8 else not good
    disease = rng.choice(["hypertension", "asthma"] if likely else ["depression", "sepsis"])
    stopped = not good and rng.random() < 0.9
    return {
        "nctid": f"NCT{number:08d}",
        "status": "terminated" if stopped else "completed",
        "why_stop": "slow accrual" if stopped else "",
        "label": str(int(good)),
        "phase": PHASES[phase],
        "diseases": repr([disease]),
        "icdcodes": repr([repr(["I10"] if likely else ["F32.9"])]),
        "drugs": repr([f"compound {rng.randrange(9)}"]),
        "smiless": "[]",
        "criteria": "Inclusion Criteria: adults with "
        + " ".join([disease, *rng.choices(["informed consent", "stable dose", "no rash"], k=3)]),
    }


def write_top(folder: Path, rows: dict[str, int] = ROWS) -> Path:
    """Files of two phases and the splits under TOP's names; the test trials are the newest."""
    folder.mkdir()
    rng = random.Random(7)
    learning = iter(rng.sample(range(100, 9000), 2 * sum(rows.values())))
    newest = iter(range(9000, 9999))
    for split in rows:
        for phase in PHASES:
            with (folder / f"phase_{phase}_{split}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                for _ in range(rows[split]):
                    number = next(newest if split == "test" else learning)
                    writer.writerow(invented_row(rng, number, phase))
    return folder


@pytest.fixture(scope="session")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six invented files: two phases, three splits."""
    return write_top(tmp_path_factory.mktemp("data") / "top")


def quick_settings(top: Path, out: Path, **chosen: Any) -> BenchmarkSettings:
    """Settings of a benchmark that takes seconds; any of them can be given."""
    quick: dict[str, Any] = {
        "data": top,
        "out": out,
        "phases": ("I", "II", "pooled"),
        "baselines": ("always", "base-rate", "tfidf"),
        "preset": "quick",
        "training": {
            "max_steps": 3,
            "max_tokens": 256,
            "lora_rank": 4,
            "lora_alpha": 8,
            "batch_size": 8,
            "accumulation": 1,
            "gradient_checkpointing": False,
        },
        "shots": 1,
        "probe_trials": 30,
        "device": "cpu",
        "draws": 100,
    }
    return make_settings(**{**quick, **chosen})


@pytest.fixture
def settings(top: Path, tmp_path: Path) -> Callable[..., BenchmarkSettings]:
    """``quick_settings`` on the invented files, in a folder of the test's own."""
    return partial(quick_settings, top=top, out=tmp_path / "out")
