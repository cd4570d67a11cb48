#!/usr/bin/env python
"""Calibrate a bundle again: scripts/recalibrate.py BUNDLE DATA [--out FOLDER]

BUNDLE is a bundle's folder or name, DATA a data set's folder or what `llm4top ingest` takes, such
as TOP's folder. Without --out, the bundle itself is replaced. The weights stay the same. The
calibration, its figures in manifest and card, and the hashed ids of the training trials are new.
The embedded model: scripts/recalibrate.py src/llm4top/embedded TOP (about six minutes of a CPU).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.ingest import ingest
from llm4top.forecasters.bundles.paths import resolve_bundle
from llm4top.training.recalibrate import recalibrate


def main() -> None:
    """Calibrate, write, reload and show the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--method", help="venn-abers, platt or none; default: as it is")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    folder = resolve_bundle(asked.bundle)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = _dataset(asked.data, Path(scratch) / "data")
        done = recalibrate(
            folder, dataset, asked.out or folder, method=asked.method, device=asked.device
        )
    print(f"{done.identity} in {done.folder}")
    print((Path(str(done.folder)) / "MODEL_CARD.md").read_text(encoding="utf-8"))


def _dataset(place: Path, scratch: Path) -> Dataset:
    if (place / "card.json").is_file():
        return load_dataset(place)
    return ingest([place], scratch)


if __name__ == "__main__":
    main()
