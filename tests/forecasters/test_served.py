"""A served model is a forecaster: found with its tokenizer, told apart, refused what it cannot."""

from __future__ import annotations

import shutil

import pytest

from llm4top.errors import ModelError, ModelNotFoundError, ServerError
from llm4top.forecasters.load import load_forecaster, load_writer
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.forecasters.model.model_source import model_folder
from llm4top.forecasters.served import find_served
from tests.forecasters.served_kit import completion, serving

NOWHERE = "http://127.0.0.1:9/v1#lab/tiny"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))


def answering(body):
    return completion({"Yes": -1.0, "a": -3.0}, len(body["prompt"]))


def test_the_tokenizer_is_that_of_the_model_of_its_name(tiny_model_folder):
    with pytest.raises(ModelNotFoundError) as caught:
        find_served(NOWHERE)
    assert str(caught.value) == (
        "http://127.0.0.1:9/v1: the tokenizer of lab/tiny is not on this machine (looked in "
        f"{model_folder('lab/tiny')}); prompts are written here, not by the server. Put the "
        "model's tokenizer.json into a folder and give it: --tokenizer FOLDER. Or download the "
        "model: llm4top download lab/tiny"
    )
    folder = model_folder("lab/tiny")
    folder.mkdir(parents=True)
    shutil.copy(tiny_model_folder / "tokenizer.json", folder)
    assert find_served(NOWHERE).tokenizer == folder
    assert load_writer(NOWHERE).fingerprint == load_writer(str(tiny_model_folder)).fingerprint


def test_its_identity_is_address_name_and_tokenizer(tiny_model_folder):
    def identity(name):
        return load_forecaster(name, tokenizer=tiny_model_folder).identity

    assert identity(NOWHERE).startswith("lab/tiny-served-")
    assert identity(NOWHERE) == identity(NOWHERE)
    assert len({identity(NOWHERE), identity(f"{NOWHERE}2"), identity("http://[::1]/v1#t")}) == 3


def test_a_forecast_tells_what_was_not_listed(tiny_model_folder, trials):
    with serving(answering) as fake:
        forecaster = load_forecaster(f"{fake.url}#tiny", tokenizer=tiny_model_folder)
        first, second = forecaster.forecast(trials[:2])
    assert forecaster.label == "tiny, zero-shot, served by 127.0.0.1"
    # e^-3 is the least likely listed token's: at most that, beside e^-1.
    assert first.probability == pytest.approx(1 / (1 + 2.718281828**-2))
    told = "the server did not list the answer No: the chance rests on the highest probability"
    for forecast in (first, second):
        assert forecast.warnings[0].startswith(told)
        assert "not calibrated: the model's own probability" in forecast.warnings


def test_a_failure_names_the_record(tiny_model_folder, trials):
    with serving(lambda body: (400, {"message": "too long"})) as fake:
        forecaster = load_forecaster(f"{fake.url}#tiny", tokenizer=tiny_model_folder)
        with pytest.raises(ServerError, match=rf"^{fake.url}, record #1: answered 400"):
            list(forecaster.forecast(trials[:1]))


def test_what_needs_the_weights_says_so(tiny_model_folder, tmp_path):
    with pytest.raises(ModelNotFoundError, match="this needs a model on this machine"):
        resolve_base(NOWHERE)
    with serving(answering) as fake:
        forecaster = load_forecaster(f"{fake.url}#tiny", tokenizer=tiny_model_folder)
        assert forecaster.memory_bytes == 0
        with pytest.raises(ModelError, match="weights are on a server"):
            forecaster.save(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_another_machine_is_refused_before_its_tokenizer_is_looked_for():
    with pytest.raises(ModelError, match=r"models\.example is another machine"):
        load_forecaster("https://models.example/v1#lab/tiny")
