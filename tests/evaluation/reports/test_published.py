"""Published results: what is known of them, each under its protocol."""

from __future__ import annotations

from llm4top.evaluation.reports.metadata import published_results
from llm4top.evaluation.reports.view import published_groups
from tests.evaluation.report_kit import made_report

GRADES = ("measured", "primary", "secondary", "recalled")


def row(system, phase, start):
    (found,) = [
        r
        for r in published_results()
        if (r.system, r.phase) == (system, phase) and r.protocol.startswith(start)
    ]
    return found


def test_every_row_has_grade_source_and_protocol():
    for one in published_results():
        assert one.grade.startswith(GRADES)
        assert one.source.startswith(("https://", "doi:"))
        assert len(one.protocol) > 40
        assert one.figures


def test_no_row_twice():
    keys = [(r.system, r.phase, r.protocol) for r in published_results()]
    assert len(keys) == len(set(keys))


def test_hint_three_times_never_under_one_protocol():
    paper = row("HINT", "I", "HINT's protocol")
    assert paper.figures == {"PR-AUC": ".567", "F1": ".665", "ROC-AUC": ".576"}
    scores = row("HINT's released predictions", "I", "TOP test split, recomputed from")
    assert scores.figures["PR-AUC"] == ".636"
    rerun = row("HINT (rerun)", "I", "MEXA-CTP")
    assert rerun.figures["PR-AUC"] == ".581"
    assert len({paper.protocol, scores.protocol, rerun.protocol}) == 3


def test_constants_and_the_status_rule():
    constant = row("Always success", "III", "TOP test split, recomputed:")
    assert constant.figures == {
        "Accuracy": ".750",
        "Precision": ".750",
        "F1": ".857",
        "ROC-AUC": ".500",
        "PR-AUC": ".750",
    }
    rule = row(
        "Failure if terminated, withdrawn or suspended (cheating)",
        "I",
        "TOP test split, recomputed:",
    )
    assert (rule.figures["Accuracy"], rule.figures["ROC-AUC"]) == (".879", ".867")


def test_what_is_missing_says_so():
    assert row("CLaDMoP", "II", "MEXA-CTP").figures["ROC-AUC"] == "not found"
    assert "ROC-AUC" not in row("LIFTED", "II", "LIFTED").figures
    assert row("Selective HINT", "III", "Selective").grade == "primary, unverified"


def test_groups_keep_protocols_apart():
    groups = published_groups(made_report(("II",)))
    assert [g.title for g in groups] == [
        "TOP test split, recomputed",
        "TOP test split, recomputed from HINT's released predictions",
        "HINT's protocol (group A)",
        "SPOT and MediTab",
        "MEXA-CTP's protocol (group B)",
        "LIFTED's protocol (group C)",
        "Selective classification (group D)",
        "LLM4TOP preprint",
    ]
    hint = groups[2]
    assert hint.phases == ("I", "II", "III")
    assert len(hint.systems) == 9
    assert hint.systems[-1].grade == (
        "I, III: primary (F1), measured (the rest, within .002); "
        "II: primary (F1), recalled (the rest)"
    )
