"""From what was said to measured tables: every forecaster on the same rows, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm4top.benchmark.cache import Pieces
from llm4top.benchmark.predictions import Said
from llm4top.benchmark.rows import POOLED, CheckName, Rows
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.data.dataset import Dataset
from llm4top.evaluation.predictions import IntArray, Scores
from llm4top.evaluation.probes.leak_oracle import oracle_entries
from llm4top.evaluation.reports.report import CurveSet, Difference, SliceTable, Table
from llm4top.evaluation.reports.table import Entry, measure_table
from llm4top.evaluation.slices import slice_table
from llm4top.evaluation.threshold import chosen_or_half, cross_fitted_or_half, decide
from llm4top.forecasters.baselines.catalog import BASELINES

BASE_RATE = BASELINES["base-rate"].label
TFIDF = BASELINES["tfidf"].label

CHECK_WORDS: dict[str, str] = {
    "valid": "validation split",
    "test": "test split",
    "newest": "newest 20 % of the learning part",
}
_CHECK_NOTES = {
    "valid": "Validation rows may be from the same years as the training rows, which is "
    "optimistic; read it together with the newest trials. Thresholds are cross-fitted.",
    "newest": "Learnt from the older trials only. Thresholds are cross-fitted.",
    "test": "Thresholds and calibration were chosen on the validation split.",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One table with its curves, its paired differences and, for some, its slices."""

    table: Table
    curves: CurveSet | None
    differences: tuple[Difference, ...]
    slices: SliceTable | None


@dataclass(frozen=True, slots=True)
class TableWork:
    """One table: the forecasters that cover a phase, on the rows of one check."""

    phase: str
    check: CheckName
    trials: Dataset
    valid: Dataset
    said: tuple[Said, ...]
    said_on_valid: tuple[Said, ...]
    settings: BenchmarkSettings
    sliced: bool

    @property
    def title(self) -> str:
        """The table's title."""
        where = "All phases" if self.phase == POOLED else f"Phase {self.phase}"
        return f"{where}, {CHECK_WORDS[self.check]}"

    def run(self, pieces: Pieces) -> Iterator[Measured]:
        """Measure this one table; raises what ``Scores`` and ``measure_table`` raise."""
        said = [s.sha256 for s in (*self.said, *self.said_on_valid)]
        came_from = {
            "said": said,
            "rows": self.trials.sha256,
            "valid": self.valid.sha256,
            "phase": self.phase,
            "check": self.check,
            "seed": self.settings.seed,
            "draws": self.settings.draws,
            "sliced": self.sliced,
        }
        stored = pieces.values("table", came_from, self._measured)
        yield Measured(
            Table.model_validate(stored["table"]),
            CurveSet.model_validate(stored["curves"]) if stored["curves"] else None,
            tuple(Difference.model_validate(d) for d in stored["differences"]),
            SliceTable.model_validate(stored["slices"]) if stored["slices"] else None,
        )

    def _measured(self) -> dict[str, object]:
        entries = [self._entry(said) for said in self.said]
        names = [entry.scores.forecaster for entry in entries]
        reference = next(
            (e.scores.probabilities for e in entries if e.scores.forecaster.startswith(BASE_RATE)),
            None,
        )
        honest = next((e.scores for e in entries if e.scores.forecaster == TFIDF), None)
        found = measure_table(
            [*entries, *oracle_entries(self.trials, entries[0].scores.split, honest)],
            title=self.title,
            phase=self.phase,
            check=self.check,
            against=next((n for n in names if n.startswith(TFIDF)), names[0]),
            reference=reference,
            draws=self.settings.draws,
            seed=self.settings.seed,
        )
        table = found.table.model_copy(update={"note": _CHECK_NOTES[self.check]})
        slices = self._slices(entries) if self.sliced else None
        return {
            "table": table.model_dump(mode="json"),
            "curves": found.curves.model_dump(mode="json") if found.curves else None,
            "differences": [d.model_dump(mode="json") for d in found.differences],
            "slices": slices.model_dump(mode="json") if slices else None,
        }

    def _entry(self, said: Said) -> Entry:
        scores = said.about(self.trials)
        decisions, note = self._decisions(said, scores)
        return Entry(
            scores=scores,
            kind=said.kind,
            learnt_from=said.learnt_from,
            decisions=decisions,
            identity=said.identity,
            note=" ".join(part for part in (said.note, note) if part),
        )

    def _decisions(self, said: Said, scores: Scores) -> tuple[IntArray | None, str]:
        """Decisions at a threshold that no row of the check has chosen for itself."""
        if self.check != "test":
            return cross_fitted_or_half(scores, self.settings.seed)
        if len(scores.labels) != 2:
            return None, ""
        before = next(s for s in self.said_on_valid if s.name == said.name)
        threshold, note = chosen_or_half(lambda: before.about(self.valid))
        return None if threshold is None else decide(scores, threshold), note

    def _slices(self, entries: Sequence[Entry]) -> SliceTable:
        """The language models as they would be used, beside TF-IDF and the base rate."""
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
            draws=self.settings.draws,
            seed=self.settings.seed,
        )


def table_work(
    rows: Rows, said: Sequence[Said], settings: BenchmarkSettings
) -> Iterator[TableWork]:
    """All tables: every check, every phase that has rows and forecasters."""
    phases = [p for p in settings.phases if p == POOLED or p in rows.phases]
    valid = rows.folds[0].checks["valid"]
    for fold in rows.folds:
        for check, all_rows in fold.checks.items():
            for phase in phases:
                mine = tuple(s for s in said if s.check == check and _belongs(s, phase))
                trials = rows.of_phase(all_rows, phase)
                if mine and len(trials):
                    yield TableWork(
                        phase=phase,
                        check=check,
                        trials=trials,
                        valid=rows.of_phase(valid, phase),
                        said=mine,
                        said_on_valid=tuple(
                            s for s in said if s.check == "valid" and _belongs(s, phase)
                        )
                        if check == "test"
                        else (),
                        settings=settings,
                        sliced=phase == POOLED or POOLED not in phases,
                    )


def _belongs(said: Said, phase: str) -> bool:
    return said.phase == POOLED if phase == POOLED else said.covers(phase)
