"""``manifest.json``: what a bundle is, how it came about and the hash of every file of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llm4top.errors import BundleError, PromptError, TaskError, UnsafeBundleError
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.task import Task

SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"
CARD_FILE = "MODEL_CARD.md"
CALIBRATION_FILE = "calibration.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
BASE_FILES = (
    "base/config.json",
    "base/model.safetensors",
    "base/tokenizer.json",
    "base/tokenizer_config.json",
)
STACK_FILE = "stack.json"
LEARNT_FILE = "learnt_from.json"
BASELINE_FOLDER = "baseline"
BUNDLE_FILES = frozenset(
    {CARD_FILE, CALIBRATION_FILE, STACK_FILE, LEARNT_FILE, *ADAPTER_FILES, *BASE_FILES}
)
"""Every file a bundle may hold beside its manifest and its baseline's files."""

_BASELINE_FILE = re.compile(rf"{BASELINE_FOLDER}/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}")

ALL_PHASES = "all"
LEAST_ROWS_OF_A_PHASE = 10
CONTEXT_OF_USE = "A research estimate, not medical or investment advice."

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
Name = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=2000)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BaseEntry(_Entry):
    """The base model: its public name, the commit it was downloaded at, one hash over its files.

    ``carried`` says that the bundle holds it, in ``base/``.
    """

    id: Annotated[str, Field(min_length=1, max_length=200)]
    revision: str | None = None
    sha256: Sha256
    carried: bool = False


class PromptEntry(_Entry):
    """How prompts are written: ``fingerprint`` is ``PromptWriter.fingerprint``."""

    spec: PromptSpec
    fingerprint: Sha256


class AnswerEntry(_Entry):
    """One label with the word that answers it and that word's token."""

    label: str
    word: str
    token_id: Annotated[int, Field(ge=0)]


class TuningEntry(_Entry):
    """What training changed, and with which settings.

    ``method``: "lora" (the bundle holds an adapter), "full" (it holds the whole model) or "none"
    (the base model is asked as it is). ``quantize`` is how the base model was loaded.
    """

    method: Literal["lora", "full", "none"]
    quantize: Literal["4bit"] | None = None
    settings: dict[str, str | int | float | bool | tuple[str | float, ...] | None] = {}


class DataEntry(_Entry):
    """The data it has learnt from: hash, rows by split, and what a reader should know of them."""

    name: Text
    sha256: Sha256
    counts: dict[str, Annotated[int, Field(ge=0)]]
    licence: Text = ""
    note: Text = ""


class BaseRate(_Entry):
    """Shares of the labels among ``n`` training trials, in label order."""

    n: Annotated[int, Field(gt=0)]
    shares: tuple[Share, ...]


class Figure(_Entry):
    """A measured value with the bounds of its 95 % interval; None where it cannot be measured."""

    value: float | None
    lower: float | None
    upper: float | None


class PhaseFigures(_Entry):
    """The bundle's own figures on the ``n`` rows of one phase, by metric."""

    n: Annotated[int, Field(gt=0)]
    figures: dict[str, Figure]


class Evaluation(_Entry):
    """Metrics of several forecasters on the same ``n`` rows of one split.

    ``forecasters`` maps a forecaster's name to its figures by metric; the bundle's own come first,
    baselines after it. ``phases`` are the first one's figures in "I" to "IV"; a trial of two phases
    counts in both. ``draws`` and ``seed`` are those of the bootstrap.
    """

    split: str
    n: Annotated[int, Field(gt=0)]
    draws: int | None = None
    seed: int | None = None
    forecasters: dict[str, dict[str, Figure]]
    phases: dict[str, PhaseFigures] = {}
    note: Text = ""


class ReloadCheck(_Entry):
    """The bundle was loaded again: the largest difference of ``n`` trials' probabilities."""

    n: Annotated[int, Field(gt=0)]
    max_difference: Annotated[float, Field(ge=0)]
    tolerance: Annotated[float, Field(gt=0)]


class StackEntry(_Entry):
    """The bundle forecasts with a baseline too: which one, and how much each is believed.

    ``baseline`` is its name, ``baseline_identity`` names it for good. ``weights`` multiply the
    log-odds of "language" and "baseline"; they were fitted on ``n`` validation trials. The whole
    pool is in ``stack.json``, the baseline in ``baseline/``.
    """

    baseline: Annotated[str, Field(min_length=1, max_length=100)]
    baseline_identity: Annotated[str, Field(min_length=1, max_length=200)]
    weights: dict[str, Annotated[float, Field(ge=0)]]
    n: Annotated[int, Field(gt=0)]


