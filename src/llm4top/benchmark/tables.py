"""From predictions to measured tables: every forecaster on the same rows, phase by phase."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm4top.benchmark.context import Context
from llm4top.benchmark.predictions import Predictions
from llm4top.benchmark.rows import POOLED, CheckName
from llm4top.data.dataset import Dataset
from llm4top.evaluation.predictions import IntArray, Scores
from llm4top.evaluation.probes.leak_oracle import oracle_entries
from llm4top.evaluation.reports.formatting import phase_name
from llm4top.evaluation.reports.report import SliceTable
from llm4top.evaluation.reports.table import Entry, Measurements, measure_table
from llm4top.evaluation.slices import slice_table
from llm4top.evaluation.threshold import chosen_or_half, cross_fitted_or_half, decide
from llm4top.forecasters.baselines.catalog import BASELINES

BASE_RATE = BASELINES["base-rate"].label
TFIDF = BASELINES["tfidf"].label

CHECK_NAMES: dict[str, str] = {
    "valid": "validation split",
    "test": "test split",
    "newest": "newest 20 % of the training data",
}
_CHECK_NOTES = {
    "valid": "Validation rows may be from the same years as the training rows, which is "
    "optimistic; read it together with the newest trials. Thresholds are cross-fitted.",
    "newest": "Trained on the older trials only. Thresholds are cross-fitted.",
    "test": "Thresholds and calibration were chosen on the validation split.",
}


@dataclass(frozen=True, slots=True)
class TableWork:
    """One table: the forecasters that have predictions for a phase, on the rows of one check."""

    phase: str
    check: CheckName
    trials: Dataset
    valid: Dataset
    predictions: tuple[Predictions, ...]
    valid_predictions: tuple[Predictions, ...]
    context: Context
    sliced: bool

    @property
    def title(self) -> str:
        """The table's title."""
        return f"{phase_name(self.phase)}, {CHECK_NAMES[self.check]}"

    def run(self) -> list[Measurements]:
        """Measure this one table; raises what ``Scores`` and ``measure_table`` raise."""
        inputs = {
            "predictions": [p.sha256 for p in (*self.predictions, *self.valid_predictions)],
            "rows": self.trials.sha256,
            "valid": self.valid.sha256,
            "phase": self.phase,
            "check": self.check,
            "seed": self.context.settings.seed,
            "draws": self.context.settings.draws,
            "sliced": self.sliced,
        }
        stored = self.context.cache.values("table", inputs, self._measured)
        return [Measurements.model_validate(stored)]

    def _measured(self) -> dict[str, Any]:
        settings = self.context.settings
        entries = [self._entry(predictions) for predictions in self.predictions]
        scores = {entry.scores.forecaster: entry.scores for entry in entries}
        base = next((s for name, s in scores.items() if name.startswith(BASE_RATE)), None)
        found = measure_table(
            [*entries, *oracle_entries(self.trials, entries[0].scores.split, scores.get(TFIDF))],
            title=self.title,
            phase=self.phase,
            check=self.check,
            against=next((name for name in scores if name.startswith(TFIDF)), next(iter(scores))),
            reference=None if base is None else base.probabilities,
            draws=settings.draws,
            seed=settings.seed,
            note=_CHECK_NOTES[self.check],
        )
        slices = self._slices(entries) if self.sliced else None
        return found.model_copy(update={"slices": slices}).model_dump(mode="json")

    def _entry(self, predictions: Predictions) -> Entry:
        scores = predictions.scores(self.trials)
        decisions, note = self._decisions(predictions, scores)
        return Entry(
            scores=scores,
            kind=predictions.kind,
            learnt_from=predictions.learnt_from,
            decisions=decisions,
            identity=predictions.identity,
            note=" ".join(filter(None, (predictions.note, note))),
        )

    def _decisions(self, predictions: Predictions, scores: Scores) -> tuple[IntArray | None, str]:
        """Decisions at a threshold that no row of the check has chosen for itself."""
        if self.check != "test":
            return cross_fitted_or_half(scores, self.context.settings.seed)
        if len(scores.labels) != 2:
            return None, ""
        valid = next(p for p in self.valid_predictions if p.name == predictions.name)
        threshold, note = chosen_or_half(lambda: valid.scores(self.valid))
        return None if threshold is None else decide(scores, threshold), note

    def _slices(self, entries: Sequence[Entry]) -> SliceTable:
        """The language models as they would be used, with TF-IDF and the base rate."""
        shown = [
            entry.scores
            for entry in entries
            if entry.scores.forecaster in (TFIDF, BASE_RATE)
            or (entry.kind in ("language", "stack") and "calibrated" in entry.scores.forecaster)
            or entry.kind == "stack"
        ]
        return slice_table(
            self.trials,
            shown or [entries[0].scores],
            phase=self.phase,
            check=self.check,
            draws=self.context.settings.draws,
            seed=self.context.settings.seed,
        )


def table_work(predictions: Sequence[Predictions], context: Context) -> Iterator[TableWork]:
    """All tables: every check, every phase that has rows and predictions."""
    rows, settings = context.rows, context.settings
    phases = [p for p in settings.phases if p == POOLED or p in rows.phases]
    valid = rows.folds[0].checks["valid"]
    for fold in rows.folds:
        for check, all_rows in fold.checks.items():
            for phase in phases:
                here = [p for p in predictions if _belongs(p, phase)]
                own = tuple(p for p in here if p.check == check)
                trials = rows.of_phase(all_rows, phase)
                if own and len(trials):
                    yield TableWork(
                        phase=phase,
                        check=check,
                        trials=trials,
                        valid=rows.of_phase(valid, phase),
                        predictions=own,
                        valid_predictions=tuple(
                            p for p in here if check == "test" and p.check == "valid"
                        ),
                        context=context,
                        sliced=phase == POOLED or POOLED not in phases,
                    )


def _belongs(predictions: Predictions, phase: str) -> bool:
    return predictions.phase in ((POOLED,) if phase == POOLED else (POOLED, phase))
