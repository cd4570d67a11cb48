"""What is said of a model before it becomes the default."""

from llm4top.workspace.views.baseline_comparison import beside_default


def facts(value, lower, upper, *, words=None, data="a", own="this model, calibrated"):
    figures = {own: {"roc_auc": {"value": value, "lower": lower, "upper": upper}}}
    if words is not None:
        figures["TF-IDF + logistic regression"] = {"roc_auc": {"value": words}}
    return {
        "data": {"sha256": data},
        "evaluations": [{"split": "valid", "n": 100, "forecasters": figures}],
    }


DEFAULT = facts(0.704, 0.668, 0.737, words=0.752)


def test_a_weaker_model_is_told_with_its_reasons():
    found = beside_default(facts(0.541, 0.415, 0.676, words=0.7), DEFAULT, "Embedded default")
    assert found.sentences == (
        "On the same validation trials TF-IDF + logistic regression has a ROC-AUC of 0.700; "
        "this model has 0.541.",
        "The current default, Embedded default, has 0.704, measured on the same trials.",
    )
    assert found.weaker == (
        "It ranks trials worse than TF-IDF + logistic regression (0.541 against 0.700).",
        "Its ROC-AUC of 0.541 is below the 0.704 of Embedded default (measured on the same "
        "trials).",
        "Its interval (0.415 to 0.676) includes 0.5: it may not rank trials better than a coin.",
    )


def test_a_better_model_needs_no_question():
    found = beside_default(facts(0.8, 0.75, 0.85, words=0.75), DEFAULT, "Embedded default")
    assert found.weaker == ()
    assert len(found.sentences) == 2


def test_figures_of_other_trials_are_said_to_be_such():
    found = beside_default(facts(0.8, 0.75, 0.85, data="b"), DEFAULT, "Mine")
    assert found.sentences == (
        "The current default, Mine, has 0.704, measured on other trials, so only roughly "
        "comparable.",
    )


def test_a_model_without_figures_is_not_called_good():
    empty = {"data": {"sha256": "a"}, "evaluations": []}
    assert beside_default(empty, DEFAULT, "Mine").weaker == ("Its ROC-AUC was not measured.",)
    unmeasured = facts(None, None, None)
    assert beside_default(unmeasured, DEFAULT, "Mine").weaker == ("Its ROC-AUC was not measured.",)


def test_a_default_without_figures_is_passed_over():
    empty = {"data": {"sha256": "a"}, "evaluations": []}
    found = beside_default(facts(0.6, 0.55, 0.65), empty, "Mine")
    assert (found.sentences, found.weaker) == ((), ())
