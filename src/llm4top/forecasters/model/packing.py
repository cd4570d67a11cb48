"""A forward pass without padding, whose last layer is computed only where the answer is read.

The prompts lie end to end in one row of tokens, so no product is spent on padding, and what all of
them begin with lies there once. Attention goes prompt by prompt, on a GPU in one call of torch's
variable-length attention where that works. In the last layer every token still gives a key and a
value, but only the tokens that are read ask: the rest of that layer, most of its work, is theirs
alone.

All of it runs through transformers' own modules. ``use_packing`` gives a model the attention
function and the last layer's forward pass below; without a ``packing`` both do what they did.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

ATTENTION = "llm4top_packed"
"""The name of the attention function in transformers' register."""
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
"""Model types whose decoder layers are of the one make that ``_answer_layer`` knows."""
_LEAST_SHARED = 8


@dataclass(frozen=True, slots=True)
class Packing:
    """How prompts lie in a row of tokens ``[1, shared + sum(lengths)]``.

    Attributes:
        lengths: The tokens of each prompt that are its own; one at least.
        shared: The tokens that come first in the row and in every prompt.
        read: ``[prompts]``, the place in the row of each prompt's last token.
        sequences: The same for attention in one call; None where there is none.
    """

    lengths: tuple[int, ...]
    shared: int
    read: Tensor
    sequences: Sequences | None = None


@dataclass(frozen=True, slots=True)
class Sequences:
    """Queries and keys as variable-length attention takes them: each sequence behind the other.

    What is shared is a sequence of its own, the first; every other has its keys before its own.

    Attributes:
        query_starts, key_starts: int32 ``[sequences + 1]``, where each begins, and where all end.
        longest: The most queries, and the most keys, of a sequence.
        keys: The place in the row of each key; None where each token is a key once, in order.
    """

    query_starts: Tensor
    key_starts: Tensor
    longest: tuple[int, int]
    keys: Tensor | None

    @classmethod
    def of(cls, lengths: Sequence[int], shared: int, device: torch.device) -> Self:
        """The sequences of prompts with so many tokens of their own behind ``shared`` ones."""
        first = [shared] if shared else []
        queries, keys = [*first, *lengths], [*first, *(shared + n for n in lengths)]
        places = None
        if shared:
            own = torch.split(torch.arange(shared, shared + sum(lengths)), list(lengths))
            common = torch.arange(shared)
            places = torch.cat([common, *(part for mine in own for part in (common, mine))])
            places = places.to(device)

        def starts(sizes: Sequence[int]) -> Tensor:
            return torch.tensor([0, *accumulate(sizes)], dtype=torch.int32, device=device)

        return cls(starts(queries), starts(keys), (max(queries), max(keys)), places)


def use_packing(model: Any) -> bool:
    """Let a causal LM take a ``packing``; whether it is of a family that can.

    Changes the model in place. What it computes without a ``packing`` stays as it was.
    """
    config = model.config
    if config.model_type not in FAMILIES or config._attn_implementation not in ("sdpa", ATTENTION):
        return False
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    last = model.get_decoder().layers[-1]
    if "forward" not in vars(last):
        last.forward = partial(_answer_layer, last, last.forward)
    config._attn_implementation = ATTENTION
    return True


def drop_packing(model: Any) -> None:
    """Undo ``use_packing``."""
    model.config._attn_implementation = "sdpa"
    vars(model.get_decoder().layers[-1]).pop("forward", None)


def can_pack(model: Any, longest: int) -> bool:
    """Whether a causal LM takes a ``packing`` of prompts of at most ``longest`` tokens."""
    if getattr(model.config, "_attn_implementation", None) != ATTENTION:
        return False
    window = getattr(model.config, "sliding_window", None)
    return window is None or longest <= window


