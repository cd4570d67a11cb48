"""A model in words: how well it ranks trials."""

from llm4top.workspace.views.skill import skill_of


def card(split="valid", n=901, **values):
    figures = {
        name: {"roc_auc": {"value": value, "lower": value - 0.05, "upper": value + 0.05}}
        for name, value in values.items()
    }
    return {"evaluations": [{"split": split, "n": n, "forecasters": figures}]}


def test_the_model_is_named_with_its_interval_and_that_of_a_bag_of_words():
    words = skill_of(card(**{"this model": 0.7, "TF-IDF + logistic regression": 0.75}))
    assert words == (
        "How well this model ranks trials: ROC-AUC 0.700 (0.650 to 0.750) on 901 validation "
        "trials (0.5 is guessing, 1 is perfect). A bag of words (TF-IDF) reaches "
        "0.750 (0.700 to 0.800), which is better."
    )
    assert skill_of(card(**{"mine": 0.8, "TF-IDF": 0.7})).endswith("0.700 (0.650 to 0.750).")


def test_a_model_without_a_reference_or_without_metrics():
    assert skill_of(card(mine=0.7)).endswith("(0.5 is guessing, 1 is perfect).")
    assert skill_of({}) == ""
    unknown = {"mine": {"roc_auc": {"value": None, "lower": None, "upper": None}}}
    evaluation = {"split": "test", "n": 5, "forecasters": unknown}
    assert skill_of({"evaluations": [evaluation]}) == ""
