"""The answer head gives the model's own logits, whatever stands beside a prompt in its batch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4top.forecasters.finetuning.lora import add_lora
from llm4top.forecasters.model.answer_head import answer_logits, pad_right
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.scoring import score_prompts
from llm4top.testing import make_tiny_model
from tests.profiles import examples

ANSWERS = (257, 258, 3)
PROMPTS = st.lists(st.lists(st.integers(0, 511), min_size=1, max_size=70), min_size=1, max_size=9)


@pytest.fixture(scope="module", params=["untied", "tied", "deep"])
def model(request, tmp_path_factory):
    options = {"untied": {}, "tied": {"tied": True}, "deep": {"layers": 4, "hidden": 64}}
    folder = make_tiny_model(tmp_path_factory.mktemp("m") / "tiny", **options[request.param])
    return load_base(folder, device="cpu").model


def own_logits(model, prompts):
    """The model called the plain way: all logits, one prompt at a time."""
    with torch.no_grad():
        rows = [
            model(input_ids=torch.tensor([ids])).logits[0, -1, list(ANSWERS)] for ids in prompts
        ]
    return torch.stack(rows)


@examples(15)
@given(PROMPTS, st.integers(1, 400), st.integers(0, 527), st.randoms(use_true_random=False))
def test_batch_order_and_padding_change_nothing(model, prompts, budget, pad_id, random):
    expected = own_logits(model, prompts)
    with torch.no_grad():
        together = answer_logits(model, *pad_right(prompts, pad_id), ANSWERS)
    torch.testing.assert_close(together, expected, atol=1e-4, rtol=0)
    order = list(range(len(prompts)))
    random.shuffle(order)
    shuffled = score_prompts(model, [prompts[i] for i in order], ANSWERS, budget=budget)
    torch.testing.assert_close(shuffled, expected[order], atol=1e-4, rtol=0)


def test_long_prompts_beside_short_ones(model):
    generator = torch.Generator().manual_seed(1)
    lengths = (1, 2048, 700, 3, 1024, 64)
    prompts = [torch.randint(0, 512, (n,), generator=generator).tolist() for n in lengths]
    scored = score_prompts(model, prompts, ANSWERS, budget=2048)
    torch.testing.assert_close(scored, own_logits(model, prompts), atol=1e-4, rtol=0)


def test_no_logits_of_the_whole_vocabulary_are_made(model):
    made = []
    handle = model.lm_head.register_forward_hook(lambda *_: made.append(1))
    score_prompts(model, [[1, 2, 3]], ANSWERS, budget=10)
    handle.remove()
    assert not made


def test_an_adapted_model_is_read_through_its_adapter(tmp_path):
    base = load_base(make_tiny_model(tmp_path / "tiny"), device="cpu")
    prompts = [[1, 2, 3, 4], [5, 6]]
    before = own_logits(base.model, prompts)
    model = add_lora(base.model, rank=2, alpha=4, dropout=0.0).eval()
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    scored = score_prompts(model, prompts, ANSWERS, budget=100)
    torch.testing.assert_close(scored, own_logits(model, prompts), atol=1e-4, rtol=0)
    assert (scored - before).abs().max() > 0.01


def test_a_head_with_a_bias_adds_it(model):
    head = torch.nn.Linear(model.config.hidden_size, 528)
    fake = SimpleNamespace(
        get_decoder=model.get_decoder, get_output_embeddings=lambda: head, config=model.config
    )
    with torch.no_grad():
        hidden = model.get_decoder()(input_ids=torch.tensor([[1, 2, 3]])).last_hidden_state
        expected = head(hidden)[:, -1, list(ANSWERS)]
        ours = answer_logits(fake, *pad_right([[1, 2, 3]], 0), ANSWERS)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def test_logits_are_float32_in_a_bfloat16_model_and_gradients_flow(tiny_model_folder):
    model = load_base(tiny_model_folder, device="cpu", dtype="bf16").model
    logits = answer_logits(model, *pad_right([[1, 2], [3]], 0), ANSWERS)
    assert (logits.dtype, tuple(logits.shape)) == (torch.float32, (2, 3))
    logits.sum().backward()
    assert model.get_input_embeddings().weight.grad is not None


def test_padding_is_on_the_right():
    padded, lengths = pad_right([[1, 2, 3], [4]], 9)
    assert padded.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert lengths.tolist() == [3, 1]
