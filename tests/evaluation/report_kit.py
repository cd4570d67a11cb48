"""An invented report as large as a real one: four phases, two checks, twelve forecasters."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from llm4top.evaluation.metrics.curves import curve_set
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.reports.metadata import published_results
from llm4top.evaluation.reports.report import (
    AuditLine,
    DataFacts,
    Difference,
    Figure,
    ForecasterRow,
    LookEntry,
    Question,
    Report,
    SliceRow,
    SliceTable,
    Table,
    VariantRow,
    VariantTable,
)

LABELS = ("failure", "success")
FORECASTERS = (
    ("Always success", "trivial", None),
    ("Base rate by phase", "trivial", None),
    ("Logistic regression", "baseline", 0.55),
    ("Random forest", "baseline", 0.75),
    ("AdaBoost", "baseline", 0.5),
    ("XGBoost", "baseline", 0.7),
    ("kNN + random forest", "baseline", 0.45),
    ("Feed-forward network", "baseline", 0.6),
    ("TF-IDF + logistic regression", "baseline", 0.85),
    ("Tiny model, zero-shot", "language", 0.05),
    ("Tiny model, fine-tuned with LoRA", "language", 0.8),
    ("Stack of fine-tuned and TF-IDF", "stack", 0.95),
    ("Status rule (leak oracle)", "cheating", 2.6),
)
SIZES = {"I": (117, 0.57), "II": (446, 0.47), "III": (344, 0.67), "pooled": (907, 0.56)}


def made_scores(name: str, strength: float | None, n: int, prevalence: float, seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < round(prevalence * n)).astype(int)
    if name.startswith("Always"):
        p = np.ones(n)
    elif strength is None:
        p = np.full(n, prevalence)
    else:
        noise = np.random.default_rng([seed, len(name)]).normal(size=n)
        base = np.log(prevalence / (1 - prevalence))
        raw = strength * (y - 0.5) + 0.75 * noise + 0.35 * rng.normal(size=n)
        p = 1 / (1 + np.exp(-(base + raw)))
    ids = tuple(f"trial-{i}" for i in range(n))
    return Scores(name, "valid", LABELS, np.column_stack([1 - p, p]), y, ids)


def made_figures(scores: Scores, prevalence: float) -> dict[str, Figure]:
    y, p = scores.y, scores.event.clip(1e-6, 1 - 1e-6)
    decided, half = (p >= 0.42).astype(int), (p >= 0.5).astype(int)
    ap, brier = average_precision_score(y, p), brier_score_loss(y, p)
    values = {
        "roc_auc": roc_auc_score(y, p),
        "average_precision": ap,
        "lift": ap / y.mean(),
        "accuracy": accuracy_score(y, decided),
        "precision": precision_score(y, decided, zero_division=0),
        "recall": recall_score(y, decided),
        "f1": f1_score(y, decided),
        "mcc": None,
        "f1_at_half": f1_score(y, half),
        "accuracy_at_half": accuracy_score(y, half),
        "log_loss": log_loss(y, p),
        "brier": brier,
        "brier_skill": 1 - brier / (prevalence * (1 - prevalence)),
        "ece": abs(p.mean() - y.mean()) + 0.02,
        "calibration_slope": 1.04,
        "calibration_intercept": -0.08,
    }
    half_width = 1.0 / np.sqrt(len(y))
    return {key: made_figure(value, half_width, len(y)) for key, value in values.items()}


def made_figure(value: float | None, half_width: float, n: int) -> Figure:
    if value is None:
        return Figure(value=None, lower=None, upper=None, n=n)
    value = float(value)
    upper = value + half_width
    upper = min(upper, 1.0) if value <= 1 else upper
    return Figure(value=value, lower=value - half_width, upper=upper, n=n)


def made_part(phase: str, check: str):
    n, prevalence = SIZES[phase]
    seed = sum(map(ord, phase + check))
    shift = 0.25 if check == "newest" else 0.0
    scores = [
        made_scores(name, None if s is None else max(s - shift, 0.02), n, prevalence, seed)
        for name, _, s in FORECASTERS
    ]
    kinds = [kind for _, kind, _ in FORECASTERS]
    rows = tuple(
        ForecasterRow(
            forecaster=one.forecaster,
            kind=kind,
            learnt_from="nothing"
            if kind in ("trivial", "cheating")
            else "8 143 trials, split train",
            figures=made_figures(one, prevalence),
            identity="" if kind == "trivial" else f"{abs(hash_of(one.forecaster)):064x}",
            note="answers were not calibrated" if "zero-shot" in one.forecaster else "",
        )
        for one, kind in zip(scores, kinds, strict=True)
    )
    y = scores[0].y
    table = Table(
        title=f"Phase {phase}, {check}",
        phase=phase,
        check=check,
        n=n,
        counts={"failure": int((y == 0).sum()), "success": int((y == 1).sum())},
        rows=rows,
        note="Fewer than 60 failures: intervals are wide." if phase == "I" else "",
    )
    return table, curve_set(scores, kinds, phase=phase, check=check)


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:24], "big") * 0x9E3779B97F4A7C15 % 2**256


def made_differences(table: Table) -> tuple[Difference, ...]:
    against = next(row for row in table.rows if row.forecaster.startswith("TF-IDF"))
    found = []
    for metric in ("roc_auc", "log_loss"):
        others = [r for r in table.rows if r.kind not in ("cheating",) and r is not against]
        for i, row in enumerate(others):
            a, b = row.figures[metric].value, against.figures[metric].value
            p = min(1.0, 0.0004 + 0.06 * i)
            found.append(
                Difference(
                    phase=table.phase,
                    check=table.check,
                    first=row.forecaster,
                    second=against.forecaster,
                    metric=metric,
                    figure=made_figure(a - b, 0.04, table.n),
                    p_value=p,
                    p_adjusted=min(1.0, p * len(others)),
                    method="DeLong" if metric == "roc_auc" else "paired bootstrap",
                    family=len(others),
                )
            )
    return tuple(found)


def made_slices(table: Table) -> SliceTable:
    rows = []
    parts = {
        "start year": {
            "before 2005": 0.2,
            "2005 to 2009": 0.5,
            "2010 and later": 0.28,
            "unknown": 0.02,
        },
        "ICD chapter": {"II Neoplasms": 0.4, "IX Circulatory": 0.15, "XV Pregnancy": 0.012},
        "completed only": {"completed": 0.62},
    }
    for by, values in parts.items():
        for value, share in values.items():
            n = max(3, round(share * table.n))
            small = n < 30
            for row in table.rows:
                figures = {} if small else {k: row.figures[k] for k in ("roc_auc", "brier")}
                rows.append(
                    SliceRow(
                        by=by,
                        value=value,
                        forecaster=row.forecaster,
                        n=n,
                        counts={"failure": n // 3, "success": n - n // 3},
                        figures={k: f.model_copy(update={"n": n}) for k, f in figures.items()},
                        note="too few trials to measure" if small else "",
                    )
                )
    return SliceTable(phase=table.phase, check=table.check, rows=tuple(rows))


def made_variants() -> tuple[VariantTable, ...]:
    def row(variant: str, auc: float, difference: float | None) -> VariantRow:
        return VariantRow(
            variant=variant,
            n=446,
            figures={
                "roc_auc": made_figure(auc, 0.05, 446),
                "log_loss": made_figure(0.66, 0.02, 446),
            },
            difference={}
            if difference is None
            else {"roc_auc": made_figure(difference, 0.015, 446)},
        )

    name = "Tiny model, fine-tuned with LoRA"
    return (
        VariantTable(
            title="Sections left out of the prompt",
            forecaster=name,
            check="valid",
            reading="Eligibility criteria carry most of the signal; leaving out the drugs changes "
            "nothing that can be told at this n.",
            rows=(
                row("full prompt", 0.66, None),
                row("without eligibility criteria", 0.59, -0.07),
                row("without conditions", 0.64, -0.02),
                row("without drugs", 0.66, 0.0),
            ),
        ),
        VariantTable(
            title="Names masked",
            forecaster=name,
            check="valid",
            reading="No sign of memory: masking drug and sponsor names costs .010 [.000, .020].",
            rows=(row("names as they are", 0.66, None), row("names masked", 0.65, -0.01)),
        ),
    )


def made_report(phases: tuple[str, ...] = tuple(SIZES), **changes) -> Report:
    return _made_report(phases).model_copy(update=changes)


@cache
def _made_report(phases: tuple[str, ...]) -> Report:
    parts = [made_part(phase, check) for phase in phases for check in ("valid", "newest")]
    tables = tuple(table for table, _ in parts)
    return Report(
        kind="benchmark",
        title="Benchmark of 13 forecasters on an invented data set",
        summary=(
            "In phase II the best honest forecaster ranks trials at ROC-AUC .690 [.642, .738] on "
            "the validation split; always-success has .500.",
            "The fine-tuned language model is not told apart from TF-IDF + logistic regression in "
            "any phase.",
            "The leak oracle, which reads the outcome's status, is far above all of them, as it "
            "must be.",
        ),
        asked=Question(
            task="outcome",
            question="Will this trial reach its primary endpoint?",
            labels=LABELS,
            event="success",
        ),
        created="2026-11-22T18:40:00+00:00",
        reproduce="llm4top benchmark --data invented --phases I II III pooled --seed 0",
        seed=0,
        draws=1000,
        versions={
            "llm4top": "0.2.0",
            "python": "3.12.3",
            "torch": "2.9.1",
            "scikit-learn": "1.8.0",
        },
        machine={"cores": "2", "memory": "24 GiB", "device": "cpu", "platform": "Linux x86_64"},
        settings={"phases": ["I", "II", "III", "pooled"], "base": ["tiny"], "calibration": "valid"},
        data=(
            DataFacts(
                name="invented",
                sha256="5f" * 32,
                split_rule="as the source gives it: completed before 2014 to learn from",
                counts={
                    "train": {"failure": 3542, "success": 4601},
                    "valid": {"failure": 399, "success": 508},
                },
                time_span={"train": "1995-03 to 2013-11", "valid": "1996-01 to 2013-12"},
                files=("phase_I_train.csv", "phase_I_valid.csv"),
                terms=("Invented for tests.",),
                warnings=("14 trials have no start date.",),
            ),
        ),
        audit=(
            AuditLine(
                check="single fields", verdict="pass", field="", finding="no field tells the label"
            ),
            AuditLine(
                check="near-duplicates",
                verdict="warn",
                field="eligibility",
                finding="3 trials of valid are almost those of train",
            ),
        ),
        tables=tables,
        curves=tuple(curves for _, curves in parts),
        differences=tuple(d for table in tables for d in made_differences(table)),
        slices=tuple(made_slices(table) for table in tables[:4]),
        variants=made_variants(),
        published=published_results(),
        looks=(
            LookEntry(
                time="2026-11-20T10:00:00+00:00",
                what="evaluate",
                bundle="a1" * 32,
                data_sha256="5f" * 32,
                n=1654,
            ),
        ),
        looks_note="The ledger's chain of hashes is whole.",
        notes=(
            "AP on 0/1 decisions stands in the full table only to be put beside HINT's column.",
        ),
    )


def hostile_report(text: str = '<script>alert(1)</script> & "$x_1$" `|` #0072b2') -> Report:
    """One in which every name and every text is markup."""
    report = made_report(("II",))
    row = report.tables[0].rows[-3]
    rows = (*report.tables[0].rows[:-3], row.model_copy(update={"forecaster": text, "note": text}))
    table = report.tables[0].model_copy(update={"rows": rows, "note": text, "title": text})
    first = report.curves[0]
    curve = first.curves[-3].model_copy(update={"forecaster": text})
    return report.model_copy(
        update={
            "title": text,
            "summary": (text,),
            "tables": (table,),
            "curves": (first.model_copy(update={"curves": (*first.curves[:-3], curve)}),),
            "data": (
                report.data[0].model_copy(
                    update={"name": text, "warnings": (text,), "terms": (text,)}
                ),
            ),
            "reproduce": text,
            "notes": (text,),
            "settings": {text: text},
            "versions": {text: text},
            "differences": tuple(
                d.model_copy(update={"first": text}) for d in report.differences[:3]
            ),
            "slices": (replace_rows(report.slices[0], text),),
            "variants": (report.variants[0].model_copy(update={"title": text, "reading": text}),),
            "audit": (report.audit[0].model_copy(update={"field": text, "finding": text}),),
            "looks": (report.looks[0].model_copy(update={"what": text}),),
            "looks_note": text,
        }
    )


def replace_rows(table: SliceTable, text: str) -> SliceTable:
    rows = tuple(row.model_copy(update={"value": text, "note": text}) for row in table.rows[:13])
    return table.model_copy(update={"rows": rows})