class FileEntry(_Entry):
    """A file's hash and its size in bytes."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class BundleFacts(_Entry):
    """What whoever trained the model knows; ``save_bundle`` finds out the rest.

    ``base_rates`` as ``measure_base_rates`` gives them; empty where nothing is known. ``seed`` is
    that of the training, ``config_sha256`` the hash of its settings as used.
    """

    tuning: TuningEntry
    data: DataEntry | None = None
    base_rates: dict[str, BaseRate] = {}
    evaluations: tuple[Evaluation, ...] = ()
    licence: Text = ""
    context_of_use: Text = CONTEXT_OF_USE
    seed: int | None = None
    config_sha256: Sha256 | None = None


class Manifest(BundleFacts):
    """The whole of ``manifest.json``."""

    schema_version: Literal[1] = 1
    name: Name
    created: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    task: Task
    base: BaseEntry
    tokenizer_sha256: Sha256
    prompt: PromptEntry
    answers: tuple[AnswerEntry, ...]
    calibration: Literal["venn-abers", "platt", "none"]
    stack: StackEntry | None = None
    versions: dict[str, str]
    reload_check: ReloadCheck | None = None
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        labels = self.task.labels
        expected = {CARD_FILE, CALIBRATION_FILE}
        expected |= set(ADAPTER_FILES if self.tuning.method == "lora" else ())
        expected |= set(BASE_FILES if self.base.carried else ())
        expected |= {STACK_FILE} if self.stack is not None else set()
        faults = []
        if tuple((a.label, a.word) for a in self.answers) != tuple(
            zip(labels, self.task.answers, strict=True)
        ):
            faults.append("answers: are not those of the task")
        if any(len(rate.shares) != len(labels) for rate in self.base_rates.values()):
            faults.append("base_rates: need one share for each label")
        if self.tuning.method == "full" and not self.base.carried:
            faults.append("tuning: a fully tuned model is carried in the bundle")
        faults += [f"files: {name!r} is missing" for name in sorted(expected - set(self.files))]
        # Bundles of before it was written have no such file.
        extra = set(self.files) - expected - {LEARNT_FILE}
        if self.stack is not None:
            faults += [] if any(map(is_baseline_file, extra)) else ["files: has no baseline"]
            extra = {name for name in extra if not is_baseline_file(name)}
        faults += [f"files: {name!r} is extra" for name in sorted(extra)]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def identity(self) -> str:
        """The bundle's name and the first 12 digits of the hash of this manifest."""
        canonical = json.dumps(self._values(), sort_keys=True, ensure_ascii=False)
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        return json.dumps(self._values(), indent=2, ensure_ascii=False) + "\n"

    def _values(self) -> dict[str, Any]:
        # Bundles without a stack, or without figures by phase, say nothing of it, so that they
        # keep the identity they had before there were any.
        absent = without_absent_fields(self.task)
        if self.stack is None:
            absent["stack"] = True
        values = self.model_dump(mode="json", exclude=absent)
        for evaluation in values["evaluations"]:
            if not evaluation["phases"]:
                del evaluation["phases"]
        return values

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Self:
        """Inverse of ``to_json``.

        ``BundleError`` names the first field that is wrong, ``UnsafeBundleError`` a file that
        would lie outside the bundle.
        """
        hint = "Get the bundle again from where it came."
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"the manifest is not JSON ({error}).", where=where, hint=hint
            ) from None
        version = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise BundleError(
                f"the manifest has schema version {version}; this LLM4TOP reads {SCHEMA_VERSION}.",
                where=where,
                hint="Upgrade LLM4TOP to the version that wrote it.",
            )
        files = values.get("files") if isinstance(values, dict) else None
        for name in files if isinstance(files, dict) else ():
            if not is_plain_name(name):
                raise UnsafeBundleError(
                    f"the file {name!r:.100} points outside the bundle.", where=where, hint=hint
                )
        try:
            return cls.model_validate_json(text)
        except (TaskError, PromptError) as error:
            raise BundleError(error.message, where=where, hint=hint) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "as a whole"
            raise BundleError(
                f"the manifest is wrong in {field!r:.100}: {first['msg']:.300}.",
                where=where,
                hint=hint,
            ) from None


def without_absent_fields(task: Task) -> dict[str, Any]:
    """What a manifest leaves out of its task: study types, where the task is about any study.

    So it keeps the identity that it had before there were study types.
    """
    return {} if task.study_types else {"task": {"study_types"}}


def is_baseline_file(name: str) -> bool:
    """Whether a bundle may hold a file of that name for its baseline."""
    return _BASELINE_FILE.fullmatch(name) is not None


def is_plain_name(name: str) -> bool:
    """Whether a file's name stays inside the folder it is read in, on every system."""
    path = PurePosixPath(name)
    parts = name.split("/")
    return not (
        path.is_absolute()
        or any(part in ("", ".", "..") for part in parts)
        or any(mark in name for mark in ("\\", ":", "\0"))
    )


def measure_base_rates(
    task: Task, phases: Sequence[str | None], label_indices: Sequence[int]
) -> dict[str, BaseRate]:
    """Base rates of the training trials by phase, and over "all".

    A phase with fewer than 10 trials has none: its share would say nothing.
    """
    pooled: Counter[int] = Counter(label_indices)
    by_phase: dict[str, Counter[int]] = {}
    for phase, label in zip(phases, label_indices, strict=True):
        if phase is not None:
            by_phase.setdefault(phase, Counter())[label] += 1
    kept = {p: c for p, c in sorted(by_phase.items()) if c.total() >= LEAST_ROWS_OF_A_PHASE}
    groups: Mapping[str, Counter[int]] = {**kept, ALL_PHASES: pooled}
    return {
        name: BaseRate(
            n=count.total(),
            shares=tuple(count[i] / count.total() for i in range(len(task.labels))),
        )
        for name, count in groups.items()
        if count.total()
    }


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a manifest may hold them: values that are no plain JSON are left out."""
    plain = (str, int, float, bool, type(None))
    return {
        name: tuple(value) if isinstance(value, list | tuple) else value
        for name, value in settings.items()
        if isinstance(value, plain)
        or (isinstance(value, list | tuple) and all(isinstance(v, str | float) for v in value))
    }
