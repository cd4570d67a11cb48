"""Everything that forecasts, whatever computes it: one class."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError
from llm4top.forecasters.base_rate_shift import BaseRateArgument
from llm4top.forecasters.base_rates import BaseRate, base_rate_of
from llm4top.forecasters.baselines.base import BaselineForecaster, PlainWriter
from llm4top.forecasters.baselines.catalog import BASELINES, TRIVIAL, baseline_name
from llm4top.forecasters.bundles.manifest import DataEntry, Kind, Manifest
from llm4top.forecasters.bundles.trained_on import Part, TrainedOn
from llm4top.forecasters.calibration.calibrated import Calibrated, Calibrator, FloatArray
from llm4top.forecasters.calibration.methods import DEFAULT_CALIBRATION, NoCalibration
from llm4top.forecasters.classifier import TrialClassifier, as_trials
from llm4top.forecasters.forecast import forecast_records
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.support import Support, Supported, supported_forecasts
from llm4top.progress import OnProgress
from llm4top.prompts.prompt import Prompt, PromptWriter
from llm4top.registry.trial import Record, Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset
    from llm4top.forecasters.language import LanguageForecaster


Writer = PromptWriter | PlainWriter
"""Writes what a forecaster reads of a trial."""


class Model(Protocol):
    """What computes: a language model, a baseline, or a blend."""

    @property
    def writer(self) -> Writer:
        """Writes what it reads of a trial."""
        ...

    def label_logits(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> FloatArray:
        """Logits ``[n, K]``, a column for each label of the task."""
        ...


@dataclass(eq=False, repr=False)
class Forecaster:
    """A forecaster that is ready: a loaded bundle of any kind, or one that was fitted in memory.

    For scikit-learn it is a fitted classifier over a sequence of ``Trial``: scorers, displays and
    ``FrozenEstimator`` take it. It cannot be fitted or cloned; the estimators can.

    Attributes:
        task: The question that it answers.
        kind: "language", "baseline" or "blend".
        name: The bundle's name.
        label: What tables call it.
        identity: Names it for good: its name and 12 digits of its manifest's hash.
        calibration: Turns its logits into calibrated probabilities; its method is "none" where
            the probabilities are the model's own.
        base_rates: Base rates of its training trials by phase, and of all phases ("all").
        support: Draws its forecasts towards the base rate where it knows few trials like one;
            None where that was not learnt.
        data: Its training data, where they are recorded.
        trained_on: Recognises the trials it was trained on, where they are recorded.
        folder: Where it is stored; None for one that is only in memory.
        manifest: The manifest there.
    """

    task: Task
    kind: Kind
    name: str
    label: str
    identity: str
    calibration: Calibrator = field(default_factory=NoCalibration)
    base_rates: Mapping[str, BaseRate] = field(default_factory=dict)
    support: Support | None = None
    data: DataEntry | None = None
    trained_on: TrainedOn | None = None
    trained_on_text: str = "unknown data"
    trivial: bool = False
    folder: Path | None = None
    manifest: Manifest | None = None
    model: Model | None = None
    read: Callable[[], Model] | None = None

    def __repr__(self) -> str:
        """Its identity and question: the fields have hashes of thousands of trials."""
        return f"<Forecaster {self.identity!r}, task {self.task.name!r}>"

    @property
    def forecaster(self) -> Model:
        """What computes, read from disk at first use; raises what reading it raises."""
        if self.model is None:
            if self.read is None:
                raise TypeError("this forecaster has nothing that computes.")
            self.model = self.read()
        return self.model

    @property
    def language(self) -> LanguageForecaster | None:
        """The language model, alone or in a blend; None for baselines."""
        model: Any = self.forecaster
        if self.kind == "blend":
            return model.language.language if model.language else None
        return model if self.kind == "language" else None

    @property
    def memory(self) -> dict[int, int]:
        """Bytes of weights in memory by the id of what holds them: it, and a base that is shared.

        Those of a baseline count as they are on disk.
        """
        stored = self.manifest.files.items() if self.manifest else ()
        if self.language is None:
            return {id(self): sum(entry.size for _, entry in stored)}
        own = sum(e.size for n, e in stored if n.endswith("weights.safetensors"))
        scorer = self.language.scorer
        adapter = getattr(scorer, "adapter", None)
        if adapter is None:
            return {id(self): own + scorer.weight_bytes}
        return {id(self): own + adapter.bytes, id(adapter.shared): adapter.base_bytes}

    @property
    def memory_bytes(self) -> int:
        """Bytes of its weights in memory, those of a shared base included."""
        return sum(self.memory.values())

    @property
    def report_kind(self) -> Literal["language", "stack", "baseline", "trivial"]:
        """Its kind in reports, where a blend is called a stack as in those of version 0.1.0."""
        if self.trivial:
            return "trivial"
        return "stack" if self.kind == "blend" else self.kind

    @property
    def writer(self) -> Writer:
        """Writes what it reads of a trial."""
        return self.forecaster.writer

    @property
    def sections_read(self) -> tuple[str, ...] | None:
        """The sections that it reads, in a blend those of any part; None: all."""
        model: Any = self.forecaster
        if self.kind != "blend":
            return self.writer.spec.sections
        read = [part.writer.spec.sections for part in model.parts]
        if any(sections is None for sections in read):
            return None
        return tuple(dict.fromkeys(name for sections in read for name in sections))

    def release(self) -> None:
        """Free the memory that can be read from disk again."""
        if self.read is not None:
            self.model = None
        release_memory()

    def logits(
        self,
        trials: Iterable[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> FloatArray:
        """Log-odds of the labels before calibration.

        Args:
            trials: The trials.
            prompts: What ``writer`` has written about them, where it has; they are not written
                again then.
            on_progress: Called after each batch of a language model.

        Returns:
            float64 ``[n, K]``, columns in the order of the task's labels.
        """
        rows = as_trials(trials)
        return self.forecaster.label_logits(rows, prompts=prompts, on_progress=on_progress)

    def logits_and_parts(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> tuple[FloatArray, Mapping[str, FloatArray]]:
        """``logits``, and those of each part of a blend by its name; no parts of other kinds."""
        model: Any = self.forecaster
        if self.kind == "blend":
            parts = model.logits_of_parts(trials, prompts=prompts, on_progress=on_progress)
            return model.pool.logits(list(parts.values())), parts
        return model.label_logits(trials, prompts=prompts, on_progress=on_progress), {}

    def notes_on(self, prompts: Sequence[Prompt]) -> Sequence[str | None]:
        """What must be said of its answers to the last prompts; mostly nothing."""
        language: Any = self.forecaster if self.kind == "language" else None
        told = getattr(language and language.scorer, "notes_on", None)
        return told(prompts) if told else [None] * len(prompts)

    def calibrated(
        self, trials: Iterable[Trial], *, on_progress: OnProgress | None = None
    ) -> Calibrated:
        """Calibrated probabilities of trials, with their intervals."""
        rows = as_trials(trials)
        logits = self.logits(rows, on_progress=on_progress)
        return self.supported(logits, rows).calibrated

    def supported(self, logits: FloatArray, trials: Sequence[Trial]) -> Supported:
        """All that follows the ``logits`` ``[n, K]`` of trials: calibration, then support."""
        return supported_forecasts(self, logits, trials)

    def probabilities(self, logits: FloatArray, trials: Sequence[Trial]) -> FloatArray:
        """Probabilities ``[n, K]`` of the trials whose ``logits`` are known, as it forecasts."""
        return self.supported(logits, trials).calibrated.probabilities

    def predict_proba(self, X: Iterable[Trial]) -> FloatArray:
        """Calibrated probabilities ``[n, K]``, columns in the order of the task's labels."""
        return self.calibrated(X).probabilities

    def predict(self, X: Iterable[Trial]) -> NDArray[np.str_]:
        """The most probable label of each trial: ``[n]``."""
        best: NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return best

    def forecast(
        self,
        records: Iterable[Record],
        *,
        base_rate: BaseRateArgument | None = None,
        progress: OnProgress | None = None,
    ) -> Iterator[Forecast | NotApplicable]:
        """Forecasts of records, one value each, in order; see ``forecast_records``."""
        return forecast_records(self, records, base_rate=base_rate, progress=progress)

    def base_rate_of(self, phase: str | None) -> tuple[str, tuple[float, ...]] | None:
        """The base rate that a trial of the phase is compared with; see ``base_rates``."""
        return base_rate_of(self.base_rates, phase)

    def trained_on_part(self, nct_id: str | None) -> Part | None:
        """Whether the trial of that NCT id trained the model ("train") or tuned it ("valid").

        None for any other trial, and where the bundle does not record its trials.
        """
        return None if self.trained_on is None else self.trained_on.part_of(nct_id)

    def save(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        dataset: Dataset | None = None,
        validation: tuple[Iterable[Trial], Iterable[Any]] | None = None,
        calibration: str = DEFAULT_CALIBRATION,
        replace: bool = False,
    ) -> Forecaster:
        """Write it into ``folder`` as a bundle that ``llm4top forecast --model FOLDER`` takes.

        The bundle is loaded again before the folder appears, and must give the same
        probabilities. One that is not calibrated yet is calibrated on the validation trials;
        without any, its forecasts have no interval and a warning says that it is not calibrated.

        Args:
            folder: Where to write; must be empty or missing unless ``replace``.
            name: The bundle's name; made from the folder's name where None.
            dataset: The data set it was trained on. Its hash and terms, hashes of its trials' ids
                and the base rates of its training split are stored, and its validation split
                calibrates.
            validation: Trials and labels to calibrate with, in place of the data set's. They
                must not have trained the model.
            calibration: "venn-abers", "platt" or "none".
            replace: Whether to exchange a bundle that is there.

        Returns:
            The bundle, as it was loaded from ``folder``.

        Raises:
            BundleError: The name or folder cannot be used, or the loaded bundle gives other
                probabilities; nothing is left in ``folder`` then.
            CalibrationError: The validation trials are too few to calibrate with.
        """
        # The module imports all forecasters, this one included.
        saving = import_module("llm4top.forecasters.bundles.save")
        saved: Forecaster = saving.save_forecaster(
            self,
            folder,
            name=name,
            dataset=dataset,
            validation=validation,
            calibration=calibration,
            replace=replace,
        )
        return saved

    # What scikit-learn needs of a classifier that was fitted elsewhere.

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The task's labels, in the order of the columns of ``predict_proba``."""
        return np.array(self.task.labels)

    def fit(self, X: Any, y: Any) -> NoReturn:  # noqa: ARG002 - as scikit-learn names them
        """Refuses: it is trained already. Raises ``TypeError`` that says what to fit."""
        raise TypeError(
            "a loaded forecaster is trained already: use predict_proba, or fit a new one, "
            "LanguageForecaster(base, task) or TfidfForecaster(task)."
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        return TrialClassifier().__sklearn_tags__()


def as_forecaster(
    fitted: Any,
    *,
    label: str | None = None,
    identity: str | None = None,
    calibration: Calibrator | None = None,
    trained_on_text: str = "data in memory",
) -> Forecaster:
    """A forecaster around an estimator that was fitted in memory, or around a blend.

    Args:
        fitted: A ``LanguageForecaster``, a baseline, or a ``Blend``.
        label: What tables call it; its own name where None.
        identity: What names it in reports; its label where None.
        calibration: Fitted on validation data; none where None.
        trained_on_text: In words, what it was trained on.

    Raises:
        TypeError: ``fitted`` is none of these.
        BundleError: It was fitted without one of the task's labels, which it could not forecast.
    """
    kind, own = _described(fitted)
    return Forecaster(
        task=get_task(fitted.task),
        kind=kind,
        name="",
        label=label or own,
        identity=identity or label or own,
        calibration=calibration or NoCalibration(),
        base_rates=_base_rates_of(fitted),
        trained_on_text=trained_on_text,
        trivial=kind == "baseline" and baseline_name(fitted) in TRIVIAL,
        model=fitted,
    )


def _described(fitted: Any) -> tuple[Kind, str]:
    if isinstance(fitted, BaselineForecaster):
        return "baseline", BASELINES[baseline_name(fitted)].named(get_task(fitted.task))
    if isinstance(fitted, TrialClassifier):
        language: Any = fitted
        labels = get_task(language.task).labels
        known = {v if isinstance(v, str) else labels[int(v)] for v in language.classes_.tolist()}
        absent = set(labels) - known
        if absent:
            raise BundleError(
                f"the language model was fitted without the label {min(absent)!r:.100}.",
                hint="Fit it on trials of every label of its task.",
            )
        return "language", Path(str(language.base)).name
    if hasattr(fitted, "parts"):
        return "blend", " + ".join(part.label for part in fitted.parts)
    raise TypeError(f"{type(fitted).__name__} is not a forecaster of LLM4TOP.")


def _base_rates_of(fitted: Any) -> Mapping[str, BaseRate]:
    if hasattr(fitted, "parts"):
        found = [part.base_rates for part in fitted.parts if part.base_rates]
        return found[0] if found else {}
    return getattr(fitted, "base_rates_", {})


def release_memory() -> None:
    """Free the memory of models that nothing refers to any more, a GPU's included."""
    if "torch" in sys.modules:
        from llm4top.forecasters.model.device import empty_caches

        empty_caches()  # it collects first
    else:
        gc.collect()
