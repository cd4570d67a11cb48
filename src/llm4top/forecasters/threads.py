"""Sums on one thread: how a sum is split among threads shows in its last bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra and OpenMP loops inside run on one thread, so equal inputs give equal bits.

    What torch computes is not limited: it keeps threads of its own.
    """
    with threadpool_limits(limits=1):
        yield
