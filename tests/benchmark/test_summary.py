"""What a benchmark says in words."""

from llm4top.benchmark._summary import summarise
from llm4top.evaluation._report import Difference, Figure, ForecasterRow, Table


def figure(value):
    return Figure(value=value, lower=value - 0.05, upper=value + 0.05, n=200)


def row(name, kind, value):
    return ForecasterRow(
        forecaster=name, kind=kind, learnt_from="", figures={"roc_auc": figure(value)}
    )


def table(phase, check, *rows):
    return Table(
        title=f"{phase}, {check}",
        phase=phase,
        check=check,
        n=200,
        counts={"failure": 90, "success": 110},
        rows=rows,
    )


def difference(first, value, p, *, check="valid"):
    return Difference(
        phase="pooled",
        check=check,
        first=first,
        second="TF-IDF",
        metric="roc_auc",
        figure=figure(value),
        p_value=p,
        p_adjusted=p,
        method="DeLong",
        family=2,
    )


ROWS = (
    row("always", "trivial", 0.5),
    row("TF-IDF", "baseline", 0.75),
    row("tiny", "language", 0.7),
    row("oracle", "cheating", 0.9),
)


def test_the_cheating_row_never_wins():
    (first, second) = summarise(
        [table("pooled", "valid", *ROWS)], [difference("tiny", -0.05, 0.01)]
    )
    assert first == (
        "pooled, valid (200 trials): the highest ROC-AUC is that of TF-IDF, 0.750 [0.700, 0.800]."
    )
    assert second == (
        "The best language model there is tiny, 0.700 [0.650, 0.750], 0.050 below TF-IDF "
        "(corrected p 0.010)."
    )


def test_what_cannot_be_told_apart_is_said():
    told = summarise([table("pooled", "valid", *ROWS)], [difference("tiny", -0.05, 0.2)])
    assert told[1].endswith("; no difference to TF-IDF can be told at n = 200.")


def test_the_strictest_check_comes_first_and_phases_step_back():
    checks = [table(phase, check, *ROWS[:2]) for check in ("valid", "test") for phase in "I"]
    pooled = [table("pooled", check, *ROWS[:2]) for check in ("valid", "newest", "test")]
    told = summarise([*checks, *pooled], [])
    assert [line.partition(" (")[0] for line in told] == [
        "pooled, test",
        "pooled, newest",
        "pooled, valid",
    ]
    assert [line.partition(" (")[0] for line in summarise(checks, [])] == ["I, test", "I, valid"]