def packed_states(decoder: Any, input_ids: Tensor, lengths: Tensor, *, share: bool) -> Tensor:
    """The last hidden state of each prompt, after the final norm: ``[prompts, h]``.

    ``input_ids`` ``[prompts, longest]`` are padded on the right and ``lengths`` is ``[prompts]``.
    ``share`` computes what all prompts begin with once.
    """
    counts = lengths.tolist()
    shared = _shared(input_ids, min(counts)) if share else 0
    place = torch.arange(input_ids.shape[1], device=input_ids.device)
    own = (place >= shared) & (place < lengths.to(input_ids.device)[:, None])
    ids = torch.cat((input_ids[0, :shared], input_ids[own]))
    positions = torch.cat((place[:shared], place.expand_as(input_ids)[own]))
    rest = tuple(n - shared for n in counts)
    read = shared - 1 + torch.tensor(rest).cumsum(0).to(ids.device)
    sequences = Sequences.of(rest, shared, ids.device) if ids.is_cuda else None
    out = decoder(
        input_ids=ids[None],
        position_ids=positions[None],
        # A mask of four dimensions is handed on as it is: none is made, and none is needed.
        attention_mask=torch.zeros(1, 1, 1, 1, device=ids.device),
        use_cache=False,
        packing=Packing(rest, shared, read, sequences),
    )
    states: Tensor = out.last_hidden_state[0]
    return states


def _shared(input_ids: Tensor, shortest: int) -> int:
    """How many tokens all rows begin with, each keeping one of its own; 0 where it is not worth it.

    Not worth it: one row alone, or a few tokens.
    """
    if len(input_ids) == 1:
        return 0
    same = (input_ids == input_ids[0]).all(dim=0)[: shortest - 1]
    count = int(same.long().cumprod(0).sum())
    return count if count >= _LEAST_SHARED else 0


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packing: Packing | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: q ``[batch, heads, n, d]`` to ``[batch, n, heads, d]``.

    With a ``packing`` the batch is one row, and each prompt sees itself and what is shared.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if packing is None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
        return out
    dropout, scale = options.get("dropout", 0.0), options.get("scaling")
    whole = query.shape[2] > len(packing.lengths)
    if whole and packing.sequences is not None and not dropout and _one_call_works(query, key):
        return _in_one_call(query, key, value, packing.sequences, scale), None
    return _prompt_by_prompt(query, key, value, packing, dropout=dropout, scale=scale), None


