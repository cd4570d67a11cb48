"""Is there a word or word pair whose presence gives the label away?"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.data.audit.findings import LIMITS, AuditFinding, Verdict
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import trial_texts
from llm4top.registry.trial import TRIAL_FIELDS
from llm4top.text import percent, thousands

WORDS = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class AuditRows:
    """A sample of the train rows.

    ``fields`` holds the text of each row by field, empty where the row has none; only fields that
    the task shows and that some row has. ``y`` are label indices, ``labels`` the label names.
    """

    fields: dict[str, list[str]]
    y: np.ndarray[Any, np.dtype[np.int64]]
    labels: tuple[str, ...]
    statuses: tuple[str | None, ...]
    why_stopped: tuple[str | None, ...]
    nct_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def tested_labels(self) -> list[int]:
        """Labels that enough rows have; of a binary task only the event."""
        counts = np.bincount(self.y, minlength=len(self.labels))
        if len(self.labels) == 2:
            return [1]
        return [k for k, n in enumerate(counts) if n >= LIMITS.label_rows]


def sample_rows(dataset: Dataset, seed: int) -> AuditRows:
    """A sample of the train rows, stratified by label, the same for the same seed."""
    learning = dataset.select("train")
    chosen = _sample(np.array(learning.label_indices), np.random.default_rng(seed))
    learning = learning.take(chosen)
    shown = shown_fields(dataset)
    fields: dict[str, list[str]] = {name: [] for name in shown}
    for values in map(json.loads, trial_texts(learning.trials)):
        for name, texts in fields.items():
            texts.append(flat_text(values.get(name)))
    return AuditRows(
        {name: texts for name, texts in fields.items() if any(texts)},
        np.array(learning.label_indices),
        dataset.task.labels,
        learning.statuses,
        learning.why_stopped,
        learning.nct_ids,
    )


def shown_fields(dataset: Dataset) -> tuple[str, ...]:
    """The fields of a trial that the task shows to a model."""
    return tuple(name for name in TRIAL_FIELDS if name not in dataset.task.hidden_fields)


def flat_text(value: Any) -> str:
    """All text of a field's stored value, one part a line."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(flat_text, value))
    if isinstance(value, dict):
        return "\n".join(flat_text(value[key]) for key in sorted(value))
    return "" if value is None else str(value)


def spaced_words(text: str) -> str:
    """The words of a text in lower case between single blanks, one before and one behind."""
    return f" {' '.join(WORDS.findall(text.lower()))} "


