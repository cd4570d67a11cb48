"""Every error LLM4TOP raises on purpose, in one tree.

LLM4TOPError
├── RegistryError           a registry file cannot be read
│   ├── UnknownFormatError      not a format we know
│   ├── MalformedRecordError    broken XML, JSON or CSV, or a record without its required fields
│   ├── UnsafeRecordError       a DTD, an entity, an external reference, a link, encryption
│   └── LimitError              larger, deeper or more than the limits allow
├── EditError               an edit of a trial cannot be made
├── TaskError               an unknown task, label or label rule
├── DatasetError            a data set cannot be built, read or trusted
│   └── SplitError              splits overlap or are empty
├── PromptError             the question does not fit the token budget
├── ModelError              a base model cannot be used
│   ├── ModelNotFoundError      not on this machine
│   ├── UnsafeModelError        would run code, or is not safetensors
│   ├── AnswerTokenError        an answer is not a single token of the tokenizer
│   └── ServerError             a server with a model gives no answer that can be used
├── BundleError             a bundle cannot be read or written
│   ├── TamperedBundleError     a file does not match the manifest
│   └── UnsafeBundleError       a file that may hold code
├── CalibrationError        the calibration data cannot support a calibration
├── ConfigError             the settings of a run are wrong; all faults at once
├── DraftError              values of a draft are wrong; all faults at once
├── PreflightError          the run would fail on this machine; all reasons at once
├── EvaluationError         scores cannot be measured honestly
│   ├── ScoreError              not probabilities: NaN, out of range, rows that do not line up
│   ├── EmptyClassError         a label that no row has
│   ├── TooFewRowsError         too few rows to measure or to choose by
│   └── SealedTestError         a choice was asked of a test split, or its ledger is damaged
├── TrainingError           a run failed
│   └── ResumeError             a checkpoint does not belong to this run
├── TrackingError           a run cannot be logged there
├── WorkspaceError          the workspace cannot be opened, read or written
│   ├── DatabaseError           its database does not answer; later it works
│   ├── NotFoundError           nothing there has this id
│   ├── UploadError             an upload that is not taken: too large, too many, no disk space
│   ├── JobError                a run cannot do this in the state it is in
│   ├── BusyError               too many requests are waiting; later it works
│   ├── LargeUploadError        more records than are forecast while somebody waits
│   └── ServiceError            the process that forecasts stopped, or is slow beyond measure
├── EngineError             the machines or processes that forecast for others cannot be used
│   └── ShardError              one of them failed at its share of the records
├── StudioError             the Studio cannot be opened
├── DownloadError           a model could not be fetched
└── MissingExtraError       an optional package is absent

Each error says what happened, to which file or field, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence


class LLM4TOPError(Exception):
    """Base class of all errors that a user can fix. A bug is never one of them.

    Attributes:
        message: What happened.
        where: The file or field; None where there is none.
        hint: What to do next; None where the message says it.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None):
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.hint}" if self.hint else text


class RegistryError(LLM4TOPError):
    """A registry file, or one record in it, cannot be read.

    ``file`` names the file (``archive.zip!member.xml`` inside an archive), ``line`` the
    1-based line and ``element`` the element or JSON key, where known.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        element: str | None = None,
        hint: str | None = None,
    ):
        self.file = file
        self.line = line
        self.element = element
        where = file
        if line is not None:
            where += f", line {line}"
        if element is not None:
            where += f", {element}"
        super().__init__(message, where=where, hint=hint)


class UnknownFormatError(RegistryError):
    """The content is none of the formats LLM4TOP reads."""


class MalformedRecordError(RegistryError):
    """Broken XML, JSON or CSV, or a record without the fields every record has."""


class UnsafeRecordError(RegistryError):
    """The file holds something no registry record holds: a DTD, an entity, a link."""


class LimitError(RegistryError):
    """The file is larger, deeper or holds more than the limits allow."""


class EditError(LLM4TOPError):
    """An edit of a trial cannot be made: no such field, line or part, or a value it cannot take."""


class TaskError(LLM4TOPError):
    """An unknown task, label or label rule."""


class DatasetError(LLM4TOPError):
    """A data set cannot be built, read or trusted."""


class SplitError(DatasetError):
    """Splits overlap or are empty."""


class PromptError(LLM4TOPError):
    """The question does not fit the token budget."""


class ModelError(LLM4TOPError):
    """A base model cannot be used."""


class ModelNotFoundError(ModelError):
    """The base model is not on this machine."""


class UnsafeModelError(ModelError):
    """The base model would run code of its own, or its weights are not safetensors."""


class AnswerTokenError(ModelError):
    """An answer of the task is not a single token, or two answers share one."""


class ServerError(ModelError):
    """A server with a model gives no answer, or none that can be used.

    Attributes:
        status: The HTTP status of its answer; None where there was none.
        passing: Whether the same request may work later.
        retry_after: Seconds that the server asked to wait; 0 where it did not.
        row: The position of the prompt among those that were asked together.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        status: int | None = None,
        passing: bool = False,
        retry_after: float = 0.0,
    ):
        super().__init__(message, where=where, hint=hint)
        self.status, self.passing, self.retry_after = status, passing, retry_after
        self.row: int | None = None

    def name_record(self, names: Sequence[str | None]) -> None:
        """Add the name of the record that the failed prompt was about, one of ``names``."""
        name = names[self.row] if self.row is not None else None
        if name:
            self.where = f"{self.where}, record {name}"


