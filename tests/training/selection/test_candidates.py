"""Candidates from flags and files, and every fault of them at once."""

from __future__ import annotations

import pytest
import yaml

from llm4top.errors import ConfigError
from llm4top.training.selection.candidates import make_candidates, make_select_settings


def settings(file=None, **given):
    return make_select_settings(file, {"data": "data", "out": "sel", "probe": False, **given})


def names(made):
    return [candidate.name for candidate in make_candidates(made)]


def test_bases_times_grid():
    made = settings(bases=("a/one", "two"), grid={"lora_rank": [4, 8], "learning_rate": [1e-3]})
    assert names(made) == [
        "one, lora_rank=4, learning_rate=0.001",
        "one, lora_rank=8, learning_rate=0.001",
        "two, lora_rank=4, learning_rate=0.001",
        "two, lora_rank=8, learning_rate=0.001",
    ]
    config = make_candidates(made)[1].config(made, seed=3, out=made.out / "run", max_steps=7)
    assert (config.base, config.lora_rank, config.seed, config.max_steps) == ("a/one", 8, 3, 7)
    assert config.out == made.out / "run"


def test_what_all_share_is_in_no_name():
    made = settings(bases=("one",), settings={"preset": "quick", "epochs": 2})
    (candidate,) = make_candidates(made)
    assert candidate.name == "one"
    config = candidate.config(made, seed=0, out=made.out)
    assert (config.lora_rank, config.epochs) == (8, 2.0)


def test_a_probe_of_each_base_model_is_tried_too():
    made = settings(
        bases=("a/one", "two"),
        grid={"lora_rank": [4, 8]},
        settings={"tuning": "full", "storage": "bfloat16", "max_tokens": 256},
        probe=True,
    )
    assert names(made)[4:] == ["one, tuning=probe", "two, tuning=probe"]
    probe = make_candidates(made)[4]
    assert probe.is_probe
    assert probe.seeds(made) == made.seeds[:1]
    config = probe.config(made, seed=0, out=made.out)
    assert (config.base, config.tuning, config.max_tokens) == ("a/one", "probe", 256)
    assert not any(c.is_probe for c in make_candidates(made)[:4])


def test_no_probe_is_added_to_one_that_was_given():
    made = settings(bases=("a",), grid={"tuning": ["lora", "probe"]}, probe=True)
    assert names(made) == ["a, tuning=lora", "a, tuning=probe"]


def test_two_models_of_one_name_keep_their_whole_names():
    assert names(settings(bases=("a/one", "b/one", "two"))) == ["a/one", "b/one", "two"]


def test_a_file_lists_candidates(tmp_path):
    file = tmp_path / "candidates.yaml"
    listed = [{"lora_rank": 4}, {"name": "whole", "tuning": "full"}, {"base": "c"}]
    file.write_text(yaml.safe_dump(listed))
    made = settings(file, bases=("a", "b"))
    assert names(made) == [
        "a, lora_rank=4",
        "a, tuning=full",
        "c",
        "b, lora_rank=4",
        "b, tuning=full",
    ]
    assert names(settings(file, bases=("a",))) == ["a, lora_rank=4", "whole", "c"]
    full = make_candidates(settings(file, bases=("a",)))[1].config(made, seed=0, out=made.out)
    # Where every weight is trained the preset's learning rate is a tenth.
    assert full.learning_rate == pytest.approx(2e-5)


def test_a_file_can_hold_everything_and_flags_go_before_it(tmp_path):
    file = tmp_path / "select.yaml"
    values = {"bases": ["a"], "seeds": [0, 1], "eta": 4, "settings": {"epochs": 2, "patience": 1}}
    file.write_text(yaml.safe_dump(values))
    made = settings(file, seeds=(5,), settings={"epochs": 1})
    assert (made.seeds, made.eta, made.settings) == ((5,), 4, {"epochs": 1, "patience": 1})


def test_every_fault_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        settings(
            bases=("a",),
            seeds=(0, 0),
            settings={"seed": 1, "lora_rnak": 4},
            grid={"epochs": [0, 1], "out": ["x"]},
        )
    assert caught.value.faults[:3] == (
        "seeds: one is there twice",
        "seed: is set by the selection itself",
        "out: is set by the selection itself",
    )
    told = "\n".join(caught.value.faults)
    assert "a, epochs=0, out=x: lora_rnak: no such setting (did you mean lora_rank?)" in told
    assert "epochs=0, out=x: epochs: must be more than 0, not 0" in told
    assert "settings of a training: llm4top train --list-settings" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "bases: name one base model or more"),
        ({"bases": ("a",), "grid": {"epochs": []}}, "epochs: give one or more values"),
        ({"bases": ("a",), "eta": 1}, "eta: must be 2 or more, not 1"),
        ({"bases": ("a",), "more": 1}, "more: no such setting"),
        ({"bases": ("a", "a")}, "a: is there more than once"),
        (
            {"candidates": ({"lora_rank": 4}, {"base": "b"})},
            "?, lora_rank=4: names no base model",
        ),
    ],
)
def test_what_makes_no_selection(given, told):
    with pytest.raises(ConfigError) as caught:
        settings(**given)
    assert told in caught.value.faults


def test_a_broken_file(tmp_path):
    file = tmp_path / "candidates.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        settings(file)
    file.write_text("[1, 2")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        settings(file)
    file.write_text("nothing")
    with pytest.raises(ConfigError, match="must hold a list of candidates, or lines of"):
        settings(file)
