"""Whatever can be evaluated, behind one face: a bundle, a saved baseline, a base model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import BundleError, EvaluationError, ModelError, TaskError
from llm4top.evaluation.predictions import FloatArray
from llm4top.evaluation.reports.report import Kind
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.manifest import DataEntry, Manifest
    from llm4top.forecasters.bundles.read import LoadedForecaster
    from llm4top.forecasters.bundles.trained_on import LearntFrom
    from llm4top.forecasters.calibration.calibrated import Calibrator

EMBEDDED = "embedded"

Done = Callable[[int, int], None]
"""Hears how many trials are done, of how many."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A forecaster in memory.

    ``score`` takes trials to what is calibrated, answer logits ``[n, K]``, where there is a
    ``calibration``, else to probabilities ``[n, K]``; columns in the order of the task's labels.
    ``heavy`` marks what fills the memory, so that it is let go of before the next one is loaded.
    """

    score: Callable[[Sequence[Trial], Done | None], FloatArray]
    calibration: Calibrator | None = None
    heavy: bool = False

    def probabilities(self, scores: FloatArray, trials: Sequence[Trial]) -> FloatArray:
        """What ``score`` gave of ``trials``, as probabilities ``[n, K]``."""
        if self.calibration is None:
            return scores
        return self.calibration.predict(scores, [trial.phase for trial in trials]).probabilities


@dataclass(frozen=True, slots=True)
class Source:
    """Something that can be evaluated; ``load`` brings it into memory, and nothing before.

    ``name`` is what tables call it, ``identity`` names it for good. ``learnt_from`` says in words
    what it was fitted on; ``data_sha256`` is the hash of that data set, where it is known, and
    ``data_counts`` are its rows by split. ``learnt`` recognises the trials it has learnt from,
    where it records them.
    """

    name: str
    identity: str
    kind: Kind
    task: Task
    learnt_from: str
    load: Callable[[], Scorer]
    data_sha256: str | None = None
    data_counts: Mapping[str, int] = field(default_factory=dict)
    learnt: LearntFrom | None = None

    def predict_proba(self, trials: Sequence[Trial]) -> FloatArray:
        """Probabilities ``[n, K]``, columns in the order of the task's labels."""
        scorer = self.load()
        return scorer.probabilities(scorer.score(trials, None), trials)

    def check_task(self, dataset: Dataset) -> None:
        """``EvaluationError`` where the data set asks another question."""
        own, asked = self.task, dataset.task
        if (own.name, own.kind, own.labels) == (asked.name, asked.kind, asked.labels):
            return
        raise EvaluationError(
            f"it answers {own.name!r} ({', '.join(own.labels)}), and the data set "
            f"{dataset.card.name!r} asks {asked.name!r} ({', '.join(asked.labels)}).",
            where=self.name,
            hint="Give a data set of the same task, or a forecaster trained on this one.",
        )


def load_source(
    model: str | Path,
    *,
    task: Task | str = "outcome",
    device: str = "auto",
    quantize: str | None = None,
    batch_tokens: int | None = None,
) -> Source:
    """The forecaster of that name, verified, ready to be loaded.

    ``model`` is "embedded", a bundle's folder or name, the folder of a saved baseline, or a base
    model (a folder or a downloaded one), which is asked ``task`` without training. ``quantize``
    None loads a bundle as it was trained.

    Raises ``BundleError`` where there is nothing of that name, and what verifying it raises.
    """
    from llm4top.forecasters.baselines.store import is_baseline
    from llm4top.forecasters.bundles.paths import resolve_bundle
    from llm4top.forecasters.bundles.read import AS_TRAINED
    from llm4top.forecasters.bundles.trained_on import read_learnt_from
    from llm4top.forecasters.bundles.verify import verify_bundle
    from llm4top.forecasters.load import load_forecaster

    place = Path(model).expanduser()
    if is_baseline(place):
        return baseline_source(place)
    asked = get_task(task)
    loading: dict[str, Any] = {"device": device, "quantize": quantize or AS_TRAINED}
    loading["batch_tokens"] = batch_tokens
    try:
        folder = resolve_bundle(model)
    except BundleError:
        if str(model) == EMBEDDED:
            raise
        return _untrained(model, asked, lambda: load_forecaster(model, task=asked, **loading))
    report = verify_bundle(folder)
    report.raise_for_problems()
    found = _bundle(
        report.manifest,
        lambda: load_forecaster(folder, **loading),
        read_learnt_from(folder, report.manifest),
    )
    return replace(found, name=f"{found.name} ({EMBEDDED})") if str(model) == EMBEDDED else found


