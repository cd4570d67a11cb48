"""Which sections of the prompt a model's forecasts depend on."""

from dataclasses import replace
from typing import Unpack

from llm4top.data.dataset import Dataset
from llm4top.evaluation.probes.variants import (
    FULL,
    ProbeOptions,
    VariantRunner,
    sampled,
    variant_row,
)
from llm4top.evaluation.reports.report import VariantTable
from llm4top.forecasters.language import LanguageForecaster
from llm4top.prompts.sections import SECTION_HEADINGS, SECTION_NAMES, trial_sections


def prompt_ablation(
    forecaster: LanguageForecaster,
    rows: Dataset,
    *,
    limit: int | None = None,
    **options: Unpack[ProbeOptions],
) -> VariantTable:
    """Scores of the same trials with each section of the prompt left out in turn.

    The first row is the full prompt; then one row for each section that occurs in ``rows``, in
    prompt order, with its paired difference to the full prompt. Nothing is retrained, and the token
    budget stays the same.

    Args:
        forecaster: The language model.
        rows: Rows of one split; validation rows if sections are chosen by the result.
        limit: Measures at most so many rows, drawn by the seed with the labels' shares kept.
        **options: See ``ProbeOptions``.

    Raises:
        ScoreError: The rows cannot be measured (too few, a label missing).
        EvaluationError: The rows are of several splits.
    """
    chosen = sampled(rows, limit, options.get("seed", 0))
    counts = _sections(forecaster, chosen)
    runner = VariantRunner(forecaster, chosen, variants=1 + len(counts), **options)
    full = runner.measured(runner.full)
    table = [variant_row(FULL, full)]
    spec = runner.writer.spec
    for left_out, count in counts.items():
        kept = tuple(s for s in spec.sections or SECTION_NAMES if s != left_out)
        scores = runner.run(runner.writer.with_spec(replace(spec, sections=kept))).scores
        note = f"{count} of {len(chosen)} trials have this section."
        heading = SECTION_HEADINGS[left_out]
        table.append(variant_row(f"without {heading}", runner.measured(scores), full, note))
    return VariantTable(
        title="Prompt ablation",
        forecaster=runner.name,
        check=runner.check,
        reading=_reading(runner, len(counts)),
        rows=tuple(table),
    )


def _sections(forecaster: LanguageForecaster, rows: Dataset) -> dict[str, int]:
    """The sections that prompts of these rows have, and in how many rows, in prompt order."""
    writer = forecaster.scorer.writer
    counts = dict.fromkeys(SECTION_NAMES, 0)
    for trial in rows.trials:
        hidden = writer.task.hidden_fields
        for section in trial_sections(trial, only=writer.spec.sections, hidden_fields=hidden):
            counts[section.name] += 1
    return {name: count for name, count in counts.items() if count}


def _reading(runner: VariantRunner, sections: int) -> str:
    cut = sum(prompt.tokens_cut > 0 for prompt in runner.prompts)
    sentences = [
        "Each row leaves one section of the prompt out and scores the same trials again with the "
        "same model. Nothing is retrained: a fine-tuned model was trained on prompts with all of "
        "these sections, so a row shows how much its forecasts depend on a section, not how well a "
        "model trained without it would do.",
        "Differences are to the full prompt. A lower ROC-AUC, or a higher log-loss or Brier score, "
        "means that the section helps; where the interval includes 0, no effect is shown.",
    ]
    if cut:
        sentences.append(
            f"{cut} of {len(runner.prompts)} full prompts are cut to "
            f"{runner.writer.spec.max_tokens} tokens: leaving a section out of these makes room "
            "for the others."
        )
    if sections > 1:
        sentences.append(
            f"{sections} sections are compared, and about one interval in twenty excludes 0 by "
            "chance."
        )
    return " ".join([*sentences, runner.calibration_note])
