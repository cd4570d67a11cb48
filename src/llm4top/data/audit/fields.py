"""Is the label predictable from one field alone, and what does that field add to the others?"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.data.audit.findings import LIMITS, AuditFinding, OnStep, Verdict, points
from llm4top.data.audit.terms import AuditRows, FieldTerms
from llm4top.text import percent

FloatArray = NDArray[np.float64]
_Z = 1.959964
_DRAWS = 200
_BEST_TERMS = 3
CHECK = "label from one field"
PRESENCE = "label from a field's presence"


@dataclass(frozen=True, slots=True)
class _Strength:
    """How well a field tells one label: ROC-AUC alone with its bound, and what it adds."""

    field: str
    label: int
    alone: float
    alone_lower: float
    together: float
    without: float
    jump_lower: float

    @property
    def jump(self) -> float:
        return self.together - self.without

    @property
    def verdict(self) -> Verdict:
        jumps = self.alone_lower >= LIMITS.jump_alone and self.jump_lower >= LIMITS.jump_fail
        if self.alone_lower >= LIMITS.alone_fail or (jumps and self.without >= LIMITS.jump_without):
            return "fail"
        if self.alone_lower >= LIMITS.alone_warn or self.jump_lower >= LIMITS.jump_warn:
            return "warn"
        return "pass"


def check_fields(
    rows: AuditRows, terms: dict[str, FieldTerms], seed: int, on_step: OnStep
) -> list[AuditFinding]:
    """How well each field alone tells the label, and all together with and without it.

    Logistic regressions over TF-IDF, cross-validated over the train rows.
    """
    folds = _folds(rows.y, seed)
    findings: list[AuditFinding] = []
    best: _Strength | None = None
    scores = {}
    for name, own in terms.items():
        on_step(f"a model of {name} alone")
        scores[name] = [_text_scores(own, rows.y == k, folds) for k in rows.tested_labels()]
    on_step("all fields together")
    for position, label in enumerate(rows.tested_labels()):
        by_field = {name: own[position] for name, own in scores.items()}
        for found in _strengths(by_field, rows.y == label, label, folds, seed):
            if found.verdict != "pass":
                findings.append(_finding(found, rows))
            if best is None or found.alone > best.alone:
                best = found
    if not findings and best is not None:
        findings.append(_finding(best, rows))
    return findings


def check_presence(rows: AuditRows) -> list[AuditFinding]:
    """Whether having a field at all tells the label."""
    findings = []
    for name, texts in rows.fields.items():
        there = np.array([bool(text) for text in texts])
        for label in rows.tested_labels():
            own = rows.y == label
            gap, lower = _gap(there[own], there[~own])
            if lower < LIMITS.presence_warn:
                continue
            findings.append(
                AuditFinding(
                    PRESENCE,
                    "fail" if lower >= LIMITS.presence_fail else "warn",
                    name,
                    f"{name} is present in {percent(there[own].mean())} of the "
                    f"{rows.labels[label]} rows and in {percent(there[~own].mean())} of the "
                    f"others: a gap of {percent(gap)}. Hide the field in the task unless it was "
                    "present as often before the outcome was known.",
                    {"share": there[own].mean(), "share_others": there[~own].mean(), "gap": gap},
                )
            )
    if not findings:
        findings.append(
            AuditFinding(PRESENCE, "pass", "", "No field is present much more often for one label.")
        )
    return findings


def _finding(found: _Strength, rows: AuditRows) -> AuditFinding:
    label = rows.labels[found.label]
    text = (
        f"{found.field} alone predicts {label} with a ROC-AUC of {points(found.alone)} (at least "
        f"{points(found.alone_lower)}); all fields reach {points(found.together)}, "
        f"{points(found.without)} without it: a jump of {points(found.jump)}."
    )
    if found.verdict == "pass":
        text = f"No field stands out; the strongest: {text}"
    else:
        text += " Check it for words that were not known before the outcome."
    return AuditFinding(
        CHECK,
        found.verdict,
        found.field if found.verdict != "pass" else "",
        text,
        {
            "alone": found.alone,
            "alone_lower": found.alone_lower,
            "with": found.together,
            "without": found.without,
            "jump": found.jump,
            "jump_lower": found.jump_lower,
        },
    )


def _strengths(
    scores: dict[str, FloatArray],
    own: NDArray[np.bool_],
    label: int,
    folds: list[tuple[Any, Any]],
    seed: int,
) -> list[_Strength]:
    names = list(scores)
    stacked = np.stack([scores[name] for name in names], axis=1)
    together = _out_of_fold(stacked, own, folds)
    found = []
    for column, name in enumerate(names):
        others = np.delete(stacked, column, axis=1)
        without = _out_of_fold(others, own, folds) if others.shape[1] else np.zeros(len(own))
        alone = area(own, scores[name])
        jump = area(own, together) - area(own, without)
        found.append(
            _Strength(
                name,
                label,
                alone,
                alone - _Z * _standard_error(alone, own),
                area(own, together),
                area(own, without),
                # With no other field the jump is the field itself, and tells nothing more.
                _jump_lower(own, together, without, seed)
                if jump >= LIMITS.jump_warn and others.shape[1]
                else 0.0,
            )
        )
    return found


def area(own: NDArray[np.bool_], score: FloatArray) -> float:
    """ROC-AUC of ``score`` for the rows that are ``own``."""
    from scipy.stats import rankdata

    positives = int(own.sum())
    ranks = rankdata(score)[own].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * (len(own) - positives)))


def _standard_error(value: float, own: NDArray[np.bool_]) -> float:
    """Standard error of a ROC-AUC after Hanley and McNeil (Radiology 1982;143:29-36)."""
    m, n = int(own.sum()), int((~own).sum())
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (m - 1) * (first - value**2) + (n - 1) * (second - value**2)
    return float(np.sqrt(max(spread, 0.0) / (m * n)))


def _jump_lower(
    own: NDArray[np.bool_], together: FloatArray, without: FloatArray, seed: int
) -> float:
    """Lower 95 % bound of the jump over paired resamples, stratified by label."""
    rng = np.random.default_rng(seed)
    inside, outside = np.flatnonzero(own), np.flatnonzero(~own)
    jumps = []
    for _ in range(_DRAWS):
        draw = np.concatenate([rng.choice(inside, len(inside)), rng.choice(outside, len(outside))])
        jumps.append(area(own[draw], together[draw]) - area(own[draw], without[draw]))
    return float(np.quantile(jumps, 0.025))


def _gap(own: NDArray[np.bool_], others: NDArray[np.bool_]) -> tuple[float, float]:
    """Difference of two shares as absolute value, with its lower 95 % bound."""
    gap = abs(float(own.mean() - others.mean()))
    # A share of 0 or 1 among few rows is not certain: one row of either kind is added.
    p, q = (own.sum() + 1) / (len(own) + 2), (others.sum() + 1) / (len(others) + 2)
    error = np.sqrt(p * (1 - p) / len(own) + q * (1 - q) / len(others))
    return gap, gap - _Z * float(error)


def _folds(y: NDArray[np.int64], seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(LIMITS.folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A label with few rows is missing in some folds; it is not judged then.
        warnings.simplefilter("ignore", UserWarning)
        return list(folds.split(np.zeros(len(y)), y))


def _text_scores(
    terms: FieldTerms, own: NDArray[np.bool_], folds: list[tuple[Any, Any]]
) -> FloatArray:
    """Out-of-fold log-odds from a field's TF-IDF and, unweighted, its most telling terms.

    In a long text TF-IDF alone would drown a single word that stands in many rows.
    """
    from scipy.sparse import hstack
    from sklearn.feature_selection import chi2

    weighed = terms.tfidf()
    scores = np.zeros(len(own))
    for learn, ask in folds:
        features = weighed
        if terms.names:
            with np.errstate(divide="ignore", invalid="ignore"):
                telling = np.nan_to_num(chi2(terms.present[learn], own[learn])[0])
            best = np.argsort(-telling, kind="stable")[:_BEST_TERMS]
            features = hstack([weighed, terms.present[:, best]], format="csr")
        scores[ask] = _out_of_fold(features, own, [(learn, ask)])[ask]
    return scores


def _out_of_fold(features: Any, own: NDArray[np.bool_], folds: list[tuple[Any, Any]]) -> FloatArray:
    """Log-odds of ``own`` for each row from a model that has not seen the row."""
    from sklearn.linear_model import LogisticRegression

    scores = np.zeros(len(own))
    for learn, ask in folds:
        # The tolerance is coarse: ranks are read, not coefficients, and fits are many.
        model = LogisticRegression(
            solver="liblinear", class_weight="balanced", tol=0.01, random_state=0
        )
        scores[ask] = model.fit(features[learn], own[learn]).decision_function(features[ask])
    return scores
