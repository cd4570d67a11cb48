"""Immediate forecasts: records in, forecasts out, from models that stay loaded.

Two processes do the work. One reads uploads within limits of memory and time; one holds the models
and forecasts small batches. Batches are filled round robin over clients, so a client with a
hundred records waits longer than a client with one, and never the other way round.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Self

from llm4top.errors import BusyError, LargeUploadError, LLM4TOPError, ServiceError
from llm4top.progress import OnProgress
from llm4top.registry.trial import ReadNote, Record
from llm4top.text import thousands
from llm4top.workspace.serving.fair_queue import FairQueue, ServiceLimits, ServiceState
from llm4top.workspace.serving.ipc import Message, record_to_wire
from llm4top.workspace.serving.parsing import RawRecord, Refusal, UploadReader
from llm4top.workspace.serving.request import (
    ForecastRequest,
    ForecastResult,
    UploadedFile,
    WaitingRecord,
    keep_answers,
    no_record,
    on_this_loop,
)
from llm4top.workspace.serving.scorer import Scored, Scorer, learn_to_read_answers
from llm4top.workspace.serving.trial_work import Work

_LOG = logging.getLogger(__name__)
_TRIES = 2
"""A record on which the process died this often is refused; the first time may be chance."""


class ForecastService:
    """Warm forecasts for many clients; a context manager.

    Every public method may be called from any thread. ``forecast`` never blocks an event loop.
    """

    def __init__(
        self,
        *,
        limits: ServiceLimits | None = None,
        device: str = "auto",
        memory_bytes: int | None = None,
        answer_seconds: float = 600.0,
    ):
        self.limits = limits or ServiceLimits()
        self._scorer = Scorer(memory_bytes=memory_bytes, device=device, seconds=answer_seconds)
        self._uploads: FairQueue[ForecastRequest] = FairQueue()
        self._records: FairQueue[WaitingRecord] = FairQueue()
        self._open: set[ForecastRequest] = set()
        self._warm: list[tuple[str, Future[str]]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._busy = False
        self._batch_size = 1
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, warm: str | None = None) -> None:
        """Start its threads and readers; ``warm`` names a bundle to load in the background."""
        with self._changed:
            if self._closing:
                raise ServiceError("the forecast service has been closed.")
            if not self._threads:
                works = [self._read_uploads] * self.limits.readers + [self._score_records]
                self._threads = [threading.Thread(target=work, daemon=True) for work in works]
                for thread in self._threads:
                    thread.start()
        if warm is not None:
            self.warm(warm)

    def warm(self, bundle: str) -> Future[str]:
        """Load a bundle; the future holds its identity, or what loading raised."""
        self.start()
        future: Future[str] = Future()
        with self._changed:
            self._warm.append((bundle, future))
            self._changed.notify_all()
        return future

    def close(self) -> None:
        """End its processes; what still waits ends with ``ServiceError``."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            left = list(self._open)
            self._open.clear()
            warming = [future for _, future in self._warm]
            self._warm.clear()
        stopped = ServiceError("the Studio is being closed.", hint="Start it again.")
        for request in left:
            request.fail(stopped)
        for future in warming:
            future.set_exception(stopped)
        # Ended first, so that no thread goes on waiting for it.
        self._scorer.close()
        for thread in self._threads:
            thread.join(5)
        self._scorer.close()

    @property
    def state(self) -> ServiceState:
        """How it is doing now."""
        with self._changed:
            return ServiceState(
                waiting=len(self._open),
                records=len(self._records),
                loaded=self._scorer.loaded,
                starts=self._scorer.starts,
                busy=self._busy,
            )

    def submit(
        self,
        files: Sequence[UploadedFile],
        *,
        client: str,
        bundle: str = "embedded",
        base_rate: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Future[ForecastResult]:
        """Queue a request; cancelling the future takes it out of the queue.

        ``bundle`` is "embedded", a bundle's name or its folder. ``base_rate`` states the shares
        to adapt to, as ``target_rates`` reads them. ``on_progress`` is called from a
        thread of the service. The future raises ``LargeUploadError`` for more records than
        ``limits.records`` and what loading the bundle raises; what is wrong with a record is a
        refusal in the result.

        Raises ``BusyError`` where too many requests wait already, and ``LargeUploadError`` for
        more bytes than ``limits.bytes``.
        """
        self._check_size(files)
        request = ForecastRequest(tuple(files), client, bundle, on_progress, base_rate)
        self._open_request(request)
        with self._changed:
            self._uploads.add(client, request)
            self._changed.notify_all()
        return request.future

    def _open_request(self, request: ForecastRequest) -> None:
        self.start()
        with self._changed:
            self._check_room(request.client)
            ahead = len(self._open)
            self._open.add(request)
        request.future.add_done_callback(lambda _: self._forget(request))
        request.tell("waiting", ahead=ahead)

    async def forecast(
        self,
        files: Sequence[UploadedFile],
        *,
        client: str,
        bundle: str = "embedded",
        base_rate: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> ForecastResult:
        """``submit``, awaited; a cancelled task withdraws the request.

        ``on_progress`` is called on the running event loop.
        """
        listener = None if on_progress is None else on_this_loop(on_progress)
        future = self.submit(
            files, client=client, bundle=bundle, base_rate=base_rate, on_progress=listener
        )
        return await asyncio.wrap_future(future)

    async def ask(
        self,
        kind: str,
        record: UploadedFile | Record,
        arguments: Mapping[str, Any],
        *,
        client: str,
        bundle: str = "embedded",
        sha256: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Message:
        """Work of a ``kind`` in ``KINDS`` on one record; see ``trial_work``.

        Args:
            kind: The kind of work.
            record: A record, or a file with one.
            arguments: JSON-able arguments of the work's function.
            client: Whose turn it takes in the queue.
            bundle: As for ``submit``.
            sha256: The hash of the record's source; None: the file's first record.
            on_progress: As for ``forecast``.

        Returns:
            What the work's function returned.

        Raises:
            LLM4TOPError: What the function or loading the bundle raises, or what is wrong with
                the file; ``BusyError`` where too many requests wait already.
        """
        listener = None if on_progress is None else on_this_loop(on_progress)
        work = Work(kind, arguments, sha256)
        files = () if isinstance(record, Record) else (record,)
        request = ForecastRequest(files, client, bundle, listener, work=work)
        wire = record_to_wire(record) if isinstance(record, Record) else None
        self._open_request(request)
        with self._changed:
            if wire is None:
                self._uploads.add(client, request)
            else:
                self._records.add(client, WaitingRecord(request, 0, 0, wire, 0))
            self._changed.notify_all()
        return await asyncio.wrap_future(request.future)

    def _check_size(self, files: Sequence[UploadedFile]) -> None:
        size = sum(file.size for file in files)
        if size > self.limits.bytes:
            raise LargeUploadError(
                f"{thousands(size)} bytes are more than are forecast at once "
                f"({thousands(self.limits.bytes)}).",
                hint="Forecast them in a run.",
            )

    def _check_room(self, client: str) -> None:
        own = sum(request.client == client for request in self._open)
        if len(self._open) >= self.limits.waiting or own >= self.limits.waiting_of_a_client:
            raise BusyError(
                f"{len(self._open)} requests are waiting, {own} of them yours.",
                hint="Try again in a minute.",
            )

    def _forget(self, request: ForecastRequest) -> None:
        """A request has ended: done, failed or withdrawn."""
        with self._changed:
            self._open.discard(request)
            if request.future.cancelled() or request.future.exception() is not None:
                self._uploads.remove(lambda waiting: waiting is request)
                self._records.remove(lambda waiting: waiting.request is request)
            self._changed.notify_all()

    def _read_uploads(self) -> None:
        """A thread: one upload after the other, in turn of their clients."""
        reader = UploadReader(replace(self.limits.parsing, max_records=self.limits.records))
        reader.start()
        try:
            while (request := self._next_upload()) is not None:
                try:
                    self._read(reader, request)
                except LLM4TOPError as error:
                    request.fail(error)
                except Exception as error:
                    _LOG.exception("an upload could not be read")
                    request.fail(error)
        finally:
            reader.close()

    def _next_upload(self) -> ForecastRequest | None:
        """Wait for the next upload to read; None when the service is closed."""
        with self._changed:
            while not self._closing:
                if sum(waiting.bytes for waiting in self._records) < self.limits.held_bytes:
                    request = self._uploads.take(self._may_be_read)
                    if request is not None:
                        return request
                self._changed.wait()
        return None

    def _may_be_read(self, request: ForecastRequest) -> bool:
        """Whether few enough of its client's records wait already; the others go past it."""
        return self._records.waiting(request.client) < self.limits.records

    def _read(self, reader: UploadReader, request: ForecastRequest) -> None:
        """All records of a request, then into the queue; the whole is refused if it is too many."""
        request.tell("reading")
        one = request.work
        found: list[WaitingRecord] = []
        for number, file in enumerate(request.files):
            for item in reader.read_raw(file.path, file.name, every=one is not None):
                if request.ended:
                    return
                if isinstance(item, Refusal):
                    request.refusals.append(item)
                elif isinstance(item, ReadNote):
                    request.notes.append(str(item))
                elif isinstance(item, RawRecord):
                    if one is not None and (found or not one.is_about(item.values)):
                        continue
                    place = len(found)
                    found.append(WaitingRecord(request, place, number, item.values, item.bytes))
                elif item.more:
                    raise self._too_many()
            if len(found) > self.limits.records:
                raise self._too_many()
        request.records = len(found)
        if not found:
            if one is not None:
                raise no_record(request)
            request.succeed()
            return
        request.tell("forecasting")
        with self._changed:
            for waiting in found:
                self._records.add(request.client, waiting)
            self._changed.notify_all()

    def _too_many(self) -> LargeUploadError:
        return LargeUploadError(
            f"more than {self.limits.records} records are not forecast at once.",
            hint="Forecast them in a run.",
        )

    def _score_records(self) -> None:
        """A thread: one batch after the other."""
        while True:
            with self._changed:
                while not (self._closing or self._warm or len(self._records)):
                    self._changed.wait()
                if self._closing:
                    return
                warming = self._warm.pop(0) if self._warm else None
                batch = [] if warming else self._batch()
                self._busy = True
            if warming is not None:
                self._load(*warming)
            elif batch:
                self._score(batch)
            with self._changed:
                self._busy = False

    def _batch(self) -> list[WaitingRecord]:
        """Records of one bundle and base rate, clients in turn; one that failed goes alone."""
        first = self._records.take()
        if first is None or first.tries or first.request.work is not None:
            return [first] if first else []
        asked, batch = (first.request.bundle, first.request.base_rate), [first]

        def fits(waiting: WaitingRecord) -> bool:
            request = waiting.request
            alone = waiting.tries or request.work is not None
            return (request.bundle, request.base_rate) == asked and not alone

        while len(batch) < self._batch_size:
            more = self._records.take(fits)
            if more is None:
                break
            batch.append(more)
        self._changed.notify_all()
        return batch

    def _load(self, bundle: str, future: Future[str]) -> None:
        learn_to_read_answers()
        try:
            future.set_result(self._scorer.score(bundle, []).identity)
        except LLM4TOPError as error:
            future.set_exception(error)

    def _score(self, batch: Sequence[WaitingRecord]) -> None:
        wanted = [waiting for waiting in batch if not waiting.request.ended]
        if not wanted:
            return
        try:
            request = wanted[0].request
            if request.work is not None:
                request.succeed(self._scorer.work(request.bundle, wanted[0].record, request.work))
                return
            records = [waiting.record for waiting in wanted]
            scored = self._scorer.score(request.bundle, records, request.base_rate)
        except ServiceError as error:
            self._again(wanted, error)
        except LLM4TOPError as error:
            for request in {waiting.request for waiting in wanted}:
                request.fail(error)
        else:
            self._keep(wanted, scored)

    def _again(self, batch: Sequence[WaitingRecord], error: ServiceError) -> None:
        """The process died: each record is tried once more, alone."""
        for waiting in batch:
            if waiting.tries + 1 >= _TRIES or self._closing:
                waiting.request.fail(error)
                continue
            with self._changed:
                again = replace(waiting, tries=waiting.tries + 1)
                self._records.add(waiting.request.client, again)

    def _keep(self, batch: Sequence[WaitingRecord], scored: Scored) -> None:
        pace = len(batch) / max(scored.seconds, 1e-3)
        self._batch_size = max(1, min(self.limits.batch, int(pace * self.limits.batch_seconds)))
        keep_answers(batch, scored)
