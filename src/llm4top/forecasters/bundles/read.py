"""Loading a bundle: checked file by file, then ready to forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm4top.errors import (
    BundleError,
    CalibrationError,
    ModelNotFoundError,
    TamperedBundleError,
    UnsafeBundleError,
    UnsafeModelError,
)
from llm4top.forecasters.bundles.blend import LoadedStack, read_stack
from llm4top.forecasters.bundles.manifest import CALIBRATION_FILE, Manifest, ReloadCheck
from llm4top.forecasters.bundles.safe_files import sha256_of
from llm4top.forecasters.bundles.trained_on import LearntFrom, Part, read_learnt_from
from llm4top.forecasters.bundles.verify import VerifyReport, verify_bundle
from llm4top.forecasters.bundles.write import note_reload
from llm4top.forecasters.calibration.calibrated import Calibrated, Calibrator, FloatArray, softmax
from llm4top.forecasters.calibration.methods import calibrator_from_dict
from llm4top.forecasters.forecast import forecast_records
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.adapter import load_adapter
from llm4top.forecasters.model.base_model import BaseModel, Quantize, load_base
from llm4top.forecasters.model.batching import OnProgress
from llm4top.forecasters.model.model_files import identify, resolve_base
from llm4top.prompts.prompt import PromptWriter
from llm4top.registry.trial import Record, Trial
from llm4top.tasks.task import Task

AS_TRAINED = "as trained"
RELOAD_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class LoadedForecaster:
    """A bundle that is ready to forecast.

    ``forecaster`` gives the language model's own logits and probabilities, ``stack`` pools them
    with a baseline's where there is one, and ``calibration`` turns the result into calibrated
    probabilities. ``base_rates`` maps each phase it has learnt from, and "all",
    to the share of the task's event (of the commonest label where there are more than two).
    ``learnt`` recognises the trials it has learnt from, where the bundle records them.
    ``identity`` names the bundle for good. ``folder`` and ``manifest`` are None for a base model
    that is asked untrained.

    For scikit-learn it is a fitted classifier over a sequence of ``Trial``: scorers, displays and
    ``FrozenEstimator`` take it. It cannot be fitted or cloned; ``LanguageForecaster`` can.
    """

    task: Task
    forecaster: LanguageForecaster
    calibration: Calibrator
    base_rates: dict[str, float]
    identity: str
    folder: Path | None = None
    manifest: Manifest | None = None
    stack: LoadedStack | None = None
    learnt: LearntFrom | None = None

    def __repr__(self) -> str:
        """Its identity and question: the fields hold hashes of thousands of trials."""
        return f"<LoadedForecaster {self.identity!r}, task {self.task.name!r}>"

    @property
    def writer(self) -> PromptWriter:
        """Writes the prompts that the model reads."""
        return self.forecaster.scorer.writer

    @property
    def label_rates(self) -> dict[str, tuple[float, ...]]:
        """As ``base_rates``, the shares of all labels in their order; empty for a base model."""
        if self.manifest is None:
            return {}
        return {phase: rate.shares for phase, rate in self.manifest.base_rates.items()}

    def learnt_from(self, nct_id: str | None) -> Part | None:
        """Whether the trial of that NCT id taught the model ("train") or tuned it ("valid").

        None for any other trial, and where the bundle does not record its trials.
        """
        return None if self.learnt is None else self.learnt.part_of(nct_id)

    def forecast(
        self, records: Iterable[Record], *, progress: OnProgress | None = None
    ) -> Iterator[Forecast | NotApplicable]:
        """Forecasts of records, one value each, in order; see ``forecast_records``."""
        return forecast_records(self, records, progress=progress)

    def calibrated(
        self, trials: Iterable[Trial], *, on_progress: OnProgress | None = None
    ) -> Calibrated:
        """Calibrated probabilities of trials, with their intervals."""
        rows = list(trials)
        logits = self.answer_logits(rows, on_progress=on_progress)
        return self.calibration.predict(logits, [trial.phase for trial in rows])

    def answer_logits(
        self, trials: Iterable[Trial], *, on_progress: OnProgress | None = None
    ) -> FloatArray:
        """What is calibrated: the model's logits ``[n, K]``, pooled with the baseline's if any."""
        rows = list(trials)
        logits = self.forecaster.answer_logits(rows, on_progress=on_progress)
        return logits if self.stack is None else self.stack.logits(rows, logits)

    def predict_proba(self, X: Iterable[Trial]) -> FloatArray:
        """Calibrated probabilities ``[n, K]``, columns in the order of the task's labels."""
        return self.calibrated(X).probabilities

    # What scikit-learn asks of a classifier that was fitted elsewhere.

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The task's labels, in the order of the columns of ``predict_proba``."""
        return np.array(self.task.labels)

    def predict(self, X: Iterable[Trial]) -> NDArray[np.str_]:
        """The most probable label of each trial: ``[n]``."""
        best: NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return best

    def fit(self, X: Any, y: Any) -> NoReturn:  # noqa: ARG002 - as scikit-learn names them
        """Refuses: a bundle is trained already. Raises ``TypeError`` that says what to fit."""
        raise TypeError(
            "a loaded forecaster is trained already: use predict_proba, or fit a new one, "
            "LanguageForecaster(base, task) or TfidfForecaster(task)."
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        return self.forecaster.__sklearn_tags__()


def load_bundle(
    bundle: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: str | None = AS_TRAINED,
    base: str | Path | None = None,
    batch_tokens: int | None = None,
) -> LoadedForecaster:
    """Verify a bundle and load it.

    ``bundle`` is "embedded", a folder, or a name in the store. ``base`` says where its base model
    lies, where that is not the downloaded model of its name; it must be the same model.
    ``quantize`` is "as trained", "4bit" or None; the other arguments are as for ``load_base``.

    Raises ``TamperedBundleError`` for a file that is changed, missing or not listed,
    ``UnsafeBundleError`` for one that could run code, ``ModelNotFoundError`` with the command that
    downloads the base model, and ``BundleError`` for anything else that does not fit.
    """
    report = verify_bundle(bundle)
    report.raise_for_problems()
    folder, manifest = report.folder, report.manifest
    calibration = _read_calibration(folder, manifest)
    stack = read_stack(folder, manifest)
    base_folder = _base_folder(report, base)
    model = None
    try:
        loaded = load_base(
            base_folder, device=device, dtype=dtype, quantize=_quantize(quantize, manifest)
        )
        if manifest.tuning.method == "lora":
            _check_adapter_config(folder, manifest)
            model = load_adapter(loaded, folder)
    except UnsafeModelError as error:
        raise UnsafeBundleError(error.message, where=error.where, hint=error.hint) from error
    forecaster = LanguageForecaster.from_model(
        loaded, manifest.task, model=model, spec=manifest.prompt.spec, batch_tokens=batch_tokens
    )
    _check_prompts(forecaster, loaded, manifest)
    return LoadedForecaster(
        manifest.task,
        forecaster,
        calibration,
        _base_rates(manifest),
        manifest.identity,
        folder,
        manifest,
        stack,
        read_learnt_from(folder, manifest),
    )


def confirm_reload(
    bundle: str | Path,
    trials: Iterable[Trial],
    logits: ArrayLike,
    calibration: Calibrator,
    *,
    tolerance: float = RELOAD_TOLERANCE,
    **loading: Any,
) -> LoadedForecaster:
    """Load a bundle and see that it gives the same probabilities; note that in its manifest.

    ``logits`` ``[n, K]`` (a stack's: pooled) and ``calibration`` are those of the forecaster that
    was saved, on ``trials``. Compared are the model's probabilities, and the calibrated ones of
    equal logits: a step of the calibration would magnify a rounding difference. ``loading`` goes
    to ``load_bundle``. Returns the bundle, which is then done and has its final identity.

    Raises ``BundleError`` where a probability differs by more than ``tolerance``.
    """
    loaded = load_bundle(bundle, **loading)
    if loaded.folder is None or loaded.manifest is None:
        raise TypeError("only bundles are reloaded")
    expected = np.asarray(logits, dtype=np.float64)
    rows = list(trials)
    phases = [trial.phase for trial in rows]
    found = loaded.answer_logits(rows)
    pairs = (
        (softmax(found), softmax(expected)),
        (
            loaded.calibration.predict(expected, phases).probabilities,
            calibration.predict(expected, phases).probabilities,
        ),
    )
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    if not difference <= tolerance:
        raise BundleError(
            f"the reloaded bundle gives other probabilities: they differ by up to "
            f"{difference:.2g}, where {tolerance:.2g} is allowed.",
            where=str(loaded.folder),
            hint="Do not use it. Save it again, and report this if it stays.",
        )
    check = ReloadCheck(n=len(expected), max_difference=difference, tolerance=tolerance)
    manifest = note_reload(loaded.folder, loaded.manifest, check)
    return replace(loaded, identity=manifest.identity, manifest=manifest)


def _base_folder(report: VerifyReport, base: str | Path | None) -> Path:
    """Where the base model lies, once it has shown to be the one the bundle needs."""
    needed = report.manifest.base
    if needed.carried:
        if base is not None:
            raise BundleError(
                "the bundle carries its base model; it takes no other.",
                where=report.folder.name,
                hint="Leave the base model out.",
            )
        return report.folder / "base"
    revision = f" --revision {needed.revision}" if needed.revision else ""
    fetch = f"llm4top download {needed.id}{revision}"
    try:
        folder = resolve_base(needed.id if base is None else base)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"its base model {needed.id} is not on this machine.",
            where=report.folder.name,
            hint=f"Download it once with: {fetch}" if "/" in needed.id else "Name its folder.",
        ) from error
    found = identify(folder)
    if found.sha256 != needed.sha256:
        raise BundleError(
            f"the base model in {folder} is not the {needed.id} that the bundle was made with "
            f"(its files hash to {found.sha256[:12]}, not {needed.sha256[:12]}).",
            where=report.folder.name,
            hint=f"Get that very one with: {fetch}" if "/" in needed.id else "Name its folder.",
        )
    return folder


