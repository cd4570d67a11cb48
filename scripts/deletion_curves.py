"""Deletion curves of a forecaster's reasons over registry records: see docs/how-to/explain.md.

python scripts/deletion_curves.py RECORDS --n 200 [--model embedded] [--out curves.json]
"""

import argparse
import json
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

from llm4top import load_forecaster, read_records
from llm4top.evaluation.probes.deletion import deletion_curves


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--orders", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    records = [r for r in read_records(given.records) if r.trial.study_type == "Interventional"]
    chosen = random.Random(given.seed).sample(records, min(len(records), given.n * 2))
    forecaster = load_forecaster(given.model)
    applicable = (r for r in chosen if not hasattr(next(forecaster.forecast([r])), "reason"))
    some = [record for record, _ in zip(applicable, range(given.n), strict=False)]
    begun = time.perf_counter()
    found = deletion_curves(
        forecaster,
        some,
        orders=given.orders,
        seed=given.seed,
        on_record=lambda n: n % 20 or print(n, round(time.perf_counter() - begun), file=sys.stderr),
    )
    print(f"{found.n} of {len(records)} records, {found.pieces:.1f} pieces each")
    print("share   top  random  ratio [95 % interval]   words: top  random")
    for p in found.points:
        print(
            f"{p.share:5.0%}  {p.top:5.3f}  {p.random:5.3f}   {p.ratio:4.2f} "
            f"[{p.lower:.2f}, {p.upper:.2f}]           {p.top_words:5.1%}  {p.random_words:5.1%}"
        )
    if given.out is not None:
        given.out.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
