"""The rows that ``real_model.sh`` measures: part of a data set, always the same part.

python scripts/real_model_rows.py DATASET OUT TRAIN VALID

Keeps ``TRAIN`` train rows and ``VALID`` validation rows of the data set: those with the smallest
SHA-256 of the NCT number, which is as good as a draw and needs no seed. Writes a data set that all
commands take, and the numbers of the validation rows into ``OUT.ids.txt``.
"""

import hashlib
import sys
from pathlib import Path

from llm4top.data.dataset import load_dataset


def main(source: str, out: str, train: str, valid: str) -> None:
    """Write the data set with so many rows of each split, and the validation rows' numbers."""
    dataset = load_dataset(source)
    order = [hashlib.sha256(nct_id.encode()).hexdigest() for nct_id in dataset.nct_ids]
    kept = set()
    for split, count in (("train", train), ("valid", valid)):
        rows = [i for i, own in enumerate(dataset.splits) if own == split]
        kept |= set(sorted(rows, key=order.__getitem__)[: int(count)])
    part = dataset.take(sorted(kept))
    part.save(out, overwrite=Path(out).exists())
    chosen = "".join(f"{nct_id}\n" for nct_id in sorted(part.select("valid").nct_ids))
    Path(f"{out}.ids.txt").write_text(chosen, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
