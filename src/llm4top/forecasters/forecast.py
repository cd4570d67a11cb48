"""Forecasting records: from a loaded bundle and records to ``Forecast`` values."""

# ruff: noqa: D102 - the members of a protocol
from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import CalibrationError, ServerError
from llm4top.forecasters.base_rate_shift import (
    BaseRateArgument,
    Shares,
    TargetRates,
    adapted,
    target_rates,
)
from llm4top.forecasters.base_rates import ALL_PHASES, BaseRate, base_rate_of
from llm4top.forecasters.bundles.trained_on import Part
from llm4top.forecasters.calibration.calibrated import Calibrated, Calibrator, softmax
from llm4top.forecasters.distribution import summary_of
from llm4top.forecasters.forecast_format import Forecast, NotApplicable, title_of
from llm4top.forecasters.forecast_warnings import Case, warnings_about
from llm4top.forecasters.log_odds import logsumexp
from llm4top.forecasters.support import Support, Supported, supported_forecasts
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt
from llm4top.prompts.sections import SECTION_NAMES, trial_sections
from llm4top.registry.areas import therapeutic_area
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.tasks.builtin import why_not_applicable
from llm4top.tasks.task import Task
from llm4top.text import percent


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
    def support(self) -> Support | None: ...
    @property
    def base_rates(self) -> Mapping[str, BaseRate]: ...
    @property
    def writer(self) -> Any: ...
    @property
    def sections_read(self) -> Sequence[str] | None: ...
    def logits_and_parts(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> tuple[NDArray[np.float64], Mapping[str, NDArray[np.float64]]]: ...
    def notes_on(self, prompts: Sequence[Prompt]) -> Sequence[str | None]: ...
    def trained_on_part(self, nct_id: str | None) -> Part | None: ...


def forecast_records(
    loaded: ForecastSource,
    records: Iterable[Record | Trial],
    *,
    base_rate: BaseRateArgument | None = None,
    chunk: int = 256,
    progress: OnProgress | None = None,
) -> Iterator[Forecast | NotApplicable]:
    """Forecast records or trials, one value each, in their order.

    A record that the bundle's question does not apply to (an observational study, where the
    question is about interventional ones) gets ``NotApplicable`` in place of a ``Forecast``.

    Args:
        loaded: A loaded bundle.
        records: Records, or trials, which are named by their position ("#1") and have no id.
        base_rate: The base rate of the trials to forecast, where it is not that of the training
            trials: one share (0.56), one for each phase, or labelled trials to measure it among;
            see ``target_rates``. Each forecast and its interval are adapted to it by prior
            shift, and the forecast keeps what they were before.
        chunk: Records to read and forecast at a time; memory does not grow with their number.
        progress: Called with the prompts and tokens done since the start. Its totals are those
            of the records read so far.

    Returns:
        An iterator that forecasts as it is read.

    Raises:
        TypeError: An item is neither a record nor a trial.
        CalibrationError: ``base_rate`` is no base rate, or the forecaster has none to adapt from.
        LLM4TOPError: What the forecaster and the calibration raise.
    """
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be 1 or more.")
    target = None if base_rate is None else _target(loaded, base_rate)
    source = (as_record(item, position) for position, item in enumerate(records, 1))
    prompts_before = tokens_before = 0
    while taken := list(islice(source, chunk)):
        others = [not_applicable(loaded, record) for record in taken]
        asked = [r for r, other in zip(taken, others, strict=True) if other is None]
        prompts = [loaded.writer.write(record.trial) for record in asked]
        shifted = _shifted(progress, prompts_before, tokens_before)
        forecasts = _forecasts(loaded, asked, prompts, target, shifted) if asked else iter(())
        for other in others:
            yield next(forecasts) if other is None else other
        prompts_before += len(prompts)
        tokens_before += sum(len(prompt.token_ids) for prompt in prompts)


def not_applicable(loaded: ForecastSource, record: Record) -> NotApplicable | None:
    """Why the record gets no forecast; None where it gets one.

    Either the question does not apply to it, or the forecaster's support for it is too small.
    """
    reason = why_not_applicable(loaded.task, record.trial)
    if reason is None and loaded.support is not None:
        reason = loaded.support.refusal(record.trial)
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


def _target(loaded: ForecastSource, base_rate: BaseRateArgument) -> TargetRates:
    target = target_rates(base_rate, loaded.task)
    if not loaded.base_rates:
        raise CalibrationError(
            "its forecasts cannot be adapted to another base rate: the base rate of its training "
            "trials is not known.",
            where=loaded.identity,
            hint="Forecast without a base rate, or with a model that was trained on labels.",
        )
    return target


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """The probabilities of some trials, and what they were ``before`` another base rate.

    ``targets`` has each trial's target shares, None for one that is not adapted.
    """

    given: Supported
    before: Calibrated
    targets: Sequence[Shares | None]


def _answers(
    loaded: ForecastSource,
    trials: Sequence[Trial],
    logits: NDArray[np.float64],
    target: TargetRates | None,
) -> _Answers:
    """All that follows the logits: calibration, support, then the shift of the base rate."""
    supported = supported_forecasts(loaded, logits, trials)
    calibrated = supported.calibrated
    targets: list[Shares | None] = [None] * len(trials)
    if target is None:
        return _Answers(supported, calibrated, targets)
    even = (1.0,) * len(loaded.task.labels)
    rates: list[tuple[Shares, Shares]] = []
    for n, trial in enumerate(trials):
        _, own = base_rate_of(loaded.base_rates, trial.phase) or (None, ())
        # A share of 0 is of a bundle of version 0.1.0: no odds lead away from it.
        targets[n] = target.of(trial.phase) if all(own) and own else None
        rates.append((own, targets[n] or own) if all(own) and own else (even, even))
    own_rates, target_shares = (np.array(column) for column in zip(*rates, strict=True))
    shifted = adapted(calibrated, own_rates, target_shares)
    return _Answers(replace(supported, calibrated=shifted), calibrated, targets)


def _forecasts(
    loaded: ForecastSource,
    records: Sequence[Record],
    prompts: Sequence[Prompt],
    target: TargetRates | None,
    progress: OnProgress | None,
) -> Iterator[Forecast]:
    trials = [record.trial for record in records]
    try:
        logits, parts = loaded.logits_and_parts(trials, prompts=prompts, on_progress=progress)
    except ServerError as error:
        error.name_record([record.source.name for record in records])
        raise
    notes = loaded.notes_on(prompts)
    answers = _answers(loaded, trials, logits, target)
    reported = answers.given.calibrated.reported
    scores = _scores(np.asarray(logits, dtype=np.float64), reported)
    alone = {name: softmax(found) for name, found in parts.items()}
    for row, (record, prompt) in enumerate(zip(records, prompts, strict=True)):
        forecast = _forecast(
            loaded, record, prompt, answers.given, row, scores[row], len(alone) or 1, notes[row]
        )
        if alone:
            own = ((name, float(p[row, reported[row]])) for name, p in alone.items())
            forecast = replace(forecast, parts=tuple(own))
        yield forecast if target is None else _told(forecast, target, answers, row)


def _told(forecast: Forecast, target: TargetRates, answers: _Answers, row: int) -> Forecast:
    """The forecast with what it was before it was adapted, and a sentence that says so."""
    shares, before = answers.targets[row], answers.before
    if shares is None:
        phase = forecast.phase or "trials without a phase"
        why = (
            f"no base rate was given for {phase}"
            if target.of(forecast.phase) is None
            else "the model knows no base rate of such trials"
        )
        note = f"not adapted to another base rate: {why}"
        return replace(forecast, adapted_to=target.text, warnings=(*forecast.warnings, note))
    label = forecast.labels.index(forecast.label)
    same = int(before.reported[row]) == label
    own = percent(forecast.base_rates[label])
    chances = tuple(float(p) for p in before.probabilities[row])
    measured = f", {target.measured}" if target.measured else ""
    note = (
        f"adapted from a base rate of {own} to {percent(shares[label])}{measured}: "
        f"{percent(chances[label])} before"
    )
    return replace(
        forecast,
        adapted_to=target.text,
        target_rate=shares[label],
        target_rates=shares,
        unadapted_probability=chances[label],
        unadapted_lower=_bound(before.lower[row]) if same else None,
        unadapted_upper=_bound(before.upper[row]) if same else None,
        unadapted_probabilities=chances,
        warnings=(*forecast.warnings, note),
    )


def _scores(logits: NDArray[np.float64], reported: NDArray[np.int64]) -> list[float]:
    """The log-odds of each row's reported label, by the softmax of its logits ``[n, K]``."""
    found = []
    for row, label in zip(logits, reported, strict=True):
        found.append(float(row[label] - logsumexp(np.delete(row, label), axis=0)))
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
    supported: Supported,
    row: int,
    score: float,
    parts: int,
    note: str | None,
) -> Forecast:
    task, trial, calibrated = loaded.task, record.trial, supported.calibrated
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
        support=supported.notes[row],
        parts=parts,
        served=note,
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
        unit=task.unit if task.kind == "ordinal" else None,
        **asdict(summary_of(task, probabilities)),
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
        unread=_unread(trial, loaded.sections_read),
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
