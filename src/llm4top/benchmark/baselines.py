"""The baselines: each learns from each scope of each fold and is asked about that fold's checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llm4top.benchmark.cache import Arrays, Pieces, hash_of
from llm4top.benchmark.predictions import Said, learnt_words
from llm4top.benchmark.rows import POOLED, CheckName, Fold, Rows
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.data.dataset import Dataset
from llm4top.errors import ConfigError
from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline


@dataclass(frozen=True, slots=True)
class BaselineWork:
    """One baseline, learning from one scope of one fold."""

    name: str
    phase: str
    fold: Fold
    rows: Rows
    settings: BenchmarkSettings

    @property
    def title(self) -> str:
        """What is being done, in words."""
        newest = ", older trials only" if self.fold.name == "newest" else ""
        where = "all phases" if self.phase == POOLED else f"phase {self.phase}"
        return f"{BASELINES[self.name].label} on {where}{newest}"

    def came_from(self) -> dict[str, object]:
        """Everything that the piece depends on."""
        learn = self._learn()
        return {
            "baseline": self.name,
            "learn": learn.sha256,
            "checks": {name: self._check(name).sha256 for name in self.fold.checks},
            "seed": self.settings.seed,
            "encoder": _encoder_hash(self.settings) if self.name == "sentence" else None,
        }

    def done(self, pieces: Pieces) -> bool:
        """Whether the piece is there already."""
        return pieces.has("baseline", self.came_from())

    def run(self, pieces: Pieces) -> list[Said]:
        """What the baseline says about each check; raises what ``fit`` raises."""
        came_from = self.came_from()
        arrays = pieces.arrays("baseline", came_from, self._scored)
        about = BASELINES[self.name]
        single = about.kind == "trivial" or self.phase == POOLED
        label = about.named(self._learn().task)
        name = label if single else f"{label} (phase {self.phase} only)"
        return [
            Said(
                name=name,
                kind=about.kind,
                phase=self.phase,
                learnt_from=learnt_words(self.phase, len(self._learn())),
                check=check,
                ids=self._check(check).nct_ids,
                probabilities=arrays[check],
                identity=hash_of(came_from)[:12],
            )
            for check in self.fold.checks
        ]

    def _scored(self) -> Arrays:
        learn = self._learn()
        model = make_baseline(
            self.name, learn.task, seed=self.settings.seed, encoder=self.settings.encoder
        )
        model.fit(learn.trials, np.array(learn.label_indices))
        labels = len(learn.task.labels)
        return {
            check: _all_columns(model.predict_proba(self._check(check).trials), model, labels)
            for check in self.fold.checks
        }

    def _learn(self) -> Dataset:
        return self.rows.of_phase(self.fold.learn, self.phase)

    def _check(self, check: CheckName) -> Dataset:
        return self.rows.of_phase(self.fold.checks[check], self.phase)


def baseline_work(rows: Rows, settings: BenchmarkSettings) -> Iterator[BaselineWork]:
    """All baselines over all scopes and folds; the trivial ones learn from one scope only.

    Raises ``ConfigError`` for a name that is no baseline, or one whose encoder is not given.
    """
    names = chosen_baselines(settings)
    phases = [p for p in settings.phases if p == POOLED or p in rows.phases]
    for fold in rows.folds:
        for name in names:
            trivial = BASELINES[name].kind == "trivial" and POOLED in phases
            for phase in [POOLED] if trivial else sorted(phases, key=lambda p: p != POOLED):
                yield BaselineWork(name, phase, fold, rows, settings)


def chosen_baselines(settings: BenchmarkSettings) -> tuple[str, ...]:
    """The baselines asked for, in the order of ``BASELINES``."""
    asked = settings.baselines
    if asked is None:
        asked = tuple(n for n in BASELINES if n != "sentence" or settings.encoder is not None)
    unknown = [name for name in asked if name not in BASELINES]
    if unknown:
        raise ConfigError(
            "the benchmark's settings are wrong.",
            [f"baselines: no baseline {', '.join(unknown)}; there are {', '.join(BASELINES)}"],
        )
    if "sentence" in asked and settings.encoder is None:
        raise ConfigError(
            "the benchmark's settings are wrong.",
            ["baselines: 'sentence' needs the folder of a sentence encoder (encoder)"],
        )
    return tuple(name for name in BASELINES if name in asked)


def _all_columns(probabilities: np.ndarray, model: object, labels: int) -> np.ndarray:
    """A column for each label of the task: a scope may lack a label that the task has."""
    classes = np.asarray(model.classes_, dtype=np.int64)  # type: ignore[attr-defined]
    full = np.zeros((len(probabilities), labels))
    full[:, classes] = probabilities
    return full


def _encoder_hash(settings: BenchmarkSettings) -> str | None:
    from llm4top.forecasters.model.model_files import identify

    return identify(settings.encoder).sha256 if settings.encoder else None
