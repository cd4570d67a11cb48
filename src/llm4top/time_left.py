"""How long a piece of work will still take, judged by what was seen of it."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_S = 0.5
"""Seconds without an advance after which what arrived before counts as one whole chunk."""

LONGEST_S = 2.0
"""Seconds after which a chunk that arrives without such a pause is cut: work in a steady flow."""

HALF_LIFE_S = 30.0
"""Seconds, at least, after which a chunk's pace counts half; a quarter of all that was seen."""

REACH = 100.0
"""No estimate beyond this many times the time on which it rests."""


class TimeLeft:
    """Estimates the seconds left of a stage from the chunks in which its work arrives.

    Work that is done in batches is reported in bursts: 64 records within a moment, then nothing
    for ten seconds. Neither the burst nor the pause alone tells the pace, so only whole chunks
    count, from the end of one to the end of the next. There is no estimate before the second
    chunk is whole (the first one's time holds what loading took), nor one that reaches further
    than ``REACH`` times what was seen. A new stage begins anew: another's pace says nothing
    about it. ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._stage = ""
        self._done = self._chunk = 0
        self._advanced = self._seen = self._seconds = self._items = 0.0
        self._opened: float | None = None
        self._whole: tuple[float, int] | None = None

    def __call__(self, done: int, total: int, stage: str = "") -> float | None:
        """Take in that ``done`` of ``total`` are done; the seconds left, None while unknown.

        A ``done`` below the last one begins anew, as a stage of another name does.
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
            kept = 0.5 ** (seconds / max(HALF_LIFE_S, self._seen / 4))
            self._seconds = kept * self._seconds + seconds
            self._items = kept * self._items + self._chunk
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
        # What has passed since the last whole chunk counts, up to the chunk that is at work.
        left = max(pace * rest - (now - since), pace * (rest - self._chunk), 0.0)
        return left if left <= REACH * self._seen else None
