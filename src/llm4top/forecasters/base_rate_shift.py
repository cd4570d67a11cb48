"""Forecasts for trials with another base rate than the training trials had: prior shift.

A forecaster learns how often its training trials succeeded. Where the trials to forecast succeed
more or less often, and trials with the same outcome look alike in both, its probabilities are
adapted with Bayes' rule: the odds of each label are multiplied by its target share over its share
among the training trials (Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a
classifier to new a priori probabilities, Neural Computation 14, equation 2.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from llm4top.data.labels import read_columns
from llm4top.errors import CalibrationError, TaskError
from llm4top.forecasters.base_rates import (
    ALL_PHASES,
    LEAST_ROWS_OF_A_PHASE,
    measure_base_rates,
)
from llm4top.forecasters.calibration.calibrated import Calibrated, FloatArray
from llm4top.registry.codes import phase as spelled_phase
from llm4top.tasks.builtin import label_of_text
from llm4top.tasks.task import Task
from llm4top.text import counted, percent

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset

FORMS = "Write a share, 0.56 or 56 %, or one for each phase: phase 2=0.55, phase 3=0.7."
_ROUNDING = 0.01
"""How far stated shares of all labels may be from a sum of 1."""

Shares = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TargetRates:
    """The base rates that forecasts are adapted to.

    Attributes:
        shares: Shares of all labels by phase, in label order. Those of ``ALL_PHASES`` are for
            every phase without its own.
        text: The same in a form that ``target_rates`` reads: "0.56" or "Phase 2=0.55, all=0.6".
        measured: Where the shares were measured, in words; empty for stated ones.
    """

    shares: Mapping[str, Shares]
    text: str
    measured: str = ""

    def of(self, phase: str | None) -> Shares | None:
        """The shares for a trial of that phase; None where none were given for it."""
        own = self.shares.get(phase) if phase is not None else None
        return own or self.shares.get(ALL_PHASES)


BaseRateArgument: TypeAlias = "float | str | Path | Mapping[str, float] | Dataset | TargetRates"
"""What ``target_rates`` takes."""


def target_rates(given: BaseRateArgument, task: Task, *, files: bool = True) -> TargetRates:
    """The base rates to adapt forecasts to.

    Args:
        given: The event's share in all phases (0.56, "0.56", "56 %"); shares by phase, as a
            mapping or as "phase 2=0.55, phase 3=70 %", where "all" is every other phase; shares
            of the labels, "efficacy=0.6, safety=0.4", which a task with more than two needs; or
            labelled trials to measure them among: a data set or its folder, of which the test
            split is left out, or a CSV with the columns nctid, phase and label.
        task: The question that is forecast.
        files: Whether a text may name a file or folder.

    Raises:
        CalibrationError: It is none of these, or a share is not between 0 and 1.
        DatasetError: The data set or CSV cannot be read.
    """
    from llm4top.data.dataset import Dataset

    if isinstance(given, TargetRates):
        return given
    if isinstance(given, Dataset):
        return _of_dataset(given, task)
    if isinstance(given, Path) or (isinstance(given, str) and files and _is_name(given)):
        return _of_path(Path(given).expanduser(), task)
    if isinstance(given, Mapping):
        return _stated({name: _share(share, name) for name, share in given.items()}, task)
    named = parse_shares(given) if isinstance(given, str) else {ALL_PHASES: _share(given)}
    return _stated(named, task)


def parse_shares(text: str) -> dict[str, float]:
    """The shares that a text states, by phase or label; one alone is of ``ALL_PHASES``.

    Raises ``CalibrationError`` for a text of another form, and a share outside of 0 to 1.
    """
    if "=" not in text:
        return {ALL_PHASES: _share(text)}
    found: dict[str, float] = {}
    for part in re.split(r"[,;]", text.strip(" ,;")):
        name, equals, share = part.partition("=")
        name = " ".join(name.split())
        if not equals or not name:
            raise _bad(f"{part.strip()!r:.60} is not PHASE=SHARE", FORMS)
        if name in found:
            raise _bad(f"{name!r:.60} is given twice", "Give one share for each.")
        found[name] = _share(share, name)
    return found


def adapted(calibrated: Calibrated, own: FloatArray, target: FloatArray) -> Calibrated:
    """Probabilities and intervals of trials whose base rates are ``target`` in place of ``own``.

    The probability of label k becomes ``p_k t_k / b_k``, divided by the sum over all labels: in a
    binary task ``logit p' = logit p + logit t - logit b``. A bound of the interval moves by as
    much in log-odds as the probability that it belongs to. Where another label becomes the most
    probable one of three or more there is no interval for it.

    Args:
        calibrated: ``n`` trials, ``K`` labels.
        own: Base rates ``[n, K]`` that the forecaster learnt from.
        target: Base rates ``[n, K]`` to adapt to. Rows that are equal in both stay as they are.

    Returns:
        The adapted values, in the same order.
    """
    before, label = calibrated.probabilities, calibrated.reported
    factor = target / own
    weighted = before * factor
    moves = (factor != factor[:, :1]).any(axis=1) & (weighted.sum(axis=1) > 0)
    after = before.copy()
    after[moves] = weighted[moves] / weighted[moves].sum(axis=1, keepdims=True)
    others = np.arange(before.shape[1]) != label[:, None]
    # Where no other label is possible, their odds among each other do not matter.
    share = np.where(before[others].reshape(len(before), -1).sum(axis=1)[:, None] > 0, before, 1)
    share = np.where(others, share, 0)
    odds = factor[~others] * share.sum(axis=1) / (share * factor).sum(axis=1)
    same = Calibrated(after, calibrated.lower, calibrated.upper).reported == label
    lower, upper = (
        np.where(moves, bound * odds / (bound * odds + 1 - bound), bound)
        for bound in (calibrated.lower, calibrated.upper)
    )
    return Calibrated(after, np.where(same, lower, np.nan), np.where(same, upper, np.nan))


def _is_name(text: str) -> bool:
    """Whether a text can only be the name of a file: it is no number and states no shares."""
    return "=" not in text and not re.match(r"\s*[-+.,]?\d[\d.,]*\s*%?\s*$", text)


def _share(given: float | str, name: str = "") -> float:
    text = str(given).strip()
    of = f" of {name}" if name else ""
    try:
        # Six decimals, so that the text of the rates says all of them.
        share = round(float(text.removesuffix("%")) / (100 if text.endswith("%") else 1), 6)
    except ValueError:
        raise _bad(f"{text!r:.60}{of} is not a share", FORMS) from None
    if 1 < share < 100 and not text.endswith("%"):
        raise _bad(f"{text}{of} is more than 1", f"If it is in percent, write {text} %.")
    if not 0 < share < 1:
        certain = "A share of 0 or 1 would make every forecast certain."
        raise _bad(f"{text}{of} is not between 0 and 1", certain)
    return share


def _stated(named: Mapping[str, float], task: Task) -> TargetRates:
    """Shares by phase, or by label, as shares of all labels by phase."""
    if set(named) <= set(task.labels):
        return _of_labels(named, task)
    if len(task.labels) != 2:
        raise _bad(
            f"{task.name!r} has {len(task.labels)} answers, and one share does not say those of "
            "all",
            f"Give each one: {', '.join(f'{label}=SHARE' for label in task.labels)}.",
        )
    shares: dict[str, Shares] = {}
    for name, share in named.items():
        phase = ALL_PHASES if name.casefold() == ALL_PHASES else spelled_phase(name) or ""
        if phase != ALL_PHASES and not re.match(r"(Early )?Phase \d|N/A", phase):
            raise _bad(f"{name!r:.60} is no phase", FORMS)
        if phase in shares:
            raise _bad(f"{phase} is given twice", "Give one share for each.")
        shares[phase] = (1 - share, share)
    return TargetRates(shares, _text({phase: share[1] for phase, share in shares.items()}))


def _of_labels(named: Mapping[str, float], task: Task) -> TargetRates:
    given = dict(named)
    if len(task.labels) == 2 and len(given) == 1:
        (label,) = set(task.labels) - set(given)
        given[label] = 1 - sum(given.values())
    total = sum(given.values())
    if len(given) < len(task.labels) or abs(total - 1) > _ROUNDING:
        raise _bad(
            f"the shares given for {task.name!r} add up to {percent(total)}",
            f"Give one for each answer, which add up to 1: {', '.join(task.labels)}.",
        )
    shares = tuple(given[label] / total for label in task.labels)
    return TargetRates({ALL_PHASES: shares}, _text(dict(zip(task.labels, shares, strict=True))))


def _text(named: Mapping[str, float]) -> str:
    shares = {name: f"{share:.6f}".rstrip("0") for name, share in named.items()}
    if list(shares) == [ALL_PHASES]:
        return shares[ALL_PHASES]
    return ", ".join(f"{name}={share}" for name, share in shares.items())


def _of_path(path: Path, task: Task) -> TargetRates:
    if path.is_dir():
        from llm4top.data.dataset import load_dataset

        return _of_dataset(load_dataset(path), task)
    if not path.is_file():
        raise _bad(f"{str(path)!r:.200} is neither a share nor a file or folder", FORMS)
    rows = {}
    for line, nct_id, (phase, label) in read_columns(path, ("phase", "label")):
        try:
            rows[nct_id] = (spelled_phase(phase), task.label_index(label_of_text(task, label)))
        except TaskError:
            raise CalibrationError(
                f"{label!r:.60} is not an answer of {task.name!r}.",
                where=f"{path}, line {line}",
                hint=f"Its answers are: {', '.join(task.labels)}.",
            ) from None
    phases, labels = zip(*rows.values(), strict=True) if rows else ((), ())
    return _measured(phases, labels, task, path.name)


def _of_dataset(dataset: Dataset, task: Task) -> TargetRates:
    """The test split is not looked at: what is known of it must not move its forecasts."""
    if dataset.task.labels != task.labels:
        raise CalibrationError(
            f"its labels are {', '.join(dataset.task.labels)}, and {task.name!r} has "
            f"{', '.join(task.labels)}.",
            where=dataset.card.name,
            hint="Measure the base rate on a data set of the same question.",
        )
    rows = dataset.take([i for i, split in enumerate(dataset.splits) if split != "test"])
    phases = [trial.phase for trial in rows.trials]
    return _measured(phases, rows.label_indices, task, dataset.card.name)


def _measured(
    phases: Sequence[str | None], labels: Sequence[int], task: Task, where: str
) -> TargetRates:
    if len(labels) < LEAST_ROWS_OF_A_PHASE:
        raise CalibrationError(
            f"has {counted(len(labels), 'labelled trial')} to measure a base rate among; "
            f"{LEAST_ROWS_OF_A_PHASE} are the least.",
            where=where,
            hint="State the share instead: 0.56.",
        )
    found = measure_base_rates(len(task.labels), phases, labels)
    overall = dict(zip(task.labels, found[ALL_PHASES].shares, strict=True))
    if 0 in overall.values():
        absent = next(label for label, share in overall.items() if not share)
        raise CalibrationError(
            f"none of its trials is {absent!r:.60}.",
            where=where,
            hint="State the share instead: 0.56.",
        )
    # A text has one share of each of many labels, for all phases together.
    binary = len(task.labels) == 2
    named = {phase: rate.shares[1] for phase, rate in found.items()} if binary else overall
    shares = {name: _share(round(share, 4), name) for name, share in named.items()}
    stated = _stated(shares, task)
    among = f"measured among {counted(len(labels), 'trial')} of {where}"
    return replace(stated, measured=among)


def _bad(fault: str, hint: str) -> CalibrationError:
    return CalibrationError(f"{fault}.", where="base rate", hint=hint)
