"""Published results on the TOP benchmark, each with its protocol, its grade and its source.

Facts only, in our words. Grades: "measured" is recomputed from released predictions or data,
"primary" stands in the authors' own text, "secondary" is quoted by others, "recalled" is not
checked against any source. Figures of different protocols are never to be ranked together.
"""

from __future__ import annotations

from collections.abc import Iterator

from llm4top.evaluation._report import PublishedRow

_PHASES = ("I", "II", "III")
_COLUMNS = ("PR-AUC", "F1", "ROC-AUC")
_NOT_FOUND = "not found"

_RULES = (
    "TOP test split, recomputed: constants and rules that need no model. The status rules read "
    "the outcome and cheat; F1 of always-success is what any published F1 has to beat."
)
_SCORES = (
    "TOP test split, recomputed from HINT's released predictions: average precision on scores, "
    "decisions at .5."
)
_A = (
    "HINT's protocol (group A): TOP test split, PR-AUC computed from 0/1 decisions at .5. That is "
    "not average precision on scores: the same predictions have .636 (I) and .868 (III) there."
)
_A_LATER = (
    "SPOT and MediTab: TOP test split, PR-AUC probably on scores (not stated); set beside HINT's "
    "row they mix the model with the metric."
)
_B = (
    "MEXA-CTP's protocol (group B): TOP's files and split, class-weighted loss, average precision "
    "on scores in the released code. Baselines' PR-AUC in phase III lies below the prevalence "
    "(.750) at a ROC-AUC above .5: on scores that is hardly possible, so they were computed "
    "otherwise."
)
_C = "LIFTED's protocol (group C): TOP with the authors' own reruns of HINT and SPOT; no ROC-AUC."
_D = (
    "Selective classification (group D): only trials the model is sure of are kept, so the test "
    "rows differ. Unverified: the released phase I notebook computes these figures on the 1 044 "
    "rows that it was fitted on."
)
_TOOL = (
    "LLM4TOP preprint: Qwen3-8B tuned on TOP. Its tables, prompt and settings were not obtained, "
    "so nothing here reproduces it."
)

_CSVS = "https://github.com/futianfan/clinical-trial-outcome-prediction"
_HINT = "https://experts.illinois.edu/en/publications/hint-hierarchical-interaction-network-for-clinical-trial-outcome- (Patterns 2022;3:100445)"  # noqa: E501
_MEXA = "https://github.com/murai-lab/MEXA-CTP"
_LIFTED = "https://aclanthology.org/2025.findings-emnlp.396/ (arXiv 2402.06512)"

_HINT_BASELINES = {
    "Logistic regression": ".500 .604 .520 / .565 .555 .587 / .687 .698 .650",
    "Random forest": ".518 .621 .525 / .578 .563 .588 / .692 .686 .663",
    "XGBoost": ".513 .621 .518 / .586 .570 .600 / .697 .696 .667",
    "AdaBoost": ".519 .622 .526 / .586 .583 .603 / .701 .695 .670",
    "kNN + random forest": ".531 .625 .538 / .594 .590 .597 / .707 .698 .678",
    "Feed-forward network": ".547 .634 .550 / .604 .599 .611 / .747 .748 .681",
    "DeepEnroll": ".568 .648 .575 / .600 .598 .625 / .777 .786 .699",
    "COMPOSE": ".564 .658 .571 / .604 .597 .628 / .782 .792 .700",
}
_MEXA_README = {
    "Logistic regression": ".513 .495 .485 / .560 .527 .559 / .553 .624 .600",
    "Random forest": ".514 .499 .542 / .553 .463 .626 / .583 .675 .643",
    "kNN + random forest": ".513 .621 .528 / .573 .624 .560 / .587 .670 .643",
    "XGBoost": ".594 .624 .539 / .585 .552 .630 / .627 .694 .668",
    "AdaBoost": ".544 .633 .540 / .586 .583 .603 / .589 .722 .624",
    "Feed-forward network": ".576 .634 .550 / .589 .564 .610 / .572 .625 .620",
    "HINT (rerun)": ".581 .598 .573 / .607 .635 .621 / .603 .814 .685",
    "MEXA-CTP": ".605 .713 .593 / .635 .695 .538 / .771 .857 .693",
}
_LIFTED_TABLE = {
    "HINT (rerun)": ".584 .682 - / .591 ? - / .859 .809 -",
    "SPOT (rerun)": ".698 .684 - / .626 ? - / .817 .810 -",
    "LIFTED": ".707 .716 - / .698 .662 - / .883 .838 -",
}


