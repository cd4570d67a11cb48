"""The answer head: the one way from a prompt to the labels' logits, in training and forecasting.

A causal language model's next-token logits are its last hidden state times the rows of its output
embedding. A forecast needs only the rows of the task's answer tokens, at the one position where
the answer would begin: one prefill pass, no generation, no full-vocabulary logits.

Prompts are padded on the right and no mask is passed: under causal attention a position cannot
see what follows it, so padding cannot change the position that is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from llm4top.errors import AnswerTokenError
from llm4top.tasks import Task


def answer_token_ids(tokenizer: Any, task: Task) -> tuple[int, ...]:
    """Token id of each label's answer, in label order.

    Raises ``AnswerTokenError`` where an answer is not one token or two answers share one.
    """
    ids = []
    for answer in task.answers:
        tokens = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if len(tokens) != 1 or tokens[0] == tokenizer.unk_token_id:
            raise AnswerTokenError(
                f"the answer {answer!r} of task {task.name!r} is {len(tokens)} tokens "
                "of this model's tokenizer, or unknown to it.",
                hint="Choose answers that are one token each.",
            )
        ids.append(int(tokens[0]))
    if len(set(ids)) != len(ids):
        raise AnswerTokenError(f"two answers of task {task.name!r} are the same token.")
    return tuple(ids)


def pad_right(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids ``[batch, longest]`` padded on the right, and the true lengths ``[batch]``."""
    lengths = torch.tensor([len(ids) for ids in prompts])
    padded = torch.full((len(prompts), int(lengths.max())), pad_id)
    for row, ids in zip(padded, prompts, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return padded, lengths


def answer_logits(
    model: Any, input_ids: Tensor, lengths: Tensor, answer_ids: Sequence[int]
) -> Tensor:
    """Logits of the answers where each prompt ends: float32 ``[batch, labels]``.

    ``model`` is a Hugging Face causal LM (or a PEFT model around one); ``input_ids`` is
    ``[batch, longest]``, padded on the right, and ``lengths`` is ``[batch]``. Gradients flow.
    """
    causal_lm = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = causal_lm.get_decoder()(input_ids=input_ids, use_cache=False).last_hidden_state
    last = hidden[torch.arange(len(lengths), device=hidden.device), lengths.to(hidden.device) - 1]
    head = causal_lm.get_output_embeddings()
    rows = torch.as_tensor(answer_ids, device=head.weight.device)
    # float32 whatever the model's type: two logits decide everything, and they cost nothing.
    # Autocast would round this product to bfloat16 as well.
    with torch.autocast(last.device.type, enabled=False):
        logits: Tensor = last.float() @ head.weight[rows].float().T
        bias = getattr(head, "bias", None)
        return logits if bias is None else logits + bias[rows].float()
