"""Whether a forecaster reads the trial: the probe, and what it finds of the embedded model."""

import random
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from llm4top.evaluation.probes.reading import EDITS, MOST_BY_LAYOUT, reading_probe
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Intervention, Trial

RATES = {"Phase 1": 0.6, "Phase 2": 0.3, "Phase 3": 0.7}
CRITERIA = "Inclusion Criteria:\n- adults with asthma\n- written consent\n- no pregnancy"
TRIALS = [
    Trial(
        phase=f"Phase {1 + i % 3}",
        conditions=(f"condition {i}",),
        interventions=(Intervention(f"medicine {i}"),),
        criteria=f"{CRITERIA}\n- age above {i}",
    )
    for i in range(12)
]
LAYOUT = [edit.name for edit in EDITS if edit.kind == "layout"]
MINI = 748
"""Records of the registry sample that the embedded model forecasts."""


class Reader:
    """Its log-odds are those of the phase's base rate and ``score`` of the trial."""

    def __init__(self, score=lambda trial: 0.0, labels=2):
        self.score, self.labels = score, labels

    def predict_proba(self, trials):
        odds = [self.base(t.phase) + self.score(t) for t in trials]
        chance = expit(np.array(odds))
        return np.column_stack([1 - chance, *[chance] * (self.labels - 1)])

    def base(self, phase):
        return float(logit(RATES.get(phase, 0.5)))

    def base_rate_of(self, phase):
        rate = RATES.get(phase, 0.5)
        return (phase or "all", (1 - rate, rate))


def test_a_forecaster_of_the_phase_moves_by_the_base_rates_and_by_nothing_else():
    found = reading_probe(Reader(), TRIALS)
    assert found.distinct == 3
    assert found.n == len(TRIALS)
    effect = found.of("phase 2 as phase 3")
    assert effect.n == 4
    assert effect.log_odds == pytest.approx(logit(0.7) - logit(0.3))
    assert effect.expected == pytest.approx(effect.log_odds)
    assert effect.mean == effect.most == pytest.approx(0.4)
    assert all(e.most == 0 for e in found.effects if "phase" not in e.edit)


def test_lines_and_letters_are_layout():
    found = reading_probe(Reader(lambda t: (t.criteria or "").count("\n") / 10), TRIALS)
    assert found.of("one paragraph").most > MOST_BY_LAYOUT
    assert found.of("bullets taken off").most == 0
    found = reading_probe(Reader(lambda t: float("ADULTS" in (t.criteria or ""))), TRIALS)
    assert found.of("upper case").log_odds == pytest.approx(1.0)
    assert found.of("numbered").most == 0


@pytest.mark.parametrize(
    ("score", "edit", "change"),
    [
        (lambda t: float(len(t.interventions)), "placebo added, or taken out", 1.0),
        (lambda t: float(len(t.interventions)), "no drugs", -1.0),
        (lambda t: float(len(t.conditions)), "no conditions", -1.0),
        (lambda t: -float(bool(t.criteria)), "no criteria", 1.0),
        (lambda t: (t.planned_enrolment or 50) / 450, "ten times the planned size", 1.0),
    ],
)
def test_a_change_of_content_moves_what_reads_it(score, edit, change):
    effect = reading_probe(Reader(score), TRIALS).of(edit)
    assert effect.n == len(TRIALS)
    assert effect.log_odds == pytest.approx(change)
    assert effect.half_width == pytest.approx(0)
    assert effect.expected is None


def test_what_another_trial_has_is_taken_from_another_trial():
    numbers = {f"medicine {i}": i / 10 for i in range(len(TRIALS))}
    reader = Reader(lambda t: sum(numbers[i.name] for i in t.interventions if i.name in numbers))
    effect = reading_probe(reader, TRIALS, seed=3).of("another trial's drugs")
    assert effect.n == len(TRIALS)
    assert effect.mean > 0.01
    assert effect.log_odds == pytest.approx(0, abs=1e-9)  # each trial's drugs are given once
    assert reading_probe(reader, TRIALS, seed=3).of("another trial's drugs") == effect


