"""The language models: asked as they are, with examples, and fine-tuned with LoRA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark.cache import Arrays, Pieces, hash_of
from llm4top.benchmark.language import LanguageModel, Loader, prompt_spec
from llm4top.benchmark.predictions import Said, learnt_words
from llm4top.benchmark.rows import POOLED, CheckName, Fold, Rows
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.data.dataset import Dataset
from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration.methods import cross_calibrate, make_calibrator
from llm4top.forecasters.forecaster import Model
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.batching import OnProgress
from llm4top.progress import OnProgress as OnTraining
from llm4top.prompts.examples import FewShotWriter, choose_examples
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task
from llm4top.training.config import TrainingConfig, make_config
from llm4top.training.run import train
from llm4top.training.run_folder import RunFolder


def few_shot(
    base: BaseModel,
    task: Task | str,
    trials: Sequence[Trial],
    labels: Sequence[str],
    *,
    shots: int = 4,
    seed: int = 0,
    spec: PromptSpec | None = None,
    batch_tokens: int | None = None,
) -> LanguageForecaster:
    """A forecaster that shows ``shots`` labelled trials before each question; nothing is trained.

    ``trials`` and ``labels`` (labels of ``task``) are **training** data: whatever is shown has
    been seen. The examples are drawn by ``seed``, balanced over the labels, the same for every
    question, and never the trial that is asked about. They and the question share the budget of
    ``spec``, of which the question keeps half or more; see ``FewShotWriter``. A clone of the
    forecaster shows no examples.

    Raises ``PromptError`` where a label has too few trials or the budget is too small for so
    many examples, ``TaskError`` for what is no label, and what ``LanguageForecaster`` raises.
    """
    asked = get_task(task)
    examples = choose_examples(asked, trials, labels, shots=shots, seed=seed)
    writer = FewShotWriter(base.tokenizer, asked, examples, spec)
    return LanguageForecaster.from_model(base, asked, writer=writer, batch_tokens=batch_tokens)


STEER = "steer"
Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all language work shares."""

    rows: Rows
    settings: BenchmarkSettings
    loader: Loader
    pieces: Pieces
    on_prompts: OnProgress | None = None
    on_training: OnTraining | None = None


