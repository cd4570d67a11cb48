"""The quick pass gives what the plain one gives: logits and gradients, of each known family."""

from __future__ import annotations

import copy
from itertools import islice
from pathlib import Path

import pytest
import torch
import transformers
from torch.nn import functional

import llm4top
from llm4top.forecasters.finetuning.lora import add_lora, set_activation_checkpointing
from llm4top.forecasters.model import base_model, packing, products
from llm4top.forecasters.model.answer_head import answer_logits, pad_right
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.packing import can_pack, drop_packing, use_packing
from llm4top.forecasters.model.scoring import TrialScorer, score_prompts
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record
from llm4top.tasks.builtin import OUTCOME

ANSWERS = (5, 17, 90, 31)
SMALL = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
}
SCALES = {torch.float32: 1e-4, torch.bfloat16: 5e-3}


def family(name: str, **options: object) -> torch.nn.Module:
    """A random model with weights large enough for attention to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = getattr(transformers, f"{name}Config")(**SMALL, **options)
        model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.1)
    return model


def prompts(shared: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(7)
    first = torch.randint(0, 97, (shared,), generator=generator).tolist()
    lengths = (40, 3, 1, 17, 33, 40)
    return [first + torch.randint(0, 97, (n,), generator=generator).tolist() for n in lengths]


def variable_length(q, k, v, q_starts, k_starts, max_q, max_k, *, scale, window_size, enable_gqa):
    """What torch's variable-length attention is documented to give, sequence by sequence."""
    assert window_size == (-1, 0)
    assert (max_q, max_k) == tuple(int(s.diff().max()) for s in (q_starts, k_starts))
    assert q_starts.dtype is torch.int32
    assert k_starts[-1] == len(k)
    out = []
    for (a, b), (c, d) in zip(q_starts.unfold(0, 2, 1), k_starts.unfold(0, 2, 1), strict=True):
        mask = torch.ones(b - a, d - c, dtype=torch.bool).tril(diagonal=int(d - c - (b - a)))
        one = (states.transpose(0, 1)[None] for states in (q[a:b], k[c:d], v[c:d]))
        attended = functional.scaled_dot_product_attention(
            *one, attn_mask=mask, scale=scale, enable_gqa=enable_gqa
        )
        out.append(attended[0].transpose(0, 1))
    return torch.cat(out)


@pytest.mark.parametrize("shared", [0, 20, 60])
def test_attention_in_one_call_gives_what_it_gives_prompt_by_prompt(monkeypatch, shared):
    calls = []

    def counted(*args, **options):
        calls.append(1)
        return variable_length(*args, **options)

    monkeypatch.setattr(packing, "_variable_length", counted)
    monkeypatch.setattr(packing, "_one_call_works", lambda *_: True)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    model, rows = family("Qwen3"), prompts(shared)
    reference = plain_logits(model, rows)
    use_packing(model)
    padded, lengths = pad_right(rows, pad_id=0)
    with torch.no_grad():
        ours = answer_logits(model, padded, lengths, ANSWERS)
    torch.testing.assert_close(ours, reference, atol=1e-4, rtol=0)
    assert len(calls) == SMALL["num_hidden_layers"] - 1


def test_one_call_is_tried_before_it_is_relied_on(monkeypatch):
    place = torch.device("cpu")
    monkeypatch.setattr(packing, "_variable_length", variable_length)
    with torch.inference_mode():
        assert packing._tried.__wrapped__(place, torch.bfloat16, 4, 2, 8)
    assert not packing._tried.__wrapped__(place, torch.float32, 4, 2, 8)

    def other(*args, **options):
        return variable_length(*args, **options).flip(0)

    def fails(*_, **__):
        raise RuntimeError("no kernel for this head width")

    for broken in (other, fails):
        monkeypatch.setattr(packing, "_variable_length", broken)
        assert not packing._tried.__wrapped__(place, torch.bfloat16, 4, 2, 8)
    monkeypatch.undo()
    assert not packing._tried.__wrapped__(place, torch.bfloat16, 4, 2, 8), "no such kernel on a CPU"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shared", [0, 60])
