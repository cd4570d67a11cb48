"""One request for forecasts on its way through the service."""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llm4top.errors import LLM4TOPError, NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.forecasters.same_trials import mark_same_trials
from llm4top.progress import OnProgress, Progress
from llm4top.workspace.serving.ipc import Message
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.serving.scorer import Scored
from llm4top.workspace.serving.trial_work import Work


@dataclass(frozen=True, slots=True)
class ForecastResult:
    """All of an upload: ``items`` in the order of its records, ``refusals`` as they came.

    ``bundle`` is the bundle's identity, None where nothing was forecast; ``seconds`` passed from
    the request to the result. ``files`` says for each item which of the request's files it is
    from, by position. ``notes`` say what else should be known of the files: pages of a search
    that are missing, files that were passed over.
    """

    items: tuple[Forecast, ...]
    refusals: tuple[Refusal, ...]
    bundle: str | None
    seconds: float
    files: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


Stage = Literal["waiting", "reading", "forecasting"]


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file to forecast: its path, what the user calls it, and its upload's id."""

    path: Path
    name: str
    upload_id: str | None = None

    @property
    def size(self) -> int:
        """Its bytes; 0 for one that is gone, which is refused when it is read."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@dataclass(slots=True, eq=False)
class ForecastRequest:
    """Files of one client for one bundle, and what has become of them so far.

    ``base_rate`` is the text of a target base rate, None where forecasts are not adapted. With
    ``work`` the result is not forecasts but what the work on the one record gives.
    ``future`` holds the result, or the error. The service changes it under its lock.
    """

    files: Sequence[UploadedFile]
    client: str
    bundle: str
    on_progress: OnProgress | None
    base_rate: str | None = None
    work: Work | None = None
    future: Future[Any] = field(default_factory=Future)
    begun: float = field(default_factory=time.monotonic)
    records: int = 0
    answered: int = 0
    identity: str | None = None
    items: dict[int, tuple[Forecast, int]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether it is done, failed or withdrawn."""
        return self.future.done()

    def tell(self, stage: Stage, *, ahead: int = 0) -> None:
        """Report progress; a listener that fails does not stop the forecast."""
        if self.on_progress is None or self.ended:
            return
        try:
            waiting = {"ahead": ahead}  # requests that were queued before this one
            self.on_progress(Progress(stage, self.answered, self.records, figures=waiting))
        except Exception:
            _LOG.exception("a listener to a forecast's progress failed")
            self.on_progress = None

    def succeed(self, answer: Message | None = None) -> None:
        """Set the result, or the ``answer`` to work, unless the request was withdrawn."""
        with suppress(InvalidStateError):
            self.future.set_result(self._result() if answer is None else answer)

    def fail(self, error: BaseException) -> None:
        """Set the error, unless the request was withdrawn."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def _result(self) -> ForecastResult:
        """What it has come to."""
        found = [self.items[n] for n in sorted(self.items)]
        return ForecastResult(
            items=tuple(mark_same_trials(item for item, _ in found)),
            refusals=tuple(self.refusals),
            notes=tuple(self.notes),
            bundle=self.identity,
            seconds=time.monotonic() - self.begun,
            files=tuple(file for _, file in found),
        )


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """One record that waits to be forecast: its place in its request, and its file's."""

    request: ForecastRequest
    position: int
    file: int
    record: Message
    bytes: int
    tries: int = 0


def keep_answers(batch: Sequence[WaitingRecord], scored: Scored) -> None:
    """Forecasts and refusals of a batch into its requests; those that are complete end."""
    for n, values in scored.items:
        forecast = Forecast.from_dict(values)
        batch[n].request.items[batch[n].position] = (forecast, batch[n].file)
    for n, values in scored.refusals:
        source = batch[n].record["source"]
        name = "!".join(part for part in (source["file"], source["member"]) if part)
        refusal = Refusal(
            name,
            values["code"],
            values["message"],
            values["hint"],
            subject=values.get("subject"),
        )
        batch[n].request.refusals.append(refusal)
    for waiting in batch:
        waiting.request.answered += 1
        waiting.request.identity = scored.identity
    for request in {waiting.request for waiting in batch}:
        request.tell("forecasting")
        if request.answered == request.records:
            request.succeed()


def no_record(request: ForecastRequest) -> LLM4TOPError:
    """Why the record that work was asked for is not there."""
    names = ", ".join(file.name for file in request.files)
    if request.refusals:
        refusal = request.refusals[0]
        return NotFoundError(refusal.reason, where=refusal.record, hint=refusal.hint)
    return NotFoundError("the record is not in this file.", where=names)


def on_this_loop(on_progress: OnProgress) -> OnProgress:
    """``on_progress``, called on the event loop that runs now."""
    loop = asyncio.get_running_loop()

    def tell(progress: Progress) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(on_progress, progress)

    return tell
