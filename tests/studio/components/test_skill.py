"""One line of a model's card beside the number: how well it tells trials apart."""

from types import SimpleNamespace

from llm4top.forecasters.bundles.manifest import Evaluation, Figure
from llm4top.studio.components.model_choice import skill_of


def card(**values):
    figures = {
        name: {"roc_auc": Figure(value=value, lower=value - 0.05, upper=value + 0.05)}
        for name, value in values.items()
    }
    return SimpleNamespace(evaluations=(Evaluation(split="valid", n=901, forecasters=figures),))


def test_the_model_is_named_with_its_interval_beside_a_bag_of_words():
    said = skill_of(card(**{"this model": 0.7, "TF-IDF + logistic regression": 0.75}))
    assert said == (
        "How well this model tells trials apart: ROC-AUC 0.700 (0.650 to 0.750) on 901 validation "
        "trials (0.5 is guessing, 1 is perfect); a bag of words (TF-IDF) reaches "
        "0.750 (0.700 to 0.800), which is better."
    )
    assert skill_of(card(**{"mine": 0.8, "TF-IDF": 0.7})).endswith("0.700 (0.650 to 0.750).")


def test_a_model_without_another_beside_it_stands_alone():
    assert skill_of(card(mine=0.7)).endswith("(0.5 is guessing, 1 is perfect).")
    assert skill_of(SimpleNamespace(evaluations=())) == ""
    unknown = Figure(value=None, lower=None, upper=None)
    only = Evaluation(split="test", n=5, forecasters={"mine": {"roc_auc": unknown}})
    assert skill_of(SimpleNamespace(evaluations=(only,))) == ""