def test_on_a_gpu_the_packed_pass_gives_the_plain_ones_logits_and_gradients(shared):
    wide = SMALL | {"hidden_size": 256, "head_dim": 64}
    config = transformers.Qwen3Config(**wide)
    torch.manual_seed(3)
    model = transformers.Qwen3ForCausalLM(config).eval().to("cuda", torch.bfloat16)
    padded, lengths = pad_right(prompts(shared), pad_id=0)
    found = []
    for switch in (drop_packing, use_packing):
        switch(model)
        logits = answer_logits(model, padded.cuda(), lengths, ANSWERS)
        model.zero_grad()
        logits.square().sum().backward()
        found.append((logits.detach(), model.model.layers[0].self_attn.q_proj.weight.grad.clone()))
    (plain, gradient), (ours, other) = found
    assert packing._one_call_works(*(torch.empty(1, 4, 1, 64, device="cuda").bfloat16(),) * 2)
    probabilities = (torch.softmax(each.double(), 1) for each in (ours, plain))
    assert (next(probabilities) - next(probabilities)).abs().max() < 5e-3
    assert (other - gradient).norm() < 0.05 * gradient.norm()


def plain_logits(model: torch.nn.Module, rows: list[list[int]]) -> torch.Tensor:
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([ids])).logits[0, -1, list(ANSWERS)] for ids in rows]
    return torch.stack(logits).float()


def close(ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype) -> None:
    """Probabilities of the answers within the limit of a number type; logits too in float32."""
    torch.testing.assert_close(ours.softmax(1), theirs.softmax(1), atol=SCALES[dtype], rtol=0)
    if dtype is torch.float32:
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Qwen3", "Mistral", "SmolLM3"])
def test_every_family_gives_its_own_logits(name, dtype):
    model = family(name).to(dtype)
    expected = {shared: plain_logits(model, prompts(shared)) for shared in (0, 9, 60)}
    assert use_packing(model)
    for shared, logits in expected.items():
        for budget in (1, 150, 10_000):
            scored = score_prompts(model, prompts(shared), ANSWERS, budget=budget)
            close(scored, logits, dtype)
        # What it gives without a packing is as before.
        close(plain_logits(model, prompts(shared)), logits, dtype)


def test_padding_on_the_left_gives_what_ours_gives():
    model = family("Qwen3")
    rows = prompts()
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    with torch.no_grad():
        theirs = model(input_ids=ids, attention_mask=mask).logits[:, -1, list(ANSWERS)]
    use_packing(model)
    close(score_prompts(model, rows, ANSWERS, budget=1000), theirs, torch.float32)


@pytest.mark.parametrize("merged", [False, True], ids=["live", "merged"])
def test_through_an_adapter(merged):
    base = family("Qwen3")
    use_packing(base)
    model = with_adapter(base)
    if merged:
        model = model.merge_and_unload()
    ours = score_prompts(model, prompts(20), ANSWERS, budget=500)
    theirs = plain_logits(model, prompts(20))
    close(ours, theirs, torch.float32)
    assert (theirs - plain_logits(family("Qwen3"), prompts(20))).abs().max() > 1e-3


def with_adapter(base: torch.nn.Module) -> torch.nn.Module:
    """LoRA on every projection, moved away from the zero that it begins with."""
    model = add_lora(base, rank=4, alpha=8, dropout=0.0).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1, generator=generator)
    return model


def test_shared_tokens_are_computed_once():
    model = family("Qwen3")
    use_packing(model)
    rows = prompts(30)
    seen = []
    handle = model.model.layers[0].mlp.register_forward_hook(lambda _m, x, _o: seen.append(x[0]))
    last = model.model.layers[-1].mlp.register_forward_hook(lambda _m, x, _o: seen.append(x[0]))
    score_prompts(model, rows, ANSWERS, budget=1000)
    handle.remove()
    last.remove()
    # And of the last layer, only what is read.
    assert [x.shape[1] for x in seen] == [30 + sum(len(row) - 30 for row in rows), len(rows)]


