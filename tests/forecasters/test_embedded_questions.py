"""The bundles that ship for other questions than the outcome."""

from dataclasses import replace

import pytest

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.paths import (
    embedded_folder,
    embedded_names,
    is_embedded,
    question_name,
)
from llm4top.forecasters.bundles.verify import verify_bundle
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import TASKS
from tests.forecasters.bundle_kit import TRIALS

SHIPPED = embedded_names()[1:]
needs_them = pytest.mark.skipif(not SHIPPED, reason="no embedded question has been made yet")


@needs_them
def test_together_they_are_small_and_untouched():
    assert SHIPPED == ["embedded:completion", "embedded:duration", "embedded:why-it-fails"]
    reports = [verify_bundle(name) for name in SHIPPED]
    for report in reports:
        report.raise_for_problems()
        assert report.manifest.reload_check is not None
    sizes = [entry.size for r in reports for entry in r.manifest.files.values()]
    assert sum(sizes) < 7_500_000


@needs_them
@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_has_the_figures_with_yardsticks_and_skill(name):
    manifest = verify_bundle(name).manifest
    assert manifest.task == TASKS[name.partition(":")[2]]
    (evaluation,) = manifest.evaluations
    assert evaluation.split == "later"
    assert {"TF-IDF + logistic regression", "base rate of the phase"} <= set(evaluation.forecasters)
    assert "below that of the base rate of the phase (95 % interval" in evaluation.note
    card = (embedded_folder(name) / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"n = {evaluation.n}" in card
    titles = [table.title for table in manifest.tables]
    assert "Records that lack fields" in titles
    assert any(title.startswith("In ") for title in titles) is (manifest.task.kind == "ordinal")


@needs_them
@pytest.mark.parametrize("name", SHIPPED)
def test_a_thin_record_is_drawn_to_the_base_rate_and_says_so(name):
    forecaster = load_forecaster(name)
    trials = [TRIALS[4], replace(TRIALS[4], criteria=None), Trial(phase="Phase 2")]
    whole, thin, empty = forecaster.forecast(trials)
    assert not any("base rate" in text for text in whole.warnings)
    assert any("no eligibility criteria" in text for text in thin.warnings)
    assert any("the interval is wider" in text for text in thin.warnings)
    assert any("nothing that the model reads" in text for text in empty.warnings)
    assert empty.probabilities == pytest.approx(empty.base_rates)


@needs_them
def test_a_duration_is_forecast_in_months():
    forecaster = load_forecaster("embedded:duration")
    (forecast,) = forecaster.forecast(TRIALS[:1])
    assert forecast.unit == "months"
    assert 0 < forecast.p10 < forecast.median < (forecast.p90 or 1e9)


def test_names_and_their_errors():
    assert (question_name("outcome"), question_name("duration")) == (
        "embedded",
        "embedded:duration",
    )
    assert is_embedded("embedded:duration")
    assert not is_embedded("embedded:../duration")
    assert not is_embedded("mine")
    with pytest.raises(BundleError, match="no embedded model answers 'weather'") as refusal:
        load_forecaster("embedded:weather")
    assert "There are: embedded" in str(refusal.value)
