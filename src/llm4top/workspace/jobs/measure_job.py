"""Evaluations, comparisons, benchmarks and leak audits as runs."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm4top.files import write_json
from llm4top.progress import Progress
from llm4top.workspace.jobs.job_settings import configured, work_of
from llm4top.workspace.jobs.work import Job

if TYPE_CHECKING:
    from llm4top.evaluation.reports.report import Report
    from llm4top.forecasters.forecaster import Forecaster

REPORT_FOLDER = "report"
AUDIT_FILE = "audit.json"


def evaluate_run(job: Job) -> dict[str, Any]:
    """Evaluate one model, or compare several; ``report`` gets the report in three formats."""
    from llm4top.data.dataset import load_dataset
    from llm4top.evaluation.candidates import open_forecaster
    from llm4top.evaluation.evaluate import compare, evaluate
    from llm4top.evaluation.reports.render import write_report

    work = work_of("evaluate", job.settings)
    job.report(Progress("Loading"))
    dataset = load_dataset(job.data())
    sources = [
        _named(
            job,
            name,
            open_forecaster(
                job.model(name),
                dataset,
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
        "on_progress": job.report,
    }
    if len(sources) == 1:
        report = evaluate(sources[0], dataset, **shared)
    else:
        report = compare(sources, dataset, **shared)
    write_report(report, job.folder / REPORT_FOLDER)
    return _reported(report)


def benchmark_run(job: Job) -> dict[str, Any]:
    """Run a benchmark, or resume it after its last finished part."""
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
        made, reproduce=shlex.join(words), progress=lambda p: job.report(_of_benchmark(p))
    )
    return {**_reported(result.report), "failures": list(result.failures)}


def audit_run(job: Job) -> dict[str, Any]:
    """Audit a data set for leaks; the full result is written to ``audit.json``."""
    from llm4top.data.audit.audit import audit
    from llm4top.data.dataset import load_dataset

    work = work_of("audit", job.settings)
    report = audit(
        load_dataset(job.data()),
        seed=work.seed,
        on_progress=job.report,
    )
    values = report.to_dict()
    write_json(job.folder / AUDIT_FILE, values)
    return {"file": AUDIT_FILE, "verdict": report.verdict, "passed": report.passed}


def _named(job: Job, name: str, forecaster: Forecaster) -> Forecaster:
    """The forecaster under the name of its bundle in the workspace, where it has one."""
    if job.model(name) == name:
        return forecaster
    return replace(forecaster, label=job.workspace.bundles.get(name).name)


def _of_benchmark(progress: Progress) -> Progress:
    detail = ": ".join(filter(None, [progress.stage, progress.detail]))
    return replace(progress, stage="benchmark", detail=detail)


def _reported(report: Report) -> dict[str, Any]:
    return {"report": REPORT_FOLDER, "title": report.title, "summary": list(report.summary)}
