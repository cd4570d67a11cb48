"""The checks before a training, made in a process of their own: torch stays out of the server."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm4top.errors import JobError
from llm4top.workspace._train_plan import PlanCheck

if TYPE_CHECKING:
    from llm4top.training import TrainingConfig

_COMMAND = "from llm4top.workspace._train_plan import main; main()"


class Checker:
    """Makes the checks of one page, one at a time: a newer one ends the one before."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def check(self, config: TrainingConfig) -> Sequence[PlanCheck]:
        """What ``check_plan`` gives. Raises ``JobError`` where it was ended or failed.

        The process ends with its checks, so that it holds no memory and no GPU afterwards.
        """
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        self._process = process
        told, _ = await process.communicate(config.model_dump_json().encode())
        if process.returncode != 0:
            raise JobError(
                "the checks could not be made: their process ended.",
                hint="Change a setting to try again; there may be too little memory.",
            )
        return [PlanCheck(**check) for check in json.loads(told)]
