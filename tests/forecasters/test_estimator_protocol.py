"""To scikit-learn a forecaster is what a subclass of its own classifiers would be."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import get_tags

from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline
from llm4top.forecasters.baselines.simple import TfidfForecaster
from llm4top.forecasters.classifier import TrialClassifier
from llm4top.forecasters.language import LanguageForecaster
from llm4top.registry.trial import Trial


class Derived(ClassifierMixin, BaseEstimator):
    """The parameters of ``TfidfForecaster`` by scikit-learn's own means."""

    __init__ = TfidfForecaster.__init__


CLASSIFIERS: list[TrialClassifier] = [
    *(make_baseline(name) for name in BASELINES if name != "sentence"),
    LanguageForecaster("base", lora_rank=4),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)
def test_parameters_tags_and_clones(classifier: TrialClassifier) -> None:
    tags, derived = get_tags(classifier), get_tags(Derived())
    derived.input_tags.two_d_array = False
    assert tags == derived
    assert is_classifier(classifier)
    copied = clone(classifier)
    assert copied is not classifier
    assert copied.get_params() == classifier.get_params()
    with pytest.raises(ValueError, match=r"'nothing' is no parameter of \w+: "):
        classifier.set_params(nothing=1)


def test_parameters_are_those_of_a_subclass() -> None:
    ours, theirs = TfidfForecaster(min_count=5, titles=True), Derived(min_count=5, titles=True)
    assert ours.get_params() == theirs.get_params() == ours.get_params(deep=False)
    assert list(ours.get_params()) == list(theirs.get_params())
    assert repr(ours) == repr(theirs).replace("Derived", "TfidfForecaster")
    ours.set_params(seed=3, titles=False)
    theirs.set_params(seed=3, titles=False)
    assert ours.get_params() == theirs.get_params()


def test_it_is_scored_by_accuracy() -> None:
    X = [Trial(conditions=(word,)) for word in ("asthma", "cancer") * 10]
    y = [0, 1] * 10
    fitted = TfidfForecaster().fit(X, y)
    assert fitted.score(X, y) == 1.0
    assert fitted.score(X, [0] * 20, sample_weight=[3, 1] * 10) == pytest.approx(0.75)
    assert np.mean(cross_val_score(TfidfForecaster(), X, y, cv=2)) == 1.0


def test_an_unfitted_one_says_so() -> None:
    with pytest.raises(NotFittedError, match="This TfidfForecaster instance is not fitted yet"):
        TfidfForecaster().predict_proba([Trial()])
