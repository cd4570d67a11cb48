"""A probe against one that is written by hand, with plain transformers and scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import Qwen3ForCausalLM

from llm4top.errors import TrainingError
from llm4top.forecasters.finetuning.batches import PromptRows
from llm4top.forecasters.finetuning.probe import (
    PENALTIES,
    FittedProbe,
    _folds,
    chosen_layers,
    fit_probe,
)
from llm4top.forecasters.finetuning.settings import finetune_settings
from llm4top.forecasters.model.base_model import BaseModel, load_base
from llm4top.forecasters.model.probe import POOLINGS
from llm4top.forecasters.model.scoring import prompt_states
from llm4top.testing import make_tiny_model

SETTINGS = finetune_settings(tuning="probe", precision="fp32")
LAYERS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("probe") / "tiny", layers=LAYERS)


@pytest.fixture(scope="module")
def base(folder: Path) -> BaseModel:
    return load_base(folder, device="cpu")


def made_prompts(n: int, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 400, rng.integers(1, 40)).tolist() for _ in range(n)]


def made_rows(n: int, seed: int, labels: int = 2) -> PromptRows:
    """Prompts whose label goes with their first token, and with chance."""
    prompts, rng = made_prompts(n, seed), np.random.default_rng(seed + 1000)
    targets = [int(ids[-1] * labels // 400) for ids in prompts]
    noisy = [int(rng.integers(labels)) if rng.random() < 0.3 else t for t in targets]
    return PromptRows(prompts, noisy)


def states_by_hand(folder: Path, prompts: list[list[int]]) -> np.ndarray:
    """``[n, layers, 2, h]``, one prompt at a time, as transformers itself gives them."""
    model = Qwen3ForCausalLM.from_pretrained(folder).eval()
    found = []
    with torch.no_grad():
        for ids in prompts:
            hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[1:]
            rows = [(h[0, -1], h[0, 1:].mean(0) if len(ids) > 1 else h[0, 0]) for h in hidden]
            found.append(torch.stack([torch.stack(row) for row in rows]))
    return torch.stack(found).double().numpy()


def fitted(base: BaseModel, folder: Path, labels: int = 2, **settings: object) -> FittedProbe:
    learn, check = made_rows(90, 1, labels), made_rows(60, 2, labels)
    chosen = finetune_settings(**{"tuning": "probe", "precision": "fp32", **settings})
    return fit_probe(base, learn, check, chosen, folder=folder)


def test_states_are_those_of_transformers(base: BaseModel, folder: Path) -> None:
    prompts = made_prompts(20, 0)
    expected = states_by_hand(folder, prompts)
    for layers in ((1, 2, 3), (2,), (1, 3)):
        ours = prompt_states(base.model, prompts, layers, budget=200).numpy()
        kept = expected[:, [layer - 1 for layer in layers]]
        assert ours.shape == (20, len(layers), 2, 32)
        assert np.abs(ours - kept).max() < 1e-5


def test_states_do_not_depend_on_batches_order_or_padding(base: BaseModel) -> None:
    prompts = made_prompts(30, 3)
    one = prompt_states(base.model, prompts, (2,), budget=1)
    many = prompt_states(base.model, prompts, (2,), budget=10_000)
    turned = prompt_states(base.model, prompts[::-1], (2,), budget=300).flip(0)
    assert torch.allclose(one, many, atol=1e-5, rtol=0)
    assert torch.allclose(one, turned, atol=1e-5, rtol=0)


def test_layers_after_the_chosen_one_are_not_computed(base: BaseModel) -> None:
    passed = []
    layers = base.model.model.layers
    watch = layers[2].register_forward_hook(lambda *_: passed.append(True))
    prompt_states(base.model, [[1, 2, 3]], (2,), budget=10)
    watch.remove()
    assert not passed
    assert not any(layer._forward_hooks for layer in layers)


@pytest.mark.parametrize("labels", [2, 3])
def test_equals_a_probe_written_by_hand(
    base: BaseModel, folder: Path, tmp_path: Path, labels: int
) -> None:
    learn, check = made_rows(90, 1, labels), made_rows(60, 2, labels)
    ours = fitted(base, tmp_path, labels)

    X, X_check = (states_by_hand(folder, list(rows.prompts)) for rows in (learn, check))
    losses = {}
    for layer in range(LAYERS):
        for place, pooling in enumerate(POOLINGS):
            for c in PENALTIES:
                model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000))
                model.fit(X[:, layer, place], learn.targets)
                p = model.predict_proba(X_check[:, layer, place])
                losses[layer + 1, pooling, c] = log_loss(check.targets, p)
    layer, pooling, c = min(losses, key=lambda key: losses[key])
    assert (ours.best.layer, ours.best.pooling, ours.best.c) == (layer, pooling, c)
    assert ours.best.eval_log_loss == pytest.approx(losses[layer, pooling, c], abs=1e-3)

    place = POOLINGS.index(ours.best.pooling)
    exact = LogisticRegression(C=c, tol=1e-10, max_iter=10_000)
    reference = make_pipeline(StandardScaler(), exact).fit(X[:, layer - 1, place], learn.targets)
    logits = ours.probe.logits(
        prompt_states(base.model, check.prompts, (layer,), budget=500)[:, 0, place].numpy()
    )
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(p - reference.predict_proba(X_check[:, layer - 1, place])).max() < 1e-6


def test_without_validation_rows_it_chooses_by_cross_validation(
    base: BaseModel, tmp_path: Path
) -> None:
    rows = made_rows(60, 5)
    found = fit_probe(base, rows, None, SETTINGS, folder=tmp_path)
    assert len(found.tried) == LAYERS * 2
    assert found.best.eval_log_loss == min(one.eval_log_loss for one in found.tried)
    few = PromptRows(rows.prompts[:8], [0, 1, 0, 1, 0, 1, 0, 0])
    with pytest.raises(TrainingError, match="rarest label has fewer than 5 trials"):
        fit_probe(base, few, None, SETTINGS, folder=tmp_path / "few")


def test_goes_on_with_the_states_that_are_there(
    base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm4top.forecasters.finetuning.probe._CHUNK", 40)
    learn, check = made_rows(90, 1), made_rows(60, 2)
    whole = fit_probe(base, learn, check, SETTINGS, folder=tmp_path / "whole")
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(KeyboardInterrupt):
        fit_probe(base, learn, check, SETTINGS, folder=tmp_path / "run", should_stop=stop)
    assert len(list((tmp_path / "run").glob("states-*.safetensors"))) == 2
    seen = []
    resumed = fit_probe(
        base, learn, check, SETTINGS, folder=tmp_path / "run", on_progress=seen.append
    )
    assert 0 < resumed.tokens < whole.tokens
    assert min(p.done for p in seen if p.stage == "training") > 80
    assert seen[-1].total == LAYERS * 2
    assert resumed.best == whole.best
    assert np.allclose(resumed.probe.coefficients, whole.probe.coefficients, atol=1e-4)
    again = fit_probe(base, check, None, SETTINGS, folder=tmp_path / "run")
    assert again.tokens == 0
    low = finetune_settings(tuning="probe", precision="bf16")
    assert fit_probe(base, learn, check, low, folder=tmp_path / "run").tokens == whole.tokens


def test_copies_are_learned_from_at_half_weight_with_their_rows_and_never_chosen_on(
    base: BaseModel, tmp_path: Path
) -> None:
    rows = made_rows(60, 1)
    thin = [ids[-3:] for ids in rows.prompts]
    both = rows.with_copies(thin)
    assert (len(both), both.copies, both[60][2], both[3][2]) == (120, 60, 0.5, 1.0)
    assert PromptRows([[1]], [0], None, [3.0]).with_copies([[2]])[1] == ([2], 0, 1.5)
    folds = list(_folds(np.array(both.targets), 120, both.copies, seed=0))
    for learn, check in folds:
        assert max(check) < 60
        assert sorted(learn) == sorted([*learn[learn < 60], *(learn[learn < 60] + 60)])
        assert not set(learn) & {*check, *(check + 60)}
    assert sorted(i for _, check in folds for i in check) == list(range(60))
    by_hand = PromptRows([*rows.prompts, *thin], rows.targets * 2, None, [1.0] * 60 + [0.5] * 60)
    check = made_rows(40, 2)
    one, other = (
        fit_probe(base, learn, check, SETTINGS, folder=tmp_path) for learn in (both, by_hand)
    )
    assert np.array_equal(one.probe.coefficients, other.probe.coefficients)
    alone = fit_probe(base, rows, check, SETTINGS, folder=tmp_path)
    assert not np.array_equal(one.probe.coefficients, alone.probe.coefficients)


def test_class_weights_and_bfloat16_are_used(base: BaseModel, tmp_path: Path) -> None:
    rows = made_rows(90, 1)
    plain = fit_probe(base, rows, made_rows(60, 2), SETTINGS, folder=tmp_path / "a")
    heavy = PromptRows(rows.prompts, rows.targets, (1.0, 20.0))
    weighted = fit_probe(base, heavy, made_rows(60, 2), SETTINGS, folder=tmp_path / "b")
    log_odds = [f.probe.intercept[1] - f.probe.intercept[0] for f in (plain, weighted)]
    assert log_odds[1] > log_odds[0] + 1
    each = PromptRows(rows.prompts, rows.targets, None, [20.0 if y else 1.0 for y in rows.targets])
    alike = fit_probe(base, each, made_rows(60, 2), SETTINGS, folder=tmp_path / "d")
    assert np.array_equal(alike.probe.coefficients, weighted.probe.coefficients)
    low = fitted(base, tmp_path / "c", precision="bf16")
    assert low.best.eval_log_loss == pytest.approx(plain.best.eval_log_loss, abs=0.03)
    assert not np.array_equal(low.probe.mean, plain.probe.mean)


def test_deep_models_are_looked_at_in_a_spread_of_layers() -> None:
    assert chosen_layers(1) == (1,)
    assert chosen_layers(9) == tuple(range(1, 10))
    assert chosen_layers(30) == (3, 7, 10, 13, 17, 20, 23, 27, 30)
    assert chosen_layers(36) == (4, 8, 12, 16, 20, 24, 28, 32, 36)
