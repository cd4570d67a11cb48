"""Prior shift: the exact formula, what it keeps, and every way to state or measure a base rate."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from llm4top.data.dataset import make_dataset
from llm4top.errors import CalibrationError, DatasetError
from llm4top.forecasters.base_rate_shift import adapted, parse_shares, target_rates
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.calibration.calibrated import Calibrated
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task import Task

REASONS = Task(
    name="reason",
    kind="multiclass",
    question="Why does it fail?",
    labels=("efficacy", "safety", "other"),
    answers=("A", "B", "C"),
)


def binary(p, lower=None, upper=None):
    p = np.asarray(p, dtype=float)
    none = np.full(len(p), np.nan)
    return Calibrated(
        np.column_stack([1 - p, p]),
        none if lower is None else np.asarray(lower, dtype=float),
        none if upper is None else np.asarray(upper, dtype=float),
    )


def shares(event, n):
    return np.tile([1 - event, event], (n, 1))


def test_chance_and_interval_move_by_the_difference_of_the_log_odds():
    p, lower, upper = [0.05, 0.4, 0.9], [0.01, 0.3, 0.85], [0.2, 0.5, 0.99]
    found = adapted(binary(p, lower, upper), shares(0.41, 3), shares(0.56, 3))
    move = logit(0.56) - logit(0.41)
    for made, before in (
        (found.probabilities[:, 1], p),
        (found.lower, lower),
        (found.upper, upper),
    ):
        assert made == pytest.approx(expit(logit(np.array(before)) + move), abs=1e-12)
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-15)


def test_its_own_base_rate_changes_no_bit():
    given = binary([0.1, 1 / 3, 0.7], [0.05, 0.2, 0.6], [0.2, 0.5, 0.8])
    found = adapted(given, shares(0.41, 3), shares(0.41, 3))
    assert (found.probabilities == given.probabilities).all()
    assert (found.lower == given.lower).all()
    assert (found.upper == given.upper).all()


def test_the_order_stays_and_the_way_back_is_the_same():
    p = np.linspace(0, 1, 101)
    there = adapted(binary(p, p, p), shares(0.3, 101), shares(0.8, 101))
    assert (np.diff(there.probabilities[:, 1]) > 0).all()
    assert there.probabilities[[0, -1], 1].tolist() == [0, 1]
    back = adapted(there, shares(0.8, 101), shares(0.3, 101))
    assert back.probabilities[:, 1] == pytest.approx(p, abs=1e-12)
    assert back.lower == pytest.approx(p, abs=1e-12)


def test_no_interval_stays_none():
    found = adapted(binary([0.4]), shares(0.4, 1), shares(0.6, 1))
    assert np.isnan([found.lower[0], found.upper[0]]).all()


def test_many_labels_follow_bayes_rule():
    p, own, target = np.array([[0.5, 0.3, 0.2]]), np.array([[0.5, 0.25, 0.25]]), [[0.4, 0.3, 0.3]]
    given = Calibrated(p, np.array([0.4]), np.array([0.6]))
    found = adapted(given, own, np.array(target))
    expected = p * target / own
    assert found.probabilities == pytest.approx(expected / expected.sum(), abs=1e-12)
    # The interval is one of the label against the rest: it moves as the label's log-odds do.
    move = logit(found.probabilities[0, 0]) - logit(0.5)
    assert found.lower[0] == pytest.approx(expit(logit(0.4) + move), abs=1e-12)


def test_another_most_probable_label_has_no_interval():
    given = Calibrated(np.array([[0.5, 0.4, 0.1]]), np.array([0.4]), np.array([0.6]))
    found = adapted(given, np.full((1, 3), 1 / 3), np.array([[0.1, 0.6, 0.3]]))
    assert found.reported.tolist() == [1]
    assert np.isnan([found.lower[0], found.upper[0]]).all()


@pytest.mark.parametrize("given", [0.56, "0.56", " .56", "56 %", "56%", "56\u00a0%", {"all": 0.56}])
def test_one_share_is_of_every_phase(given):
    rates = target_rates(given, OUTCOME)
    assert rates.of("Phase 2") == rates.of(None) == pytest.approx((0.44, 0.56))
    assert (rates.text, rates.measured) == ("0.56", "")
    assert target_rates(rates.text, OUTCOME) == rates


@pytest.mark.parametrize(
    "given",
    ["phase 2=0.55, III = 70 %", "Phase 2=55%; PHASE3=.7", {"2": 0.55, "phase 3": "70 %"}],
)
def test_a_share_for_each_phase(given):
    rates = target_rates(given, OUTCOME)
    assert rates.of("Phase 2") == pytest.approx((0.45, 0.55))
    assert rates.of("Phase 3") == pytest.approx((0.3, 0.7))
    assert rates.of("Phase 1") is None
    assert rates.of(None) is None
    assert rates.text == "Phase 2=0.55, Phase 3=0.7"
    assert target_rates(f"{rates.text}, all=0.5", OUTCOME).of("Phase 1") == (0.5, 0.5)


def test_shares_of_labels():
    rates = target_rates("efficacy=0.6, safety=0.3, other=10 %", REASONS)
    assert rates.of("Phase 2") == pytest.approx((0.6, 0.3, 0.1))
    assert target_rates(rates.text, REASONS) == rates
    assert target_rates("failure=0.3", OUTCOME).of(None) == pytest.approx((0.3, 0.7))


SHARE = "Write a share, 0.56 or 56 %"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("56", "56 is more than 1. If it is in percent, write 56 %."),
        ("phase 2=56", "56 of phase 2 is more than 1."),
        (0, "0 is not between 0 and 1. A share of 0 or 1 would make every forecast certain."),
        (1.0, "1.0 is not between 0 and 1."),
        ("100 %", "100 % is not between 0 and 1."),
        ("-0.1", "-0.1 is not between 0 and 1."),
        (float("nan"), "nan is not between 0 and 1."),
        ("0,56", f"'0,56' is not a share. {SHARE}"),
        (True, f"'True' is not a share. {SHARE}"),
        ("phas 2=0.5", "'phas 2' is no phase."),
        ("phase 2", "'phase 2' is neither a share nor a file or folder."),
        ("phase 2=0.5, 0.7", "'0.7' is not PHASE=SHARE."),
        ("phase 2=0.5, II=0.6", "Phase 2 is given twice."),
        ("success=0.5, failure=0.2", "add up to 70\u00a0%. Give one for each answer"),
    ],
)
def test_what_is_no_base_rate_is_refused_with_what_to_write(given, said):
    with pytest.raises(CalibrationError) as error:
        target_rates(given, OUTCOME)
    assert f"base rate: {said}" in str(error.value) or said in str(error.value)


def test_one_share_does_not_say_those_of_many_labels():
    with pytest.raises(CalibrationError, match=r"has 3 answers.*efficacy=SHARE, safety=SHARE"):
        target_rates(0.5, REASONS)


def test_a_text_of_a_stranger_names_no_file(tmp_path):
    with pytest.raises(CalibrationError, match="is not a share"):
        target_rates(str(tmp_path), OUTCOME, files=False)
    with pytest.raises(CalibrationError, match="is not a share"):
        parse_shares("/etc/passwd")


def labelled(tmp_path: Path, rows, name="newest.csv"):
    lines = ["nctid,phase,label", *(f"NCT{n:08},{phase},{y}" for n, (phase, y) in enumerate(rows))]
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_measured_on_a_csv_by_the_one_formula_of_base_rates(tmp_path):
    rows = [("phase 2", n % 4 == 0) for n in range(20)] + [("PHASE3", n < 9) for n in range(12)]
    rows.append(("phase 1", 1))
    path = labelled(tmp_path, [(phase, int(y)) for phase, y in rows])
    phases = ["Phase 2"] * 20 + ["Phase 3"] * 12 + ["Phase 1"]
    expected = measure_base_rates(2, phases, [int(y) for _, y in rows])
    for given in (path, str(path)):
        rates = target_rates(given, OUTCOME)
        assert set(rates.shares) == {"Phase 2", "Phase 3", "all"}
        for phase, rate in expected.items():
            assert rates.of(phase) == pytest.approx(rate.shares, abs=1e-4)
        assert rates.of("Phase 1") == rates.of(None) == pytest.approx((18 / 33, 15 / 33), abs=1e-4)
        assert rates.measured == "measured among 33 trials of newest.csv"
        assert target_rates(rates.text, OUTCOME).shares == rates.shares


def test_measured_on_a_data_set_without_its_test_split(tmp_path):
    trials = [Trial(phase="Phase 2", conditions=(f"c{n}",)) for n in range(40)]
    data = make_dataset(
        trials,
        ["success" if n % 2 or n >= 30 else "failure" for n in range(40)],
        nct_ids=[f"NCT{n:08}" for n in range(40)],
        splits=["train"] * 20 + ["valid"] * 10 + ["test"] * 10,
        task=OUTCOME,
        name="newest",
    )
    rates = target_rates(data, OUTCOME)
    assert rates.of("Phase 2") == (0.5, 0.5)
    assert rates.measured == "measured among 30 trials of newest"
    data.save(tmp_path / "set")
    assert target_rates(tmp_path / "set", OUTCOME) == rates
    with pytest.raises(CalibrationError, match=r"its labels are failure, success, and 'reason'"):
        target_rates(data, REASONS)


def test_too_few_or_one_sided_or_foreign_labels_are_refused(tmp_path):
    with pytest.raises(CalibrationError, match=r"few\.csv: has 3 labelled trials"):
        target_rates(labelled(tmp_path, [("phase 2", 1)] * 3, "few.csv"), OUTCOME)
    with pytest.raises(CalibrationError, match="none of its trials is 'failure'"):
        target_rates(labelled(tmp_path, [("phase 2", 1)] * 12), OUTCOME)
    with pytest.raises(CalibrationError, match=r"newest\.csv, line 2: 'maybe' is not an answer"):
        target_rates(labelled(tmp_path, [("phase 2", "maybe")]), OUTCOME)
    (tmp_path / "no.csv").write_text("nctid,label\nNCT00000001,1\n")
    with pytest.raises(DatasetError, match="phase"):
        target_rates(tmp_path / "no.csv", OUTCOME)
