"""Rates in posted results: read into the label side, and nowhere else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.registry.posted_results import rates_of_api, rates_of_xml
from llm4top.registry.reader import read_records
from tests.profiles import examples
from tests.registry.builders import study, xml


def counts(*numbers):
    return [{"numSubjects": str(number)} for number in numbers]


def milestones(**found):
    kinds = {"started": "STARTED", "completed": "COMPLETED", "left": "NOT COMPLETED"}
    return {
        "milestones": [{"type": kinds[k], "achievements": counts(*v)} for k, v in found.items()]
    }


def group(serious, deaths):
    return {
        "seriousNumAffected": serious,
        "seriousNumAtRisk": 20,
        "deathsNumAffected": deaths,
        "deathsNumAtRisk": 20,
    }


API = {
    "participantFlowModule": {
        "periods": [
            milestones(started=(30, 10), completed=(36,), left=(4,)),
            milestones(started=(36,), left=(2,)),
        ]
    },
    "adverseEventsModule": {"eventGroups": [group(3, 0), group(1, 1)]},
}
RATES = {"dropout_rate": 0.15, "serious_event_rate": 0.1, "mortality_rate": 0.025}


def results_xml(serious=4):
    def milestone(title, *counts):
        groups = "".join(f'<participants group_id="P1" count="{n}"/>' for n in counts)
        return (
            f"<milestone><title>{title}</title><participants_list>{groups}</participants_list>"
            "</milestone>"
        )

    def total(what, affected, at_risk):
        return (
            f"<event><sub_title>Total, {what}</sub_title>"
            f'<counts subjects_affected="{affected}" subjects_at_risk="{at_risk}"/></event>'
        )

    return (
        "<clinical_results><participant_flow>"
        + milestone("STARTED", 30, 10) + milestone("COMPLETED", 36) + milestone("NOT COMPLETED", 4)
        + milestone("STARTED", 36) + milestone("NOT COMPLETED", 2)
        + "</participant_flow><reported_events>"
        + total("serious adverse events", serious, 40)
        + "<event><sub_title>Anaemia</sub_title><counts subjects_affected='9'/></event>"
        + total("all-cause mortality", 1, 40)
        + "</reported_events></clinical_results>"
    )  # fmt: skip


def test_both_formats_give_the_same_rates():
    assert rates_of_api(API) == pytest.approx(RATES)
    assert rates_of_xml(results_xml().encode()) == pytest.approx(RATES)


@pytest.mark.parametrize("results", [{}, {"participantFlowModule": []}, {"adverseEventsModule": 1}])
def test_results_without_them_give_none(results):
    assert rates_of_api(results) == {}
    assert rates_of_xml(b"<clinical_results/>") == {}


def test_a_share_above_one_is_a_slip_and_is_left_out():
    assert "serious_event_rate" not in rates_of_xml(results_xml(serious=41).encode())


@examples(10)
@given(st.integers(0, 40))
def test_moving_the_results_moves_no_trial(tmp_path_factory, serious):
    folder = tmp_path_factory.mktemp("results")
    (folder / "a.xml").write_bytes(xml(f"  <phase>Phase 2</phase>\n{results_xml(serious)}\n"))
    (folder / "b.xml").write_bytes(xml("  <phase>Phase 2</phase>\n"))
    with_results, without = read_records(folder)
    assert with_results.registry_outcome.serious_event_rate == pytest.approx(serious / 40)
    assert with_results.trial == without.trial
    assert "clinical_results" in {item.field for item in with_results.withheld}


def test_results_of_the_api_are_withheld(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({**study(), "resultsSection": API}), "utf-8")
    (tmp_path / "b.json").write_text(json.dumps(study()), "utf-8")
    with_results, without = read_records(tmp_path)
    assert with_results.registry_outcome.mortality_rate == pytest.approx(0.025)
    assert with_results.trial == without.trial
    assert "resultsSection" in {item.field for item in with_results.withheld}
