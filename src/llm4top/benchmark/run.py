"""The whole benchmark, piece by piece, and its one report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from llm4top.benchmark.baselines import BaselineWork, baseline_work, chosen_baselines
from llm4top.benchmark.blend import stacked
from llm4top.benchmark.cache import Pieces
from llm4top.benchmark.language import Loader, find_models
from llm4top.benchmark.language_models import Desk, LanguageWork, language_work
from llm4top.benchmark.predictions import Said
from llm4top.benchmark.probes import ProbeWork, probe_work
from llm4top.benchmark.rows import Rows, settle_data
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.benchmark.summary import summarise
from llm4top.benchmark.tables import Measured, table_work
from llm4top.data.audit.audit import audit
from llm4top.data.dataset import Dataset
from llm4top.data.scopes import is_top
from llm4top.errors import LLM4TOPError
from llm4top.evaluation.ledger import TestLedger, sealed_rows_sha256
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.metadata import audit_lines, data_facts, new_report
from llm4top.evaluation.reports.published import published_results
from llm4top.evaluation.reports.render import write_report
from llm4top.evaluation.reports.report import AuditLine, Report, VariantTable
from llm4top.forecasters.model.batching import Progress as PromptProgress
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.training.run_folder import RunFolder

_T = TypeVar("_T")

FINISHED = "finished earlier"
"""The detail of a piece of work that a former call has finished."""


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """A finished benchmark: its report, the files it was written to, and what was left out."""

    report: Report
    files: dict[str, Path]
    failures: tuple[str, ...]


def benchmark(
    settings: BenchmarkSettings,
    *,
    ledger: TestLedger | None = None,
    reproduce: str = "",
    progress: OnProgress = ignore,
) -> BenchmarkResult:
    """Run everything that ``settings`` asks for and write ``report.html``, ``.json`` and ``.md``.

    Everything lies in ``settings.out``; a benchmark that was stopped or killed goes on behind its
    last finished piece when it is run again. A forecaster that fails is named among the failures
    and in the report, and the others go on. Every call that shows test figures is one look in the
    ledger, written before the first of them.

    Raises ``TrainingError`` where another process writes the folder, ``ConfigError`` for settings
    that fit nothing, and what making the data set and finding the models raises.
    """
    run = RunFolder(settings.out)
    with run.locked():
        return _Benchmark(settings, ledger or TestLedger(), reproduce, progress).go()


def plan(settings: BenchmarkSettings) -> list[tuple[str, bool]]:
    """The work ahead, in words, each with whether it is finished already; makes the data set."""
    rows = Rows(settle_data(settings), test=settings.test, newest=settings.newest)
    pieces = Pieces(settings.out / "pieces")
    desk = Desk(rows, settings, Loader(settings, rows.dataset.task), pieces)
    models = find_models(settings, rows.dataset.task)
    baselines = [(w.title, w.done(pieces)) for w in baseline_work(rows, settings)]
    return [*baselines, *((w.title, w.done()) for w in language_work(models, desk))]


@dataclass(slots=True)
class _Benchmark:
    settings: BenchmarkSettings
    ledger: TestLedger
    reproduce: str
    progress: OnProgress
    failures: list[str] = field(default_factory=list)
    _now: Progress = field(default_factory=lambda: Progress(""))

    def go(self) -> BenchmarkResult:
        settings = self.settings
        chosen_baselines(settings)  # a wrong name should fail before the data are read
        self._tell("Data set")
        dataset = settle_data(settings, self._reading)
        models = find_models(settings, dataset.task)
        rows = Rows(dataset, test=settings.test, newest=settings.newest)
        pieces = Pieces(settings.out / "pieces")
        desk = Desk(
            rows,
            settings,
            Loader(settings, dataset.task),
            pieces,
            self._prompts,
            self._training,
        )
        baselines = list(baseline_work(rows, settings))
        language = list(language_work(models, desk))
        probes = list(probe_work(language, desk))
        total = len(baselines) + len(language) + len(probes) + 2
        looks_at = self._look(rows, len(baselines) + len(language))
        audited = self._audit(dataset, pieces, total)
        said = list(self._said(baselines, language, pieces, total))
        said += self._guarded("Stacks", partial(stacked, said, rows, settings.seed))
        variants = self._variants(probes, total)
        desk.loader.drop()
        self._tell("Measuring", total - 1, total)
        measured = list(self._measured(rows, said, pieces))
        report = self._report(dataset, audited, measured, variants, looks_at)
        files = write_report(report, settings.out)
        self._tell("Done", total, total)
        return BenchmarkResult(report, files, tuple(self.failures))

    def _look(self, rows: Rows, forecasters: int) -> str | None:
        """Write the look down before any score of a test row is made; the test's identity."""
        if not any("test" in fold.checks for fold in rows.folds):
            return None
        test = sealed_rows_sha256(rows.dataset)
        self.ledger.record(
            what="benchmark",
            bundle=f"{forecasters} pieces of work in {self.settings.out.name}",
            data_sha256=test,
            n=len(rows.folds[0].checks["test"]),
        )
        return test

    def _audit(self, dataset: Dataset, pieces: Pieces, total: int) -> tuple[AuditLine, ...]:
        self._tell("Leak audit", 0, total)
        came_from = {"data": dataset.sha256, "seed": self.settings.seed}

        def made() -> list[dict[str, Any]]:
            report = audit(dataset, seed=self.settings.seed)
            return [line.model_dump(mode="json") for line in audit_lines(report)]

        stored = pieces.values("audit", came_from, made)
        return tuple(AuditLine.model_validate(line) for line in stored)

    def _said(
        self,
        baselines: Sequence[BaselineWork],
        language: Sequence[LanguageWork],
        pieces: Pieces,
        total: int,
    ) -> Iterator[Said]:
        done = 1
        for work in baselines:
            self._tell(work.title, done, total, FINISHED if work.done(pieces) else "")
            yield from self._guarded(work.title, partial(work.run, pieces))
            done += 1
        for asked in language:
            self._tell(asked.title, done, total, FINISHED if asked.done() else "")
            yield from self._guarded(asked.title, asked.run)
            done += 1

    def _variants(self, probes: Sequence[ProbeWork], total: int) -> list[VariantTable]:
        found: list[VariantTable] = []
        for position, work in enumerate(probes):
            done = total - 1 - len(probes) + position
            self._tell(work.title, done, total, FINISHED if work.done() else "")
            found += self._guarded(work.title, work.run)
        return found

    def _measured(self, rows: Rows, said: Sequence[Said], pieces: Pieces) -> Iterator[Measured]:
        for work in table_work(rows, said, self.settings):
            self._detail(work.title)
            yield from self._guarded(work.title, partial(work.run, pieces))

    def _report(
        self,
        dataset: Dataset,
        audited: tuple[AuditLine, ...],
        measured: Sequence[Measured],
        variants: Sequence[VariantTable],
        looks_at: str | None,
    ) -> Report:
        tables = tuple(m.table for m in measured)
        differences = tuple(d for m in measured for d in m.differences)
        settings = self.settings
        blank = new_report(
            "benchmark",
            f"Benchmark: {dataset.card.name}",
            dataset.task,
            reproduce=self.reproduce,
            seed=settings.seed,
            draws=settings.draws,
            settings=settings.model_dump(mode="json", exclude={"data", "out"}),
        )
        report = blank.model_copy(
            update={
                "summary": summarise(tables, differences),
                "data": (data_facts(dataset),),
                "audit": audited,
                "tables": tables,
                "curves": tuple(m.curves for m in measured if m.curves),
                "differences": differences,
                "slices": tuple(m.slices for m in measured if m.slices),
                "variants": tuple(variants),
                "published": published_results() if is_top(dataset) else (),
                "looks": self.ledger.looks(looks_at) if looks_at else (),
                "looks_note": self.ledger.note(looks_at) if looks_at else _UNLOOKED,
                "notes": tuple(f"Left out: {failure}" for failure in self.failures),
            }
        )
        return report.model_copy(update={"checklist": checklist(report)})

    def _guarded(self, what: str, work: Callable[[], Iterable[_T]]) -> list[_T]:
        """One piece that fails never stops its neighbours; it is named in the report."""
        try:
            return list(work())
        except LLM4TOPError as error:
            self.failures.append(f"{what}: {error}")
            return []

    def _tell(self, stage: str, done: int = 0, total: int = 1, detail: str = "") -> None:
        self._now = Progress(stage, done, total, detail)
        self.progress(self._now)

    def _detail(self, words: str) -> None:
        self.progress(replace(self._now, detail=words))

    def _reading(self, p: Progress) -> None:
        self._detail(f"{p.done} records read")

    def _prompts(self, p: PromptProgress) -> None:
        self._detail(f"{p.prompts} of {p.total_prompts} trials")

    def _training(self, p: Progress) -> None:
        log_loss = p.figures.get("log_loss")
        loss = f", validation log-loss {log_loss:.3f}" if log_loss is not None else ""
        self._detail(f"{p.stage} {p.done} of {p.total}{loss}" if p.total else p.stage)


_UNLOOKED = "No test row was looked at."
