"""Forecasting records: from a loaded bundle and records to ``Forecast`` values."""

# ruff: noqa: D102 - the members of a protocol
from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from llm4top.forecasters.bundles.trained_on import Part
from llm4top.forecasters.calibration.calibrated import Calibrated, Phases
from llm4top.forecasters.forecast_format import Forecast, NotApplicable, title_of
from llm4top.forecasters.forecast_warnings import Case, warnings_about
from llm4top.forecasters.model.batching import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptWriter
from llm4top.prompts.sections import SECTION_NAMES, trial_sections
from llm4top.registry.areas import therapeutic_area
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.applicability import why_not_applicable
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


ALL_PHASES = "all"


class PromptForecaster(Protocol):
    """The part of a forecaster that is needed here: prompts in, answer logits out."""

    def logits_of(
        self, prompts: Sequence[Prompt], *, on_progress: OnProgress | None = None
    ) -> NDArray[np.float64]:
        """Answer logits ``[n, K]``, a column for each of the task's labels, in their order."""
        ...


class Calibration(Protocol):
    """The part of a calibrator that is needed here."""

    @property
    def method(self) -> str:
        """Its name; "none" where the probabilities are the model's own."""
        ...

    def predict(self, logits: Any, phases: Phases | None = None) -> Calibrated:
        """Calibrated probabilities of answer logits ``[n, K]`` of trials of these phases."""
        ...


class Combination(Protocol):
    """The part of a stack that is needed here."""

    def logits(self, trials: Sequence[Trial], language: NDArray[np.float64]) -> Any:
        """The language model's logits ``[n, K]`` of the trials, combined with a baseline's."""
        ...


class ForecastSource(Protocol):
    """What forecasts are made with: a loaded bundle, or anything of its shape.

    ``base_rates`` maps each phase the model has learnt from, and "all", to the share of a binary
    task's event, ``label_rates`` to the shares of all labels in their order; ``identity`` names
    the bundle for good. ``stack`` is None where the language
    model forecasts alone.
    """

    @property
    def task(self) -> Task: ...
    @property
    def forecaster(self) -> PromptForecaster: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def base_rates(self) -> Mapping[str, float]: ...
    @property
    def label_rates(self) -> Mapping[str, tuple[float, ...]]: ...
    @property
    def identity(self) -> str: ...
    @property
    def writer(self) -> PromptWriter: ...
    @property
    def stack(self) -> Combination | None: ...
    def learnt_from(self, nct_id: str | None) -> Part | None: ...


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
    logits = loaded.forecaster.logits_of(prompts, on_progress=progress)
    if loaded.stack is not None:
        logits = loaded.stack.logits([record.trial for record in records], logits)
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
    tell: Callable[[Progress], None] = progress

    def shifted(p: Progress) -> None:
        tell(
            Progress(
                p.prompts + prompts,
                p.tokens + tokens,
                p.total_prompts + prompts,
                p.total_tokens + tokens,
            )
        )

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
    rates_of = _base_rates_of(loaded, trial.phase)
    rates = loaded.label_rates[rates_of] if rates_of else ()
    case = Case(
        record,
        prompt,
        phases=[phase for phase in loaded.base_rates if phase != ALL_PHASES],
        sections=loaded.writer.spec.sections,
        calibrated=loaded.calibration.method != "none",
        learnt=loaded.learnt_from(record.nct_id),
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
        prompt_sha256=hashlib.sha256(prompt.text.encode()).hexdigest(),
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


def _bound(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _base_rates_of(loaded: ForecastSource, phase: str | None) -> str | None:
    """The phase whose base rates a trial gets: its own, else all together, None without any."""
    rates = loaded.label_rates
    if phase in rates:
        return phase
    return ALL_PHASES if ALL_PHASES in rates else None
