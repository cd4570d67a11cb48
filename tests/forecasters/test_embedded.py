import numpy as np
import pytest

from llm4top.errors import BundleError
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.bundles.paths import EMBEDDED_NAME, embedded_folder, is_bundle
from llm4top.forecasters.bundles.store import list_bundles
from llm4top.forecasters.bundles.verify import language_part, verify_bundle
from llm4top.forecasters.load import load_forecaster
from tests.forecasters.bundle_kit import TRIALS

needs_it = pytest.mark.skipif(
    not is_bundle(embedded_folder()), reason="the embedded model has not been made yet"
)


@pytest.fixture(scope="module")
def embedded():
    return load_forecaster(device="cpu")


@needs_it
def test_every_file_of_it_is_as_its_manifest_says():
    report = verify_bundle(EMBEDDED_NAME)
    report.raise_for_problems()
    _, language = language_part(embedded_folder())
    assert language.base.carried
    assert report.manifest.reload_check is not None
    size = sum(entry.size for entry in report.manifest.files.values())
    assert size < 40 * 1024 * 1024


@needs_it
def test_its_card_says_how_weak_it_is():
    manifest = verify_bundle(EMBEDDED_NAME).manifest
    card = (embedded_folder() / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert len(manifest.evaluations[0].forecasters) >= 3
    for evaluation in manifest.evaluations:
        assert f"n = {evaluation.n}" in card
        for figures in evaluation.forecasters.values():
            for figure in figures.values():
                if figure.value is not None:
                    assert f"{figure.value:.3f} [{figure.lower:.3f}, {figure.upper:.3f}]" in card
    for rate in manifest.base_rates.values():
        assert f"| {rate.n} |" in card
    assert "non-commercial" in card
    assert manifest.context_of_use in card


@needs_it
def test_it_forecasts_offline_with_intervals(embedded):
    result = embedded.calibrated(TRIALS[:6])
    event = result.probabilities[:, 1]
    assert embedded.task.name == "outcome"
    assert (result.lower <= event).all()
    assert (event <= result.upper).all()
    assert ((event > 0) & (event < 1)).all()
    alone = np.stack([embedded.predict_proba([trial])[0] for trial in TRIALS[:6]])
    batched = embedded.logits(TRIALS[:6])
    single = np.stack([embedded.logits([trial])[0] for trial in TRIALS[:6]])
    np.testing.assert_allclose(batched, single, atol=1e-4)
    assert alone.shape == (6, 2)


@needs_it
def test_scikit_learn_takes_it_as_a_fitted_classifier(embedded):
    from sklearn.base import clone, is_classifier
    from sklearn.frozen import FrozenEstimator
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import cross_val_predict

    y = ["failure", "success"] * 3
    trials = [TRIALS[i % len(TRIALS)] for i in range(6)]
    probabilities = embedded.predict_proba(trials)
    assert is_classifier(embedded)
    assert embedded.classes_.tolist() == ["failure", "success"]
    best = embedded.classes_[probabilities.argmax(axis=1)]
    assert embedded.predict(trials).tolist() == best.tolist()
    expected = -np.log(probabilities[np.arange(6), [0, 1] * 3]).mean()
    assert get_scorer("neg_log_loss")(embedded, trials, y) == pytest.approx(-expected)
    frozen = clone(FrozenEstimator(embedded))
    crossed = cross_val_predict(frozen, trials, y, cv=3, method="predict_proba")
    assert np.allclose(crossed, probabilities, atol=1e-5)
    with pytest.raises(TypeError, match=r"trained already: use predict_proba, or fit a new one"):
        embedded.fit(trials, y)


@needs_it
def test_it_is_listed_and_named(embedded):
    first = list_bundles()[0]
    assert first.name == EMBEDDED_NAME
    assert first.identity == embedded.identity


def test_where_it_is_absent_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "_EMBEDDED_FOLDER", tmp_path)
    with pytest.raises(BundleError, match="this installation holds no embedded model") as refusal:
        load_forecaster()
    assert "Install LLM4TOP again, or name a bundle of your own." in str(refusal.value)
