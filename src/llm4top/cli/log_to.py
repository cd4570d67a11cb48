"""``--log-to``: where a command logs its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import note
from llm4top.cli.options import TokenizerOption

if TYPE_CHECKING:
    from llm4top.evaluation.mlflow_runs import MlflowTarget
    from llm4top.evaluation.reports.report import Report

LogToOption = Annotated[
    str | None,
    typer.Option(
        help="mlflow logs settings and figures to MLFLOW_TRACKING_URI, or to a store in the home "
        "folder; mlflow:URI to a folder, sqlite:///FILE or a server.",
        metavar="mlflow[:URI]",
    ),
]
RemoteLogOption = Annotated[
    bool,
    typer.Option(
        "--allow-remote",
        help="Let MLflow be on another machine: settings and figures are sent there.",
    ),
]
RemoteWorkOption = Annotated[
    bool,
    typer.Option(
        "--allow-remote",
        help="Let a model or MLflow be on another machine: the text of each record is sent to the "
        "model, settings and figures to MLflow.",
    ),
]


@dataclass(frozen=True)
class Logging:
    """Where a training logs."""

    log_to: LogToOption = None
    allow_remote: RemoteLogOption = False

    def target(self) -> MlflowTarget | None:
        """See ``log_target``."""
        return log_target(self.log_to, allow_remote=self.allow_remote)


@dataclass(frozen=True)
class Reaching:
    """What an evaluation reaches outside its process."""

    tokenizer: TokenizerOption = None
    allow_remote: RemoteWorkOption = False
    log_to: LogToOption = None


def log_target(log_to: str | None, *, allow_remote: bool) -> MlflowTarget | None:
    """Where ``--log-to`` logs, noting which other machine that is; None where it was not given."""
    if log_to is None:
        return None
    from llm4top.evaluation.mlflow_runs import MlflowTarget

    target = MlflowTarget.parse(log_to, allow_remote=allow_remote)
    if not target.is_local:
        note(target.privacy)
    return target


def log_finished(report: Report, target: MlflowTarget | None) -> None:
    """Log a report that is finished and written; a failure is noted and ends nothing."""
    if target is None:
        return
    from llm4top.evaluation.mlflow_report import log_report
    from llm4top.evaluation.mlflow_runs import unless_it_fails

    with unless_it_fails() as problems:
        note(f"Logged to MLflow ({target.host or target.uri}): run {log_report(report, target)}")
    for problem in problems:
        where = target.host or target.uri
        note(f"MLflow ({where}) cannot be written to: {problem}. The report is whole.")
