"""The runs of a selection, each in its own folder, named by a hash of its settings and data."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import (
    CalibrationError,
    ModelError,
    ModelNotFoundError,
    ResumeError,
    TrainingError,
)
from llm4top.evaluation.predictions import FloatArray
from llm4top.forecasters.bundles.paths import bundle_name, is_bundle
from llm4top.forecasters.forecaster import release_memory
from llm4top.forecasters.model.model_files import identify, resolve_base
from llm4top.progress import OnProgress
from llm4top.training.config import TrainingConfig
from llm4top.training.run import FREE_TO_DIFFER, train
from llm4top.training.run_folder import RunFolder, kept_logits
from llm4top.training.selection.candidates import (
    Candidate,
    Rung,
    SelectSettings,
    best_of,
    make_rungs,
    rung_steps,
    whole_steps,
)
from llm4top.training.selection.selection_file import (
    CandidateOutcome,
    Dropped,
    RungOutcome,
    RunOutcome,
    SelectionScorer,
)

_RUN_ERRORS = (TrainingError, ModelError, CalibrationError)
"""Errors that drop a candidate; any other stops the selection."""
_SELECTION_ERRORS = (ResumeError, ModelNotFoundError)

OnRun = Callable[[str], OnProgress]
"""Called with the description of a run that begins; gives what receives the run's progress."""


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRun:
    """A finished run: its logits ``[n, K]`` and losses ``[n]`` on the validation split."""

    outcome: RunOutcome
    config: TrainingConfig
    logits: FloatArray
    losses: FloatArray


