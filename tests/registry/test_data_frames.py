"""Trials from tables in memory."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import MalformedRecordError
from llm4top.registry.data_frames import trials_from_frame
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Arm, Intervention, Outcome, Trial
from tests.registry.builders import TOP_HEADER, top_row

ROW = {
    "nct_id": "NCT99999901",
    "phase": "Phase 2",
    "conditions": ["asthma", "copd"],
    "interventions": [{"name": "Exemplamab", "type": "Drug"}],
    "arms": ["Low dose"],
    "primary_outcomes": [{"measure": "FEV1", "time_frame": "12 weeks"}],
    "criteria": "Inclusion Criteria:\n- Adults",
    "planned_enrolment": 120.0,
    "healthy_volunteers": "No",
    "label": "success",
}
TRIAL = Trial(
    phase="Phase 2",
    conditions=("asthma", "copd"),
    interventions=(Intervention("Exemplamab", "Drug"),),
    arms=(Arm("Low dose"),),
    primary_outcomes=(Outcome("FEV1", "12 weeks"),),
    criteria="Inclusion Criteria:\n- Adults",
    planned_enrolment=120,
    healthy_volunteers=False,
)


class Pandas:
    """What is asked of a DataFrame of pandas."""

    def __init__(self, rows: list[dict[str, Any]]):
        self.rows = rows
        self.columns = list(rows[0])

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return self.rows


class Polars:
    """What is asked of a DataFrame of polars."""

    def __init__(self, rows: list[dict[str, Any]]):
        self.rows = rows

    def to_dicts(self) -> list[dict[str, Any]]:
        return self.rows


@pytest.mark.parametrize("table", [list, iter, Pandas, Polars, pa.Table.from_pylist])
def test_every_kind_of_table_gives_the_same_trials(table: Any) -> None:
    assert trials_from_frame(table([ROW])) == [TRIAL]


def test_the_rows_of_a_csv_give_what_the_csv_gives(tmp_path: Path) -> None:
    text = TOP_HEADER + top_row()
    (tmp_path / "top.csv").write_text(text)
    (record,) = read_records(tmp_path / "top.csv")
    assert trials_from_frame(csv.DictReader(StringIO(text))) == [record.trial]


@given(
    st.builds(
        Trial,
        phase=st.sampled_from(["Phase 1", "Phase 2/Phase 3", None]),
        conditions=st.lists(st.sampled_from(["asthma", "gout"]), unique=True).map(tuple),
        interventions=st.lists(st.sampled_from(["a", "b"]).map(Intervention)).map(tuple),
        number_of_arms=st.integers(1, 9) | st.none(),
        has_dmc=st.booleans() | st.none(),
    )
)
def test_what_a_trial_says_of_itself_is_a_row(trial: Trial) -> None:
    assert trials_from_frame([{"phase": None, **trial.to_dict()}]) == [trial]


def test_missing_cells_are_absent_fields() -> None:
    class NAType:
        pass

    row = {"phase": "Phase 1", "criteria": float("nan"), "sex": None, "arms": NAType()}
    assert trials_from_frame([row]) == [Trial(phase="Phase 1")]


def test_a_list_may_be_written_as_text() -> None:
    row = {"conditions": "['asthma', 'copd']", "interventions": "Exemplamab"}
    assert trials_from_frame([row]) == [
        Trial(conditions=("asthma", "copd"), interventions=(Intervention("Exemplamab"),))
    ]


def test_sentences_that_tell_the_outcome_are_cut() -> None:
    (trial,) = trials_from_frame(
        [{"brief_summary": "A study of X. The study was terminated early due to futility."}]
    )
    assert trial.brief_summary == "A study of X."


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"phase": 2},
            "the table, row 1, column 'phase': must be text, not 2. Correct the cell, or",
        ),
        ({"planned_enrolment": "many"}, "row 1, column 'planned_enrolment': must be a whole"),
        ({"planned_enrolment": 1.5}, "must be a whole number, not 1.5"),
        ({"planned_enrolment": float("inf")}, "must be a whole number, not inf"),
        ({"planned_enrolment": "9" * 400}, "must be a whole number, not '999"),
        ({"has_dmc": "perhaps"}, "must be true or false, not 'perhaps'"),
        ({"conditions": "['asthma"}, "begins like a list but is not one"),
        ({"conditions": [7]}, "column 'conditions': must be text, not 7"),
        ({"arms": [{"role": "Placebo"}]}, "an item needs a label; it has label, role, descr"),
        ({"arms": [{"label": "a", "x": "y"}]}, "an item has no 'x'; it has label, role"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedRecordError) as caught:
        trials_from_frame([{"phase": "Phase 1"}, row])
    assert message in str(caught.value)


def test_a_column_that_is_nearly_an_input_is_refused() -> None:
    with pytest.raises(MalformedRecordError) as caught:
        trials_from_frame([{"phase": "Phase 1", "condition": "asthma"}])
    assert str(caught.value) == (
        "the table, column 'condition': is not an input; did you mean conditions? "
        "Rename or drop it."
    )


def test_a_table_without_inputs_is_refused() -> None:
    with pytest.raises(MalformedRecordError, match="no column holds an input: there is a, b"):
        trials_from_frame([{"a": 1, "b": 2}])
    assert trials_from_frame([]) == []


@pytest.mark.parametrize("thing", [7, {"phase": "Phase 1"}, ["Phase 1"], "Phase 1"])
def test_other_things_are_not_tables(thing: Any) -> None:
    with pytest.raises(TypeError, match="trials come from a DataFrame or from rows"):
        trials_from_frame(thing)
