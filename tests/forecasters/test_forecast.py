"""Forecasts of records: in order, streamed, with what a person needs beside the number."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy.special import expit, logit

from llm4top.errors import CalibrationError
from llm4top.forecasters.base_rates import BaseRate
from llm4top.forecasters.calibration.calibrated import Calibrated, softmax
from llm4top.forecasters.forecast import ForecastSource, forecast_records
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task import Task
from llm4top.testing import make_tiny_model
from llm4top.text import percent


class Halfway:
    """A calibration that draws everything towards one half, with an interval or none."""

    def __init__(self, method="halfway", width=0.1):
        self.method, self.width = method, width

    def predict(self, logits, phases=None):
        p = softmax(np.asarray(logits)) / 2 + 0.5 / np.asarray(logits).shape[1]
        reported = p[:, 1] if p.shape[1] == 2 else p.max(axis=1)
        return Calibrated(p, reported - self.width, reported + self.width)


def rates(events):
    """Base rates of a binary task by phase, from the event's."""
    return {name: BaseRate(n=100, shares=(1 - p, p)) for name, p in events.items()}


@dataclass
class Bundle:
    forecaster: LanguageForecaster
    task: Task = OUTCOME
    calibration: Halfway = field(default_factory=Halfway)
    base_rates: dict = field(
        default_factory=lambda: rates({"Phase 1": 0.6, "Phase 2": 0.4, "all": 0.5})
    )
    identity: str = "invented-0123456789ab"
    support: None = None

    def logits_and_parts(self, trials, *, prompts=None, on_progress=None):
        made = self.forecaster.label_logits(trials, prompts=prompts, on_progress=on_progress)
        return made, {}

    def notes_on(self, prompts):
        return [None] * len(prompts)

    def trained_on_part(self, nct_id):
        return {"NCT00000001": "train", "NCT00000002": "valid"}.get(nct_id)

    @property
    def writer(self):
        return self.forecaster.scorer.writer

    @property
    def sections_read(self):
        return self.writer.spec.sections


@pytest.fixture(scope="module")
def bundle(tiny_model_folder):
    base = load_base(tiny_model_folder, device="cpu")
    return Bundle(LanguageForecaster.from_model(base, spec=PromptSpec(max_tokens=260)))


@pytest.fixture
def records(trials):
    return [
        Record(
            f"NCT0000000{i % 10}",
            trial,
            RegistryOutcome(status="Recruiting"),
            (),
            Source("all.zip", f"{i}.xml", "legacy-xml", None, ""),
        )
        for i, trial in enumerate(trials)
    ]


def test_each_record_has_its_forecast_in_order(bundle, records):
    source: ForecastSource = bundle
    forecasts = list(forecast_records(source, records))
    assert [f.record for f in forecasts] == [f"all.zip!{i}.xml" for i in range(12)]
    logits = bundle.forecaster.answer_logits([r.trial for r in records])
    expected = Halfway().predict(logits)
    for i, forecast in enumerate(forecasts):
        assert forecast.probability == pytest.approx(expected.probabilities[i, 1], abs=1e-4)
        assert forecast.lower == pytest.approx(forecast.probability - 0.1)
        assert forecast.upper == pytest.approx(forecast.probability + 0.1)
        assert sum(forecast.probabilities) == pytest.approx(1.0)
        assert (forecast.label, forecast.labels) == ("success", ("failure", "success"))
        assert forecast.bundle == "invented-0123456789ab"
        assert forecast.nct_id == records[i].nct_id


def test_the_chunk_changes_nothing(bundle, records):
    whole = list(forecast_records(bundle, records))
    for chunk in (1, 5, 12):
        for a, b in zip(whole, forecast_records(bundle, records, chunk=chunk), strict=True):
            assert a.prompt_sha256 == b.prompt_sha256
            assert a.probability == pytest.approx(b.probability, abs=1e-4)


def test_records_are_taken_chunk_by_chunk(bundle, records):
    taken = 0

    def endless():
        nonlocal taken
        for record in itertools.cycle(records):
            taken += 1
            yield record

    forecasts = forecast_records(bundle, endless(), chunk=3)
    for _ in range(4):
        next(forecasts)
    assert taken == 6


def test_the_base_rate_is_that_of_the_phase(bundle, records):
    phases = {None: 0.5, "Phase 1": 0.6, "Phase 2": 0.4, "Phase 4": 0.5}
    for phase, rate in phases.items():
        record = Record(None, Trial(phase=phase), *_rest(records[0]))
        assert next(forecast_records(bundle, [record])).base_rate == rate
    bare = Bundle(bundle.forecaster, base_rates={})
    assert next(forecast_records(bare, records)).base_rate is None


