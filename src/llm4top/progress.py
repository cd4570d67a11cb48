"""How far a piece of work is: one value, one callback, one estimate of the time left."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

READING = "reading"
"""The stage in which the records of a data set are read."""
PAUSE_S = 0.5
"""Seconds without an advance after which what arrived before counts as one whole chunk."""
LONGEST_S = 2.0
"""Seconds after which a chunk is cut although no pause came: work that arrives steadily."""
HALF_LIFE_S = 30.0
"""Seconds, at least, after which a chunk's pace counts half; a quarter of all that was seen."""
REACH = 100.0
"""No estimate is longer than this many times the time on which it rests."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is.

    Attributes:
        stage: What is being done now: "Reading records", "training".
        done: Steps, trials or files of this stage that are finished.
        total: Their number in all; 0 while unknown.
        detail: More about it in words; empty for nothing.
        figures: Measured values by name: ``loss``, ``log_loss``, ``tokens_per_second``,
            ``eta_seconds`` (time left of the stage), ``tokens``, ``total_tokens``, ``kept``,
            ``ahead`` (requests in the queue). A value that is not known yet is absent.
    """

    stage: str
    done: int = 0
    total: int = 0
    detail: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]
"""Called with each progress, often and from the working thread; it should return at once."""


def memory_in_use() -> dict[str, int]:
    """Bytes that this process holds, and on a GPU those that torch has reserved, where it does."""
    import psutil

    found = {"memory": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        found["gpu_memory"] = torch.cuda.memory_reserved()
    return found


def ignore(progress: Progress) -> None:
    """The ``OnProgress`` for callers that do not watch."""


class TimeLeft:
    """Estimates the seconds left of a stage from the chunks in which its work arrives.

    Work that is done in batches is reported in bursts: 64 records at once, then nothing for ten
    seconds. Neither the burst nor the pause alone shows the pace, so only whole chunks count,
    from the end of one to the end of the next. There is no estimate before the second chunk is
    whole (the first one includes loading), nor one longer than ``REACH`` times what was seen.
    The estimate starts anew with each stage.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._stage = ""
        self._done = self._chunk = 0
        self._advanced = self._seen = self._seconds = self._items = 0.0
        self._opened: float | None = None
        self._whole: tuple[float, int] | None = None

    def __call__(self, done: int, total: int, stage: str = "") -> float | None:
        """Add that ``done`` of ``total`` are finished.

        A ``done`` below the last one starts anew, as another stage does.

        Returns:
            The seconds left of the stage, or None while unknown.
        """
        now = self._clock()
        if stage != self._stage or done < self._done:
            self._begin(stage, done)
        if self._opened is not None and (
            now - self._advanced > PAUSE_S or now - self._opened > LONGEST_S
        ):
            self._close()
        if done > self._done:
            self._opened = now if self._opened is None else self._opened
            self._advanced, self._done = now, done
        return self._left(now, total)

    def _begin(self, stage: str, done: int) -> None:
        self._stage, self._done = stage, done
        self._chunk = 0
        self._advanced = self._seen = self._seconds = self._items = 0.0
        self._opened = self._whole = None

    def _close(self) -> None:
        """The chunk that was arriving is whole: its time and size join the pace."""
        if self._whole is not None:
            before, done = self._whole
            seconds = self._advanced - before
            self._chunk = self._done - done
            self._seen += seconds
            weight = 0.5 ** (seconds / max(HALF_LIFE_S, self._seen / 4))
            self._seconds = weight * self._seconds + seconds
            self._items = weight * self._items + self._chunk
        self._whole = (self._advanced, self._done)
        self._opened = None

    def _left(self, now: float, total: int) -> float | None:
        if 0 < total <= self._done:
            return 0.0
        if self._whole is None or not self._items or total <= 0:
            return None
        since, done = self._whole
        pace = self._seconds / self._items
        rest = max(total - done, 0)
        # The time since the last whole chunk counts, up to the chunk that is being worked on.
        left = max(pace * rest - (now - since), pace * (rest - self._chunk), 0.0)
        return left if left <= REACH * self._seen else None
