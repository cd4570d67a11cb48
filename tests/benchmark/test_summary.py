"""What a benchmark says in words."""

from llm4top.benchmark.run import summarise
from llm4top.evaluation.reports.report import Difference, Figure, ForecasterRow, Table


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
        "pooled, valid (200 trials): the highest ROC-AUC is that of TF-IDF, .750 [.700, .800]; "
        "always has .500 [.450, .550]."
    )
    assert second == (
        "The best language model there is tiny, .700 [.650, .750], .050 below TF-IDF "
        "(corrected p .010)."
    )


def test_what_cannot_be_told_apart_is_said():
    told = summarise([table("pooled", "valid", *ROWS)], [difference("tiny", -0.05, 0.2)])
    assert told[1].endswith(", no detectable difference from TF-IDF (n = 200).")


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


def test_a_trivial_row_that_ranks_as_well_is_the_headline():
    rows = (
        row("Base rate by phase", "trivial", 0.561),
        row("TF-IDF", "baseline", 0.462),
        row("forest", "baseline", 0.45),
    )
    assert summarise([table("pooled", "valid", *rows)], []) == (
        "pooled, valid (200 trials): no trained forecaster ranks better than Base rate by "
        "phase, which has ROC-AUC .561 [.511, .611]; the best of them is TF-IDF, .462 "
        "[.412, .512], worse than chance.",
    )


def test_a_best_row_below_chance_is_told():
    rows = (row("always", "trivial", 0.411), row("TF-IDF", "baseline", 0.448))
    (line,) = summarise([table("pooled", "valid", *rows)], [])
    assert "that of TF-IDF, .448 [.398, .498], worse than chance; always has" in line


def test_two_names_for_one_forecaster_are_told():
    rows = (*ROWS[:2], row("Random forest", "baseline", 0.6), row("kNN + forest", "baseline", 0.6))
    assert summarise([table("pooled", "valid", *rows)], [])[-1] == (
        "Random forest and kNN + forest have the same figures throughout: on these rows they are "
        "one forecaster."
    )
