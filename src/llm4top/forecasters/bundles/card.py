"""``MODEL_CARD.md``, written from the manifest alone, so that its numbers cannot drift."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llm4top.forecasters.bundles.manifest import (
    ALL_PHASES,
    LEARNT_FILE,
    Evaluation,
    Figure,
    Manifest,
)

_METRICS = {
    "roc_auc": "ROC-AUC (higher is better)",
    "average_precision": "Average precision (higher is better)",
    "log_loss": "Log-loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "f1": "F1 at .5 (higher is better)",
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

_LIMITS = (
    "It reads the registry record as planned and nothing else: no results, no literature, no "
    "prices, no knowledge of the medicine beyond the text and what the base model brings.",
    "Trials unlike those it has learnt from (other phases, devices, behavioural treatments, later "
    "years) are outside what the figures above can vouch for.",
    "The interval covers the calibration's own uncertainty. It is not a range for the trial's "
    "outcome, which is one of the labels, and it does not cover what has changed since.",
    "Validation data chose the weights and fitted the calibration. Figures on them are optimistic: "
    "a later, untouched test set is the judge.",
)


def render_card(manifest: Manifest) -> str:
    """The model card of a bundle, in Markdown. Every number in it is the manifest's.

    It leaves out what the manifest learns after the card is written: the reload check.
    """
    m = manifest
    parts = [
        f"# {escape(m.name)}",
        "",
        f"**{escape(m.context_of_use)}**",
        "",
        *_what(m),
        *_data(m),
        *_base_rates(m),
        *_figures(m),
        "## Calibration",
        "",
        _CALIBRATION[m.calibration],
        "",
        *_recognised(m),
        "## Limits",
        "",
        *(f"- {limit}" for limit in _LIMITS),
        "",
        *_licence(m),
        *_making(m),
    ]
    return "\n".join(parts) + "\n"


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


def _what(m: Manifest) -> list[str]:
    task = m.task
    answers = "; ".join(f"{escape(a.word)} = {escape(a.label)}" for a in m.answers)
    revision = f", revision {escape(m.base.revision)}" if m.base.revision else ""
    where = "carried in this bundle" if m.base.carried else "not part of this bundle"
    quantised = ", loaded in 4 bits" if m.tuning.quantize else ""
    budget = f"{m.prompt.spec.max_tokens} tokens"
    sections = m.prompt.spec.sections
    shown = ", ".join(sections) if sections is not None else "all that a record has"
    return [
        "## What it is",
        "",
        "A forecaster of clinical trials for LLM4TOP: it reads a trial's registry record as it "
        "stood before the trial and gives the probability of each answer to one question.",
        "",
        f"- Question: {escape(task.question)}",
        f"- Kind: {task.kind}; answers: {answers}",
        f"- Base model: {escape(m.base.id)}{revision} ({where}{quantised})",
        f"- Tuning: {_TUNING[m.tuning.method]}",
        *_stack(m),
        f"- Prompt: at most {budget}; sections: {escape(shown)}",
        "",
    ]


def _stack(m: Manifest) -> list[str]:
    if m.stack is None:
        return []
    shares = ", ".join(f"{escape(name)} {weight:.3g}" for name, weight in m.stack.weights.items())
    return [
        f"- Stack: the model's log-odds are added to those of a baseline, "
        f"{escape(m.stack.baseline)} ({escape(m.stack.baseline_identity)}), which this bundle "
        f"holds. Weights, fitted on {m.stack.n} validation trials: {shares}.",
    ]


def _data(m: Manifest) -> list[str]:
    lines = ["## What it has learnt from", ""]
    if m.data is None:
        return [*lines, "No training data are recorded.", ""]
    counts = ", ".join(f"{escape(split)} {n}" for split, n in m.data.counts.items())
    lines += [
        f"- Data set: {escape(m.data.name)}",
        f"- Trials: {counts or 'not recorded'}",
        f"- Hash (sha256): {m.data.sha256}",
    ]
    if m.data.note:
        lines.append(f"- Note: {escape(m.data.note)}")
    return [*lines, ""]


def _base_rates(m: Manifest) -> list[str]:
    if not m.base_rates:
        return []
    phases = [p for p in m.base_rates if p != ALL_PHASES]
    phases += [ALL_PHASES] if ALL_PHASES in m.base_rates else []
    rows = []
    for phase in phases:
        rate = m.base_rates[phase]
        name = "all phases" if phase == ALL_PHASES else escape(phase)
        rows.append([name, str(rate.n), *(f"{share:.1%}" for share in rate.shares)])
    labels = [escape(label) for label in m.task.labels]
    return [
        "## Base rates",
        "",
        "Shares of the labels among the training trials: what a forecast must beat.",
        "",
        *_table(["Phase", "n", *labels], rows),
        "",
        "They are those of the training trials alone: where these are a part of a data set, or of "
        "other years, another set of trials may have other rates.",
        "",
    ]


def _figures(m: Manifest) -> list[str]:
    lines = ["## How good it is", ""]
    if not m.evaluations:
        return [*lines, "Not measured.", ""]
    for evaluation in m.evaluations:
        metrics = list(dict.fromkeys(k for f in evaluation.forecasters.values() for k in f))
        rows = [
            [escape(name), *(_figure(figures.get(metric)) for metric in metrics)]
            for name, figures in evaluation.forecasters.items()
        ]
        headings = [_METRICS.get(metric, escape(metric)) for metric in metrics]
        draws = f", {evaluation.draws} bootstrap draws" if evaluation.draws else ""
        lines += [
            f"On the {escape(evaluation.split)} split, n = {evaluation.n}; each figure with its "
            f"95 % interval{draws}.",
            "",
            *_table(["Forecaster", *headings], rows),
            "",
        ]
        if evaluation.note:
            lines += [escape(evaluation.note), ""]
        lines += _phases(evaluation, m)
    return lines


def _phases(evaluation: Evaluation, m: Manifest) -> list[str]:
    """Whether the chances are right within each phase, where all together may hide that."""
    if not evaluation.phases:
        return []
    first = next(iter(evaluation.forecasters))
    shown = {
        "prevalence": f"Share of {m.task.labels[-1]}",
        "calibration_intercept": "Calibration intercept (0 is right)",
        "calibration_slope": "Calibration slope (1 is right)",
        "roc_auc": "ROC-AUC",
        "brier": "Brier score",
    }
    rows = [
        [escape(phase), str(one.n), *(_figure(one.figures.get(metric)) for metric in shown)]
        for phase, one in evaluation.phases.items()
    ]
    return [
        f"By phase, {escape(first)}, each figure with its 95 % interval; a trial of two phases "
        "counts in both. An intercept below 0 means chances that are too high in that phase, "
        "above 0 too low; a slope below 1 means chances that are too extreme.",
        "",
        *_table(["Phase", "n", *(escape(name) for name in shown.values())], rows),
        "",
    ]


def _figure(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "not measured"
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.lower:.3f}, {figure.upper:.3f}]"


def _recognised(m: Manifest) -> list[str]:
    if LEARNT_FILE not in m.files:
        return []
    return [
        "This bundle recognises the trials that it has learnt from or was tuned on, by hashes of "
        "their NCT ids (learnt_from.json), and warns at a forecast of one.",
        "",
    ]


def _licence(m: Manifest) -> list[str]:
    lines = ["## Licence", ""]
    lines.append(escape(m.licence) or "No licence is recorded: ask whoever made this bundle.")
    if m.data is not None and m.data.licence:
        lines += ["", f"Training data: {escape(m.data.licence)}"]
    return [*lines, ""]


def _making(m: Manifest) -> list[str]:
    versions = ", ".join(f"{escape(k)} {escape(v)}" for k, v in m.versions.items())
    lines = ["## How it was made", "", f"- Made on: {m.created}", f"- Versions: {versions}"]
    if m.seed is not None:
        lines.append(f"- Seed: {m.seed}")
    if m.config_sha256 is not None:
        lines.append(f"- Settings (sha256): {m.config_sha256}")
    for name, value in sorted(m.tuning.settings.items()):
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        lines.append(f"- {escape(name)}: {escape(shown)}")
    return lines


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rule = line(["---"] * len(headings))
    return [line(headings), rule, *(line(row) for row in rows)]
