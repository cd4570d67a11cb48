"""From trials to answer logits with a small model and its probe, without torch.

It stands in the place of a ``TrialScorer`` and gives what that gives, to a millionth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm4top.forecasters.model.light_forward import LightModel
from llm4top.forecasters.model.probe import Probe, check_logits
from llm4top.forecasters.model.tokenizer import FastTokenizer, answer_token_ids
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.forecasters.model.base_model import BaseModel

_AT_ONCE = 64


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
        probe, ids = self.probe, [prompt.token_ids for prompt in prompts]
        found = np.empty((len(ids), self.light.hidden_size), np.float32)
        ends = np.cumsum([len(one) for one in ids]).tolist()
        for i, states in enumerate(self.light.states(ids, probe.layer)):
            pooled = states[1 if len(states) > 1 else 0 :].mean(axis=0, dtype=np.float64)
            found[i] = states[-1] if probe.pooling == "answer" else pooled
            if on_progress is not None and ((i + 1) % _AT_ONCE == 0 or i + 1 == len(ids)):
                tokens = {"tokens": ends[i], "total_tokens": ends[-1]}
                on_progress(Progress("forecast", i + 1, len(ids), figures=tokens))
        return check_logits(probe.logits(found), self.folder)
