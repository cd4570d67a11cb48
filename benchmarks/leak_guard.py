"""How many telling sentences the leak guard cuts, and how many of those that it cuts are telling.

    python benchmarks/leak_guard.py SENTENCES.tsv [--show develop]

The table has the columns nctid, field, sentence, label ("tells" or "innocent") and half; a label is
given by a person who read the sentence. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from llm4top.registry.leak_grammar import MARKS
from llm4top.registry.leak_guard import guard
from llm4top.registry.trial import Withheld

_Z = 1.959964
_MARKED = frozenset(mark.reason for mark in MARKS)


def cut_by_guard(sentence: str, field: str) -> tuple[str, ...]:
    """The reasons for which the guard withholds any of a sentence; identifiers apart."""
    cut: list[Withheld] = []
    guard(sentence, field, cut)
    return tuple(item.reason for item in cut if item.reason not in _MARKED)


def wilson(hits: int, total: int) -> str:
    """A share of ``total`` with its Wilson interval (Wilson, JASA 1927;22:209-212)."""
    if not total:
        return "none"
    share, square = hits / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    spread = _Z * (share * (1 - share) / total + square / (4 * total**2)) ** 0.5
    spread /= 1 + square / total
    return f"{hits}/{total} = {share:.3f} [{middle - spread:.3f}, {middle + spread:.3f}]"


def report(half: str, rows: Sequence[dict[str, str]]) -> None:
    """Print recall, precision and the share of innocent sentences that are kept."""
    tells = [bool(cut_by_guard(row["sentence"], row["field"])) for row in rows]
    true = [row["label"] == "tells" for row in rows]
    both = sum(a and b for a, b in zip(tells, true, strict=True))
    kept = sum(not a and not b for a, b in zip(tells, true, strict=True))
    print(f"{half:<9} recall {wilson(both, sum(true))}   precision {wilson(both, sum(tells))}   "
          f"innocent kept {wilson(kept, len(true) - sum(true))}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--show", help="the half whose errors are printed")
    options = parser.parse_args()
    with options.sentences.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    for half in dict.fromkeys(row["half"] for row in rows):
        report(half, [row for row in rows if row["half"] == half])
    for row in rows:
        tells, cut = row["label"] == "tells", cut_by_guard(row["sentence"], row["field"])
        if row["half"] == options.show and tells != bool(cut):
            print(
                "missed" if tells else f"false, {cut[0]}", "|", row["field"], "|", row["sentence"]
            )


if __name__ == "__main__":
    main()
