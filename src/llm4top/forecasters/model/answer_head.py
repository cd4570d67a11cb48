"""The answer head: the one way from a prompt to the labels' logits, in training and forecasting.

A causal language model's next-token logits are its last hidden state times the rows of its output
embedding. A forecast needs only the rows of the task's answer tokens, at the one position where
the answer would begin: one prefill pass, no generation, no full-vocabulary logits.

Prompts are padded on the right and no mask is passed: under causal attention a position cannot
see what follows it, so padding cannot change the position that is read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from llm4top.errors import ModelError
from llm4top.forecasters.model.packing import can_pack, packed_states
from llm4top.forecasters.model.products import quick_products
from llm4top.forecasters.model.sharding import is_sharded, read_inside

_SHORT, _LONG = 5, 9
_ROWS = 64
_SCALES = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 5e-3}


@torch.no_grad()
def check_answer_head(model: Any, folder: Path, *, together: bool = True) -> None:
    """Compare the answer head with the model's own logits on a short and a padded prompt.

    Not ``together``: each is a batch of its own, as where prompts of a batch change each other.

    Raises ``ModelError`` where they differ by more than the number type explains.
    """
    head, decoder = model.get_output_embeddings(), model.get_decoder()
    if head is None or decoder is None or getattr(head, "weight", None) is None:
        raise _unlike("it has no output embedding to read the answers from", folder)
    device = head.weight.device
    vocabulary = int(head.weight.shape[0])
    # Any tokens do; spread over the vocabulary, so that neighbours differ.
    ids = (torch.arange(1, 2 * _LONG + 1, device=device) * 7919) % vocabulary
    batch = ids.reshape(2, _LONG)
    lengths = torch.tensor([_SHORT, _LONG], device=device)
    spread = torch.linspace(0, vocabulary - 1, min(_ROWS, vocabulary), device=device)
    rows = torch.unique(spread.long())
    batches = [(batch, lengths)]
    if not together:
        batches = [(row[None, : int(n)], n[None]) for row, n in zip(batch, lengths, strict=True)]
    ours = torch.cat([answer_logits(model, *one, rows.tolist()) for one in batches])
    with _HeadWatch(head) as watch:
        theirs = torch.cat(
            [
                model(input_ids=row[None, : int(n)], use_cache=False, logits_to_keep=1).logits[
                    :, -1
                ]
                for row, n in zip(batch, lengths, strict=True)
            ]
        ).float()
    raw = torch.cat([out[:, -1] for out in watch.outputs]).float() if watch.outputs else theirs
    # bfloat16 hides a gentle cap, so the head's own output is compared to the last bit or two.
    if not torch.allclose(raw, theirs, rtol=1e-6, atol=1e-6):
        raise _unlike("it scales or caps its logits", folder)
    allowed = _SCALES[head.weight.dtype] * max(float(theirs.abs().max()), 1.0)
    if not bool((ours - theirs[:, rows]).abs().max() <= allowed):
        raise _unlike("its tokens see what follows them, or its logits are made otherwise", folder)


class _HeadWatch:
    """Keeps what the output embedding gives while it is watched."""

    def __init__(self, head: Any):
        self.outputs: list[Tensor] = []
        self._handle = head.register_forward_hook(lambda _m, _i, out: self.outputs.append(out))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


def _unlike(reason: str, folder: Path) -> ModelError:
    return ModelError(
        f"the answer head cannot read this architecture: {reason}.",
        where=str(folder),
        hint="Choose another base model; Qwen3 is the tested family.",
    )


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
    if is_sharded(causal_lm):
        sharded: Tensor = causal_lm.read_answers(input_ids, lengths, answer_ids)
        return sharded
    return _read_answers(causal_lm, input_ids, lengths, answer_ids)


def use_sharded(causal_lm: Any) -> None:
    """Let a model that was loaded as shards, see ``sharding``, give ``answer_logits``; in place."""
    read_inside(causal_lm, _read_answers, _read_rows)


def _read_answers(
    causal_lm: Any, input_ids: Tensor, lengths: Tensor, answer_ids: Sequence[int]
) -> Tensor:
    with quick_products(input_ids.device.type):
        last = _last_states(causal_lm, input_ids, lengths)
    head = causal_lm.get_output_embeddings()
    rows = torch.as_tensor(answer_ids, device=head.weight.device)
    if is_sharded(causal_lm):
        # Its weights are there in its own pass only.
        gathered: Tensor = head(last, rows=rows)
        return gathered
    return _read_rows(head, last, rows)


def _read_rows(head: Any, last: Tensor, rows: Tensor) -> Tensor:
    """The logits of some rows of the output embedding, for states ``[batch, h]``."""
    # float32 whatever the model's type: two logits decide everything, and they cost nothing.
    # Autocast would round this product to bfloat16 as well.
    with torch.autocast(last.device.type, enabled=False):
        logits: Tensor = last.float() @ head.weight[rows].float().T
        bias = getattr(head, "bias", None)
        return logits if bias is None else logits + bias[rows].float()


def _last_states(causal_lm: Any, input_ids: Tensor, lengths: Tensor) -> Tensor:
    """The hidden state at each prompt's last token, after the final norm: ``[batch, h]``."""
    decoder = causal_lm.get_decoder()
    if can_pack(causal_lm, input_ids.shape[1]):
        # While training, each row draws a dropout of its own, and shares nothing.
        share = not torch.is_grad_enabled()
        return packed_states(decoder, input_ids, lengths, share=share)
    hidden = decoder(input_ids=input_ids, use_cache=False).last_hidden_state
    rows = torch.arange(len(lengths), device=hidden.device)
    last: Tensor = hidden[rows, lengths.to(hidden.device) - 1]
    return last
