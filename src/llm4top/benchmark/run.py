"""The whole benchmark, one piece of work after the other, and its report."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from llm4top.benchmark.baselines import baseline_work, chosen_baselines, date_notes
from llm4top.benchmark.cache import WorkCache
from llm4top.benchmark.context import Context
from llm4top.benchmark.language_models import LanguageWork, find_models, language_work
from llm4top.benchmark.predictions import blended
from llm4top.benchmark.rows import POOLED, Rows, settle_data
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.benchmark.tables import table_work
from llm4top.data.audit.audit import audit
from llm4top.data.dataset import Dataset
from llm4top.data.scopes import is_top
from llm4top.errors import LLM4TOPError
from llm4top.evaluation.ledger import TestLedger, sealed_rows_sha256
from llm4top.evaluation.probes.contamination import contamination_probes
from llm4top.evaluation.probes.variants import prompt_ablation
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.formatting import number, p_value, with_interval
from llm4top.evaluation.reports.metadata import (
    audit_lines,
    data_facts,
    new_report,
    published_results,
)
from llm4top.evaluation.reports.render import write_report
from llm4top.evaluation.reports.report import (
    AuditLine,
    Difference,
    ForecasterRow,
    Report,
    Table,
    VariantTable,
)
from llm4top.evaluation.reports.summary import same_figures
from llm4top.evaluation.reports.table import Measurements
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.text import thousands
from llm4top.training.run_folder import RunFolder

_HONEST = ("baseline", "language", "stack")
_ORDER = ("test", "newest", "valid")
_CHANCE = 0.5


def summarise(tables: Sequence[Table], differences: Sequence[Difference]) -> tuple[str, ...]:
    """Who ranks best on each check, whether TF-IDF differs, and what a trivial one has.

    About all phases together where there is such a table, else about each phase; the strictest
    check comes first.
    """
    pooled = [table for table in tables if table.phase == "pooled"] or list(tables)
    ordered = sorted(pooled, key=lambda table: _ORDER.index(table.check))
    return tuple(line for table in ordered for line in _about(table, differences))


def _about(table: Table, differences: Sequence[Difference]) -> Iterator[str]:
    honest = [row for row in table.rows if row.kind in _HONEST and _auc(row)]
    if not honest:
        return
    best = max(honest, key=_auc)
    trivial = max((r for r in table.rows if r.kind == "trivial"), key=_auc, default=None)
    beaten = trivial is not None and _auc(trivial) >= _auc(best)
    yield _headline(table, best, trivial, differences, beaten=beaten)
    language = [row for row in honest if row.kind == "language" and row is not best]
    if language and not beaten:
        first = max(language, key=_auc)
        value = with_interval(first.figures["roc_auc"])
        compared = _compared(table, first, differences)
        yield f"The best language model there is {first.forecaster}, {value}{compared}."
    yield from same_figures(table)


def _headline(
    table: Table,
    best: ForecasterRow,
    trivial: ForecasterRow | None,
    differences: Sequence[Difference],
    *,
    beaten: bool,
) -> str:
    """Who ranks best of all rows but the oracle, trivial ones included."""
    where = f"{table.title} ({thousands(table.n)} trials): "
    own = f"{best.forecaster}, {with_interval(best.figures['roc_auc'])}"
    own += ", worse than chance" if _auc(best) < _CHANCE else ""
    if trivial is not None and beaten:
        return (
            f"{where}no trained forecaster ranks better than {trivial.forecaster}, which has "
            f"ROC-AUC {with_interval(trivial.figures['roc_auc'])}; the best of them is {own}."
        )
    text = f"{where}the highest ROC-AUC is that of {own}{_compared(table, best, differences)}"
    if trivial is not None:
        text += f"; {trivial.forecaster} has {with_interval(trivial.figures['roc_auc'])}"
    return f"{text}."


def _compared(table: Table, row: ForecasterRow, differences: Sequence[Difference]) -> str:
    """The paired difference of the row to the one that all are compared with, in words."""
    for d in differences:
        here = (d.phase, d.check, d.metric) == (table.phase, table.check, "roc_auc")
        if here and d.first == row.forecaster and d.p_adjusted is not None:
            if d.p_adjusted >= 0.05:
                return f", no detectable difference from {d.second} (n = {thousands(table.n)})"
            value = d.figure.value or 0.0
            side = "above" if value > 0 else "below"
            p = p_value(d.p_adjusted)
            return f", {number(abs(value))} {side} {d.second} (corrected p {p})"
    return ""


def _auc(row: ForecasterRow) -> float:
    figure = row.figures.get("roc_auc")
    return figure.value or 0.0 if figure else 0.0


@dataclass(frozen=True, slots=True)
class ProbeWork:
    """One kind of probe of one model, on validation rows."""

    kind: str
    work: LanguageWork
    context: Context

    @property
    def title(self) -> str:
        """What is being done, in words."""
        words = "Prompt ablation" if self.kind == "ablation" else "Contamination probes"
        return f"{words}: {self.work.name}"

    def inputs(self) -> dict[str, Any]:
        """Everything that the tables depend on."""
        settings = self.context.settings
        return {
            "probe": self.kind,
            "model": self.work.inputs(),
            "rows": settings.probe_trials,
            "cutoff": settings.cutoff,
            "seed": settings.seed,
            "draws": settings.draws,
        }

    def done(self) -> bool:
        """Whether it is finished already."""
        return self.context.cache.has("probe", self.inputs())

    def run(self) -> list[VariantTable]:
        """The probe's tables; raises what the probe raises."""
        stored = self.context.cache.values("probe", self.inputs(), self._tables)
        return [VariantTable.model_validate(table) for table in stored]

    def _tables(self) -> list[dict[str, Any]]:
        settings = self.context.settings
        forecaster: Any = self.work.forecaster()
        rows = self.work.fold.checks["valid"]
        options: dict[str, Any] = {
            "limit": settings.probe_trials,
            "seed": settings.seed,
            "draws": settings.draws,
            "name": self.work.name,
            "on_progress": self.context.on_prompts,
        }
        if self.kind == "ablation":
            tables = [prompt_ablation(forecaster, rows, **options)]
        else:
            tables = list(contamination_probes(forecaster, rows, cutoff=settings.cutoff, **options))
        return [table.model_dump(mode="json") for table in tables]


