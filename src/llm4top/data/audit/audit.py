"""The leak audit: does a data set give its labels away, and by which field?"""

from llm4top.data.audit.fields import check_fields, check_presence
from llm4top.data.audit.findings import AuditFinding, AuditReport
from llm4top.data.audit.near_duplicates import check_near_duplicates
from llm4top.data.audit.outcome_leaks import check_outcome_leaks
from llm4top.data.audit.rows import AuditRows, sample_rows
from llm4top.data.audit.splits import check_countable, check_ids, check_labels, check_time
from llm4top.data.audit.status import check_status
from llm4top.data.audit.terms import check_terms, field_terms
from llm4top.data.dataset import Dataset
from llm4top.progress import OnProgress, Progress, ignore

_GRAVITY = {"fail": 0, "warn": 1, "pass": 2}
_ROWS_PER_STEP = 5000


def audit(
    dataset: Dataset,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore,
) -> AuditReport:
    """Look for what gives the label away, and name the field that does.

    Checks: single fields, single words, the label side in the text, sentences that tell the
    outcome, ids and copies across splits, overlap in time.
    Labels, statuses and reasons for stopping are read of train rows only; valid and test rows for
    their text, ids and dates. Fields that the task hides are passed over. The same seed on the
    same machine gives the same report. The limits and their reasons are in ``AuditLimits``.

    Raises ``SplitError`` for a trial in two splits, ``EmptyClassError`` for a label without rows
    and ``TooFewRowsError`` for a split of one row or too few train rows.
    """
    check_countable(dataset)
    rows = sample_rows(dataset, seed)
    count = _Steps(dataset, rows, on_progress)
    lines: list[AuditFinding] = []
    lines += _gravest_first(check_ids(dataset))
    lines += _gravest_first(check_labels(dataset))
    lines += _gravest_first(check_time(dataset))
    lines += _gravest_first(check_near_duplicates(dataset, count))
    lines += _gravest_first(check_outcome_leaks(dataset, count))
    lines += _gravest_first(check_status(rows, count))
    terms = {}
    for name, texts in rows.fields.items():
        count(f"words of {name}")
        terms[name] = field_terms(texts)
    lines += _gravest_first(check_terms(rows, terms))
    lines += _gravest_first(check_presence(rows))
    lines += _gravest_first(check_fields(rows, terms, seed, count))
    count.finish()
    return AuditReport(
        name=dataset.card.name,
        sha256=dataset.sha256,
        task=dataset.task.name,
        seed=seed,
        rows=len(dataset),
        rows_read_closely=len(rows),
        lines=tuple(lines),
    )


def _gravest_first(findings: list[AuditFinding]) -> list[AuditFinding]:
    return sorted(findings, key=lambda finding: _GRAVITY[finding.verdict])


class _Steps:
    """Counts the steps of an audit and reports them."""

    def __init__(self, dataset: Dataset, rows: AuditRows, report: OnProgress):
        batches = -(-len(dataset) // _ROWS_PER_STEP)
        checks = len(set(dataset.splits) - {"train"})
        self._total = 2 * batches + checks + 3 * len(rows.fields) + 1
        self._done = 0
        self._report = report

    def __call__(self, stage: str) -> None:
        self._report(Progress(stage, self._done, self._total))
        self._done += 1

    def finish(self) -> None:
        """Report that all is done."""
        self._report(Progress("done", self._total, self._total))
