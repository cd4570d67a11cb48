"""The rows that ``real_model.sh`` measures: some validation rows of a data set, always the same.

python scripts/real_model_rows.py DATASET OUT COUNT

Keeps every train row of the data set and ``COUNT`` of its validation rows: those with the smallest
SHA-256 of the NCT number, which is as good as a draw and needs no seed. Writes a data set that all
commands take, and the numbers into ``OUT.ids.txt``.
"""

import hashlib
import sys
from pathlib import Path

from llm4top.data.dataset import load_dataset


def main(source: str, out: str, count: str) -> None:
    """Write the data set with ``count`` validation rows, and their numbers."""
    dataset = load_dataset(source)
    order = [hashlib.sha256(nct_id.encode()).hexdigest() for nct_id in dataset.nct_ids]
    valid = sorted((i for i, s in enumerate(dataset.splits) if s == "valid"), key=order.__getitem__)
    kept = set(valid[: int(count)])
    rows = [i for i, s in enumerate(dataset.splits) if s == "train" or i in kept]
    dataset.take(rows).save(out, overwrite=Path(out).exists())
    chosen = "\n".join(sorted(dataset.nct_ids[i] for i in kept))
    Path(f"{out}.ids.txt").write_text(f"{chosen}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