def language_source(loaded: LoadedForecaster) -> Source:
    """A bundle, or a base model that is asked untrained, that is in memory already."""
    if loaded.manifest is not None:
        return _bundle(loaded.manifest, lambda: loaded, loaded.learnt)
    base = loaded.forecaster.scorer.base.identity.id
    return _zero_shot(base, loaded.identity, loaded.task, lambda: loaded)


def _bundle(
    manifest: Manifest, load: Callable[[], LoadedForecaster], learnt: LearntFrom | None
) -> Source:
    data = manifest.data
    return Source(
        name=manifest.name,
        identity=manifest.identity,
        kind="language" if manifest.stack is None else "stack",
        task=manifest.task,
        learnt_from=_told(data),
        load=lambda: _scorer(load()),
        data_sha256=data.sha256 if data else None,
        data_counts=data.counts if data else {},
        learnt=learnt,
    )


def _untrained(model: str | Path, task: Task, load: Callable[[], LoadedForecaster]) -> Source:
    from llm4top.forecasters.model.model_files import identify, resolve_base

    try:
        found = identify(resolve_base(model))
    except ModelError:
        # Loading says best why it cannot be done; should it be done after all, it is loaded.
        return language_source(load())
    return _zero_shot(found.id, f"{found.id}-untrained-{found.sha256[:12]}", task, load)


def _zero_shot(
    base: str, identity: str, task: Task, load: Callable[[], LoadedForecaster]
) -> Source:
    return Source(
        name=f"{base}, zero-shot",
        identity=identity,
        kind="language",
        task=task,
        learnt_from="nothing: asked untrained",
        load=lambda: _scorer(load()),
    )


def _scorer(loaded: LoadedForecaster) -> Scorer:
    def score(trials: Sequence[Trial], done: Done | None) -> FloatArray:
        heard = None if done is None else lambda p: done(p.prompts, p.total_prompts)
        return loaded.answer_logits(trials, on_progress=heard)

    return Scorer(score, loaded.calibration, heavy=True)


def baseline_source(folder: Path) -> Source:
    """A baseline that ``save_baseline`` wrote; raises what ``load_baseline`` raises."""
    from llm4top.forecasters.baselines.catalog import BASELINES
    from llm4top.forecasters.baselines.store import load_baseline

    loaded = load_baseline(folder)
    data = loaded.manifest.data
    return Source(
        name=loaded.label,
        identity=loaded.identity,
        kind=BASELINES[loaded.manifest.baseline].kind,
        task=loaded.task,
        learnt_from=_told(data),
        load=lambda: Scorer(lambda trials, _: loaded.predict_proba(trials)),
        data_sha256=data.sha256 if data else None,
        data_counts=data.counts if data else {},
    )


def _told(data: DataEntry | None) -> str:
    return f"{data.name} ({data.sha256[:12]})" if data else "unknown data"


def distinct(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources with names that differ: where two share one, the identity is added.

    Raises ``EvaluationError`` where one forecaster is named twice.
    """
    seen: set[str] = set()
    for source in sources:
        if source.identity in seen:
            raise EvaluationError(
                f"{source.identity} is named twice.", hint="Name each forecaster once."
            )
        seen.add(source.identity)
    names = [source.name for source in sources]
    return tuple(
        replace(s, name=f"{s.name} ({s.identity})") if names.count(s.name) > 1 else s
        for s in sources
    )


ALWAYS, BASE_RATE, TFIDF = "always", "base-rate", "tfidf"
BESIDE = (ALWAYS, BASE_RATE, TFIDF)
"""The baselines that every evaluation shows, fitted on the data set's own training split."""


def beside(dataset: Dataset, *, seed: int = 0) -> dict[str, Source]:
    """The baselines that stand beside, by name; none where there is nothing to learn them from."""
    learn = dataset.select("train")
    if len(set(learn.labels)) < 2:
        return {}
    found = {}
    for name in BESIDE:
        try:
            found[name] = _fitted(name, learn, seed)
        except (TaskError, ValueError):
            # Training trials without a word in them teach TF-IDF nothing.
            continue
    return found


def _fitted(name: str, learn: Dataset, seed: int) -> Source:
    from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline

    baseline = BASELINES[name]
    model = make_baseline(name, learn.task, seed=seed)
    model.fit(learn.trials, np.asarray(learn.label_indices))
    # A label that no training trial has gets no chance.
    columns = np.asarray(model.classes_, dtype=np.int64)

    def score(trials: Sequence[Trial], _: Done | None) -> FloatArray:
        said = np.zeros((len(trials), len(learn.task.labels)))
        said[:, columns] = model.predict_proba(trials)
        return said

    return Source(
        name=baseline.named(learn.task),
        identity=f"{name} on {learn.sha256[:12]}",
        kind=baseline.kind,
        task=learn.task,
        learnt_from=f"train split, {len(learn)} trials",
        load=lambda: Scorer(score),
    )