@dataclass(frozen=True, slots=True)
class LanguageWork:
    """One model, asked in one ``way`` on one fold: "as shipped", "zero-shot", "few-shot", "LoRA".

    With "LoRA", ``phase`` is what it is tuned on; otherwise "pooled", since nothing is learnt.
    """

    model: LanguageModel
    way: str
    fold: Fold
    phase: str
    desk: Desk

    @property
    def title(self) -> str:
        """What is being done, in words."""
        newest = ", older trials only" if self.fold.name == "newest" else ""
        where = "" if self.phase == POOLED else f" on phase {self.phase}"
        return f"{self.name}{where}{newest}"

    @property
    def name(self) -> str:
        """The forecaster's name in the tables."""
        shots = self.desk.settings.shots
        way = f"{shots}-shot" if self.way == "few-shot" else self.way
        own = "" if self.phase == POOLED else f" (phase {self.phase} only)"
        joint = " + " if self.way == "LoRA" else ", "
        return f"{self.model.name}{joint}{way}{own}"

    @property
    def tuning_data(self) -> Dataset:
        """The rows that fine-tuning may see, in its splits "train" and "valid"; no other."""
        return self.desk.rows.of_phase(self.fold.tuning, self.phase)

    @property
    def run_folder(self) -> RunFolder:
        """The folder of the fine-tuning run, named after all that decides its result."""
        settings = self.desk.settings
        came_from = {
            "base": self.model.identity.sha256,
            "data": self.tuning_data.sha256,
            "preset": settings.preset,
            "training": settings.training,
            "seed": settings.seed,
            "device": settings.device,
        }
        return RunFolder(settings.out / "runs" / f"lora-{hash_of(came_from)[:16]}")

    def done(self) -> bool:
        """Whether nothing is left to compute."""
        if self.way == "LoRA" and self.run_folder.state().get("state") != "done":
            return False
        return self.desk.pieces.has("logits", self._came_from())

    def run(self) -> list[Said]:
        """What the model says about each check, as it is and calibrated."""
        if self.way == "LoRA":
            self._tune()
        logits = self.desk.pieces.arrays("logits", self._came_from(), self._scored)
        return list(self._said(logits))

    def forecaster(self) -> Model:
        """What computes; after ``run``."""
        loader = self.desk.loader
        if self.way == "as shipped" and self.model.bundle is not None:
            return loader.bundle(self.model.bundle, self.model.base).forecaster
        if self.way == "LoRA":
            return loader.bundle(self.run_folder.bundle, self.model.base).forecaster
        untrained = loader.untrained(self.model)
        if self.way == "zero-shot":
            return untrained
        teach = self.tuning_data.select("train")
        return few_shot(
            untrained.scorer.base,
            self.desk.rows.dataset.task,
            teach.trials,
            teach.labels,
            shots=self.desk.settings.shots,
            seed=self.desk.settings.seed,
            spec=untrained.scorer.writer.spec,
        )

    def _came_from(self) -> dict[str, Any]:
        settings = self.desk.settings
        come: dict[str, Any] = {
            "way": self.way,
            "asked": {name: rows.sha256 for name, rows in self._asked().items()},
            "device": settings.device,
        }
        if self.way == "LoRA":
            come["run"] = self.run_folder.path.name
        elif self.way == "as shipped":
            come["model"] = self.model.key
        else:
            come["model"] = self.model.identity.sha256
            come["spec"] = prompt_spec(settings, None).to_dict()
        if self.way == "few-shot":
            come |= {"shots": settings.shots, "seed": settings.seed}
            come["examples"] = self.tuning_data.sha256
        return come

    def _asked(self) -> dict[str, Dataset]:
        """Every row set the model is asked about: the checks, and what calibrates it."""
        asked: dict[str, Dataset] = {
            check: self.desk.rows.of_phase(rows, self.phase)
            for check, rows in self.fold.checks.items()
        }
        if self.fold.name == "newest":
            asked[STEER] = self.tuning_data.select("valid")
        return asked

    def _scored(self) -> Arrays:
        forecaster = self.forecaster()
        return {
            name: forecaster.label_logits(rows.trials, on_progress=self.desk.on_prompts)
            for name, rows in self._asked().items()
        }

    def _tune(self) -> None:
        run = self.run_folder
        if run.state().get("state") == "done":
            return
        self.desk.loader.drop()  # the run loads its own
        data = self.desk.settings.out / "data" / self.tuning_data.sha256[:16]
        if not (data / "card.json").is_file():
            self.tuning_data.save(data, overwrite=data.exists())
        train(
            self._config(data, run),
            progress=self.desk.on_training,
            resume=run.identity_file.is_file(),
        )

    def _config(self, data: Path, run: RunFolder) -> TrainingConfig:
        settings = self.desk.settings
        values = {"preset": settings.preset, **settings.training}
        if settings.max_tokens is not None:
            values.setdefault("max_tokens", settings.max_tokens)
        values |= {"data": data, "base": str(self.model.base), "out": run.path}
        values |= {"device": settings.device, "seed": settings.seed, "name": run.path.name}
        return make_config(None, values)

    def _said(self, logits: dict[str, Logits]) -> Iterator[Said]:
        for check in self.fold.checks:
            raw = _softmax(logits[check])
            learnt = self.way in ("LoRA", "as shipped")
            yield replace(self._one(check, self.name, raw, self._raw_note), pools=learnt)
            try:
                calibrated, note = self._calibrated(check, logits)
            except CalibrationError:
                continue  # too few rows: the model stands there uncalibrated
            yield self._one(check, f"{self.name}, calibrated", calibrated, note)

    def _one(self, check: CheckName, name: str, probabilities: Logits, note: str) -> Said:
        return Said(
            name=name,
            kind="language",
            phase=self.phase,
            learnt_from=self._learnt_from,
            check=check,
            ids=self._asked()[check].nct_ids,
            probabilities=probabilities,
            identity=hash_of(self._came_from())[:12],
            note=note,
        )

    @property
    def _raw_note(self) -> str:
        if self.way == "LoRA" and self.fold.name == "split":
            return "The weights were chosen on the validation rows."
        return ""

    @property
    def _learnt_from(self) -> str:
        if self.way == "as shipped":
            return "what its card says"
        before = "its own training, then " if self.model.seen else ""
        if self.way == "LoRA":
            return before + learnt_words(self.phase, len(self.tuning_data.select("train")))
        shown = f"{self.desk.settings.shots} examples" if self.way == "few-shot" else "nothing"
        return "its own training" if self.model.seen else shown

    def _calibrated(self, check: CheckName, logits: dict[str, Logits]) -> tuple[Logits, str]:
        """Calibrated without ever seeing the row that is measured."""
        seed = self.desk.settings.seed
        steer = STEER if check == "newest" else "valid"
        y = np.array(self._asked()[steer].label_indices, dtype=np.int64)
        phases = {
            name: [trial.phase for trial in self._asked()[name].trials] for name in {steer, check}
        }
        calibrator = make_calibrator()
        if check == steer:
            fitted = cross_calibrate(calibrator, logits[check], y, phases[steer], seed=seed)
            return fitted.probabilities, "Cross-fitted calibration: no row calibrates itself."
        calibrator.fit(logits[steer], y, phases[steer])
        fitted = calibrator.predict(logits[check], phases[check])
        return fitted.probabilities, f"Calibrated on {len(y)} other rows."


def language_work(models: list[LanguageModel], desk: Desk) -> Iterator[LanguageWork]:
    """All ways of asking all models, on all folds.

    Weights that have learnt from labelled trials are not asked about the newest of the learning
    part: they may have learnt from those very trials.
    """
    settings = desk.settings
    tuned_on = [POOLED] if POOLED in settings.phases else []
    if settings.each_phase or not tuned_on:
        tuned_on += [p for p in settings.phases if p in desk.rows.phases]
    for model in models:
        for fold in desk.rows.folds:
            if fold.name == "newest" and model.seen:
                continue
            if model.bundle is None:
                yield LanguageWork(model, "zero-shot", fold, POOLED, desk)
                if settings.shots:
                    yield LanguageWork(model, "few-shot", fold, POOLED, desk)
            elif fold.name == "split":
                yield LanguageWork(model, "as shipped", fold, POOLED, desk)
            for phase in tuned_on if model.base is not None else ():
                yield LanguageWork(model, "LoRA", fold, phase, desk)


def _softmax(logits: Logits) -> Logits:
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1), dtype=np.float64)
