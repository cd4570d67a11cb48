"""Do the splits themselves hold: ids, labels, sizes, and time?"""

from collections import Counter

from llm4top.data.audit.findings import LIMITS, AuditFinding, ids
from llm4top.data.dataset import Dataset
from llm4top.data.splits import check_disjoint
from llm4top.errors import EmptyClassError, TooFewRowsError
from llm4top.text import percent, thousands

IDS = "shared ids"
LABELS = "labels in each split"
TIME = "time overlap"
_UNDATED = 0.5


def check_countable(dataset: Dataset) -> None:
    """Refuse splits that nothing can be measured on.

    Raises ``SplitError`` for an id in two splits, ``TooFewRowsError`` for a split of one row or
    too few train rows, ``EmptyClassError`` for a label without a row: of train, and for a binary
    task of any split that has rows.
    """
    check_disjoint(dataset.nct_ids, dataset.splits)
    counts = dataset.counts()
    if "train" not in counts:
        raise TooFewRowsError(
            "the train split is empty.", hint="An audit checks the training rows."
        )
    for split, by_label in counts.items():
        if sum(by_label.values()) == 1:
            raise TooFewRowsError(
                f"the {split} split has one row.", hint="Split again with larger shares."
            )
        empty = [label for label, rows in by_label.items() if not rows]
        if empty and (split == "train" or dataset.task.kind == "binary"):
            raise EmptyClassError(
                f"the {split} split has no row with label {', '.join(map(repr, empty))}.",
                hint="Split again, or make the data set from more records.",
            )
    enough = [label for label, rows in counts["train"].items() if rows >= LIMITS.label_rows]
    if len(enough) < 2:
        there = ", ".join(f"{rows} {label}" for label, rows in counts["train"].items())
        raise TooFewRowsError(
            f"the train split has too few rows to audit: {there}.",
            hint=f"Two labels with {LIMITS.label_rows} rows each are the least.",
        )


def check_ids(dataset: Dataset) -> list[AuditFinding]:
    """Ids in two splits are refused before; rows that stand twice in one split are counted."""
    repeated = {i: n for i, n in Counter(dataset.nct_ids).items() if n > 1}
    if not repeated:
        text = (
            f"Each of the {thousands(len(dataset))} rows is a different trial; none is in two "
            "splits."
        )
        return [AuditFinding(IDS, "pass", "", text)]
    return [
        AuditFinding(
            IDS,
            "warn",
            "",
            f"No trial is in two splits, but {thousands(len(repeated))} with several rows in one "
            f"split ({ids(sorted(repeated))}): these trials count more than others.",
            {"trials": len(repeated)},
        )
    ]


def check_labels(dataset: Dataset) -> list[AuditFinding]:
    """Labels that a split other than train has no row of (several labels only)."""
    findings = [
        AuditFinding(
            LABELS,
            "warn",
            "",
            f"The {split} split has no row with label {label!r}: it cannot be evaluated there.",
        )
        for split, by_label in dataset.counts().items()
        for label, rows in by_label.items()
        if not rows
    ]
    return findings or [AuditFinding(LABELS, "pass", "", "Every split has rows of every label.")]


def check_time(dataset: Dataset) -> list[AuditFinding]:
    """Whether train rows are older than the rows they are checked on."""
    dates = [s or f for s, f in zip(dataset.start_dates, dataset.first_submitted, strict=True)]
    dated = sum(date is not None for date in dates) >= _UNDATED * len(dates)
    when = "start date" if dated else "NCT number, as dates are missing"
    keys = dates if dated else list(dataset.nct_ids)
    by_split: dict[str, list[str]] = {}
    for split, key in zip(dataset.splits, keys, strict=True):
        if key is not None:
            by_split.setdefault(split, []).append(key)
    train = by_split.get("train", [])
    findings = []
    for split in ("valid", "test"):
        checked = by_split.get(split, [])
        if not checked or not train:
            continue
        older = sum(key <= max(train) for key in checked)
        later = sum(key >= min(checked) for key in train)
        if not older:
            text = f"Every {split} row is newer than every train row (by {when})."
            findings.append(AuditFinding(TIME, "pass", "", text))
            continue
        findings.append(
            AuditFinding(
                TIME,
                "warn",
                "",
                f"{split} and train overlap in time: {percent(later / len(train))} of the train "
                f"rows are as new as the oldest {split} row or newer, and "
                f"{percent(older / len(checked))} of the {split} rows are no newer than the newest "
                f"train row (by {when}). Figures on {split} are optimistic; check them on a split "
                "by time too.",
                {"train_later": later / len(train), "older": older / len(checked)},
            )
        )
    return findings or [AuditFinding(TIME, "pass", "", "There is no second split to compare with.")]
