"""Whether the answer head may be read from a model at all.

The answer head takes the last hidden state times rows of the output embedding. Some architectures
do more on the way to their logits (they scale or cap them), or let a token see what follows it.
The head would then give other numbers than the model: such a model is refused when it is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llm4top.errors import ModelError
from llm4top.forecasters._answer_head import answer_logits

_SHORT, _LONG = 5, 9
_ROWS = 64
_SCALES = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 5e-3}


@torch.no_grad()
def check_answer_head(model: Any, folder: Path) -> None:
    """Compare the answer head with the model's own logits on a short and a padded prompt.

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
    ours = answer_logits(model, batch, lengths, rows.tolist())
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

    def __enter__(self) -> _HeadWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


def _unlike(reason: str, folder: Path) -> ModelError:
    return ModelError(
        f"the answer head cannot read this architecture: {reason}.",
        where=str(folder),
        hint="Choose another base model; Qwen3 is the tested family.",
    )