def _prompt_by_prompt(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Packing,
    *,
    dropout: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    attend = partial(
        functional.scaled_dot_product_attention,
        dropout_p=dropout,
        scale=scale,
        enable_gqa=key.shape[1] != query.shape[1],
    )
    asked = query.shape[2] == len(packing.lengths)
    parts = [] if asked or not packing.shared else [_first(attend, query, key, value, packing)]
    start = packing.shared
    for i, n in enumerate(packing.lengths):
        here = slice(start, start + n)
        k, v = (_with_shared(x, here, packing.shared) for x in (key, value))
        if asked:
            parts.append(attend(query[:, :, i : i + 1], k, v))
        elif packing.shared <= n:
            # Asking for the shared part again costs less than a mask, which skips nothing.
            q = _with_shared(query, here, packing.shared)
            parts.append(attend(q, k, v, is_causal=True)[:, :, packing.shared :])
        else:
            mask = torch.ones(n, packing.shared + n, dtype=torch.bool, device=query.device)
            mask = mask.tril(diagonal=packing.shared)
            parts.append(attend(query[:, :, here], k, v, attn_mask=mask))
        start += n
    return torch.cat(parts, dim=2).transpose(1, 2)


def _in_one_call(
    query: Tensor, key: Tensor, value: Tensor, sequences: Sequences, scale: float | None
) -> Tensor:
    """What ``_prompt_by_prompt`` gives where every token asks, ``[1, n, heads, d]``."""
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    if sequences.keys is not None:
        k, v = k[sequences.keys], v[sequences.keys]
    out: Tensor = _variable_length(
        q, k, v, sequences.query_starts, sequences.key_starts, *sequences.longest,
        scale=scale, window_size=(-1, 0), enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    return out[None]


def _variable_length(*args: Any, **options: Any) -> Any:
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn(*args, **options)


def _one_call_works(query: Tensor, key: Tensor) -> bool:
    heads, others = query.shape[1], key.shape[1]
    return _tried(query.device, query.dtype, heads, others, query.shape[3])


@cache
def _tried(device: torch.device, dtype: torch.dtype, heads: int, others: int, width: int) -> bool:
    """Whether torch's variable-length attention is there and gives what it should; tried once.

    That depends on torch, the GPU, the number type and the width of a head.
    """
    if dtype not in (torch.bfloat16, torch.float16):
        return False
    lengths, shared = (7, 3, 1), 5
    chance = torch.Generator(device).manual_seed(0)
    n = shared + sum(lengths)
    sizes = ((1, heads, n, width), (1, others, n, width), (1, others, n, width))
    with torch.inference_mode(False), torch.enable_grad():
        drawn = [torch.randn(s, generator=chance, device=device).to(dtype) for s in sizes]
        q, k, v = (states.requires_grad_() for states in drawn)

        def with_gradients(out: Tensor) -> list[Tensor]:
            return [out, *torch.autograd.grad(out.float().square().sum(), (q, k, v))]

        try:
            sequences = Sequences.of(lengths, shared, device)
            ours = with_gradients(_in_one_call(q, k, v, sequences, None))
        except (ImportError, AttributeError, RuntimeError, TypeError, ValueError):
            return False
        packing = Packing(lengths, shared, torch.empty(0))
        theirs = with_gradients(_prompt_by_prompt(q, k, v, packing))
    return all(bool((a - b).norm() < 0.05 * b.norm()) for a, b in zip(ours, theirs, strict=True))


def _first(
    attend: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor, packing: Packing
) -> Tensor:
    q, k, v = (x[:, :, : packing.shared] for x in (query, key, value))
    return attend(q, k, v, is_causal=True)


def _with_shared(states: Tensor, own: slice, shared: int) -> Tensor:
    """Those of a prompt's own tokens, behind those of the shared ones."""
    mine = states[:, :, own]
    return torch.cat((states[:, :, :shared], mine), dim=2) if shared else mine


def _answer_layer(
    layer: Any,
    whole: Callable[..., Tensor],
    hidden_states: Tensor,
    *args: Any,
    packing: Packing | None = None,
    **options: Any,
) -> Tensor:
    """The last decoder layer: the states that are read, ``[1, prompts, h]``, out of all.

    Without a ``packing`` it is ``whole``, the layer's own forward pass.
    """
    if packing is None:
        return whole(hidden_states, *args, **options)
    attention = layer.self_attn
    asking = hidden_states[:, packing.read]
    normed = layer.input_layernorm(hidden_states)
    query = _heads(attention, "q", normed[:, packing.read])
    key = _heads(attention, "k", normed)
    value = _heads(attention, "v", normed)
    if getattr(attention, "use_rope", True):
        rotate = sys.modules[type(attention).__module__].apply_rotary_pos_emb
        cos, sin = options["position_embeddings"]
        query, _ = rotate(query, query, cos[:, packing.read], sin[:, packing.read])
        key, _ = rotate(key, key, cos, sin)
    dropout = attention.attention_dropout if attention.training else 0.0
    out, _ = _attention(
        attention, query, key, value, None,
        packing=packing, dropout=dropout, scaling=attention.scaling,
    )  # fmt: skip
    asking = asking + attention.o_proj(out.flatten(2))
    after: Tensor = asking + layer.mlp(layer.post_attention_layernorm(asking))
    return after


def _heads(attention: Any, name: str, states: Tensor) -> Tensor:
    """Queries, keys or values ``[1, heads, n, d]``, with the norm that some families put there."""
    out = getattr(attention, f"{name}_proj")(states)
    out = out.view(*states.shape[:-1], -1, attention.head_dim)
    norm = getattr(attention, f"{name}_norm", None)
    heads: Tensor = (out if norm is None else norm(out)).transpose(1, 2)
    return heads