def test_a_forecast_is_adapted_to_another_base_rate_and_keeps_what_it_was(bundle, records):
    before = list(forecast_records(bundle, records))
    for old, new in zip(
        before, forecast_records(bundle, records, base_rate="phase 1=0.3, all=56 %"), strict=True
    ):
        target = 0.3 if old.phase == "Phase 1" else 0.56
        move = logit(target) - logit(old.base_rate)
        for was, made in (
            (old.probability, new.probability),
            (old.lower, new.lower),
            (old.upper, new.upper),
        ):
            assert made == pytest.approx(expit(logit(was) + move), abs=1e-9)
        assert sum(new.probabilities) == pytest.approx(1)
        assert new.unadapted_probabilities == old.probabilities
        kept = (new.unadapted_probability, new.unadapted_lower, new.unadapted_upper)
        assert kept == (old.probability, old.lower, old.upper)
        assert (new.adapted_to, new.target_rate) == ("Phase 1=0.3, all=0.56", target)
        assert new.compared_with == (target, "target")
        same = ("base_rate", "base_rates", "score", "bundle", "sections")
        assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
        said = f"adapted from a base rate of {percent(old.base_rate)} to {percent(target)}: "
        said += f"{percent(old.probability)} before"
        assert new.warnings == (*old.warnings, said)


def test_its_own_base_rates_change_no_forecast(bundle, records):
    own = {name: rate.shares[1] for name, rate in bundle.base_rates.items()}
    for old, new in zip(
        forecast_records(bundle, records),
        forecast_records(bundle, records, base_rate=own),
        strict=True,
    ):
        assert (new.probability, new.lower, new.upper) == (old.probability, old.lower, old.upper)


def test_a_phase_without_a_target_is_not_adapted_and_says_so(bundle, records):
    (old,) = forecast_records(bundle, records[:1])
    (new,) = forecast_records(bundle, records[:1], base_rate={"Phase 4": 0.2})
    assert (new.probability, new.lower, new.upper) == (old.probability, old.lower, old.upper)
    assert (new.adapted_to, new.target_rate, new.target_rates) == ("Phase 4=0.2", None, ())
    assert (new.unadapted_probability, new.unadapted_probabilities) == (None, ())
    assert new.compared_with == (old.base_rate, old.base_rate_of)
    said = f"not adapted to another base rate: no base rate was given for {old.phase}"
    assert new.warnings[-1] == said


def test_no_forecast_is_adapted_where_the_model_knows_no_base_rate(bundle, records):
    bare = Bundle(bundle.forecaster, base_rates={})
    with pytest.raises(CalibrationError, match="base rate of its training trials is not known"):
        next(forecast_records(bare, records, base_rate=0.5))
    sure = Bundle(bundle.forecaster, base_rates=rates({"all": 1.0}))
    (one,) = forecast_records(sure, records[:1], base_rate=0.5)
    assert one.unadapted_probability is None
    assert one.warnings[-1].endswith("the model knows no base rate of such trials")


def _rest(record):
    return record.registry_outcome, record.withheld, record.source


def test_the_base_rate_says_whose_it_is(bundle, records):
    of = {f.phase: f.base_rate_of for f in forecast_records(bundle, records)}
    for phase, named in of.items():
        assert named == (phase if phase in bundle.base_rates else "all")
    bare = Bundle(bundle.forecaster, base_rates={})
    assert {f.base_rate_of for f in forecast_records(bare, records)} == {None}


def test_a_trial_that_the_model_has_learnt_from_is_warned_of_first(bundle, records):
    forecasts = {f.nct_id: f for f in forecast_records(bundle, records)}
    taught = "This trial was in the model's training data: this is not a forecast."
    tuned = "This trial was used to tune and calibrate the model: this is not a new trial to it."
    assert forecasts["NCT00000001"].warnings[0] == taught
    assert forecasts["NCT00000002"].warnings[0] == tuned
    said = {text for f in forecasts.values() for text in f.warnings}
    assert {taught, tuned} <= said
    assert not {taught, tuned} & set(forecasts["NCT00000003"].warnings)


def test_the_prompt_is_accounted_for(bundle, records):
    forecasts = list(forecast_records(bundle, records))
    prompts = bundle.forecaster.prompts([r.trial for r in records])
    for forecast, prompt in zip(forecasts, prompts, strict=True):
        assert forecast.prompt_sha256 == hashlib.sha256(prompt.text.encode()).hexdigest()
        assert (forecast.tokens, forecast.tokens_cut) == (len(prompt.token_ids), prompt.tokens_cut)
    assert any(f.tokens_cut for f in forecasts)
    for forecast in forecasts:
        said = any(w.startswith("text cut to fit") for w in forecast.warnings)
        assert said == bool(forecast.tokens_cut)