def test_edits_that_apply_to_no_trial_are_left_out():
    bare = [replace(trial, phase=None, criteria=None) for trial in TRIALS]
    edits = {effect.edit for effect in reading_probe(Reader(), bare).effects}
    assert edits == {edit.name for edit in EDITS} - {
        *LAYOUT,
        "phase 1 as phase 2",
        "phase 2 as phase 3",
        "phase 3 as phase 2",
        "no phase",
        "another trial's criteria",
        "no criteria",
    }


def test_the_table_of_the_card_says_what_moved():
    table = reading_probe(Reader(), TRIALS).card_table()
    cells = {row[0]: row for row in table.rows}
    assert cells["phase 2 as phase 3"][1:4] == ("4", "40.0", "40.0")
    assert cells["phase 2 as phase 3"][-1] == "+1.69"
    assert cells["no drugs"][-1] == ""
    assert "The 12 unchanged trials have 3 different chances." in table.text
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_one_trial_is_too_few_and_three_labels_are_too_many():
    with pytest.raises(ValueError, match="1 trial"):
        reading_probe(Reader(), TRIALS[:1])
    with pytest.raises(ValueError, match="two labels"):
        reading_probe(Reader(labels=3), TRIALS)


@pytest.fixture(scope="module")
def embedded():
    loaded = load_forecaster("embedded", device="cpu")
    if loaded.manifest.schema_version == 1:
        pytest.skip("the embedded bundle has schema version 1: it is not the blend yet")
    return loaded


@pytest.fixture(scope="module")
def registry_trials(test_data, embedded, tmp_path_factory):
    """Trials of medicines from the registry sample that the model has not learnt from."""
    folder = tmp_path_factory.mktemp("records")
    with zipfile.ZipFile(test_data / "registry" / "AllPublicXML-sample.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".xml"))
        random.Random(1).shuffle(names)
        for name in names[: 5 * MINI]:
            (folder / name.rpartition("/")[2]).write_bytes(archive.read(name))
    found = []
    for record in read_records(folder):
        trial = record.trial
        medicine = any(item.type in ("Drug", "Biological") for item in trial.interventions)
        own = embedded.trained_on_part(record.nct_id) is None
        if own and medicine and trial.criteria and trial.phase in RATES:
            found.append(trial)
    return found[:MINI]


@pytest.mark.slow
def test_the_embedded_model_tells_trials_apart(embedded, registry_trials):
    chances = embedded.predict_proba(registry_trials)[:, 1]
    assert len(chances) == MINI
    assert len(np.unique(chances.round(6))) >= 500


@pytest.mark.slow
def test_the_embedded_model_reads_the_trial(embedded, registry_trials):
    found = reading_probe(embedded, registry_trials[:60])
    for edit in LAYOUT:
        assert found.of(edit).most < MOST_BY_LAYOUT, edit
    for edit in ("phase 1 as phase 2", "phase 2 as phase 3", "phase 3 as phase 2"):
        effect = found.of(edit)
        # The texts tell the phase too, so the field alone moves less than the base rates differ.
        assert 0.3 < effect.log_odds / effect.expected < 1.5, edit
    for edit in ("another trial's drugs", "another trial's conditions", "another trial's criteria"):
        assert found.of(edit).mean > MOST_BY_LAYOUT, edit
    placebo = found.of("placebo added, or taken out")
    assert abs(placebo.log_odds) > placebo.half_width


@pytest.mark.slow
def test_an_empty_record_gets_the_base_rate_and_an_interval_that_holds_all_phases(embedded):
    phases = (None, *RATES)
    found = embedded.calibrated([Trial(phase=phase) for phase in phases])
    rates = [embedded.base_rate_of(phase)[1][1] for phase in phases]
    assert found.probabilities[:, 1] == pytest.approx(rates, abs=1e-6)
    assert found.lower[0] < min(rates)
    assert found.upper[0] > max(rates)