def gradients(model: torch.nn.Module, *, checkpointing: bool = False) -> dict[str, torch.Tensor]:
    model.zero_grad()
    if checkpointing:
        set_activation_checkpointing(model, on=True)
        model.train()
    logits = answer_logits(model, *pad_right(prompts(12), 0), ANSWERS)
    functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 0, 1])).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("quick", [False, True], ids=["mkl", "onednn"])
def test_gradients_are_those_of_the_plain_pass(monkeypatch, quick):
    monkeypatch.setattr(products, "_onednn_is_quicker", lambda: False)
    model = with_adapter(family("Qwen3"))
    expected = gradients(model)
    monkeypatch.setattr(products, "_onednn_is_quicker", lambda: quick)
    assert use_packing(model.get_base_model())
    packed = gradients(model)
    recomputed = gradients(model, checkpointing=True)
    # The base is frozen: nothing of it has a gradient.
    assert packed.keys() == expected.keys() == recomputed.keys()
    assert all("lora_" in name for name in packed)
    for name, gradient in expected.items():
        torch.testing.assert_close(packed[name], gradient, atol=1e-5, rtol=0)
        torch.testing.assert_close(recomputed[name], gradient, atol=1e-5, rtol=0)


def test_gradients_of_every_weight_are_those_of_the_plain_pass():
    model = family("Llama")
    expected = gradients(model)
    use_packing(model)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=0)


def test_prompts_longer_than_a_window_go_the_plain_way():
    model = family("Mistral", sliding_window=16)
    expected = plain_logits(model, prompts())
    assert use_packing(model)
    assert can_pack(model, 16)
    assert not can_pack(model, 17)
    close(score_prompts(model, prompts(), ANSWERS, budget=1000), expected, torch.float32)


def test_other_families_and_attentions_go_the_plain_way():
    config = transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4)
    assert not use_packing(transformers.GPT2LMHeadModel(config))
    model = family("Qwen3")
    model.config._attn_implementation = "eager"
    assert not use_packing(model)


def test_a_family_that_changed_goes_the_plain_way(tiny_model_folder, monkeypatch):
    plain = load_base(tiny_model_folder, device="cpu").model
    assert can_pack(plain, 50)
    monkeypatch.setattr(
        base_model, "use_packing", lambda model: use_packing(model) and spoil(model)
    )
    model = load_base(tiny_model_folder, device="cpu").model
    assert not can_pack(model, 50)
    assert "forward" not in vars(model.get_decoder().layers[-1])
    rows = prompts()
    drop_packing(plain)
    expected = score_prompts(plain, rows, ANSWERS, budget=500)
    assert torch.equal(score_prompts(model, rows, ANSWERS, budget=500), expected)
    assert copy.deepcopy(model).config.model_type == "qwen3"


def spoil(model: torch.nn.Module) -> bool:
    """As if this version's last layer did more than ours knows of."""
    last = model.get_decoder().layers[-1]
    ours = last.forward

    def more(*args: object, **options: object) -> torch.Tensor:
        states = ours(*args, **options)
        return states.flip(-1) if "packing" in options else states

    last.forward = more
    return True


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_real_records_have_the_same_probabilities(test_data, dtype):
    """The embedded model's own language model, on prompts of 200 real records."""
    folder = Path(llm4top.__file__).parent / "embedded/parts/language/base"
    base = load_base(folder, device="cpu", dtype=str(dtype).removeprefix("torch."))
    assert can_pack(base.model, 512)
    records = read_records(test_data / "registry/AllPublicXML-sample.zip")
    trials = [r.trial for r in islice((r for r in records if isinstance(r, Record)), 200)]
    assert len(trials) == 200
    scorer = TrialScorer(base, OUTCOME, PromptSpec(max_tokens=256))
    written = scorer.prompts(trials)
    ours = torch.tensor(scorer.logits(written))
    with torch.no_grad():
        theirs = [
            base.model(input_ids=torch.tensor([p.token_ids]), logits_to_keep=1).logits[0, -1]
            for p in written
        ]
    expected = torch.stack(theirs)[:, list(scorer.answer_ids)].double()
    torch.testing.assert_close(ours.softmax(1), expected.softmax(1), atol=SCALES[dtype], rtol=0)
