"""How reports write numbers, intervals, phases, checks and kinds of forecasters."""

from collections.abc import Mapping

from llm4top.evaluation.reports.report import CurveSet, Difference, Figure, Kind, Report, Table
from llm4top.text import thousands

CHEATING = "cheating: reads the outcome's status"
NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

KINDS: dict[Kind, str] = {
    "trivial": "Trivial",
    "baseline": "Traditional machine learning",
    "language": "Language models",
    "stack": "Blends",
    "cheating": "Leak oracle",
}
"""Groups of a table's rows, in display order."""

CHECKS = {
    "test": "test split",
    "newest": "newest part of the training data",
    "valid": "validation split",
}
"""The checks in display order."""

SHORT_CHECKS = {"test": "test", "newest": "newest", "valid": "validation"}
"""The checks in one word."""

CHECK_NOTES = {
    "test": "These rows were used neither for training nor for any choice.",
    "newest": "A time split of the training data: trained on older trials, measured on the newest. "
    "Closer to real use than the validation split.",
    "valid": "These rows were used for model selection, so these results are optimistic.",
}

BETTER = {
    "higher": "Higher is better.",
    "lower": "Lower is better.",
    "one": "1 is best.",
    "zero": "0 is best.",
}
"""Which way a metric is better, in words."""

PUBLISHED_NOTE = (
    "Published results differ in their data and in how a metric was computed, so each group states "
    "its protocol and is shown separately. The grade states the evidence for a figure: measured "
    "(recomputed from released predictions or data), primary (the authors' own text), secondary "
    "(quoted by others), recalled (not checked against any source)."
)

CHECKLIST_NOTE = (
    "TRIPOD+AI (Collins et al., BMJ 2024;385:e078378) and TRIPOD-LLM (Gallifant et al., Nature "
    "Medicine 2025;31:60), items in short and in our words, filled from this run. "
    "What the program cannot know is left open. Not a substitute for the statements themselves."
)

_PHASES = ("I", "II", "III", "IV", "pooled")


def number(value: float | None, decimals: int = 3) -> str:
    """``.740`` (no leading zero), ``−.012`` with a true minus, a dash for None."""
    if value is None:
        return NOTHING
    text = f"{abs(value):.{decimals}f}"
    if text.startswith("0."):
        text = text[1:]
    negative = value < 0 and any(c in "123456789" for c in text)
    return f"{MINUS}{text}" if negative else text


def signed(value: float | None) -> str:
    """As ``number``, with a plus before what is not negative."""
    if value is None:
        return NOTHING
    text = number(value)
    return text if text.startswith(MINUS) else f"+{text}"


def interval(figure: Figure | None) -> str:
    """``[.653, .818]``; nothing where there is none."""
    if figure is None or figure.lower is None or figure.upper is None:
        return ""
    return f"[{number(figure.lower)}, {number(figure.upper)}]"


def with_interval(figure: Figure | None) -> str:
    """``.740 [.653, .818]``, or a dash."""
    if figure is None or figure.value is None:
        return NOTHING
    return f"{number(figure.value)} {interval(figure)}".rstrip()


def signed_with_interval(figure: Figure | None) -> str:
    """``+.021 [-.004, .046]``, or a dash."""
    if figure is None or figure.value is None:
        return NOTHING
    return f"{signed(figure.value)} {interval(figure)}".rstrip()


def p_value(p: float | None) -> str:
    """Three decimals, and ``< .001`` below."""
    if p is None:
        return NOTHING
    return "< .001" if p < 0.001 else number(p)


def phase_name(phase: str) -> str:
    """``Phase II``; ``All phases`` for the pooled rows."""
    return "All phases" if phase == "pooled" else f"Phase {phase}"


def check_name(check: str) -> str:
    """The check in words."""
    return CHECKS.get(check, check)


def heading(part: Table | CurveSet) -> str:
    """``Phase II, validation split``."""
    return f"{phase_name(part.phase)}, {check_name(part.check)}"


def display_order(phase: str, check: str) -> tuple[int, int]:
    """Sort key: the phases in their order; within one, the strictest check first."""
    phases, checks = list(_PHASES), list(CHECKS)
    return (
        phases.index(phase) if phase in phases else len(phases),
        checks.index(check) if check in checks else len(checks),
    )


def counts_text(counts: Mapping[str, int]) -> str:
    """``238 failure, 208 success``."""
    return ", ".join(f"{thousands(n)} {label}" for label, n in counts.items())


def reading(difference: Difference, better: str) -> str:
    """Which forecaster a difference shows to be better, or that none is detectable.

    ``better`` is the metric's direction. The adjusted p-value decides where there is one, the
    interval where there is none.
    """
    figure = difference.figure
    if figure.value is None:
        return "not measured"
    detected = (
        difference.p_adjusted < 0.05
        if difference.p_adjusted is not None
        else figure.lower is not None
        and figure.upper is not None
        and (figure.lower > 0 or figure.upper < 0)
    )
    if not detected or better not in ("higher", "lower"):
        return f"no detectable difference (n = {thousands(figure.n)})"
    first_wins = (figure.value > 0) == (better == "higher")
    return f"{difference.first if first_wins else difference.second} is better"


def variants_heading(report: Report) -> str:
    """What the variants of a report are."""
    selection = report.kind == "selection"
    return "Candidates, rung by rung" if selection else "Ablation and contamination"


def variants_column(report: Report) -> str:
    """What a row of a variant table is."""
    return "Candidate" if report.kind == "selection" else "Shown to the model"
