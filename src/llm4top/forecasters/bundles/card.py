"""``MODEL_CARD.md``: a bundle's manifest for people to read, so that its numbers cannot drift."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from llm4top.forecasters.base_rates import ALL_PHASES
from llm4top.forecasters.baselines.catalog import BASELINES
from llm4top.forecasters.bundles.manifest import Evaluation, Figure, Manifest
from llm4top.forecasters.bundles.paths import TRAINED_ON_FILE

_METRICS = {
    "roc_auc": "ROC-AUC (higher is better)",
    "average_precision": "Average precision (higher is better)",
    "log_loss": "Log-loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "f1": "F1 at .5 (higher is better)",
}
_BY_PHASE = {
    "calibration_intercept": "Calibration intercept (0 is right)",
    "calibration_slope": "Calibration slope (1 is right)",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
}
_CALIBRATION = {
    "venn-abers": "Venn-Abers, fitted on validation data only. The interval is a 95 % bootstrap "
    "interval of the calibrated probability over those data.",
    "platt": "Platt scaling, fitted on validation data only. The interval is a 95 % interval of "
    "the calibrated probability by the delta method.",
    "none": "None: these are the model's own probabilities, without an interval. Do not read "
    "them as chances.",
}
_TUNING = {
    "lora": "a LoRA adapter over the base model",
    "full": "all weights tuned",
    "none": "the base model as it is, not tuned",
}


def render_card(manifest: Manifest) -> str:
    """The model card of a bundle, in Markdown.

    It leaves out what the manifest gets after the card is written: the reload check.
    """
    phases = sorted(manifest.base_rates.items(), key=lambda item: item[0] == ALL_PHASES)
    settings = manifest.language.tuning.settings if manifest.language else {}
    text = _template().render(
        m=manifest,
        labels=[escape(label) for label in manifest.task.labels],
        rates=[("all phases" if name == ALL_PHASES else name, rate) for name, rate in phases],
        settings=sorted(
            (name, ", ".join(map(str, value)) if isinstance(value, tuple) else value)
            for name, value in settings.items()
        ),
        by_phase={"prevalence": f"Share of {manifest.task.labels[-1]}", **_BY_PHASE},
        baselines=BASELINES,
        calibration=_CALIBRATION,
        tuning=_TUNING,
        trained_on_file=TRAINED_ON_FILE,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escape(text: str) -> str:
    """Text from outside as one line of plain Markdown: it can be no markup, link or HTML."""
    line = " ".join(text.split())
    line = "".join(c for c in line if c.isprintable())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~])", r"\\\1", line)
    # An underscore inside a word is plain already; at a word's edge it would be emphasis.
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    return re.sub(r"^([#+\-=])", r"\\\1", line).replace("://", ":\u200b//")


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("llm4top.forecasters.bundles"),
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # finalize escapes every value for Markdown instead
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
    )
    environment.globals |= {
        "row": lambda cells: Markup(f"| {' | '.join(map(str, cells))} |"),
        "rule": lambda columns: Markup(f"| {' | '.join(['---'] * columns)} |"),
    }
    environment.filters |= {
        "cell": lambda text: Markup(escape(str(text))),
        "metric": lambda name: Markup(_METRICS.get(name, escape(name))),
        "metrics": _metrics,
        "of": lambda name, figures: Markup(_figure(figures.get(name))),
        "percent": lambda share: f"{share:.1%}",
    }
    return environment.get_template("model_card.md")


def _metrics(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys(k for figures in evaluation.forecasters.values() for k in figures))


def _figure(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "not measured"
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.lower:.3f}, {figure.upper:.3f}]"
