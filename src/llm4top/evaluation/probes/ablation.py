"""Which sections of the prompt a model's forecasts lean on."""

from __future__ import annotations

from dataclasses import replace

from llm4top.data.dataset import Dataset
from llm4top.evaluation.probes.variants import FULL, Asking, sampled, variant_row
from llm4top.evaluation.reports.report import VariantTable
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.batching import OnProgress
from llm4top.prompts.sections import SECTION_HEADINGS, SECTION_NAMES, trial_sections


def prompt_ablation(
    forecaster: LanguageForecaster,
    rows: Dataset,
    *,
    calibration: Calibrator | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 1000,
    name: str | None = None,
    on_progress: OnProgress | None = None,
) -> VariantTable:
    """The model asked about the same trials with each section of the prompt left out in turn.

    The first row is the full prompt; then one row a section that occurs in ``rows``, in prompt
    order, with its paired difference to the full prompt. Nothing is trained anew, and the token
    budget stays. ``calibration`` turns logits into probabilities; ``limit`` takes that many rows,
    drawn by ``seed`` with the labels' shares kept. ``name`` is the model's in the table (default:
    its folder's). To choose sections by what this shows, give validation rows.

    Raises what ``Scores`` raises for rows that cannot be measured (too few, a label absent) and
    ``EvaluationError`` for rows of several splits.
    """
    chosen = sampled(rows, limit, seed)
    counts = _sections(forecaster, chosen)
    asking = Asking(
        forecaster,
        chosen,
        ways=1 + len(counts),
        calibration=calibration,
        draws=draws,
        seed=seed,
        name=name,
        on_progress=on_progress,
    )
    full = asking.measured(asking.full)
    table = [variant_row(FULL, full)]
    spec = asking.writer.spec
    for left_out, held in counts.items():
        kept = tuple(s for s in spec.sections or SECTION_NAMES if s != left_out)
        answers = asking.ask(asking.writer.with_spec(replace(spec, sections=kept)))
        table.append(
            variant_row(
                f"without {SECTION_HEADINGS[left_out]}",
                asking.measured(answers.scores),
                full,
                f"{held} of {len(chosen)} trials have this section.",
            )
        )
    return VariantTable(
        title="Prompt ablation",
        forecaster=asking.name,
        check=asking.check,
        reading=_reading(asking, len(counts)),
        rows=tuple(table),
    )


def _sections(forecaster: LanguageForecaster, rows: Dataset) -> dict[str, int]:
    """The sections that the model would be shown of any row, and of how many, in prompt order."""
    writer = forecaster.scorer.writer
    counts = dict.fromkeys(SECTION_NAMES, 0)
    for trial in rows.trials:
        hidden = writer.task.hidden_fields
        for section in trial_sections(trial, only=writer.spec.sections, hidden_fields=hidden):
            counts[section.name] += 1
    return {name: count for name, count in counts.items() if count}


def _reading(asking: Asking, rows: int) -> str:
    cut = sum(prompt.tokens_cut > 0 for prompt in asking.prompts)
    sentences = [
        "Each row leaves one section of the prompt out and asks the same model about the same "
        "trials again. Nothing is trained anew: a fine-tuned model has learnt from prompts with "
        "all of these sections, so a row tells how much its forecasts lean on a section, not how "
        "well a model would do that had learnt without it.",
        "Differences are to the full prompt. A lower ROC-AUC, or a higher log-loss or Brier score, "
        "means that the section helps; where the interval holds 0, no effect is shown.",
    ]
    if cut:
        sentences.append(
            f"{cut} of {len(asking.prompts)} full prompts are cut to "
            f"{asking.writer.spec.max_tokens} tokens: there a section left out makes room for "
            "the others."
        )
    if rows > 1:
        sentences.append(
            f"{rows} sections are looked at together, and about one interval in twenty misses 0 "
            "by chance."
        )
    return " ".join([*sentences, asking.probabilities_are])
