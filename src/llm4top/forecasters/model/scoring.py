"""From trials to answer logits: prompts, batches, one prefill pass each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llm4top.errors import ModelError
from llm4top.forecasters.model.answer_head import answer_logits, pad_right
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.device import Device, empty_caches, free_memory
from llm4top.forecasters.model.probe import POOLINGS, Probe, check_logits, pooled_states
from llm4top.forecasters.model.tokenizer import answer_token_ids
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.forecasters.model.shared_base import Adapter

MAX_BATCH_TOKENS = 65_536
"""The default budget's upper end: beyond it a GPU gains no speed."""
MAX_BATCH_TOKENS_CPU = 2_048
"""The same on a CPU, whose caches larger batches overflow."""
_SHARE_OF_FREE_MEMORY = 0.5


def plan_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Positions in ``lengths`` as batches, the longest prompts first.

    A batch's padded size, its longest length times its count, is at most ``budget``; a prompt
    that alone is longer makes a batch of its own. Every position occurs once.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        last = batches[-1] if batches else []
        if last and lengths[last[0]] * (len(last) + 1) <= budget:
            last.append(index)
        else:
            batches.append([index])
    return batches


def run_batches(
    prompts: Sequence[Sequence[int]],
    budget: int,
    score: Callable[[Sequence[Sequence[int]]], Tensor],
    *,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """``score`` over all prompts in batches; its rows in the order of ``prompts``.

    ``score`` takes some prompts and gives one row for each, on the CPU. Where it runs out of
    memory the budget is halved and the rest goes on with it. Raises ``ModelError`` where a single
    prompt does not fit. The longest prompts go first, so memory runs out early or not at all.
    """
    if not prompts:
        return torch.empty(0)
    lengths = [len(prompt) for prompt in prompts]
    rows: list[Tensor | None] = [None] * len(prompts)
    waiting = deque(plan_batches(lengths, budget))
    done_prompts = done_tokens = 0
    while waiting:
        batch = waiting.popleft()
        scored = _try(score, [prompts[i] for i in batch])
        if scored is None:
            padded = lengths[batch[0]] * len(batch)
            if len(batch) == 1:
                raise ModelError(
                    f"memory runs out on a single prompt of {padded} tokens.",
                    hint="Lower the prompt's token budget (--max-tokens), load the model in 4 bits "
                    "(--quantize 4bit), or choose another device (--device).",
                )
            budget = min(budget, padded) // 2
            left = [i for part in (batch, *waiting) for i in part]
            plan = plan_batches([lengths[i] for i in left], budget)
            waiting = deque([left[i] for i in part] for part in plan)
            continue
        for i, row in zip(batch, scored, strict=True):
            rows[i] = row
        done_prompts += len(batch)
        done_tokens += sum(lengths[i] for i in batch)
        if on_progress is not None:
            tokens = {"tokens": done_tokens, "total_tokens": sum(lengths)}
            on_progress(Progress("forecast", done_prompts, len(prompts), figures=tokens))
    return torch.stack([row for row in rows if row is not None])


def default_budget(model: Any, device: Device) -> int:
    """Padded tokens a batch may hold: what half of the device's free memory carries.

    A token in a forward pass without a cache keeps, in the model's type, about four rows of the
    MLP's width and twelve of the hidden width; it never has a row of the vocabulary. Between one
    token and ``MAX_BATCH_TOKENS`` (``MAX_BATCH_TOKENS_CPU`` on a CPU).
    """
    config = model.config.get_text_config()
    hidden = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", None) or 4 * hidden)
    # Heads may be wider together than the hidden state is (Qwen3: 32 heads of 128 in 4096).
    heads = int(getattr(config, "num_attention_heads", 0) or 0)
    wide = max(hidden, heads * int(getattr(config, "head_dim", 0) or 0))
    # Some steps compute in float32 whatever the model's type.
    per_token = (4 * inner + 12 * wide) * 4
    most = MAX_BATCH_TOKENS_CPU if device.kind == "cpu" else MAX_BATCH_TOKENS
    return max(min(int(free_memory(device) * _SHARE_OF_FREE_MEMORY) // per_token, most), 1)


def _try(
    score: Callable[[Sequence[Sequence[int]]], Tensor], batch: Sequence[Sequence[int]]
) -> Tensor | None:
    """The batch's rows, or None where memory ran out."""
    try:
        return score(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler, where the traceback no longer holds the pass's tensors.
    empty_caches()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, as CUDA, MPS or the CPU's allocator say it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text
        for sign in (
            "out of memory",
            "DefaultCPUAllocator: can't allocate memory",
            "DefaultCPUAllocator: not enough memory",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "Invalid buffer size",
        )
    )


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


@torch.inference_mode()
def prompt_states(
    model: Any,
    prompts: Sequence[Sequence[int]],
    layers: Sequence[int],
    *,
    budget: int,
    autocast: bool = False,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Pooled hidden states of prompts: float32 ``[prompts, layers, 2, h]`` on the CPU.

    ``layers`` and the poolings are those of ``pooled_states``; ``autocast`` computes in bfloat16
    over weights of whatever type. The rest is as for ``score_prompts``.
    """
    device = model.get_input_embeddings().weight.device

    def score(batch: Sequence[Sequence[int]]) -> Tensor:
        padded, lengths = pad_right(batch, pad_id=0)
        low = torch.autocast(device.type, dtype=torch.bfloat16) if autocast else nullcontext()
        with low:
            return pooled_states(model, padded.to(device), lengths, layers).cpu()

    return run_batches(prompts, budget, score, on_progress=on_progress)


class TrialScorer:
    """A model with a task's question: trials in, answer logits out.

    ``model`` is ``base.model`` or what fine-tuning made of it. ``writer`` writes the prompts where
    that is another than the plain one of ``spec`` (it goes by ``spec`` too). With a ``probe`` the
    logits are the probe's, and the model is computed up to the probe's layer only.

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
        # In 8 bits, which columns have outliers would depend on the prompts beside it.
        self.batch_tokens = 1 if base.quantize == "8bit" else batch_tokens
        self.probe: Probe | None = None
        self.adapter: Adapter | None = None
        """Where ``model`` is shared with other scorers, what it computes with for this one."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the model's weights in memory."""
        if self.adapter is not None:
            return self.adapter.base_bytes + self.adapter.bytes
        return sum(int(w.numel() * w.element_size()) for w in self.model.parameters())

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
        ids = [prompt.token_ids for prompt in prompts]
        if self.probe is None or not ids:
            with nullcontext() if self.adapter is None else self.adapter.at_work():
                scored = score_prompts(
                    self.model, ids, self.answer_ids, budget=budget, on_progress=on_progress
                )
            logits = scored.double().numpy()
        else:
            layers, pooling = (self.probe.layer,), POOLINGS.index(self.probe.pooling)
            states = prompt_states(self.model, ids, layers, budget=budget, on_progress=on_progress)
            logits = self.probe.logits(states[:, 0, pooling].numpy())
        return check_logits(logits, self.base.folder)
