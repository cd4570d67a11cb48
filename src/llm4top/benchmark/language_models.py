"""The language models: as they are, with examples, with a frozen probe, and with LoRA."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from llm4top.benchmark.cache import Arrays, hash_of
from llm4top.benchmark.context import Context, number_types, prompt_spec
from llm4top.benchmark.predictions import Predictions, trained_on_text
from llm4top.benchmark.rows import POOLED, CheckName, Fold
from llm4top.benchmark.scored_rows import missing_note, score_rows
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.data.dataset import Dataset
from llm4top.errors import BundleError, CalibrationError
from llm4top.forecasters.bundles.paths import resolve_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.methods import cross_calibrate, make_calibrator
from llm4top.forecasters.forecaster import Model
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.model_files import BaseIdentity, identify, resolve_base
from llm4top.forecasters.model.model_source import is_served
from llm4top.forecasters.model.served_scorer import ServedScorer
from llm4top.forecasters.served import ServedBase, find_served
from llm4top.prompts.examples import FewShotWriter, choose_examples
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task
from llm4top.training.config import make_config
from llm4top.training.run import train
from llm4top.training.run_folder import RunFolder


@dataclass(frozen=True)
class LanguageModel:
    """One entry of ``--base``.

    Attributes:
        name: Its name in the tables.
        bundle: The folder of a bundle of the benchmark's task; None for a base model.
        base: The folder of the weights to prompt and to fine-tune; None for a bundle of baselines.
        seen: Whether the weights were trained on labelled trials.
        served: The model on a server that it is; None for one on this machine.
    """

    name: str
    bundle: Path | None
    base: Path | None
    seen: bool
    served: ServedBase | None = None

    @property
    def weights(self) -> Path:
        """The folder of its base model; ``BundleError`` for a bundle of baselines."""
        if self.base is None:
            raise BundleError("has no language model.", where=self.name)
        return self.base

    @cached_property
    def identity(self) -> BaseIdentity:
        """Which base model it is."""
        if self.served is not None:
            return BaseIdentity(self.served.served.name, None, self.served.sha256)
        return identify(self.weights)

    @property
    def key(self) -> str:
        """Its identity, as an input of cached work."""
        if self.bundle is None:
            return self.identity.sha256
        return read_manifest(self.bundle).identity


def find_models(settings: BenchmarkSettings, task: Task) -> list[LanguageModel]:
    """The models of ``settings.bases``, under names that tell them apart.

    Raises ``ModelNotFoundError`` and ``BundleError`` for what is not on this machine.
    """
    found = [_find(name, task, settings) for name in settings.bases]
    names = [model.name for model in found]
    return [
        model
        if names.count(model.name) == 1
        else replace(model, name=f"{model.name} ({model.key[-6:]})")
        for model in found
    ]


def _find(name: str, task: Task, settings: BenchmarkSettings) -> LanguageModel:
    if is_served(name):
        remote = settings.allow_remote
        served = find_served(name, tokenizer=settings.tokenizer, allow_remote=remote)
        return LanguageModel(f"{_short(served.served.name)}, served", None, None, False, served)
    try:
        folder = resolve_bundle(name)
    except BundleError:
        base = resolve_base(name)
        return LanguageModel(_short(name), None, base, seen=False)
    manifest = read_manifest(folder)
    answers = manifest.task == task
    entry = manifest.language
    if entry is None:
        if not answers:
            raise BundleError(f"answers {manifest.task.name!r}, not {task.name!r}.", where=name)
        return LanguageModel(_short(name), folder, None, seen=True)
    base = folder / "base" if entry.base.carried else resolve_base(entry.base.id)
    # An adapter stays in its bundle; a fully tuned model's weights are the base itself.
    seen = entry.tuning.method == "full"
    return LanguageModel(_short(name), folder if answers else None, base, seen)


def _short(name: str) -> str:
    return Path(name).name or name


def few_shot(
    base: BaseModel | ServedScorer,
    task: Task | str,
    trials: Sequence[Trial],
    labels: Sequence[str],
    *,
    shots: int = 4,
    seed: int = 0,
    spec: PromptSpec | None = None,
    batch_tokens: int | None = None,
) -> LanguageForecaster:
    """An untrained forecaster whose prompts begin with labelled examples.

    The examples are the same for every question, balanced over the labels, and never the trial in
    question. A clone of the forecaster has no examples.

    Args:
        base: The base model, or what asks the one on a server.
        task: The question, or its name.
        trials: Training data that the examples are drawn from.
        labels: Their labels.
        shots: Number of examples.
        seed: Seed of the draw.
        spec: The prompts' budget, of which the question keeps half or more; see ``FewShotWriter``.
        batch_tokens: As for ``LanguageForecaster``.

    Raises:
        PromptError: A label has too few trials, or the budget is too small for the examples.
        TaskError: A label is not one of the task's.
    """
    question = get_task(task)
    examples = choose_examples(question, trials, labels, shots=shots, seed=seed)
    writer = FewShotWriter(base.tokenizer, question, examples, spec)
    if isinstance(base, ServedScorer):
        return LanguageForecaster.from_served(base.with_writer(writer))
    return LanguageForecaster.from_model(base, question, writer=writer, batch_tokens=batch_tokens)


CALIBRATION = "calibration"
Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LanguageWork:
    """One model on one fold, in a variant: "as shipped", "zero-shot", "few-shot", "probe", "LoRA".

    With a probe or LoRA, ``phase`` is what it is trained on; else "pooled", for nothing is trained.
    """

    model: LanguageModel
    variant: str
    fold: Fold
    phase: str
    context: Context

    @property
    def title(self) -> str:
        """What is being done, in words."""
        newest = ", older trials only" if self.fold.name == "newest" else ""
        where = "" if self.phase == POOLED else f" on phase {self.phase}"
        return f"{self.name}{where}{newest}"

    @property
    def name(self) -> str:
        """The forecaster's name in the tables."""
        shots = self.context.settings.shots
        variant = f"{shots}-shot" if self.variant == "few-shot" else self.variant
        own = "" if self.phase == POOLED else f" (phase {self.phase} only)"
        joint = " + " if self.trains else ", "
        return f"{self.model.name}{joint}{variant}{own}"

    @property
    def trains(self) -> bool:
        """Whether the benchmark trains it."""
        return self.variant in ("probe", "LoRA")

    @property
    def tuning_data(self) -> Dataset:
        """The rows that fine-tuning may see, in its splits "train" and "valid"; no other."""
        return self.context.rows.of_phase(self.fold.tuning, self.phase)

    @property
    def run_folder(self) -> RunFolder:
        """The folder of the fine-tuning run, named after all inputs of its result."""
        settings = self.context.settings
        inputs = {
            "base": self.model.identity.sha256,
            "data": self.tuning_data.sha256,
            "preset": settings.preset,
            "training": settings.training,
            "seed": settings.seed,
            "device": settings.device,
        }
        if self.variant == "probe":
            inputs["tuning"] = "probe"
        name = f"{self.variant.lower()}-{hash_of(inputs)[:16]}"
        return RunFolder(settings.out / "runs" / name)

    def done(self) -> bool:
        """Whether nothing is left to compute."""
        if self.trains and self.run_folder.state().get("state") != "done":
            return False
        return self.context.cache.has("logits", self.inputs())

    def run(self) -> list[Predictions]:
        """The model's predictions for each check, uncalibrated and calibrated."""
        if self.trains:
            self._tune()
        logits = self.context.cache.arrays("logits", self.inputs(), self._logits)
        return list(self._predictions(logits))

    def forecaster(self) -> Model:
        """The model in memory; after ``run``."""
        loader, settings = self.context.loader, self.context.settings
        if self.variant == "as shipped" and self.model.bundle is not None:
            return loader.bundle(self.model.bundle, self.model.base).forecaster
        if self.trains:
            return loader.bundle(self.run_folder.bundle, self.model.base).forecaster
        served = self.model.served
        untrained = loader.served(served) if served else loader.untrained(self.model.weights)
        scorer = untrained.scorer
        if self.variant == "zero-shot":
            return untrained
        examples = self.tuning_data.select("train")
        return few_shot(
            scorer if isinstance(scorer, ServedScorer) else scorer.base,
            self.context.rows.dataset.task,
            examples.trials,
            examples.labels,
            shots=settings.shots,
            seed=settings.seed,
            spec=scorer.writer.spec,
        )

    def inputs(self) -> dict[str, Any]:
        """Everything that the logits depend on."""
        settings = self.context.settings
        inputs: dict[str, Any] = {
            "variant": self.variant,
            "rows": {name: rows.sha256 for name, rows in self._row_sets().items()},
            "device": settings.device,
            **number_types(settings),
        }
        if self.trains:
            return inputs | {"run": self.run_folder.path.name}
        if self.variant == "as shipped":
            return inputs | {"model": self.model.key}
        inputs["model"] = self.model.identity.sha256
        inputs["spec"] = prompt_spec(settings, None).to_dict()
        if self.variant == "few-shot":
            inputs |= {"shots": settings.shots, "seed": settings.seed}
            inputs["examples"] = self.tuning_data.sha256
        return inputs

    def _row_sets(self) -> dict[str, Dataset]:
        """All rows that the model scores: the checks, and what calibrates it."""
        sets: dict[str, Dataset] = {
            check: self.context.rows.of_phase(rows, self.phase)
            for check, rows in self.fold.checks.items()
        }
        if self.fold.name == "newest":
            sets[CALIBRATION] = self.tuning_data.select("valid")
        return sets

    def _logits(self) -> Arrays:
        return score_rows(self.forecaster(), self._row_sets(), self.context.on_prompts)

    def _tune(self) -> None:
        run, settings = self.run_folder, self.context.settings
        if run.state().get("state") == "done":
            return
        self.context.loader.release()  # the run loads its own
        data = settings.out / "data" / self.tuning_data.sha256[:16]
        if not (data / "card.json").is_file():
            self.tuning_data.save(data, overwrite=data.exists())
        values = {"preset": settings.preset, **settings.training}
        if settings.max_tokens is not None:
            values.setdefault("max_tokens", settings.max_tokens)
        values |= {"data": data, "base": str(self.model.base), "out": run.path}
        values |= {"device": settings.device, "seed": settings.seed, "name": run.path.name}
        if self.variant == "probe":
            values |= {"tuning": "probe", "storage": None}
        train(
            make_config(None, values),
            progress=self.context.on_training,
            resume=run.identity_file.is_file(),
        )

    def _predictions(self, logits: dict[str, Logits]) -> Iterator[Predictions]:
        trained = self.trains or self.variant == "as shipped"
        selected = self.trains and self.fold.name == "split"
        chosen = "The weights were chosen on the validation rows." if selected else ""
        for check in self.fold.checks:
            note = chosen or missing_note(logits, check)
            raw = np.asarray(softmax(logits[check], axis=1), dtype=np.float64)
            yield replace(self._one(check, self.name, raw, note), blends=trained)
            try:
                calibrated, own_note = self._calibrated(check, logits)
            except CalibrationError:
                continue  # too few rows: the model is shown uncalibrated
            yield self._one(check, f"{self.name}, calibrated", calibrated, own_note)

    def _one(self, check: CheckName, name: str, probabilities: Logits, note: str) -> Predictions:
        return Predictions(
            name=name,
            kind="language",
            phase=self.phase,
            learnt_from=self._trained_on,
            check=check,
            ids=self._row_sets()[check].nct_ids,
            probabilities=probabilities,
            identity=hash_of(self.inputs())[:12],
            note=note,
        )

    @property
    def _trained_on(self) -> str:
        if self.variant == "as shipped":
            return "what its card says"
        if self.trains:
            before = "its own training, then " if self.model.seen else ""
            return before + trained_on_text(self.phase, len(self.tuning_data.select("train")))
        if self.model.seen:
            return "its own training"
        shots = self.context.settings.shots
        return f"{shots} examples" if self.variant == "few-shot" else "nothing"

    def _calibrated(self, check: CheckName, logits: dict[str, Logits]) -> tuple[Logits, str]:
        """Calibrated without the row that is measured."""
        sets, seed = self._row_sets(), self.context.settings.seed
        fitted_on = CALIBRATION if check == "newest" else "valid"
        y = np.array(sets[fitted_on].label_indices, dtype=np.int64)
        phases = {name: [t.phase for t in sets[name].trials] for name in {fitted_on, check}}
        calibrator = make_calibrator()
        if check == fitted_on:
            fitted = cross_calibrate(calibrator, logits[check], y, phases[check], seed=seed)
            return fitted.probabilities, "Cross-fitted calibration: no row calibrates itself."
        calibrator.fit(logits[fitted_on], y, phases[fitted_on])
        fitted = calibrator.predict(logits[check], phases[check])
        return fitted.probabilities, f"Calibrated on {len(y)} other rows."


def language_work(models: list[LanguageModel], context: Context) -> Iterator[LanguageWork]:
    """All models in all ways that are asked for, on all folds.

    Weights that were trained on labelled trials are not measured on the newest of the training
    data: they may have been trained on those very trials.
    """
    settings = context.settings
    tuned_on = [POOLED] if POOLED in settings.phases else []
    if settings.each_phase or not tuned_on:
        tuned_on += [p for p in settings.phases if p in context.rows.phases]
    for model in models:
        for fold in context.rows.folds:
            if fold.name == "newest" and model.seen:
                continue
            if model.bundle is None:
                if "zero-shot" in settings.ways:
                    yield LanguageWork(model, "zero-shot", fold, POOLED, context)
                if "few-shot" in settings.ways and settings.shots:
                    yield LanguageWork(model, "few-shot", fold, POOLED, context)
            elif fold.name == "split":
                yield LanguageWork(model, "as shipped", fold, POOLED, context)
            for phase in tuned_on if model.base is not None else ():
                for way, variant in (("probe", "probe"), ("lora", "LoRA")):
                    if way in settings.ways:
                        yield LanguageWork(model, variant, fold, phase, context)
