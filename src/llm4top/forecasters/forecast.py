"""Forecasting records: from a loaded bundle and records to ``Forecast`` values."""

# ruff: noqa: D102 - the members of a protocol
from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from llm4top.forecasters.base_rates import ALL_PHASES, BaseRate, base_rate_of
from llm4top.forecasters.bundles.trained_on import Part
from llm4top.forecasters.calibration.calibrated import Calibrated, Calibrator
from llm4top.forecasters.forecast_format import Forecast, NotApplicable, title_of
from llm4top.forecasters.forecast_warnings import Case, warnings_about
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt
from llm4top.prompts.sections import SECTION_NAMES, trial_sections
from llm4top.registry.areas import therapeutic_area
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.builtin import why_not_applicable
from llm4top.tasks.task import Task


def as_record(item: Record | Trial, position: int) -> Record:
    """``item``, or a record made of a trial, which is named "#1" at position 1.

    Raises ``TypeError`` for anything else, with what to do.
    """
    if isinstance(item, Record):
        return item
    if isinstance(item, Trial):
        source = Source(f"#{position}", None, "trial", None, "")
        return Record(None, item, RegistryOutcome(), (), source)
    raise TypeError(
        f"item {position} is {type(item).__name__}, not Record or Trial. Read files with "
        "read_records(path), and rows of a table with trials_from_frame(rows)."
    )


