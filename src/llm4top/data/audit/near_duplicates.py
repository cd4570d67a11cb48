"""Are rows of a check split copies, or nearly so, of train rows?

Each text becomes a sketch: of the hashes of its word triples the smallest in each of 128 ranges
(one-permutation MinHash; Li, Owen and Zhang, NIPS 2012). The share of equal entries estimates the
share of triples two texts have in common, and rows that agree in four neighbouring entries are
compared; so neither time nor memory grows with the number of pairs.
"""

import json
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm4top.data.audit.findings import LIMITS, AuditFinding, OnStep
from llm4top.data.audit.terms import WORDS, flat_text, shown_fields
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import trial_texts
from llm4top.text import percent, thousands

CHECK = "copies across splits"
_RANGES = 128
_BAND = 4
_COMPARED = 8
"""Rows of one band that are compared: boilerplate would otherwise bring thousands."""
_FEWEST_ENTRIES = 16
_REPORT_EVERY = 5000
_EMPTY = np.uint32(0xFFFFFFFF)
_EDGES = np.arange(_RANGES, dtype=np.uint64) << np.uint64(64 - 7)
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Sketches = NDArray[np.uint32]


class _WordHashes(dict[str, int]):
    """Hash of a word, worked out once."""

    def __missing__(self, word: str) -> int:
        data = word.encode("utf-8", "surrogatepass")
        value = zlib.crc32(data) << 32 | zlib.crc32(data[::-1], 1)
        self[word] = value
        return value


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The most similar train row of each check row: its position and the likeness, 0 if none."""

    nearest: NDArray[np.int64]
    likeness: NDArray[np.float64]


def check_near_duplicates(dataset: Dataset, on_step: OnStep) -> list[AuditFinding]:
    """Rows of valid and test with a near-copy in train, under another NCT id."""
    sketches = _sketches(dataset, on_step)
    splits = np.array(dataset.splits, dtype=object)
    train = np.flatnonzero(splits == "train")
    findings = []
    for split in ("valid", "test"):
        checked = np.flatnonzero(splits == split)
        if len(checked):
            on_step(f"copies between train and {split}")
            nearest = _nearest(sketches[checked], sketches[train])
            findings.append(_finding(dataset, split, checked, train, nearest))
    if not findings:
        text = "There is no valid and no test split to hold copies of train rows."
        findings.append(AuditFinding(CHECK, "pass", "", text))
    return findings


def _finding(
    dataset: Dataset,
    split: str,
    checked: NDArray[np.int64],
    train: NDArray[np.int64],
    nearest: _Nearest,
) -> AuditFinding:
    alike = np.flatnonzero(nearest.likeness >= LIMITS.duplicate_likeness)
    same = int((nearest.likeness >= 1).sum())
    figures = {"rows": len(alike), "same": same, "share": len(alike) / len(checked)}
    if not len(alike):
        text = f"No {split} row is a near-copy of a train row."
        return AuditFinding(CHECK, "pass", "", text, figures)
    most = alike[np.argmax(nearest.likeness[alike])]
    pair = f"{dataset.nct_ids[checked[most]]} and {dataset.nct_ids[train[nearest.nearest[most]]]}"
    return AuditFinding(
        CHECK,
        "fail" if len(alike) >= LIMITS.duplicate_fail * len(checked) else "warn",
        "",
        f"{thousands(len(alike))} of {thousands(len(checked))} {split} rows "
        f"({percent(len(alike) / len(checked), 1)}) "
        f"{'is a near-copy' if len(alike) == 1 else 'are near-copies'} of a train row, "
        f"{thousands(same)} with exactly the same text; for example {pair}. Sister trials often "
        f"have the same outcome, so figures on {split} are optimistic.",
        figures,
    )


def _sketches(dataset: Dataset, on_step: OnStep) -> Sketches:
    """uint32 of shape [rows, 128]; an entry without any triple is ``_EMPTY``."""
    hashes = _WordHashes()
    shown = shown_fields(dataset)
    sketches = np.full((len(dataset), _RANGES), _EMPTY, dtype=np.uint32)
    for number, text in enumerate(trial_texts(dataset.trials)):
        if number % _REPORT_EVERY == 0:
            on_step("reading for copies")
        values = json.loads(text)
        whole = "\n".join(flat_text(values[name]) for name in shown if name in values)
        words = WORDS.findall(whole.lower())
        if len(words) >= LIMITS.duplicate_words:
            codes = np.fromiter(map(hashes.__getitem__, words), np.uint64, len(words))
            sketches[number] = _sketch(codes)
    return sketches


def _sketch(words: NDArray[np.uint64]) -> Sketches:
    triples = words[:-2] * _MIX[0] + words[1:-1] * _MIX[1] + words[2:] * _MIX[2]
    triples ^= triples >> np.uint64(31)
    triples *= _MIX[1]
    triples ^= triples >> np.uint64(29)
    triples.sort()
    first = np.searchsorted(triples, _EDGES)
    ends = np.append(first[1:], len(triples))
    smallest = triples[np.minimum(first, len(triples) - 1)] & np.uint64(0xFFFFFFFF)
    return np.where(first < ends, smallest.astype(np.uint32), _EMPTY)


def _nearest(checked: Sketches, train: Sketches) -> _Nearest:
    """For each checked row the most similar train row among those that share a band."""
    nearest = np.zeros(len(checked), dtype=np.int64)
    likeness = np.zeros(len(checked))
    if not len(train):
        return _Nearest(nearest, likeness)
    usable = (checked != _EMPTY).sum(axis=1) >= _FEWEST_ENTRIES
    for start in range(0, _RANGES, _BAND):
        ours, theirs = (_keys(s[:, start : start + _BAND]) for s in (checked, train))
        order = np.argsort(theirs, kind="stable")
        ordered = theirs[order]
        low = np.searchsorted(ordered, ours, side="left")
        high = np.searchsorted(ordered, ours, side="right")
        for offset in range(_COMPARED):
            rows = np.flatnonzero(usable & (low + offset < high))
            if not len(rows):
                break
            candidates = order[low[rows] + offset]
            alike = _alike(checked[rows], train[candidates])
            better = alike > likeness[rows]
            likeness[rows[better]] = alike[better]
            nearest[rows[better]] = candidates[better]
    return _Nearest(nearest, likeness)


def _alike(first: Sketches, second: Sketches) -> NDArray[np.float64]:
    """Estimated share of triples in common of each pair of rows."""
    filled = (first != _EMPTY) | (second != _EMPTY)
    equal = (first == second) & filled
    return np.asarray(equal.sum(axis=1) / np.maximum(filled.sum(axis=1), 1), dtype=np.float64)


def _keys(band: Sketches) -> NDArray[np.uint64]:
    """One number for the four entries of a band."""
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = (keys ^ column) * _MIX[0]
        keys ^= keys >> np.uint64(32)
    return keys
