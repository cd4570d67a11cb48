"""The process with the models, seen from here: batches in, items out, restarted when it dies."""

import gc
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import psutil

from llm4top.errors import LLM4TOPError, ServiceError
from llm4top.workspace.serving.ipc import (
    Child,
    ChildDiedError,
    ChildSlowError,
    Message,
    error_from_wire,
)
from llm4top.workspace.serving.trial_work import Work

_MODULE = "llm4top.workspace.serving.scoring_child"
_SHARE_OF_MEMORY = 0.4
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scored:
    """A batch's answer: items and refusals as JSON-able values, by position in the batch.

    ``seconds`` is what forecasting took, the loading of the bundle left out.
    """

    items: tuple[tuple[int, Message], ...]
    refusals: tuple[tuple[int, Message], ...]
    identity: str
    seconds: float


class Scorer:
    """The process that holds the models; started at the first batch, one batch at a time.

    ``memory_bytes`` bounds the weights it keeps together (None: two fifths of the machine's
    memory); ``seconds`` bounds one batch, loading its bundle included.
    """

    def __init__(
        self, *, memory_bytes: int | None = None, device: str = "auto", seconds: float = 600.0
    ):
        self._memory = memory_bytes or int(psutil.virtual_memory().total * _SHARE_OF_MEMORY)
        self._device = device
        self.seconds = seconds
        self._child: Child | None = None
        self.starts = 0
        self.loaded: tuple[str, ...] = ()

    @property
    def pid(self) -> int | None:
        """The process's id, None where there is none."""
        return self._child.pid if self._child is not None else None

    def score(
        self, bundle: str, records: Sequence[Message], base_rate: str | None = None
    ) -> Scored:
        """Forecast a batch, adapted to ``base_rate`` where one is given.

        Without records the bundle is loaded and nothing else.

        Raises what loading the bundle raises, what a single record's forecast raises, and
        ``ServiceError`` where the process dies, hangs or fails unexpectedly.
        """
        answer = self._answer({"bundle": bundle, "records": list(records), "base_rate": base_rate})
        return Scored(
            tuple((n, values) for n, values in answer["items"]),
            tuple((n, values) for n, values in answer["refusals"]),
            answer["bundle"],
            answer["seconds"],
        )

    def work(self, bundle: str, record: Message, work: Work) -> Message:
        """What ``work`` on the record gives; raises what its function and ``score`` raise."""
        message = {"bundle": bundle, "records": [record], "work": work.to_wire()}
        result: Message = self._answer(message)["result"]
        return result

    def _answer(self, message: Message) -> Message:
        child = self._running()
        try:
            child.send(message)
            answer, _ = child.receive(time.monotonic() + self.seconds)
        except ChildDiedError as death:
            self.close()
            raise ServiceError(
                f"the process that forecasts stopped: {death}.",
                hint="It is started again by itself. If it happens again, memory may be short: "
                "choose a smaller model or close other programs.",
            ) from death
        except ChildSlowError:
            self.close()
            raise ServiceError(
                f"the process that forecasts gave no answer in {self.seconds:g} seconds.",
                hint="It is started again by itself. Use a smaller model or a run.",
            ) from None
        self._raise_if_failed(answer)
        self.loaded = tuple(answer["loaded"])
        return answer

    def close(self) -> None:
        """End the process; the next batch starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None
            self.loaded = ()

    def _running(self) -> Child:
        if self._child is None or not self._child.alive:
            self.close()
            self._child = Child(_MODULE, [str(self._memory), self._device])
            self.starts += 1
        return self._child

    def _raise_if_failed(self, answer: Message) -> None:
        if "error" in answer:
            raise error_from_wire(answer["error"])
        if "fault" in answer:
            _LOG.error("a forecast failed:\n%s", answer["trace"])
            raise LLM4TOPError(
                f"the forecast failed for a reason we did not foresee ({answer['fault']}).",
                hint="The log has the details; please report it.",
            )


@cache
def learn_to_read_answers() -> None:
    """What an answer is read into brings torch along: that belongs to warming up as well."""
    import llm4top.forecasters.forecast  # noqa: F401

    # A quarter of a million objects that stay: walking them took each garbage collection 0.3 s.
    gc.freeze()