class ForecastSource(Protocol):
    """What forecasts are made with: a ``Forecaster``, or anything of its shape."""

    @property
    def task(self) -> Task: ...
    @property
    def identity(self) -> str: ...
    @property
    def calibration(self) -> Calibrator: ...
    @property
    def base_rates(self) -> Mapping[str, BaseRate]: ...
    @property
    def writer(self) -> Any: ...
    def logits(
        self,
        trials: Iterable[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> NDArray[np.float64]: ...
    def trained_on_part(self, nct_id: str | None) -> Part | None: ...


def forecast_records(
    loaded: ForecastSource,
    records: Iterable[Record | Trial],
    *,
    chunk: int = 256,
    progress: OnProgress | None = None,
) -> Iterator[Forecast | NotApplicable]:
    """Forecast records or trials, one value each, in their order.

    A record that the bundle's question does not apply to (an observational study, where the
    question is about interventional ones) gets ``NotApplicable`` in place of a ``Forecast``.

    Args:
        loaded: A loaded bundle.
        records: Records, or trials, which are named by their position ("#1") and have no id.
        chunk: Records to read and forecast at a time; memory does not grow with their number.
        progress: Called with the prompts and tokens done since the start. Its totals are those
            of the records read so far.

    Returns:
        An iterator that forecasts as it is read.

    Raises:
        TypeError: An item is neither a record nor a trial.
        LLM4TOPError: What the forecaster and the calibration raise.
    """
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be 1 or more.")
    source = (as_record(item, position) for position, item in enumerate(records, 1))
    prompts_before = tokens_before = 0
    while taken := list(islice(source, chunk)):
        others = [not_applicable(loaded, record) for record in taken]
        asked = [r for r, other in zip(taken, others, strict=True) if other is None]
        prompts = [loaded.writer.write(record.trial) for record in asked]
        shifted = _shifted(progress, prompts_before, tokens_before)
        forecasts = _forecasts(loaded, asked, prompts, shifted) if asked else iter(())
        for other in others:
            yield next(forecasts) if other is None else other
        prompts_before += len(prompts)
        tokens_before += sum(len(prompt.token_ids) for prompt in prompts)


def not_applicable(loaded: ForecastSource, record: Record) -> NotApplicable | None:
    """Why the bundle's question does not apply to the record; None where it does."""
    reason = why_not_applicable(loaded.task, record.trial)
    if reason is None:
        return None
    sections = trial_sections(record.trial, only=loaded.writer.spec.sections)
    return NotApplicable(
        record=record.source.name,
        nct_id=record.nct_id,
        task=loaded.task.name,
        reason=reason,
        title=title_of(record.trial),
        study_type=record.trial.study_type,
        sections=tuple((s.heading, s.text) for s in sections),
        withheld=record.withheld,
    )


def _forecasts(
    loaded: ForecastSource,
    records: Sequence[Record],
    prompts: Sequence[Prompt],
    progress: OnProgress | None,
) -> Iterator[Forecast]:
    trials = [record.trial for record in records]
    logits = loaded.logits(trials, prompts=prompts, on_progress=progress)
    phases = [record.trial.phase for record in records]
    calibrated = loaded.calibration.predict(logits, phases)
    scores = _scores(np.asarray(logits, dtype=np.float64), calibrated.reported)
    for row, (record, prompt) in enumerate(zip(records, prompts, strict=True)):
        yield _forecast(loaded, record, prompt, calibrated, row, scores[row])


def _scores(logits: NDArray[np.float64], reported: NDArray[np.int64]) -> list[float]:
    """The log-odds of each row's reported label, by the softmax of its logits ``[n, K]``."""
    found = []
    for row, label in zip(logits, reported, strict=True):
        found.append(float(row[label] - logsumexp(np.delete(row, label))))
    return found


def _shifted(progress: OnProgress | None, prompts: int, tokens: int) -> OnProgress | None:
    if progress is None:
        return None
    report: OnProgress = progress

    def shifted(p: Progress) -> None:
        figures = {name: count + tokens for name, count in p.figures.items()}
        report(Progress(p.stage, p.done + prompts, p.total + prompts, figures=figures))

    return shifted


def _forecast(
    loaded: ForecastSource,
    record: Record,
    prompt: Prompt,
    calibrated: Calibrated,
    row: int,
    score: float,
) -> Forecast:
    task, trial = loaded.task, record.trial
    probabilities = tuple(float(p) for p in calibrated.probabilities[row])
    reported = int(calibrated.reported[row])
    rates_of, rates = base_rate_of(loaded.base_rates, trial.phase) or (None, ())
    case = Case(
        record,
        prompt,
        phases=[phase for phase in loaded.base_rates if phase != ALL_PHASES],
        sections=loaded.writer.spec.sections,
        calibrated=loaded.calibration.method != "none",
        learnt=loaded.trained_on_part(record.nct_id),
    )
    return Forecast(
        record=record.source.name,
        nct_id=record.nct_id,
        phase=trial.phase,
        task=task.name,
        labels=task.labels,
        probabilities=probabilities,
        label=task.labels[reported],
        probability=probabilities[reported],
        lower=_bound(calibrated.lower[row]),
        upper=_bound(calibrated.upper[row]),
        base_rate=rates[reported] if rates else None,
        warnings=warnings_about(case),
        bundle=loaded.identity,
        prompt_sha256=_prompt_hash(prompt),
        tokens=len(prompt.token_ids),
        tokens_cut=prompt.tokens_cut,
        score=score,
        base_rates=rates,
        base_rate_of=rates_of,
        title=title_of(trial),
        area=therapeutic_area(trial),
        sponsor_class=trial.sponsor_class,
        withheld=record.withheld,
        sections=prompt.sections,
        unread=_unread(trial, loaded.writer.spec.sections),
        source_format=record.source.format,
        source_processed=record.source.processed,
        source_sha256=record.source.sha256,
    )


def _unread(trial: Trial, read: Sequence[str] | None) -> tuple[str, ...]:
    """Headings of sections that the trial has and the model's prompts (None: all) do not show."""
    if read is None:
        return ()
    others = [name for name in SECTION_NAMES if name not in read]
    return tuple(section.heading for section in trial_sections(trial, only=others))


def _prompt_hash(prompt: Prompt) -> str | None:
    """The hash of the prompt's text; None for a baseline, which reads the trial itself."""
    return hashlib.sha256(prompt.text.encode()).hexdigest() if prompt.token_ids else None


def _bound(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
