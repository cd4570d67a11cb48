"""Checks and measurements of a training that is being chosen, in processes of their own."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence

from llm4top.errors import JobError
from llm4top.training.config import TrainingConfig
from llm4top.workspace.jobs.train_plan import PlanCheck

_COMMAND = "from llm4top.workspace.jobs.train_plan import main; main()"
_NAMES = {"check": "check", "measure": "measurement"}
_ONE_AT_A_TIME = asyncio.Lock()
"""Measurements of all visitors: each loads a model, and two would slow each other."""


class PlanChecker:
    """Runs the checks and measurements of one page, one at a time: a newer ends the one before.

    Each is a separate process, so that torch takes no memory and no GPU of the server.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = 0

    async def check(self, config: TrainingConfig) -> Sequence[PlanCheck]:
        """The results of ``check_plan``. Raises ``JobError`` if the process was ended or failed."""
        self.end()
        return await self._run("check", config)

    async def measure(self, config: TrainingConfig) -> Sequence[PlanCheck]:
        """The results of ``measure_plan``; waits for other visitors' measurements first.

        Raises ``JobError`` if the process was ended or failed.
        """
        self.end()
        turn = self._turn
        async with _ONE_AT_A_TIME:
            if turn != self._turn:
                raise JobError("the measurement was called off.")
            return await self._run("measure", config)

    def end(self) -> None:
        """End what is running and call off what waits."""
        self._turn += 1
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _run(self, what: str, config: TrainingConfig) -> Sequence[PlanCheck]:
        turn = self._turn
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _COMMAND, what, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        self._process = process
        if turn != self._turn:
            # Called off while it was being started.
            process.kill()
        output, _ = await process.communicate(config.model_dump_json().encode())
        if process.returncode != 0:
            raise JobError(
                f"the {_NAMES[what]} did not finish: the process ended.",
                hint="Change a setting to try again. There may be too little memory.",
            )
        return [PlanCheck(**check) for check in json.loads(output)]