def published_results() -> tuple[PublishedRow, ...]:
    """Every published result known for TOP, by protocol; for reports on TOP only.

    A figure of "not found" is one that the source has and this table has not.
    """
    return (
        *_rules(),
        *_hint_scores(),
        *_table(_HINT_BASELINES, _A, "recalled", _HINT),
        *_hint_paper(),
        *_spot_and_meditab(),
        *_table(_MEXA_README, _B, "primary", _MEXA),
        *_by_phase(
            "CLaDMoP",
            ".680 .713 .642 / .683 .685 ? / .860 .861 .702",
            _B,
            ("secondary",) * 3,
            "https://arxiv.org/abs/2505.18527",
        ),
        *_table(_LIFTED_TABLE, _C, "secondary", _LIFTED),
        *_selective(),
        PublishedRow(
            system="LLM4TOP (Qwen3-8B, LoRA)",
            phase="I, II, III",
            figures={"Accuracy": _NOT_FOUND, "Precision": _NOT_FOUND},
            protocol=_TOOL,
            grade="primary (a claim without a figure)",
            source="doi:10.1101/2025.07.06.25330956",
        ),
    )


def _rules() -> Iterator[PublishedRow]:
    columns = ("Accuracy", "Precision", "F1", "ROC-AUC", "PR-AUC")
    rules = {
        "Always success": (".553 .553 .713 .500 .553", ".750 .750 .857 .500 .750"),
        "Success if the status is completed (cheating)": (
            ".804 .846 .817 .806 .784",
            ".775 .858 .848 .712 .841",
        ),
        "Failure if terminated, withdrawn or suspended (cheating)": (
            ".879 .835 .899 .867 .827",
            ".860 .846 .914 .726 .845",
        ),
    }
    for system, cells in rules.items():
        for phase, row in zip(("I", "III"), cells, strict=True):
            figures = dict(zip(columns, row.split(), strict=True))
            yield _row(system, phase, figures, _RULES, "measured", _CSVS)


def _hint_scores() -> Iterator[PublishedRow]:
    columns = ("Accuracy", "Precision", "F1", "ROC-AUC", "PR-AUC")
    whole = {
        "I": (".557 [.515, .593]", ".572", ".663", ".564 [.525, .606]", ".636"),
        "III": (".765 [.742, .790]", ".822", ".848", ".721 [.688, .753]", ".868"),
    }
    for phase, row in whole.items():
        figures = dict(zip(columns, row, strict=True))
        yield _row("HINT's released predictions", phase, figures, _SCORES, "measured", _CSVS)
    parts = {
        "HINT, completed trials only": (".504 (n = 324)", ".704 (n = 839)"),
        "HINT, trials not stopped early": (".502 (n = 405)", ".701 (n = 1 011)"),
    }
    for system, cells in parts.items():
        for phase, value in zip(("I", "III"), cells, strict=True):
            yield _row(system, phase, {"ROC-AUC": value}, _SCORES, "measured", _CSVS)


def _hint_paper() -> Iterator[PublishedRow]:
    checked = "primary (F1), measured (the rest, within .002)"
    grades = (checked, "primary (F1), recalled (the rest)", checked)
    cells = ".567 .665 .576 / .629 .620 .645 / .811 .847 .723"
    return _by_phase("HINT", cells, _A, grades, _HINT)


def _spot_and_meditab() -> Iterator[PublishedRow]:
    yield from _by_phase(
        "SPOT",
        ".689 .714 .660 / .685 .656 .630 / .856 .857 .711",
        _A_LATER,
        ("primary (PR-AUC, from its lifts over HINT), recalled (the rest)",) * 3,
        "https://ar5iv.labs.arxiv.org/html/2304.05352",
    )
    yield from _by_phase(
        "MediTab (AnyPredict)",
        ".726 - .699 / .733 - .706 / .881 - .726",
        _A_LATER,
        ("recalled",) * 3,
        "https://arxiv.org/html/2305.12081v4",
    )


def _selective() -> Iterator[PublishedRow]:
    source = "https://pmc.ncbi.nlm.nih.gov/articles/PMC11031120/ (arXiv 2401.03482)"
    notebook = {"PR-AUC": ".761", "F1": ".725", "ROC-AUC": ".715", "Accuracy": ".685"}
    yield _row(
        "Selective HINT, 81.5 % of trials kept", "I", notebook, _D, "primary, unverified", source
    )
    yield _row("Selective HINT", "III", {"PR-AUC": ".902"}, _D, "primary, unverified", source)


def _table(cells: dict[str, str], protocol: str, grade: str, source: str) -> Iterator[PublishedRow]:
    for system, row in cells.items():
        yield from _by_phase(system, row, protocol, (grade,) * 3, source)


def _by_phase(
    system: str, cells: str, protocol: str, grades: tuple[str, ...], source: str
) -> Iterator[PublishedRow]:
    """One row a phase: "-" is a figure that was not published, "?" one that was not found."""
    for phase, part, grade in zip(_PHASES, cells.split("/"), grades, strict=True):
        figures = {
            column: _NOT_FOUND if value == "?" else value
            for column, value in zip(_COLUMNS, part.split(), strict=True)
            if value != "-"
        }
        yield _row(system, phase, figures, protocol, grade, source)


def _row(
    system: str, phase: str, figures: dict[str, str], protocol: str, grade: str, source: str
) -> PublishedRow:
    return PublishedRow(
        system=system, phase=phase, figures=figures, protocol=protocol, grade=grade, source=source
    )