def test_warnings_know_the_bundle(bundle, records):
    phase_3 = next(i for i, r in enumerate(records) if r.trial.phase == "Phase 3")
    said = list(forecast_records(bundle, records))[phase_3].warnings
    assert "Phase 3: a phase outside what the model has learnt" in said
    raw = Bundle(bundle.forecaster, calibration=Halfway("none", float("nan")))
    forecast = next(forecast_records(raw, records))
    assert "not calibrated: the model's own probability" in forecast.warnings
    assert forecast.lower is None
    assert forecast.upper is None


def test_many_labels_report_the_most_probable(tmp_path, records):
    folder = make_tiny_model(tmp_path / "tiny", words=("A", "B", "C"))
    task = Task("grade", "multiclass", "Which?", ("high", "low", "none"), ("A", "B", "C"))
    forecaster = LanguageForecaster.from_model(load_base(folder, device="cpu"), task)
    shares = {"all": (0.2, 0.3, 0.5), "Phase 2": (0.1, 0.3, 0.6)}
    known = {name: BaseRate(n=9, shares=values) for name, values in shares.items()}
    forecasts = forecast_records(Bundle(forecaster, task, base_rates=known), records)
    for record, forecast in zip(records, forecasts, strict=True):
        assert forecast.probability == max(forecast.probabilities)
        assert forecast.label == task.labels[forecast.probabilities.index(forecast.probability)]
        assert forecast.base_rates == shares.get(forecast.phase, shares["all"])
        assert forecast.base_rate == forecast.base_rates[task.labels.index(forecast.label)]
        (logits,) = forecaster.answer_logits([record.trial])
        p = softmax(logits[None])[0][forecast.labels.index(forecast.label)]
        assert forecast.score == pytest.approx(np.log(p / (1 - p)), abs=1e-3)


def test_a_forecast_is_plain_json(bundle, records):
    forecast = next(forecast_records(bundle, records))
    values = json.loads(json.dumps(forecast.to_dict(), allow_nan=False))
    assert Forecast.from_dict(values) == forecast
    assert values["labels"] == ["failure", "success"]
    assert values["probability"] == forecast.probability


def test_progress_goes_on_from_chunk_to_chunk(bundle, records):
    heard = []
    forecasts = list(forecast_records(bundle, records, chunk=5, progress=heard.append))
    assert [p.done for p in heard] == sorted(p.done for p in heard)
    assert heard[-1].done == heard[-1].total == 12
    assert heard[-1].figures["tokens"] == sum(f.tokens for f in forecasts)


def test_a_study_that_the_question_is_not_about_gets_no_number(bundle, records):
    registry = replace(records[1], trial=replace(records[1].trial, study_type="Observational"))
    mixed = [records[0], registry, *records[2:]]
    for chunk in (1, 256):
        said = list(forecast_records(bundle, mixed, chunk=chunk))
        assert [s.record for s in said] == [r.source.name for r in mixed]
        assert [isinstance(s, NotApplicable) for s in said] == [i == 1 for i in range(12)]
        assert said[2].prompt_sha256 == next(forecast_records(bundle, [records[2]])).prompt_sha256
    assert said[1].to_dict() == {
        "format": 2,
        "status": "not applicable",
        "title": "Study 1 of an invented compound",
        "record": "all.zip!1.xml",
        "nct_id": "NCT00000001",
        "task": "outcome",
        "reason": "an observational study: 'outcome' is a question about interventional studies; "
        "only a question of your own can be used for it.",
    }
    assert list(forecast_records(bundle, [registry])) == [said[1]]


def test_the_score_is_the_log_odds_before_calibration(bundle, records):
    logits = bundle.forecaster.answer_logits([r.trial for r in records])
    scores = [f.score for f in forecast_records(bundle, records)]
    assert scores == pytest.approx(logits[:, 1] - logits[:, 0], abs=1e-3)


def test_nothing_to_forecast(bundle):
    assert list(forecast_records(bundle, [])) == []


def test_a_chunk_holds_something(bundle, records):
    with pytest.raises(ValueError, match="chunk is 0; it must be 1 or more"):
        next(forecast_records(bundle, records, chunk=0))


def test_trials_are_forecast_as_records_are(bundle, records):
    mixed = [records[0], records[1].trial, records[2].trial]
    found = list(forecast_records(bundle, mixed))
    expected = list(forecast_records(bundle, records[:3]))
    assert [f.record for f in found] == [expected[0].record, "#2", "#3"]
    assert [f.nct_id for f in found[1:]] == [None, None]
    assert [(f.probability, f.lower, f.upper) for f in found] == [
        (f.probability, f.lower, f.upper) for f in expected
    ]


def test_other_things_are_not_forecast(bundle, records):
    with pytest.raises(TypeError, match=r"item 2 is dict, not Record or Trial\. Read files with"):
        list(forecast_records(bundle, [records[0], {"phase": "Phase 1"}]))
