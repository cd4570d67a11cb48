"""How a benchmark tells whoever watches it where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchmarkProgress:
    """Piece ``done`` of ``total`` is being worked on: ``what``.

    ``cached`` says that it was found finished. ``detail`` is how far it is, in words; empty at
    its beginning.
    """

    done: int
    total: int
    what: str
    cached: bool = False
    detail: str = ""


OnBenchmark = Callable[[BenchmarkProgress], None]
