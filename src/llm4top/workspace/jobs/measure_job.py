"""Evaluations, comparisons, benchmarks and leak audits as runs."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4top.workspace.jobs.job_progress import Step
from llm4top.workspace.jobs.job_settings import configured, work_of
from llm4top.workspace.jobs.work import Job

if TYPE_CHECKING:
    from llm4top.evaluation.reports.report import Report
    from llm4top.evaluation.source import Source
    from llm4top.progress import Progress

REPORT_FOLDER = "report"
AUDIT_FILE = "audit.json"


def evaluate_run(job: Job) -> dict[str, Any]:
    """Measure one model, or compare several; the report lies in ``report`` in three formats."""
    from llm4top.data.dataset import load_dataset
    from llm4top.evaluation.evaluate import compare, evaluate
    from llm4top.evaluation.reports.render import write_report
    from llm4top.evaluation.source import load_source

    work = work_of("evaluate", job.settings)
    job.tell(Step("Loading"))
    dataset = load_dataset(job.data())
    sources = [
        _named(
            job,
            name,
            load_source(
                job.model(name),
                task=dataset.task,
                device=job.device,
                quantize=work.quantize,
                batch_tokens=work.batch_tokens,
            ),
        )
        for name in work.models
    ]
    command = "evaluate" if len(sources) == 1 else "compare"
    models = [job.model(name) for name in work.models]
    words = ["llm4top", command, *models, "--data", str(job.data()), "--split", work.split]
    shared: dict[str, Any] = {
        "split": work.split,
        "seed": work.seed,
        "draws": work.draws,
        "reproduce": shlex.join(words),
        "on_progress": lambda p: job.tell(_evaluation_step(p)),
    }
    if len(sources) == 1:
        report = evaluate(sources[0], dataset, **shared)
    else:
        report = compare(sources, dataset, **shared)
    write_report(report, job.folder / REPORT_FOLDER)
    return _reported(report)


def benchmark_run(job: Job) -> dict[str, Any]:
    """Run a benchmark, or go on behind its last finished piece."""
    from llm4top.benchmark.run import benchmark

    out = job.folder / REPORT_FOLDER
    if not job.run.resuming:
        shutil.rmtree(out, ignore_errors=True)
    settings = {name: value for name, value in job.settings.items() if name != "dataset"}
    settings |= {"data": job.data(), "device": job.device}
    settings["bases"] = tuple(job.model(name) for name in settings.get("bases", ()))
    made = configured("benchmark", settings, out)
    words = ["llm4top", "benchmark", "--data", str(made.data), "--out", str(out)]
    words += [word for base in made.bases for word in ("--base", base)]
    result = benchmark(
        made, reproduce=shlex.join(words), progress=lambda p: job.tell(_benchmark_step(p))
    )
    return {**_reported(result.report), "failures": list(result.failures)}


def audit_run(job: Job) -> dict[str, Any]:
    """Audit a data set for leaks; the whole finding lies in ``audit.json``."""
    from llm4top.data.audit.audit import audit
    from llm4top.data.dataset import load_dataset

    work = work_of("audit", job.settings)
    report = audit(
        load_dataset(job.data()),
        seed=work.seed,
        on_progress=lambda p: job.tell(Step(p.stage, p.done, p.total)),
    )
    values = report.to_dict()
    _write(job.folder / AUDIT_FILE, values)
    return {"file": AUDIT_FILE, "verdict": report.verdict, "passed": report.passed}


def _named(job: Job, name: str, source: Source) -> Source:
    """The source under the name that its bundle has in the workspace, where it is one of it."""
    if job.model(name) == name:
        return source
    return replace(source, name=job.workspace.bundles.get(name).name)


def _evaluation_step(progress: Progress) -> Step:
    return Step(progress.stage, progress.done, progress.total)


def _benchmark_step(progress: Progress) -> Step:
    detail = f"{progress.stage}: {progress.detail}" if progress.detail else progress.stage
    return Step("benchmark", progress.done, progress.total, detail)


def _reported(report: Report) -> dict[str, Any]:
    return {"report": REPORT_FOLDER, "title": report.title, "summary": list(report.summary)}


def _write(file: Path, values: Any) -> None:
    scratch = file.with_name(f".{file.name}")
    scratch.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")
    scratch.replace(file)
