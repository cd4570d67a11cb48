from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

from llm4top.errors import ConfigError, TrainingError
from llm4top.forecasters.model.base_model import load_base
from llm4top.registry.trial import Intervention, Trial
from llm4top.training.pretrain import (
    PretrainSettings,
    pack,
    pretrain,
    trial_document,
)
from llm4top.training.tokenizer import train_tokenizer

pytestmark = pytest.mark.slow

SETTINGS = PretrainSettings(
    vocab_size=400, hidden=32, layers=1, heads=2, context=32, batch_size=4, epochs=12,
    precision="fp32",
)  # fmt: skip


def trials(n: int = 40) -> list[Trial]:
    drugs = ("alphamab", "betastat", "gammavir")
    return [
        Trial(
            phase=f"Phase {i % 3 + 1}",
            conditions=("asthma",),
            interventions=(Intervention(drugs[i % 3], type="Drug"),),
            criteria=f"- Age {20 + i} years or older\n- Written consent",
        )
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    seen = []
    out = pretrain(
        trials(),
        tmp_path_factory.mktemp("pt") / "model",
        SETTINGS,
        progress=lambda *a: seen.append(a),
    )
    return out, seen


def test_loss_falls_and_progress_is_told(run):
    _, seen = run
    steps, total, loss = seen[-1]
    assert steps <= total
    assert loss < seen[0][2] - 1


def test_the_folder_loads_as_a_base_model(run):
    out, _ = run
    base = load_base(out, device="cpu")
    assert base.model.get_input_embeddings().weight.shape[0] == len(base.tokenizer)
    assert not list(out.parent.glob(".*"))
    account = json.loads((out / "pretraining.json").read_text())
    assert account["documents"] == 40
    assert account["tokens"] % SETTINGS.context == 0


def test_the_same_seed_gives_the_same_weights(run, tmp_path):
    again = pretrain(trials(), tmp_path / "again", SETTINGS)
    one, two = (AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (run[0], again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_base_is_carried_on(run, tmp_path):
    short = replace(SETTINGS, epochs=1, learning_rate=1e-3)
    out = pretrain(trials(), tmp_path / "on", short, base=run[0])
    assert json.loads((out / "pretraining.json").read_text())["loss"] < run[1][0][2] - 1


def test_a_killed_run_goes_on_and_ends_at_the_same_weights(run, tmp_path):
    class KilledError(Exception):
        pass

    def kill(step, *_):
        if step >= 20:
            raise KilledError

    frequent = replace(SETTINGS, checkpoint_steps=10)
    with pytest.raises(KilledError):
        pretrain(trials(), tmp_path / "model", frequent, progress=kill)
    assert not (tmp_path / "model").exists()
    resumed = pretrain(trials(), tmp_path / "model", frequent, resume=True)
    one, two = (AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (run[0], resumed))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_taken_folder_and_a_missing_checkpoint_are_refused(run, tmp_path):
    with pytest.raises(TrainingError, match="something here already"):
        pretrain(trials(), run[0], SETTINGS)
    with pytest.raises(TrainingError, match="no checkpoint to continue from"):
        pretrain(trials(), tmp_path / "new", SETTINGS, resume=True)


def test_every_wrong_setting_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        PretrainSettings(layers=0, hidden=30, max_tokens=5, precision="int8", leave_out=("x",))
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "layers", "max_tokens", "hidden", "precision", "leave_out",
    ]  # fmt: skip


def test_too_little_text_is_refused():
    tokenizer = train_tokenizer(["a b c"], vocab_size=300)
    with pytest.raises(TrainingError, match="do not fill one block of 768"):
        pack(["a b c"], tokenizer, 768, 0)


def test_a_document_holds_every_section_uncut():
    trial = Trial(phase="Phase 1", detailed_description="word " * 5000)
    assert trial_document(trial).count("word") == 5000