def probe_work(language: Sequence[LanguageWork], context: Context) -> Iterator[ProbeWork]:
    """Contamination probes of untrained weights, prompt ablation of trained ones."""
    if not context.settings.probe_trials:
        return
    for work in language:
        if work.fold.name != "split" or work.phase != POOLED or work.model.base is None:
            continue
        if work.variant in ("zero-shot", "as shipped"):
            yield ProbeWork("contamination", work, context)
        if work.variant in ("LoRA", "as shipped"):
            yield ProbeWork("ablation", work, context)


_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

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
    """Run everything in ``settings`` and write ``report.html``, ``.json`` and ``.md``.

    Everything is stored in ``settings.out``: a benchmark that was stopped or killed resumes after
    its last finished piece of work. A forecaster that fails is named among the failures and in the
    report, and the others are not affected. Each call that shows test results is one look in the
    ledger, recorded before the first of them.

    Args:
        settings: What is run.
        ledger: Where looks at test splits are recorded; None takes the home folder's.
        reproduce: The command that makes the report again, for its readers.
        progress: Called with each piece of work; its detail is ``FINISHED`` for cached ones.

    Raises:
        TrainingError: Another process writes the folder.
        ConfigError: A setting fits nothing; and what making the data set and finding the models
            raises.
    """
    run = RunFolder(settings.out)
    with run.locked():
        return _Benchmark(settings, ledger or TestLedger(), reproduce, progress).run()


def plan(settings: BenchmarkSettings) -> list[tuple[str, bool]]:
    """The titles of the work ahead, each with whether it is finished; makes the data set."""
    rows = Rows(settle_data(settings), test=settings.test, newest=settings.newest)
    context = Context.of(rows, settings)
    models = find_models(settings, rows.dataset.task)
    work: list[_Work[Any]] = [*baseline_work(context), *language_work(models, context)]
    return [(one.title, one.done()) for one in work]


class _Work(Protocol[_T_co]):
    """A piece of work: cached where it is finished."""

    @property
    def title(self) -> str:
        """What is being done, in words."""
        ...

    def done(self) -> bool:
        """Whether it is finished already."""
        ...

    def run(self) -> Sequence[_T_co]:
        """Its results; raises what making them raises."""
        ...


