"""Help: how to start, and every metric and term of the pages in two sentences."""

from nicegui import ui

from llm4top.studio.components.elements import Words, section
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page

STEPS = (
    ("Forecast", "Drop records of planned or running trials, or try an example.", "/"),
    ("Data", "Import trials with known outcomes, for training and evaluation.", "/data"),
    (
        "Train",
        "Train a base model on a data set, after a check of the settings.",
        "/train",
    ),
    ("Models", "View the metrics of each model, compare models, choose the default.", "/models"),
    ("Benchmark", "Evaluate models and simple baselines on the same trials.", "/benchmark"),
)

TERMS: dict[str, tuple[tuple[str, str], ...]] = {
    "A forecast": (
        (
            "Chance",
            "The calibrated probability that the answer to the question is yes. "
            "Of all trials with a chance near 60\u00a0%, about 60 in 100 should succeed.",
        ),
        (
            "Interval of a chance",
            "The uncertainty of the calibration, which is fitted on the validation trials. It does "
            "not cover other errors, such as those for a trial unlike all training trials.",
        ),
        (
            "Base rate",
            "The share of training trials of the same phase that succeeded. A forecast is useful "
            "only if it improves on the base rate.",
        ),
        (
            "Hidden fields",
            "Parts of a record that reveal the outcome: status, results, actual dates and "
            "enrolment, and sentences about them. The model never sees them, because a forecast "
            "must use only what was known before the outcome.",
        ),
    ),
    "Metrics of a model": (
        (
            "ROC-AUC",
            "The probability that the model ranks a random success above a random failure: 0.5 is "
            "no better than chance, 1 is perfect. It says nothing about whether the probabilities "
            "are right.",
        ),
        (
            "Average precision",
            "The precision averaged over all thresholds, the area under the precision-recall "
            "curve. Its value for a model without skill is the share of successes, so it cannot "
            "be compared between data sets.",
        ),
        (
            "Brier score",
            "The mean squared difference between the chance and the outcome (0 or 1); lower is "
            "better. It rewards both ranking and honest probabilities.",
        ),
        (
            "Brier skill",
            "The share by which the Brier score is lower than that of the base rates: 0 is no "
            "better than the base rates, 1 is perfect. Below 0, the base rates are the better "
            "forecast.",
        ),
        (
            "Log-loss",
            "The mean of minus the logarithm of the probability given to what happened; lower is "
            "better. A confident wrong forecast costs much more than in the Brier score.",
        ),
        (
            "ECE",
            "Expected calibration error: the mean distance between the chances and the observed "
            "shares, in groups of similar chances. 0 is perfect calibration; small data sets give "
            "values above 0 by chance.",
        ),
        (
            "Calibration slope and intercept",
            "The line that maps the model's log-odds to those observed: slope 1 and intercept 0 "
            "are right. A slope below 1 means chances that are too extreme; an intercept below 0 "
            "means chances that are too high.",
        ),
        (
            "95\u00a0% interval of a metric",
            "The plausible range of the metric for other trials of the same kind, from resampling "
            "the trials (bootstrap). Two models with overlapping intervals may still differ: see "
            "the paired difference.",
        ),
        (
            "F1",
            "The harmonic mean of precision and recall at a threshold of one half. It ignores "
            "how sure the model is, so read it together with the other metrics.",
        ),
    ),
    "Training and data": (
        (
            "Base model",
            "The language model that training starts from. Download more in a terminal with: "
            "llm4top download NAME.",
        ),
        (
            "LoRA",
            "Training a small adapter while the weights of the base model do not change. It needs "
            "far less memory than training all weights.",
        ),
        (
            "Training, validation, test",
            "The model is trained on training trials. Validation trials select its best step and "
            "calibrate it. Test trials are used for no decision, so only they give unbiased "
            "metrics.",
        ),
        (
            "Venn-Abers",
            "A calibration method that fits two monotone curves to the validation trials, one as "
            "if the new trial had succeeded and one as if it had failed. The two give the interval "
            "of the chance.",
        ),
        (
            "Leak",
            "Text that reveals the outcome. The leak audit of a data set checks each field for it.",
        ),
        (
            "Token",
            "A piece of a word. A page of text has about 500 tokens. Each model reads a limited "
            "number of tokens; longer records are shortened section by section.",
        ),
        (
            "ICD-10 chapter",
            "The area of a disease in the International Classification of Diseases, such as "
            "“skin (L)”. The letters are the first letters of the codes in that chapter.",
        ),
    ),
}


def register(context: StudioContext) -> None:
    """Add a page to the menu."""

    @page(context, "/help", "Help", icon="help_outline", order=85, where="menu")
    def help_page() -> None:
        with section("How to start"), ui.element("ul").classes("l4-steps"):
            for name, text, path in STEPS:
                with ui.element("li"):
                    ui.link(name, path)
                    Words("span", f": {text}")
        for title, terms in TERMS.items():
            with section(title), ui.element("dl").classes("l4-terms"):
                for term, meaning in terms:
                    Words("dt", term).props["id"] = anchor(term)
                    Words("dd", meaning)


def anchor(term: str) -> str:
    """The part of the address behind "#" that leads to a term."""
    return "-".join("".join(c if c.isalnum() else " " for c in term.lower()).split())
