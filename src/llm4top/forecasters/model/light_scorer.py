"""From trials to answer logits with a small model and its probe, without torch.

It stands in the place of a ``TrialScorer`` and gives what that gives, to a millionth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm4top.forecasters.baselines.learners import one_thread
from llm4top.forecasters.model.light_forward import LightModel
from llm4top.forecasters.model.probe import Probe, check_logits
from llm4top.forecasters.model.tokenizer import FastTokenizer, answer_token_ids
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.forecasters.model.base_model import BaseModel

_AT_ONCE = 16
"""Prompts that a thread takes at a time."""


class LightScorer:
    """A small model with a task's question and a probe: trials in, answer logits out.

    Attributes are those of a ``TrialScorer``. ``base`` and ``model`` are for what else asks for
    them (fine-tuning on, another layer's states): transformers loads them then.

    Raises ``AnswerTokenError`` where the tokenizer cannot say the answers.
    """

    batch_tokens: int | None = None

    def __init__(
        self,
        folder: Path,
        light: LightModel,
        tokenizer: FastTokenizer,
        task: Task,
        spec: PromptSpec,
        probe: Probe,
    ):
        self.folder, self.light, self.task, self.probe = folder, light, task, probe
        self.writer = PromptWriter(tokenizer, task, spec)
        self.answer_ids = answer_token_ids(tokenizer, task)

    @cached_property
    def base(self) -> BaseModel:
        """The model as transformers has it, in float32 on the CPU."""
        from llm4top.forecasters.model.base_model import load_base

        return load_base(self.folder, device="cpu", dtype="float32")

    @property
    def model(self) -> Any:
        """The causal language model of transformers."""
        return self.base.model

    @property
    def weight_bytes(self) -> int:
        """Bytes of the model's weights in memory."""
        return self.light.bytes

    def prompts(self, trials: Iterable[Trial]) -> list[Prompt]:
        """The trials as the model reads them."""
        return [self.writer.write(trial) for trial in trials]

    def logits(
        self, prompts: Sequence[Prompt], *, on_progress: OnProgress | None = None
    ) -> NDArray[np.float64]:
        """Answer logits ``[prompts, labels]``; as ``TrialScorer.logits``."""
        if not prompts:
            return np.empty((0, len(self.answer_ids)))
        ids = [prompt.token_ids for prompt in prompts]
        parts = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
        found, done, tokens = [], 0, 0
        # A product this small is slower on several threads: each prompt has one instead.
        with one_thread() as threads, _pool(min(threads, len(parts))) as run:
            for part, states in zip(parts, run(self._pooled, parts), strict=True):
                found.append(states)
                done, tokens = done + len(part), tokens + sum(map(len, part))
                if on_progress is not None:
                    figures = {"tokens": tokens, "total_tokens": sum(map(len, ids))}
                    on_progress(Progress("forecast", done, len(ids), figures=figures))
        return check_logits(self.probe.logits(np.concatenate(found)), self.folder)

    def _pooled(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The states of the probe's layer and pooling, ``[prompts, h]``."""
        found = np.empty((len(ids), self.light.hidden_size), np.float32)
        for row, states in zip(found, self.light.states(ids, self.probe.layer), strict=True):
            if self.probe.pooling == "answer":
                row[:] = states[-1]
            else:
                row[:] = states[1 if len(states) > 1 else 0 :].mean(axis=0, dtype=np.float64)
        return found


@contextmanager
def _pool(threads: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A ``map`` on that many threads; what has not begun when the block ends is left undone."""
    if threads < 2:
        yield map
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
