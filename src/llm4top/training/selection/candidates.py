"""What model selection chooses among: base models, settings and seeds."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llm4top.errors import ConfigError
from llm4top.schema import validate_settings
from llm4top.training.config import FinalFit, TrainingConfig, make_config, read_settings_file

_OURS = ("data", "out", "seed", "train_split", "valid_split", "task", "final_fit", "folds")
"""Settings that are the same for every candidate, or that selection varies itself."""


class SelectSettings(BaseModel):
    """The settings of a selection. Make them with ``make_select_settings``.

    data: folder of a data set that ``llm4top ingest`` made. out: the selection's folder.
    bases: base models, each combined with each of ``candidates`` and each point of ``grid``.
    candidates: settings of ``TrainingConfig`` that differ from ``settings``; one may have a
        ``name``, and a ``base`` of its own.
    grid: lists of values by setting; all combinations are tried.
    settings: for all candidates alike, the preset among them.
    probe: whether to try a frozen probe of each base model too, where no candidate is one.
    seeds: every candidate is trained with each; candidates are compared by their mean.
    eta: each rung keeps one candidate in so many, and gives it so many times the steps.
    least_steps: no rung is shorter, unless the whole run is.
    baselines: names of ``BASELINES``; None takes all that can be chosen by log-loss.
    encoder: folder of a sentence encoder, for the baseline "sentence".
    stack: whether to try the language model and the best baseline together.
    final_fit: "all" fits what was chosen on train and valid together in the end, and calibrates it
        on out-of-fold predictions of ``folds`` folds.
    draws: of the bootstrap.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    out: Path
    bases: tuple[str, ...] = ()
    candidates: tuple[dict[str, Any], ...] = ()
    grid: dict[str, tuple[Any, ...]] = {}
    settings: dict[str, Any] = {}
    probe: bool = True
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)] = (0,)
    eta: Annotated[int, Field(ge=2, le=100)] = 3
    least_steps: Annotated[int, Field(ge=1)] = 20
    baselines: tuple[str, ...] | None = None
    encoder: Path | None = None
    stack: bool = True
    final_fit: FinalFit = "train"
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    draws: Annotated[int, Field(ge=100, le=100_000)] = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A base model with settings. ``name`` tells it from the others."""

    name: str
    settings: Mapping[str, Any]

    @property
    def base(self) -> str:
        """The base model as it was named."""
        return str(self.settings["base"])

    @property
    def is_probe(self) -> bool:
        """Whether it is a frozen probe, which has no steps to halve and gives one result."""
        return self.settings.get("tuning") == "probe"

    def seeds(self, select: SelectSettings) -> tuple[int, ...]:
        """The seeds that it is trained with: a probe is the same for each."""
        return select.seeds[:1] if self.is_probe else select.seeds

    def config(
        self, select: SelectSettings, *, seed: int, out: Path, max_steps: int | None = None
    ) -> TrainingConfig:
        """The settings of one run; ``max_steps`` None leaves the candidate's own."""
        values = {**self.settings, "data": select.data, "out": out, "seed": seed}
        if max_steps is not None:
            values["max_steps"] = max_steps
        return make_config(None, values)


def make_select_settings(
    file: Path | str | None = None, given: Mapping[str, Any] | None = None
) -> SelectSettings:
    """Settings from a YAML file, overridden by ``given``.

    The file holds a list of candidates, or fields of ``SelectSettings`` by name. ``settings`` and
    ``grid`` of both are merged. Raises ``ConfigError`` with every fault at once, those of the
    candidates included.
    """
    values = _read(file)
    for name, value in (given or {}).items():
        merged = name in ("settings", "grid") and isinstance(values.get(name), dict)
        values[name] = {**values[name], **value} if merged else value
    settings = validate_settings(
        SelectSettings, values, message="the settings of the selection are wrong.", hint=_HELP
    )
    make_candidates(settings)
    return settings


_HELP = "See llm4top select --help; settings of a training: llm4top train --list-settings"


def make_candidates(select: SelectSettings) -> tuple[Candidate, ...]:
    """Every candidate, each once; ``ConfigError`` names what is wrong with which."""
    faults = _general_faults(select)
    points = _with_probes(select, list(_points(select)))
    names = _names(points)
    candidates = []
    for name, (common, own) in zip(names, points, strict=True):
        values = {**common, **own}
        values.pop("name", None)
        candidate = Candidate(name, values)
        if "base" not in values:
            faults.append(f"{name}: names no base model")
            continue
        try:
            candidate.config(select, seed=select.seeds[0], out=select.out)
        except ConfigError as error:
            faults += [f"{name}: {fault}" for fault in error.faults]
        candidates.append(candidate)
    twice = [name for name, count in Counter(names).items() if count > 1]
    faults += [f"{name}: is there more than once" for name in twice]
    if faults:
        raise ConfigError("the settings of the selection are wrong.", faults, hint=_HELP)
    return tuple(candidates)