def _quantize(quantize: str | None, manifest: Manifest) -> Quantize:
    if quantize == AS_TRAINED:
        return manifest.tuning.quantize
    # Anything else is checked by load_base.
    return quantize  # type: ignore[return-value]


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return values


def _read_calibration(folder: Path, manifest: Manifest) -> Calibrator:
    stored = _read_json(folder, CALIBRATION_FILE)
    where = f"{folder.name}/{CALIBRATION_FILE}"
    state = stored.get("calibrator")
    if set(stored) != {"labels", "calibrator"} or not isinstance(state, dict):
        raise BundleError("is not a calibration as LLM4TOP writes it.", where=where)
    if tuple(stored["labels"]) != manifest.task.labels:
        raise BundleError("is about other labels than the task.", where=where)
    try:
        calibration = calibrator_from_dict(state)
        # One row tells whether it is about as many labels as the task.
        calibration.predict(np.zeros((1, len(manifest.task.labels))))
    except CalibrationError as error:
        raise BundleError(error.message, where=where, hint=error.hint) from error
    if calibration.method != manifest.calibration:
        raise BundleError("is of another method than the manifest says.", where=where)
    return calibration


def _check_adapter_config(folder: Path, manifest: Manifest) -> None:
    named = _read_json(folder, "adapter_config.json").get("base_model_name_or_path")
    if named != manifest.base.id:
        raise TamperedBundleError(
            f"names the base model {named!r:.200}, the manifest {manifest.base.id!r}.",
            where=f"{folder.name}/adapter_config.json",
        )


def _check_prompts(forecaster: LanguageForecaster, base: BaseModel, manifest: Manifest) -> None:
    """The model must be asked exactly as it has learnt to be asked."""
    scorer = forecaster.scorer
    expected = tuple(answer.token_id for answer in manifest.answers)
    if sha256_of(base.folder / "tokenizer.json") != manifest.tokenizer_sha256:
        fault = "its tokenizer is another one"
    elif scorer.writer.fingerprint != manifest.prompt.fingerprint:
        fault = "this version of LLM4TOP writes its prompts in other words"
    elif scorer.answer_ids != expected:
        fault = "its answers are other tokens"
    else:
        return
    raise BundleError(
        f"{fault} than when it was made.",
        where=manifest.identity,
        hint=f"It was made by LLM4TOP {manifest.versions.get('llm4top', '(unknown version)')}.",
    )


def _base_rates(manifest: Manifest) -> dict[str, float]:
    binary = manifest.task.kind == "binary"
    return {
        phase: rate.shares[1] if binary else max(rate.shares)
        for phase, rate in manifest.base_rates.items()
    }
