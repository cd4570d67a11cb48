"""The report as data: strict, immutable, and the same after a round trip."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llm4top.evaluation.reports.report import REPORT_SCHEMA, Figure, Report
from llm4top.evaluation.reports.view import overview_checks, sections
from tests.evaluation.report_kit import made_report


@pytest.fixture(scope="module")
def report():
    return made_report()


def test_a_round_trip_changes_nothing(report):
    assert report.schema_version == REPORT_SCHEMA
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_unknown_keys_are_refused(report):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Report.model_validate({**report.model_dump(), "extra": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_is_finite_or_none(value):
    with pytest.raises(ValidationError, match="finite number"):
        Figure(value=value, lower=None, upper=None, n=1)


def test_parts_cannot_be_changed(report):
    with pytest.raises(ValidationError, match="frozen"):
        report.tables[0].n = 3


def test_tables_are_read_by_phase_the_strictest_check_first(report):
    shuffled = report.model_copy(update={"tables": report.tables[::-1]})
    order = [(part.table.phase, part.table.check) for part in sections(shuffled)]
    phases = ("I", "II", "III", "pooled")
    assert order == [(phase, check) for phase in phases for check in ("newest", "valid")]
    assert overview_checks(report) == ("newest", "valid")


def test_each_table_has_what_was_measured_on_its_rows(report):
    part = next(p for p in sections(report) if p.heading == "Phase II, validation split")
    assert part.curves is not None
    assert part.curves.phase == "II"
    assert [key for key, _ in part.differences] == ["roc_auc", "log_loss"]
    assert [group.by for group in part.slices] == ["start year", "ICD chapter", "completed only"]
    assert [kind for kind, _ in part.groups] == [
        "trivial",
        "baseline",
        "language",
        "stack",
        "cheating",
    ]


def test_two_tables_of_one_phase_and_check_share_nothing():
    whole = made_report(("II",))
    first = whole.tables[0]
    few = first.model_copy(update={"title": "Rung 1", "rows": first.rows[2:4]})
    twice = whole.model_copy(
        update={"tables": (first.model_copy(update={"title": "Finalists"}), few)}
    )
    one, other = sections(twice)
    assert (one.heading, other.heading) == ("Finalists", "Rung 1")
    assert one.curves is not None
    assert other.curves is None
    assert one.differences
    assert other.differences == ()
    assert one.slices
    assert other.slices == ()