def _general_faults(select: SelectSettings) -> list[str]:
    faults = []
    if len(set(select.seeds)) != len(select.seeds):
        faults.append("seeds: one is there twice")
    for place in (select.settings, select.grid, *select.candidates):
        faults += [f"{name}: is set by the selection itself" for name in place if name in _OURS]
    faults += [f"{name}: give one or more values" for name, v in select.grid.items() if not v]
    if not select.bases and not any("base" in own for own in select.candidates):
        faults.append("bases: name one base model or more")
    return list(dict.fromkeys(faults))


def _points(select: SelectSettings) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """For each candidate what all share, and what is its own."""
    bases: Sequence[dict[str, Any]] = [{"base": base} for base in select.bases] or [{}]
    own = select.candidates or ({},)
    combined = [
        dict(zip(select.grid, values, strict=True)) for values in product(*select.grid.values())
    ]
    return [
        (dict(select.settings), {**base, **point, **settings})
        for base, settings, point in product(bases, own, combined)
        # A candidate with a base of its own is not combined with each of the others.
        if "base" not in settings or base == bases[0]
    ]


def _with_probes(
    select: SelectSettings, points: list[tuple[dict[str, Any], dict[str, Any]]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The points, and a probe of each base model with what all share, unless there is one."""
    given = any({**common, **own}.get("tuning") == "probe" for common, own in points)
    if given or not select.probe:
        return points
    # The number type of stored weights is for weights that are trained.
    shared = {k: v for k, v in select.settings.items() if k != "storage"}
    bases = dict.fromkeys(str(own["base"]) for _, own in points if "base" in own)
    return [*points, *((shared, {"base": base, "tuning": "probe"}) for base in bases)]


def _names(points: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Short names: the base model's last part, unless two share it, and what is set."""
    bases = {str(own.get("base", "?")) for _, own in points}
    short = Counter(base.rstrip("/").rsplit("/", 1)[-1] for base in bases)
    names = []
    for _, own in points:
        base = str(own.get("base", "?"))
        last = base.rstrip("/").rsplit("/", 1)[-1]
        parts = [last if short[last] == 1 else base]
        parts += [f"{k}={_value_text(v)}" for k, v in own.items() if k not in ("base", "name")]
        named = own.get("name")
        names.append(str(named) if named and not _shared(own, points) else ", ".join(parts))
    return names


def _shared(own: dict[str, Any], points: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> bool:
    return [other.get("name") for _, other in points].count(own["name"]) > 1


def _value_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value))
    return "none" if value is None else str(value)


def _read(file: Path | str | None) -> dict[str, Any]:
    values = {} if file is None else read_settings_file(file)
    if isinstance(values, list):
        return {"candidates": values}
    if not isinstance(values, dict):
        raise ConfigError(
            "the settings file holds no settings.",
            [f"{file}: must hold a list of candidates, or lines of 'name: value'"],
        )
    return {str(key): value for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Rung:
    """``candidates`` are trained for ``share`` of their steps, and ``keep`` of them advance."""

    number: int
    candidates: int
    keep: int
    share: float


def make_rungs(candidates: int, eta: int, probes: int = 0) -> tuple[Rung, ...]:
    """Rungs that keep one in ``eta`` (rounded up) until one is left, which is trained in full.

    Frozen ``probes`` have no steps, so they meet the others in the last rung.
    """
    counts = [candidates]
    while counts[-1] > 1:
        counts.append(math.ceil(counts[-1] / eta))
    last = len(counts) - 1
    after = counts[1:]
    counts[last] += probes
    return tuple(
        Rung(i + 1, count, after[i] if i < last else 1, float(eta) ** (i - last))
        for i, count in enumerate(counts)
    )


def whole_steps(config: TrainingConfig, rows: int) -> int:
    """Optimiser steps of a run over ``rows`` training trials in one process, unless it stops early.

    As ``finetune`` counts them. A probe has none.
    """
    if config.tuning == "probe":
        return 0
    steps = math.ceil(math.ceil(rows / (config.batch_size * config.accumulation)) * config.epochs)
    return steps if config.max_steps is None else min(steps, config.max_steps)


def rung_steps(whole: int, share: float, least: int) -> int:
    """Steps of a rung: its share of the whole, at least ``least``, at most the whole."""
    return min(whole, max(least, math.ceil(whole * share)))


def best_of(log_losses: Mapping[str, float], keep: int) -> tuple[list[str], list[str]]:
    """The ``keep`` names of least log-loss and the others, both in that order; ties by position.

    A name without a finite log-loss is never kept.
    """
    order: Sequence[str] = sorted(log_losses, key=lambda name: log_losses[name])
    finite = [name for name in order if math.isfinite(log_losses[name])]
    kept = finite[:keep]
    return kept, [name for name in order if name not in kept]
