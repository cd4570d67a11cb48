"""From trials to answer logits: prompts, batches, one prefill pass each."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llm4top.errors import ModelError
from llm4top.forecasters.model.answer_head import answer_logits, answer_token_ids, pad_right
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.batching import default_budget, run_batches
from llm4top.progress import OnProgress
from llm4top.prompts.prompt import Prompt, PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task


@torch.inference_mode()
def score_prompts(
    model: Any,
    prompts: Sequence[Sequence[int]],
    answer_ids: Sequence[int],
    *,
    budget: int,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Answer logits of prompts of any lengths: float32 ``[prompts, labels]`` on the CPU.

    ``budget`` bounds the padded tokens of a batch and shrinks where memory runs out; it changes
    the speed, not the result (1e-4 in float32).
    """
    device = model.get_input_embeddings().weight.device

    def score(batch: Sequence[Sequence[int]]) -> Tensor:
        padded, lengths = pad_right(batch, pad_id=0)
        return answer_logits(model, padded.to(device), lengths, answer_ids).cpu()

    if not prompts:
        return torch.empty(0, len(answer_ids))
    return run_batches(prompts, budget, score, on_progress=on_progress)


class TrialScorer:
    """A model with a task's question: trials in, answer logits out.

    ``model`` is ``base.model`` or what fine-tuning made of it. ``writer`` writes the prompts where
    that is another than the plain one of ``spec`` (it goes by ``spec`` too).

    Raises ``AnswerTokenError`` where the tokenizer cannot say the answers and ``ModelError`` where
    the model cannot take as many tokens as ``spec`` allows.
    """

    def __init__(
        self,
        base: BaseModel,
        task: Task,
        spec: PromptSpec,
        *,
        batch_tokens: int | None = None,
        writer: PromptWriter | None = None,
    ):
        limit = base.context_length
        if limit is not None and spec.max_tokens > limit:
            raise ModelError(
                f"prompts may take {spec.max_tokens} tokens, but the model takes {limit}.",
                where=str(base.folder),
                hint="Lower the prompt's token budget (max_tokens).",
            )
        self.base = base
        self.model = base.model
        self.task = task
        self.writer = writer or PromptWriter(base.tokenizer, task, spec)
        self.answer_ids = answer_token_ids(base.tokenizer, task)
        self.batch_tokens = batch_tokens

    def prompts(self, trials: Iterable[Trial]) -> list[Prompt]:
        """The trials as the model reads them."""
        return [self.writer.write(trial) for trial in trials]

    def logits(
        self, prompts: Sequence[Prompt], *, on_progress: OnProgress | None = None
    ) -> NDArray[np.float64]:
        """Answer logits ``[prompts, labels]``, a column a label of the task.

        Raises ``ModelError`` where they are not finite, and where one prompt does not fit.
        """
        budget = self.batch_tokens or default_budget(self.model, self.base.device)
        logits = score_prompts(
            self.model,
            [prompt.token_ids for prompt in prompts],
            self.answer_ids,
            budget=budget,
            on_progress=on_progress,
        )
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(
                "the answer logits are not finite numbers.",
                where=str(self.base.folder),
                hint="The weights are broken or the number type overflows: try dtype float32.",
            )
        return logits.double().numpy()