class BundleError(LLM4TOPError):
    """A bundle cannot be read or written."""


class TamperedBundleError(BundleError):
    """A file of the bundle does not match its hash in the manifest."""


class UnsafeBundleError(BundleError):
    """The bundle holds a file that may run code when loaded."""


class CalibrationError(LLM4TOPError):
    """The calibration data cannot support a calibration."""


class _ManyFaultsError(LLM4TOPError):
    """An error that reports every fault at once; ``faults`` holds one sentence each."""

    def __init__(self, message: str, faults: Sequence[str], *, hint: str | None = None):
        self.faults = tuple(faults)
        super().__init__("\n  - ".join([message, *self.faults]), hint=hint)

    def __str__(self) -> str:
        # A hint behind the last fault would read as part of it.
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(_ManyFaultsError):
    """The settings of a run are wrong."""


class DraftError(_ManyFaultsError):
    """Values of a draft are none that a registry record may have; all of them at once."""


class PreflightError(_ManyFaultsError):
    """The run would fail on this machine with this data."""


class EvaluationError(LLM4TOPError):
    """Scores cannot be measured honestly."""


class ScoreError(EvaluationError):
    """Scores that are no probabilities, or rows that do not line up."""


class EmptyClassError(EvaluationError):
    """A label of the task that no row has: what is measured against it has no meaning."""


class TooFewRowsError(EvaluationError):
    """Too few rows to measure or to choose by."""


class SealedTestError(EvaluationError):
    """A choice was asked of a test split, or the ledger of looks at it is damaged."""


class TrainingError(LLM4TOPError):
    """A run failed."""


class ResumeError(TrainingError):
    """A checkpoint does not belong to this run."""


class TrackingError(LLM4TOPError):
    """What ``--log-to`` names is no place where runs are logged, or one that was not allowed."""


class WorkspaceError(LLM4TOPError):
    """The workspace cannot be opened, read or written."""


class DatabaseError(WorkspaceError):
    """The database of a workspace does not answer; the same thing works once it does."""


class NotFoundError(WorkspaceError):
    """Nothing in the workspace has this id."""


class UploadError(WorkspaceError):
    """An upload is not taken: it is too large, there are too many, or the disk is full."""


class JobError(WorkspaceError):
    """A run cannot do what is asked in the state it is in."""


class BusyError(WorkspaceError):
    """Too many requests are waiting; the same request works later."""


class LargeUploadError(WorkspaceError):
    """An upload with more records than are forecast while somebody waits: it needs a run."""


class ServiceError(WorkspaceError):
    """The process that forecasts stopped, or did not answer in time."""


class EngineError(LLM4TOPError):
    """The machines or processes that forecast for others cannot be used."""


class ShardError(EngineError):
    """One of them failed at its share of the records; what is finished stays."""


class StudioError(LLM4TOPError):
    """The Studio cannot be opened at this address."""


class DownloadError(LLM4TOPError):
    """A model could not be fetched."""


class MissingExtraError(LLM4TOPError):
    """An optional package is absent; the hint holds the command that installs it."""