def _sample(y: np.ndarray[Any, np.dtype[np.int64]], rng: np.random.Generator) -> Sequence[int]:
    if len(y) <= LIMITS.rows:
        return range(len(y))
    share = LIMITS.rows / len(y)
    chosen: list[int] = []
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        wanted = min(len(own), max(round(share * len(own)), LIMITS.rows // 20))
        chosen += rng.choice(own, wanted, replace=False).tolist()
    return sorted(chosen)


CHECK = "label from one word"
_MOST_TERMS = 40_000
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class FieldTerms:
    """Which words and word pairs stand in each row's field: 0/1 of shape [rows, terms], sparse."""

    names: tuple[str, ...]
    present: Any

    def tfidf(self) -> Any:
        """The same weighted by rarity and length, with a column for a field that is empty."""
        from scipy.sparse import csr_matrix, hstack
        from sklearn.feature_extraction.text import TfidfTransformer

        empty = np.asarray(self.present.sum(axis=1) == 0, dtype=float).reshape(-1, 1)
        weighed = TfidfTransformer().fit_transform(self.present) if self.names else None
        parts = [csr_matrix(empty)] if weighed is None else [weighed, csr_matrix(empty)]
        return hstack(parts, format="csr")


def field_terms(texts: list[str]) -> FieldTerms:
    """The terms of one field: words and pairs of neighbours in one line, in two rows or more."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(
        analyzer=_terms, binary=True, min_df=2, max_features=_MOST_TERMS, dtype=np.float64
    )
    try:
        present = counter.fit_transform(texts)
    except ValueError:  # no term stands in two rows
        from scipy.sparse import csr_matrix

        return FieldTerms((), csr_matrix((len(texts), 0)))
    return FieldTerms(tuple(counter.get_feature_names_out()), present)


def _terms(text: str) -> list[str]:
    terms: list[str] = []
    for line in text.lower().split("\n"):
        words = WORDS.findall(line)
        terms += words
        terms += map(" ".join, pairwise(words))
    return terms


@dataclass(frozen=True, slots=True)
class _Term:
    """A term that points at a label, with counts over all rows and over the label's."""

    field: str
    name: str
    label: int
    rows: int
    own: int
    excess: float
    spread: float

    @property
    def verdict(self) -> Verdict:
        pure, wide = self.excess >= LIMITS.term_excess, self.spread >= LIMITS.term_spread
        if pure and wide:
            return "fail"
        return "warn" if pure or self.spread >= LIMITS.term_spread_warn else "pass"


def check_terms(rows: AuditRows, terms: dict[str, FieldTerms]) -> list[AuditFinding]:
    """Words whose presence says the label, by lower bounds that mind how many were looked at."""
    looked_at = sum(int((_counts(own.present) >= LIMITS.term_rows).sum()) for own in terms.values())
    labels = range(len(rows.labels))
    found = [
        term
        for field, own in terms.items()
        for label in labels
        for term in _telling(field, own, rows.y == label, label, max(looked_at, 1) * len(labels))
    ]
    findings = []
    for field in terms:
        for verdict in ("fail", "warn"):
            mine = [term for term in found if term.field == field and term.verdict == verdict]
            mine.sort(key=lambda term: (-term.excess - term.spread, len(term.name), term.name))
            if mine:
                findings.append(_finding(mine, rows))
                break
    if not findings:
        findings.append(
            AuditFinding(
                CHECK,
                "pass",
                "",
                f"None of {thousands(looked_at)} words and word pairs predicts the label alone.",
            )
        )
    return findings


def _finding(terms: list[_Term], rows: AuditRows) -> AuditFinding:
    first = terms[0]
    base = (rows.y == first.label).mean()
    text = (
        f"“{first.name}” is in {first.field} of {thousands(first.rows)} rows, "
        f"{thousands(first.own)} of them {rows.labels[first.label]} "
        f"({percent(first.own / first.rows)}; {percent(base)} of all rows are)."
    )
    more = [f"“{term.name}”" for term in terms[1 : 1 + _NAMED_AT_MOST]]
    if more:
        others = " and more" if len(terms) > _NAMED_AT_MOST + 1 else ""
        text += f" The same holds for {', '.join(more)}{others}."
    if first.verdict == "warn":
        text += " That may be legitimate: a drug or a disease."
    figures = {"rows": first.rows, "own": first.own, "share": first.own / first.rows}
    return AuditFinding(
        CHECK,
        first.verdict,
        first.field,
        text,
        {**figures, "base": base, "excess": first.excess, "spread": first.spread},
    )


def _telling(
    field: str, terms: FieldTerms, own: NDArray[np.bool_], label: int, looked_at: int
) -> list[_Term]:
    """The terms of a field that point at the rows that are ``own``."""
    if not terms.names or not own.any() or own.all():
        return []
    rows = _counts(terms.present)
    inside = _counts(terms.present[own])
    excess, spread = strength(inside, rows, int(own.sum()), len(own), LIMITS.term_level / looked_at)
    excess[rows < LIMITS.term_rows] = -1
    spread[rows < LIMITS.term_rows] = -1
    wanted = np.flatnonzero((excess >= LIMITS.term_excess) | (spread >= LIMITS.term_spread_warn))
    return [
        _Term(
            field,
            terms.names[i],
            label,
            int(rows[i]),
            int(inside[i]),
            float(excess[i]),
            float(spread[i]),
        )
        for i in wanted
    ]


def strength(
    inside: NDArray[np.int64], rows: NDArray[np.int64], own: int, total: int, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower bounds of excess and spread of terms that stand in ``rows`` of ``total`` rows.

    ``inside`` of these are among the label's ``own`` rows. Excess: how far the label's share among
    the rows with the term goes from its share in all rows (0) to certainty (1), by Clopper and
    Pearson. Spread: share of the label's rows with the term minus that of the others, by the
    normal approximation. Both hold at ``level``, one-sided.
    """
    from scipy.stats import beta, norm

    share = np.where(inside > 0, beta.ppf(level, np.maximum(inside, 1), rows - inside + 1), 0.0)
    base = own / total
    p, q = (inside + 1) / (own + 2), (rows - inside + 1) / (total - own + 2)
    error = np.sqrt(p * (1 - p) / own + q * (1 - q) / (total - own))
    gap = inside / own - (rows - inside) / (total - own)
    return (share - base) / (1 - base), gap - norm.isf(level) * error


def _counts(present: Any) -> NDArray[np.int64]:
    return np.asarray(present.sum(axis=0)).ravel().astype(np.int64)