@dataclass(slots=True)
class _Benchmark:
    settings: BenchmarkSettings
    ledger: TestLedger
    reproduce: str
    progress: OnProgress
    failures: list[str] = field(default_factory=list)
    _now: Progress = field(default_factory=lambda: Progress(""))

    def run(self) -> BenchmarkResult:
        settings = self.settings
        chosen_baselines(settings)  # a wrong name should fail before the data are read
        self._begin("Data set")
        dataset = settle_data(settings, self._on_reading)
        models = find_models(settings, dataset.task)
        rows = Rows(dataset, test=settings.test, newest=settings.newest)
        callbacks = {"on_prompts": self._on_prompts, "on_training": self._on_training}
        context = Context.of(rows, settings, **callbacks)
        baselines = list(baseline_work(context))
        language = list(language_work(models, context))
        probes = list(probe_work(language, context))
        total = len(baselines) + len(language) + len(probes) + 2
        test_sha256 = self._look(rows, len(baselines) + len(language))
        self._begin("Leak audit", 0, total)
        audited = self._audit(dataset, context.cache)
        predictions = self._all(baselines, 1, total)
        predictions += self._all(language, 1 + len(baselines), total)
        blends = partial(blended, predictions, rows, settings.seed)
        predictions += self._guarded("Blends", blends)
        variants = self._all(probes, total - 1 - len(probes), total)
        context.loader.release()
        self._begin("Measuring", total - 1, total)
        measured: list[Measurements] = []
        for work in table_work(predictions, context):
            self._detail(work.title)
            measured += self._guarded(work.title, work.run)
        notes = date_notes(context)
        report = self._report(dataset, audited, measured, variants, test_sha256, notes)
        files = write_report(report, settings.out)
        self._begin("Done", total, total)
        return BenchmarkResult(report, files, tuple(self.failures))

    def _look(self, rows: Rows, forecasters: int) -> str | None:
        """Record the look before any test row is scored; returns the test's identity."""
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

    def _audit(self, dataset: Dataset, cache: WorkCache) -> tuple[AuditLine, ...]:
        def audited() -> list[dict[str, Any]]:
            report = audit(dataset, seed=self.settings.seed)
            return [line.model_dump(mode="json") for line in audit_lines(report)]

        inputs = {"data": dataset.sha256, "seed": self.settings.seed}
        stored = cache.values("audit", inputs, audited)
        return tuple(AuditLine.model_validate(line) for line in stored)

    def _all(self, works: Sequence[_Work[_T]], first: int, total: int) -> list[_T]:
        """The results of all pieces of work, of which one that fails is left out."""
        found: list[_T] = []
        for done, work in enumerate(works, start=first):
            self._begin(work.title, done, total, FINISHED if work.done() else "")
            found += self._guarded(work.title, work.run)
        return found

    def _report(
        self,
        dataset: Dataset,
        audited: tuple[AuditLine, ...],
        measured: Sequence[Measurements],
        variants: Sequence[VariantTable],
        test_sha256: str | None,
        notes: Sequence[str],
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
                "looks": self.ledger.looks(test_sha256) if test_sha256 else (),
                "looks_note": self.ledger.note(test_sha256) if test_sha256 else _NO_LOOK,
                "notes": (*notes, *(f"Left out: {failure}" for failure in self.failures)),
            }
        )
        return report.model_copy(update={"checklist": checklist(report)})

    def _guarded(self, what: str, work: Callable[[], Iterable[_T]]) -> list[_T]:
        """The results of some work; if it fails, it is named in the report and stops no other."""
        try:
            return list(work())
        except LLM4TOPError as error:
            self.failures.append(f"{what}: {error}")
            return []

    def _begin(self, stage: str, done: int = 0, total: int = 1, detail: str = "") -> None:
        self._now = Progress(stage, done, total, detail)
        self.progress(self._now)

    def _detail(self, words: str) -> None:
        self.progress(replace(self._now, detail=words))

    def _on_reading(self, p: Progress) -> None:
        self._detail(f"{p.done} records read")

    def _on_prompts(self, p: Progress) -> None:
        self._detail(f"{p.done} of {p.total} trials")

    def _on_training(self, p: Progress) -> None:
        log_loss = p.figures.get("log_loss")
        loss = f", validation log-loss {log_loss:.3f}" if log_loss is not None else ""
        self._detail(f"{p.stage} {p.done} of {p.total}{loss}" if p.total else p.stage)


_NO_LOOK = "No test row was looked at."
