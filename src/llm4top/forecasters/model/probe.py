"""A probe: a logistic regression over the hidden states of a frozen language model.

One prefill pass gives the hidden states; nothing of the model is trained. Of each layer two
vectors are kept: the state at the prompt's last token, where the answer would begin ("answer"),
and the mean over the prompt's tokens ("mean") but the first, which is the same in every prompt
and on which trained models put states of a hundred times the others' size.
(Alain & Bengio 2016, Understanding intermediate layers using linear classifier probes.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

Pooling = Literal["answer", "mean"]
POOLINGS: tuple[Pooling, ...] = ("answer", "mean")


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A fitted probe of a model with hidden size h, for K labels.

    Attributes:
        layer: The layer whose output it reads, from 1; of the last, after the final norm.
        pooling: Which of that layer's vectors it reads.
        mean, scale: ``[h]`` float32; states are standardised with them.
        coefficients, intercept: ``[K, h]`` and ``[K]`` float32, rows in the task's label order.
    """

    layer: int
    pooling: Pooling
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of the labels, ``[n, K]``, for states ``[n, h]`` of its layer and pooling."""
        # A row at a time sums in the same order whatever the number of rows is.
        standard = (states.astype(np.float64) - self.mean) / self.scale
        weights = self.coefficients.astype(np.float64)
        return np.stack([weights @ row for row in standard]) + self.intercept


def check_logits(logits: NDArray[Any], folder: Path) -> NDArray[np.float64]:
    """The answer logits of the model in ``folder`` as float64; ``ModelError`` if not finite."""
    if not np.isfinite(logits).all():
        raise ModelError(
            "the answer logits are not finite numbers.",
            where=str(folder),
            hint="The weights are broken or the number type overflows: try dtype float32.",
        )
    return np.asarray(logits, dtype=np.float64)


class _Enough(Exception):  # noqa: N818 - ends a forward pass, no error
    """No layer after this one is wanted."""


def pooled_states(model: Any, input_ids: Tensor, lengths: Tensor, layers: Sequence[int]) -> Tensor:
    """Hidden states of some layers, pooled: float32 ``[batch, layers, 2, h]``.

    Nothing after the last of ``layers`` is computed. Prompts are padded on the right without a
    mask, as for ``answer_logits``, and no state of a padded position is read.

    Args:
        model: A Hugging Face causal LM.
        input_ids: ``[batch, longest]``.
        lengths: ``[batch]``.
        layers: Numbers from 1 to ``layer_count(model)``, ascending.
    """
    import torch
    from torch import Tensor

    from llm4top.forecasters.model.products import quick_products

    decoder = model.get_decoder()
    blocks = _blocks(model)
    counts = [int(n) for n in lengths]
    found: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            found[layer] = _pooled(output if isinstance(output, Tensor) else output[0], counts)
            if layer == layers[-1]:
                raise _Enough

        return hook

    inner = [layer for layer in layers if layer < len(blocks)]
    handles = [blocks[layer - 1].register_forward_hook(keep(layer)) for layer in inner]
    try:
        with quick_products(input_ids.device.type):
            last = decoder(input_ids=input_ids, use_cache=False).last_hidden_state
        found[len(blocks)] = _pooled(last, counts)
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack([found[layer] for layer in layers], dim=1)


def layer_count(model: Any) -> int:
    """How many layers a causal LM has; ``ModelError`` where they cannot be found."""
    return len(_blocks(model))


def _blocks(model: Any) -> nn.ModuleList:
    from torch import nn

    layers = int(model.config.get_text_config().num_hidden_layers)
    for module in model.get_decoder().modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return module
    raise ModelError(
        "the model's layers cannot be found, so no probe can read their states.",
        hint="Choose another base model, or tuning: lora; Qwen3 is the tested family.",
    )


def _pooled(hidden: Tensor, counts: Sequence[int]) -> Tensor:
    """Both poolings ``[batch, 2, h]`` of ``[batch, longest, h]``; padding is never touched."""
    import torch

    rows = [
        torch.stack((row[n - 1].float(), row[min(1, n - 1) : n].float().mean(dim=0)))
        for row, n in zip(hidden, counts, strict=True)
    ]
    return torch.stack(rows)