@dataclass(slots=True)
class Runs:
    """Trains candidates below ``settings.out``; finished runs are not repeated."""

    settings: SelectSettings
    dataset: Dataset
    scorer: SelectionScorer
    on_run: OnRun
    _bases: dict[str, str] = field(default_factory=dict)

    def halve(self, candidates: Sequence[Candidate]) -> tuple[list[RungOutcome], list[FinishedRun]]:
        """Every rung, and the finished runs of the candidate that is left, one a seed.

        Raises ``TrainingError`` where no candidate is left.
        """
        by_name = {candidate.name: candidate for candidate in candidates}
        probes = [candidate.name for candidate in candidates if candidate.is_probe]
        alive = [name for name in by_name if name not in probes]
        rungs = make_rungs(len(alive), self.settings.eta, len(probes))
        outcomes: list[RungOutcome] = []
        finished: dict[str, list[FinishedRun]] = {}
        for rung in rungs:
            last = rung is rungs[-1]
            alive += probes if last else []
            finished, outcome = self._run_rung([by_name[name] for name in alive], rung, last=last)
            outcomes.append(outcome)
            if not outcome.kept and (last or not probes):
                errors = {r.error for c in outcome.candidates for r in c.runs if r.error}
                raise TrainingError(
                    f"no candidate finished rung {rung.number}: {'; '.join(sorted(errors))}",
                    where=str(self.settings.out),
                    hint="Look at the runs' events.jsonl; repair the settings and select again.",
                )
            alive = list(outcome.kept)
        return outcomes, finished[alive[0]]

    def _run_rung(
        self, candidates: Sequence[Candidate], rung: Rung, *, last: bool
    ) -> tuple[dict[str, list[FinishedRun]], RungOutcome]:
        finished: dict[str, list[FinishedRun]] = {}
        outcomes, losses = [], {}
        for candidate in candidates:
            seeds = candidate.seeds(self.settings)
            runs = [self._run(candidate, seed, rung, last=last) for seed in seeds]
            done = [run for run in runs if isinstance(run, FinishedRun)]
            finished[candidate.name] = done
            # A candidate that breaks for one seed is no candidate, unless it is the last one.
            whole = bool(done) and (last or len(done) == len(runs))
            losses[candidate.name] = _mean_losses(done) if whole else None
            outcomes.append(self._outcome(candidate.name, runs, losses[candidate.name]))
        means = {
            name: math.inf if values is None else float(values.mean())
            for name, values in losses.items()
        }
        kept, dropped = best_of(means, rung.keep)
        return finished, RungOutcome(
            number=rung.number,
            share=rung.share,
            candidates=tuple(outcomes),
            kept=tuple(kept),
            dropped=tuple(self._dropped(name, losses, kept) for name in dropped),
        )

    def _outcome(
        self,
        name: str,
        runs: Sequence[FinishedRun | RunOutcome],
        losses: FloatArray | None,
    ) -> CandidateOutcome:
        means = [float(run.losses.mean()) for run in runs if isinstance(run, FinishedRun)]
        return CandidateOutcome(
            candidate=name,
            log_loss=None if losses is None else self.scorer.mean(losses),
            least=min(means, default=None),
            greatest=max(means, default=None),
            runs=tuple(r.outcome if isinstance(r, FinishedRun) else r for r in runs),
        )

    def _dropped(
        self, name: str, losses: Mapping[str, FloatArray | None], kept: Sequence[str]
    ) -> Dropped:
        own, last = losses[name], losses[kept[-1]] if kept else None
        if own is None:
            return Dropped(candidate=name, behind=None, reason="a run of it failed")
        if last is None:
            return Dropped(candidate=name, behind=None, reason="nothing was kept")
        behind = self.scorer.mean(own - last)
        chance = behind.lower is None or behind.lower <= 0
        reason = f"behind {kept[-1]}" + ("; the difference could be chance" if chance else "")
        return Dropped(candidate=name, behind=behind, reason=reason)

    def _run(
        self, candidate: Candidate, seed: int, rung: Rung, *, last: bool
    ) -> FinishedRun | RunOutcome:
        """One run, or its outcome with the error where it failed."""
        config, steps = self.config(candidate, seed, rung)
        run = RunFolder(config.out)
        folder = config.out.relative_to(self.settings.out).as_posix()
        length = "frozen probe" if candidate.is_probe else f"seed {seed}, {steps} steps"
        progress = self.on_run(f"rung {rung.number}: {candidate.name}, {length}")
        if not _is_finished(run, publish=last):
            try:
                train(config, progress=progress, resume=run.identity_file.is_file(), publish=last)
            except _RUN_ERRORS as error:
                if isinstance(error, _SELECTION_ERRORS):
                    raise
                return RunOutcome(
                    candidate=candidate.name,
                    seed=seed,
                    steps=steps,
                    folder=folder,
                    log_loss=None,
                    error=str(error),
                )
            finally:
                release_memory()
        logits = kept_logits(run)
        if logits is None:
            raise TrainingError("the run's logits are gone.", where=str(run.path))
        losses = self.scorer.losses({"language": logits})
        outcome = RunOutcome(
            candidate=candidate.name,
            seed=seed,
            steps=steps,
            folder=folder,
            log_loss=self.scorer.mean(losses),
        )
        return FinishedRun(outcome, config, logits, losses)

    def config(self, candidate: Candidate, seed: int, rung: Rung) -> tuple[TrainingConfig, int]:
        """The settings of one run, its folder named by a hash of them, and its steps."""
        anywhere = candidate.config(self.settings, seed=seed, out=self.settings.out)
        whole = whole_steps(anywhere, self.dataset.splits.count("train"))
        steps = rung_steps(whole, rung.share, self.settings.least_steps)
        # The last rung is the candidate as it was given, not a copy with its steps spelt out.
        chosen = None if rung.share == 1 else steps
        config = candidate.config(self.settings, seed=seed, out=self.settings.out, max_steps=chosen)
        origin = {
            "data": self.dataset.sha256,
            "base": self._base_hash(candidate.base),
            "published": rung.share == 1,
            **config.model_dump(mode="json", exclude=FREE_TO_DIFFER),
        }
        key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:8]
        name = f"{bundle_name(candidate.name)[:40]}-seed{seed}-{steps}steps-{key}"
        return config.model_copy(update={"out": self.settings.out / "runs" / name}), steps

    def _base_hash(self, base: str) -> str:
        if base not in self._bases:
            self._bases[base] = identify(resolve_base(base)).sha256
        return self._bases[base]


def middle_run(runs: Sequence[FinishedRun]) -> FinishedRun:
    """The run whose log-loss is the median of the seeds', the better of two in the middle.

    The best seed's figure flatters it; the middle one's is what another seed would give.
    """
    order = sorted(runs, key=lambda run: float(run.losses.mean()))
    return order[(len(order) - 1) // 2]


def _mean_losses(runs: Sequence[FinishedRun]) -> FloatArray:
    return np.asarray(np.mean([run.losses for run in runs], axis=0), dtype=np.float64)


def _is_finished(run: RunFolder, *, publish: bool) -> bool:
    """Whether the run and its result are there. A finished run without its result restarts."""
    if run.state().get("state") != "done":
        return False
    if kept_logits(run) is not None and (is_bundle(run.bundle) or not publish):
        return True
    shutil.rmtree(Path(run.path))
    return False
