"""The checks before a training, made in a process of their own: torch stays out of the server."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from llm4top.errors import StudioError
from llm4top.workspace._train_plan import PlanCheck, check_plan

if TYPE_CHECKING:
    from llm4top.training import TrainingConfig


class Checker:
    """One process that makes checks for all pages; it is begun when first needed."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def check(self, config: TrainingConfig) -> Sequence[PlanCheck]:
        """What ``check_plan`` gives. Raises ``StudioError`` where the process was lost."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), initializer=_quietly
            )
        try:
            return await asyncio.wrap_future(self._pool.submit(check_plan, config))
        except BrokenProcessPool:
            self.close()
            raise StudioError(
                "the checks could not be made: their process ended.",
                hint="Change a setting to try again; there may be too little memory.",
            ) from None

    def close(self) -> None:
        """End the process: a GPU that it looked at is free for the training again."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _quietly() -> None:
    # Ctrl-C reaches the whole group; the server ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
