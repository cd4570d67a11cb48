"""The language model as a scikit-learn classifier over trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm4top.errors import ConfigError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.classifier import (
    TrialClassifier,
    as_trials,
    checked_weights,
    class_positions,
    weights_of,
)
from llm4top.forecasters.finetuning.settings import FinetuneSettings, finetune_settings
from llm4top.progress import OnProgress
from llm4top.prompts.prompt import Prompt, PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.forecasters.model.base_model import BaseModel, Quantize
    from llm4top.forecasters.model.light_scorer import LightScorer
    from llm4top.forecasters.model.probe import Probe
    from llm4top.forecasters.model.scoring import TrialScorer
    from llm4top.forecasters.model.served_scorer import ServedScorer

    Scorer = TrialScorer | LightScorer | ServedScorer

_PRECISION: dict[str, Literal["fp32", "bf16"]] = {
    "float32": "fp32", "fp32": "fp32", "bfloat16": "bf16", "bf16": "bf16",
}  # fmt: skip
_DEFAULTS = finetune_settings()

Logits = NDArray[np.float64]


class LanguageForecaster(TrialClassifier):
    """A language model that answers a task's question about trials.

    A scikit-learn classifier whose ``X`` is a sequence of ``Trial``. ``y`` holds the task's
    labels, their positions 0..K-1, or booleans for a binary task; ``classes_`` is of the same
    kind, in the order of the task's labels, so column 1 of a binary task is the event
    ("success"). scikit-learn's scorers and ``cross_val_predict`` sort strings alphabetically:
    with a task whose labels are in another order ("stopped", "completed"), give positions.

    All other arguments, from ``lora_rank`` to ``seed``, are those of ``FinetuneSettings`` with its
    defaults, which are the preset "standard" of ``llm4top train``.

    Args:
        base: A folder, or the name of a downloaded model. Each ``fit`` loads it again, because
            training changes it. Clones and pickles have no weights.
        task: A ``Task`` or the name of a built-in one.
        adapter: A folder with a LoRA adapter to forecast with; only with tuning "none".
        tuning: What ``fit`` trains: "lora" (low-rank adapters), "full" (all weights), "probe" (a
            logistic regression over the hidden states) or "none", which trains nothing and also
            forecasts without ``fit`` (zero-shot).
        max_tokens: Token budget of the prompt; see ``PromptSpec``.
        sections, plain_text: What the prompt shows; see ``PromptSpec``.
        class_weight: None, "balanced" or a mapping from class to weight. Weights shift the
            probabilities; calibration corrects this.
        device: "auto", "cuda", "cuda:N", "mps" or "cpu".
        dtype: "auto", "float32", "bfloat16" or "float16".
        quantize: "4bit" or "8bit" loads the base model in so many bits, for less memory; see
            ``load_base``. Nothing is trained in 8 bits.
        batch_tokens: Padded tokens in one batch for scoring; None fits it to the free memory. It
            changes the speed, not the result.

    Attributes:
        classes_: The classes, in the order of the task's labels. Set by ``fit``.
        finetuning_: The ``FinetuneResult``; None with tuning "none". Set by ``fit``.
    """

    def __init__(
        self,
        base: str | Path,
        task: Task | str = "outcome",
        *,
        adapter: str | Path | None = None,
        tuning: str = _DEFAULTS.tuning,
        max_tokens: int = 2048,
        sections: Sequence[str] | None = None,
        plain_text: bool = False,
        lora_rank: int = _DEFAULTS.lora_rank,
        lora_alpha: int = _DEFAULTS.lora_alpha,
        lora_dropout: float = _DEFAULTS.lora_dropout,
        learning_rate: float = _DEFAULTS.learning_rate,
        weight_decay: float = _DEFAULTS.weight_decay,
        warmup_ratio: float = _DEFAULTS.warmup_ratio,
        section_dropout: float = _DEFAULTS.section_dropout,
        epochs: float = _DEFAULTS.epochs,
        batch_size: int = _DEFAULTS.batch_size,
        accumulation: int = _DEFAULTS.accumulation,
        class_weight: Mapping[Any, float] | str | None = None,
        patience: int | None = _DEFAULTS.patience,
        evals_per_epoch: int = _DEFAULTS.evals_per_epoch,
        gradient_checkpointing: Literal["auto"] | bool = _DEFAULTS.gradient_checkpointing,
        seed: int = _DEFAULTS.seed,
        device: str = "auto",
        dtype: str = "auto",
        quantize: Quantize = None,
        batch_tokens: int | None = None,
    ):
        self.base, self.task, self.adapter, self.tuning = base, task, adapter, tuning
        self.max_tokens, self.sections, self.plain_text = max_tokens, sections, plain_text
        self.lora_rank, self.lora_alpha, self.lora_dropout = lora_rank, lora_alpha, lora_dropout
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.warmup_ratio, self.epochs = warmup_ratio, epochs
        self.batch_size, self.accumulation = batch_size, accumulation
        self.section_dropout = section_dropout
        self.class_weight, self.patience = class_weight, patience
        self.evals_per_epoch, self.gradient_checkpointing = evals_per_epoch, gradient_checkpointing
        self.seed, self.device, self.dtype, self.quantize = seed, device, dtype, quantize
        self.batch_tokens = batch_tokens

    @classmethod
    def from_model(
        cls,
        base: BaseModel,
        task: Task | str = "outcome",
        *,
        model: Any = None,
        probe: Probe | None = None,
        spec: PromptSpec | None = None,
        writer: PromptWriter | None = None,
        batch_tokens: int | None = None,
    ) -> Self:
        """A forecaster over a model that is loaded already, ready to forecast.

        ``model`` is what to ask in place of ``base.model``: an adapted or a tuned one. ``probe``
        reads the answer from the model's hidden states, in place of its output embedding.
        ``writer`` writes the prompts, with its own spec, where that is not the plain one. The
        classes are the task's labels. Its parameters describe the untuned base, so a clone of
        it is the zero-shot forecaster.
        """
        from llm4top.forecasters.model.scoring import TrialScorer

        spec = writer.spec if writer else spec or PromptSpec()
        scorer = TrialScorer(base, get_task(task), spec, batch_tokens=batch_tokens, writer=writer)
        if model is not None:
            scorer.model = model
        scorer.probe = probe
        return cls._around(
            scorer,
            base.folder,
            device=base.device.torch,
            dtype=base.dtype.name,
            quantize=base.quantize,
        )

    @classmethod
    def from_light(cls, scorer: LightScorer) -> Self:
        """As ``from_model``, over a small model that computes without torch."""
        return cls._around(scorer, scorer.folder, device="cpu", dtype="float32")

    @classmethod
    def from_served(cls, scorer: ServedScorer) -> Self:
        """As ``from_model``, over a model on a server; see ``llm4top.forecasters.served``."""
        return cls._around(scorer, f"{scorer.server.served.url}#{scorer.server.served.name}")

    @classmethod
    def _around(cls, scorer: Scorer, base: str | Path, **options: Any) -> Self:
        spec = scorer.writer.spec
        forecaster = cls(
            base,
            scorer.task,
            tuning="none",
            max_tokens=spec.max_tokens,
            sections=spec.sections,
            plain_text=spec.plain_text,
            batch_tokens=scorer.batch_tokens,
            **options,
        )
        forecaster._scorer = scorer
        return forecaster

    def fit(
        self,
        X: Iterable[Trial],
        y: Iterable[Any],
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: tuple[Iterable[Trial], Iterable[Any]] | None = None,
        output_dir: Path | str | None = None,
        callbacks: Sequence[Any] = (),
        should_stop: Callable[[], bool] | None = None,
        resume: bool = False,
    ) -> Self:
        """Fine-tune the base model on trials and their labels; returns itself.

        ``sample_weight`` ``[n]`` is how much each trial counts; all alike where None.
        ``eval_set`` is validation data: with it the weights of the best validation log-loss are
        kept and training stops early (``patience``). The other arguments go to ``finetune``.

        Raises ``TaskError`` for labels that are none of the task's, ``ConfigError`` for settings
        that contradict each other, ``ValueError`` for weights that are none, and what
        ``load_base`` and ``finetune`` raise.
        """
        from llm4top.forecasters.finetuning.finetune import finetune
        from llm4top.forecasters.finetuning.section_dropout import section_dropout

        self._check()
        task = get_task(self.task)
        trials = as_trials(X)
        classes, positions = class_positions(task, y)
        if len(trials) != len(positions):
            raise ValueError(f"X has {len(trials)} trials and y {len(positions)} labels.")
        self._scorer: Scorer | None = None
        self.finetuning_ = None
        self._columns = np.unique(positions)
        phases = [trial.phase for trial in trials]
        self.base_rates_ = measure_base_rates(len(task.labels), phases, positions.tolist())
        if self.tuning == "probe" and len(classes) < len(task.labels):
            absent = [n for i, n in enumerate(task.labels) if i not in self._columns]
            raise ConfigError(
                "the training data are not enough for a probe.",
                [f"y: holds no {', '.join(absent)}; a probe is fitted on every label of its task"],
            )
        if self.tuning != "none":
            scorer = self._load()
            targets = np.searchsorted(self._columns, positions)
            settings = self._settings(classes, targets)
            weights = checked_weights(sample_weight, len(trials))
            evaluation = _evaluation(scorer, eval_set, classes, self._columns) if eval_set else {}
            self.finetuning_ = finetune(
                scorer.base,
                [prompt.token_ids for prompt in scorer.prompts(trials)],
                targets.tolist(),
                [scorer.answer_ids[column] for column in self._columns],
                settings,
                sample_weight=None if weights is None else weights.tolist(),
                epoch_prompts=section_dropout(scorer.writer, trials, settings),
                **evaluation,
                output_dir=output_dir,
                callbacks=callbacks,
                should_stop=should_stop,
                resume=resume,
            )
            scorer.model, scorer.probe = self.finetuning_.model, self.finetuning_.probe
            self._scorer = scorer
        self._classes = classes
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, in the order of the columns of ``predict_proba``."""
        if "_classes" in self.__dict__:
            return np.asarray(self._classes)
        if self.__sklearn_is_fitted__():
            return np.array(get_task(self.task).labels)
        raise AttributeError("classes_: this forecaster has not been fitted.")

    def prompts(self, X: Iterable[Trial]) -> list[Prompt]:
        """The prompts that the model reads about the trials, one a trial."""
        return self.scorer.prompts(as_trials(X))

    def answer_logits(self, X: Iterable[Trial], *, on_progress: OnProgress | None = None) -> Logits:
        """The model's logits of the classes' answers: ``[n, K]``, columns as ``classes_``."""
        return self.logits_of(self.prompts(X), on_progress=on_progress)

    def logits_of(
        self, prompts: Sequence[Prompt], *, on_progress: OnProgress | None = None
    ) -> Logits:
        """``answer_logits`` for prompts that are written already."""
        logits = self.scorer.logits(prompts, on_progress=on_progress)
        columns = self.__dict__.get("_columns")
        return logits if columns is None else logits[:, columns]

    def label_logits(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Logits:
        """The model's logits ``[n, K]``, a column for each label of the task."""
        written = self.prompts(trials) if prompts is None else prompts
        return self.scorer.logits(written, on_progress=on_progress)

    @property
    def writer(self) -> PromptWriter:
        """Writes the prompts that the model reads."""
        return self.scorer.writer

    def decision_function(self, X: Iterable[Trial]) -> Logits:
        """Scores of the classes ``[n, K]``; of two classes, the second's log-odds ``[n]``."""
        logits = self.answer_logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Iterable[Trial], *, on_progress: OnProgress | None = None) -> Logits:
        """Probabilities ``[n, K]`` as the model gives them, not calibrated."""
        logits = self.answer_logits(X, on_progress=on_progress)
        return softmax(logits)

    def predict(self, X: Iterable[Trial]) -> NDArray[Any]:
        """The most probable class of each trial: ``[n]``."""
        best = self.answer_logits(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    @property
    def scorer(self) -> Scorer:
        """The loaded model with its prompt writer; a zero-shot model is loaded at first use.

        Raises scikit-learn's ``NotFittedError`` before ``fit``.
        """
        self._check_fitted()
        scorer: Scorer | None = self.__dict__.get("_scorer")
        if scorer is None:
            self._check()
            scorer = self._scorer = self._load()
        return scorer

    def __sklearn_is_fitted__(self) -> bool:
        return self.tuning == "none" or self.__dict__.get("_scorer") is not None

    def __getstate__(self) -> dict[str, Any]:
        # Weights are saved in bundles, never in pickles or deep copies.
        state = dict(self.__dict__)
        for name in ("_scorer", "finetuning_"):
            state.pop(name, None)
        return state

    def _check(self) -> None:
        faults = []
        if self.tuning not in ("lora", "full", "probe", "none"):
            faults.append(f"tuning: {self.tuning!r} is none of lora, full, probe, none")
        if self.adapter is not None and self.tuning != "none":
            faults.append("adapter: goes with tuning 'none'; fit trains a new one")
        if self.quantize == "8bit" and self.tuning != "none":
            faults.append("quantize: 8 bits are for forecasting; train in 4 bits or in none")
        if self.batch_tokens is not None and self.batch_tokens < 1:
            faults.append("batch_tokens: must be 1 or more, or absent")
        if faults:
            raise ConfigError("the forecaster's settings are wrong.", faults)

    def _load(self) -> TrialScorer:
        from llm4top.forecasters.model.adapter import load_adapter
        from llm4top.forecasters.model.base_model import load_base
        from llm4top.forecasters.model.scoring import TrialScorer

        sections = tuple(self.sections) if self.sections is not None else None
        spec = PromptSpec(self.max_tokens, sections, self.plain_text)
        base = load_base(self.base, device=self.device, dtype=self.dtype, quantize=self.quantize)
        scorer = TrialScorer(base, get_task(self.task), spec, batch_tokens=self.batch_tokens)
        if self.adapter is not None:
            scorer.model = load_adapter(base, self.adapter)
        return scorer

    def _settings(self, classes: NDArray[Any], targets: NDArray[np.int64]) -> FinetuneSettings:
        params = self.get_params(deep=False)
        shared = FinetuneSettings.model_fields.keys() & params.keys()
        # A search over parameters may set NumPy's numbers, which pydantic does not take.
        given = {
            name: value.item() if isinstance(value := params[name], np.generic) else value
            for name in shared
        }
        return finetune_settings(
            **given,
            class_weights=weights_of(self.class_weight, classes, targets),
            # A number type that was chosen is the one to train in.
            precision=_PRECISION.get(self.dtype, "auto"),
        )


def _evaluation(
    scorer: TrialScorer,
    eval_set: tuple[Iterable[Trial], Iterable[Any]],
    classes: NDArray[Any],
    columns: NDArray[np.int64],
) -> dict[str, Any]:
    """Prompts and targets of the validation data; its labels are among the training data's."""
    found, positions = class_positions(scorer.task, eval_set[1])
    if not set(found.tolist()) <= set(classes.tolist()):
        raise ConfigError(
            "the validation data do not go with the training data.",
            [f"labels: {found.tolist()} in validation, {classes.tolist()} in training"],
        )
    prompts = scorer.prompts(as_trials(eval_set[0]))
    return {
        "eval_prompts": [prompt.token_ids for prompt in prompts],
        "eval_targets": np.searchsorted(columns, positions).tolist(),
    }
