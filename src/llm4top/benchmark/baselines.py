"""The baselines: each is trained on each scope of each fold and predicts that fold's checks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llm4top.benchmark.cache import Arrays, hash_of
from llm4top.benchmark.context import Context
from llm4top.benchmark.predictions import Predictions, trained_on_text
from llm4top.benchmark.rows import POOLED, CheckName, Fold
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.data.dataset import Dataset
from llm4top.errors import ConfigError
from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline
from llm4top.text import counted, thousands

NEAREST = "nearest"
"""The baseline that keeps to the date rule of precedents where rows have dates."""


@dataclass(frozen=True, slots=True)
class BaselineWork:
    """One baseline, trained on one scope of one fold."""

    name: str
    phase: str
    fold: Fold
    context: Context

    @property
    def title(self) -> str:
        """What is being done, in words."""
        newest = ", older trials only" if self.fold.name == "newest" else ""
        where = "all phases" if self.phase == POOLED else f"phase {self.phase}"
        return f"{BASELINES[self.name].label} on {where}{newest}"

    def inputs(self) -> dict[str, object]:
        """Everything that the predictions depend on."""
        learn, settings = self._learn(), self.context.settings
        return {
            "baseline": self.name,
            "learn": learn.sha256,
            "checks": {name: self._check(name).sha256 for name in self.fold.checks},
            "seed": settings.seed,
            "encoder": _encoder_hash(settings) if self.name == "sentence" else None,
            **self._dates(),
        }

    def done(self) -> bool:
        """Whether it is finished already."""
        return self.context.cache.has("baseline", self.inputs())

    def run(self) -> list[Predictions]:
        """The baseline's predictions for each check; raises what ``fit`` raises."""
        inputs = self.inputs()
        arrays = self.context.cache.arrays("baseline", inputs, self._predicted)
        about = BASELINES[self.name]
        single = about.kind == "trivial" or self.phase == POOLED
        label = about.named(self._learn().task)
        name = label if single else f"{label} (phase {self.phase} only)"
        return [
            Predictions(
                name=name,
                kind=about.kind,
                phase=self.phase,
                learnt_from=trained_on_text(self.phase, len(self._learn())),
                check=check,
                ids=self._check(check).nct_ids,
                probabilities=arrays[check],
                identity=hash_of(inputs)[:12],
            )
            for check in self.fold.checks
        ]

    def _predicted(self) -> Arrays:
        learn, settings = self._learn(), self.context.settings
        model = make_baseline(self.name, learn.task, seed=settings.seed, encoder=settings.encoder)
        dated = self.name == NEAREST and any(learn.completion_dates)
        told = {"completed": learn.completion_dates} if dated else {}
        model.fit(learn.trials, np.array(learn.label_indices), **told)
        found: Arrays = {}
        for check in self.fold.checks:
            rows = self._check(check)
            told = {"before": rows.start_dates} if dated else {}
            probabilities = model.predict_proba(rows.trials, **told)
            found[check] = _all_columns(probabilities, model, len(learn.task.labels))
        return found

    def _dates(self) -> dict[str, object]:
        """What the hashes of data sets leave out, since no other baseline reads it."""
        if self.name != NEAREST:
            return {}
        starts = {name: self._check(name).start_dates for name in self.fold.checks}
        return {"completed": self._learn().completion_dates, "started": starts}

    def _learn(self) -> Dataset:
        return self.context.rows.of_phase(self.fold.learn, self.phase)

    def _check(self, check: CheckName) -> Dataset:
        return self.context.rows.of_phase(self.fold.checks[check], self.phase)


def baseline_work(context: Context) -> Iterator[BaselineWork]:
    """All baselines on all scopes and folds; the trivial ones on one scope only.

    Raises ``ConfigError`` for a name that is no baseline, or one whose encoder is not given.
    """
    rows, settings = context.rows, context.settings
    names = chosen_baselines(settings)
    phases = [p for p in settings.phases if p == POOLED or p in rows.phases]
    for fold in rows.folds:
        for name in names:
            trivial = BASELINES[name].kind == "trivial" and POOLED in phases
            for phase in [POOLED] if trivial else sorted(phases, key=lambda p: p != POOLED):
                yield BaselineWork(name, phase, fold, context)


def chosen_baselines(settings: BenchmarkSettings) -> tuple[str, ...]:
    """The baselines of the settings, in the order of ``BASELINES``."""
    chosen = settings.baselines
    if chosen is None:
        chosen = tuple(n for n in BASELINES if n != "sentence" or settings.encoder is not None)
    unknown = [name for name in chosen if name not in BASELINES]
    if unknown:
        raise ConfigError(
            "the benchmark's settings are wrong.",
            [f"baselines: no baseline {', '.join(unknown)}; there are {', '.join(BASELINES)}"],
        )
    if "sentence" in chosen and settings.encoder is None:
        raise ConfigError(
            "the benchmark's settings are wrong.",
            ["baselines: 'sentence' needs the folder of a sentence encoder (encoder)"],
        )
    return tuple(name for name in BASELINES if name in chosen)


def date_notes(context: Context) -> tuple[str, ...]:
    """For the report: whether the nearest trials are only those completed before a start."""
    if NEAREST not in chosen_baselines(context.settings):
        return ()
    label, rows = BASELINES[NEAREST].label, context.rows
    learn = rows.folds[0].learn
    checked = [day for fold in rows.folds for c in fold.checks.values() for day in c.start_dates]
    ended, started = (sum(map(bool, dates)) for dates in (learn.completion_dates, checked))
    if not ended or not started:
        absent = "start" if ended else "completion"
        return (
            f"{label}: every training trial counts, also one that was completed after the trial in "
            f"question began, since the data set has no {absent} dates.",
        )
    return (
        f"{label}: only training trials that were completed before the trial in question began "
        f"count. {thousands(ended)} of {counted(len(learn), 'training trial')} have a completion "
        f"date, and {thousands(started)} of {counted(len(checked), 'measured trial')} a start "
        "date; for the others of these, every training trial counts.",
    )


def _all_columns(probabilities: np.ndarray, model: object, labels: int) -> np.ndarray:
    """A column for each label of the task: a scope may lack a label that the task has."""
    classes = np.asarray(model.classes_, dtype=np.int64)  # type: ignore[attr-defined]
    full = np.zeros((len(probabilities), labels))
    full[:, classes] = probabilities
    return full


def _encoder_hash(settings: BenchmarkSettings) -> str | None:
    from llm4top.forecasters.model.model_files import identify

    return identify(settings.encoder).sha256 if settings.encoder else None
