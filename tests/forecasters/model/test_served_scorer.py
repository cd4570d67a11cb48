"""Answers read from what a server lists: as the local model gives them, or bounded and counted."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import threading
import time
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

from llm4top.errors import AnswerTokenError, ModelError, ServerError
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model import served_scorer
from llm4top.forecasters.model.completion_server import CompletionServer, ServedModel
from llm4top.forecasters.model.served_scorer import AT_ONCE, ServedScorer
from llm4top.forecasters.model.tokenizer import load_tokenizer
from llm4top.progress import Progress
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import OUTCOME
from tests.forecasters.model.gguf_files import write_tiny_gguf
from tests.forecasters.served_kit import completion, model_server, serving

SPEC = PromptSpec(400)


def scorer_at(url: str, folder, **options) -> ServedScorer:
    server = CompletionServer(ServedModel.parse(f"{url}#tiny"), **({"pause": 0.01} | options))
    return ServedScorer.plain(server, load_tokenizer(folder), OUTCOME, SPEC)


def counted(body) -> int:
    """How many tokens a prompt of token ids has."""
    return len(body["prompt"])


def listing(top):
    return lambda body: completion(top, counted(body))


@pytest.fixture(scope="module")
def local(tiny_model_folder, trials):
    """The local model's own probabilities of the trials."""
    model = LanguageForecaster(
        tiny_model_folder, tuning="none", device="cpu", dtype="float32", max_tokens=400
    )
    return model.predict_proba(trials)


@pytest.mark.slow
@pytest.mark.parametrize("by_id", [True, False], ids=["token ids", "text"])
def test_the_chances_are_those_of_the_local_model(by_id, tiny_model_folder, trials, local):
    seen: list[Progress] = []
    with serving(model_server(tiny_model_folder, by_id=by_id)) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        scorer.missing = {"of an earlier call": ("Yes",)}
        prompts = scorer.prompts(trials)
        logits = scorer.logits(prompts, on_progress=seen.append)
    kept = [p.text not in scorer.missing for p in prompts]
    # The vocabulary of a random model is flat: of 20 listed tokens, the answers are rarely two.
    assert all(kept) or by_id
    np.testing.assert_allclose(softmax(logits)[kept], local[kept], atol=1e-6)
    assert [p.done for p in seen] == list(range(1, len(trials) + 1))
    assert seen[-1].figures["tokens"] == sum(len(p.token_ids) for p in prompts)
    asked = fake.bodies[-1]
    assert (asked["max_tokens"], asked["temperature"]) == (1, 0)
    assert isinstance(asked["prompt"], list) is by_id
    assert fake.most <= AT_ONCE


def test_all_forms_of_the_list_are_read(tiny_model_folder, trials):
    tokenizer = load_tokenizer(tiny_model_folder)
    no, yes = (tokenizer.convert_tokens_to_ids(word) for word in ("No", "Yes"))
    listed = [{"id": yes, "logprob": -0.5}, {"id": no, "logprob": -1.5}]
    content = {"content": [{"top_logprobs": [{"token": "?", **one} for one in listed]}]}
    forms = [
        {"top_logprobs": [{"Yes": -0.5, "No": -1.5}]},
        {"top_logprobs": [{f"token_id:{yes}": -0.5, f"token_id:{no}": -1.5}]},
        content,
    ]
    for form in forms:

        def respond(body, form=form):
            return 200, {"choices": [{"logprobs": form}], "usage": {"prompt_tokens": counted(body)}}

        with serving(respond) as fake:
            scorer = scorer_at(fake.url, tiny_model_folder)
            assert scorer.logits(scorer.prompts(trials[:1])).tolist() == [[-1.5, -0.5]]
        assert not scorer.missing


@pytest.mark.parametrize(
    ("top", "no"),
    [
        # At most as likely as the least likely listed token, ...
        ({"Yes": math.log(0.3), "a": math.log(0.05)}, math.log(0.05)),
        # ... and at most as likely as all that is not listed.
        ({"Yes": math.log(0.9), "a": math.log(0.08)}, math.log(0.02)),
        ({"Yes": 0.0}, math.log(1e-6)),
        ({"Yes": 0.0, "No": -math.inf}, math.log(1e-6)),
    ],
)
def test_an_answer_that_is_not_listed_is_bounded_and_told(top, no, tiny_model_folder, trials):
    with serving(listing(top)) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        prompts = scorer.prompts(trials[:1])
        np.testing.assert_allclose(scorer.logits(prompts), [[no, top["Yes"]]])
    assert list(scorer.missing.values()) == [("No",)]
    assert scorer.notes_on(prompts) == [
        "the server did not list the answer No: the chance rests on the highest probability that "
        "it can have"
    ]


def test_no_answer_at_all_says_nothing(tiny_model_folder, trials):
    with serving(listing({"a": -1.0, "b": -2.0})) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        prompts = scorer.prompts(trials[:1] * 2)
        assert np.ptp(scorer.logits(prompts)) == 0
    assert scorer.bounded == 2
    assert (
        scorer.notes_on(prompts)
        == ["the server listed none of the answers (No, Yes): this chance says nothing"] * 2
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (completion({"Yes": -1.0}, 7), r"it read 7 tokens of a prompt of \d+\. Its tokenizer"),
        (completion({"Yes": -1.0}, None), r"it did not say how many tokens it read of a prompt"),
        ((200, {"choices": [], "usage": {}}), "did not say how many"),
    ],
)
def test_another_prompt_than_ours_is_refused(answer, said, tiny_model_folder, trials):
    with serving(lambda body: answer) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        with pytest.raises(ServerError, match=said) as caught:
            scorer.logits(scorer.prompts(trials[:1]))
    caught.value.name_record(["NCT00000001"])
    assert str(caught.value).startswith(f"{fake.url}, record NCT00000001: ")


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"top_logprobs": []},
        {"top_logprobs": [{"Yes": 2.0}]},
        {"top_logprobs": [{"Yes": float("nan")}]},
        {"content": [{"top_logprobs": [{"token": "Yes", "logprob": None}]}]},
    ],
)
def test_an_answer_without_a_list_says_what_to_do(logprobs, tiny_model_folder, trials):
    def respond(body):
        return 200, {"choices": [{"logprobs": logprobs}], "usage": {"prompt_tokens": counted(body)}}

    with serving(respond) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        with pytest.raises(ServerError, match=r"no list of log-probabilities\. Start it so that"):
            scorer.logits(scorer.prompts(trials[:1]))


def test_the_row_that_fails_is_known_and_the_others_end(tiny_model_folder, trials):
    bad = {}

    def respond(body):
        if body["prompt"] == bad["ids"]:
            return 413, {"error": {"message": "the prompt is too long"}}
        return completion({"Yes": -1.0, "No": -1.0}, counted(body))

    with serving(respond) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        prompts = scorer.prompts(trials)
        bad["ids"] = list(prompts[4].token_ids)
        with pytest.raises(ServerError, match="the prompt is too long") as caught:
            scorer.logits(prompts)
        assert caught.value.row == 4
        # It can be asked again, and for nothing.
        assert scorer.logits(prompts[:2]).shape == (2, 2)
        assert scorer.logits([]).shape == (0, 2)


def test_ctrl_c_ends_what_is_on_its_way(tiny_model_folder, trials):
    done = threading.Event()
    answered = iter([True, True])

    def respond(body):
        if not next(answered, False):
            done.wait(20)
        return completion({"Yes": -1.0, "No": -1.0}, counted(body))

    def interrupt(progress):
        raise KeyboardInterrupt

    with serving(respond) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            scorer.logits(scorer.prompts(trials), on_progress=interrupt)
        assert time.monotonic() - began < 5
        done.set()


def test_two_tokens_of_one_text_need_their_ids(tiny_model_folder, trials, monkeypatch):
    with serving(listing({"Yes": -1.0, "No": -1.0})) as fake:
        scorer = scorer_at(fake.url, tiny_model_folder)
        tokenizer, decode = scorer.tokenizer, scorer.tokenizer.decode
        monkeypatch.setattr(tokenizer, "decode", lambda ids: "Yes" if ids == [5] else decode(ids))
        with pytest.raises(AnswerTokenError, match="2 tokens of the tokenizer read 'Yes'"):
            scorer.logits(scorer.prompts(trials[:1]))


def test_the_weights_are_elsewhere(tiny_model_folder):
    scorer = scorer_at("http://127.0.0.1:9/v1", tiny_model_folder)
    for name in ("base", "model", "folder"):
        with pytest.raises(ModelError, match="weights are on a server: they cannot be trained"):
            getattr(scorer, name)
    assert scorer.weight_bytes == 0


@pytest.fixture(scope="module")
def llama_cpp(tiny_model_folder, tmp_path_factory):
    """The address of a llama-cpp-python server with the tiny model."""
    python = os.environ.get("LLM4TOP_LLAMA_SERVER")
    if not python:
        pytest.skip("LLM4TOP_LLAMA_SERVER does not name a Python with llama-cpp-python[server]")
    file = write_tiny_gguf(tmp_path_factory.mktemp("llama") / "tiny.gguf", tiny_model_folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # llama.cpp keeps keys and values in float16 unless it is told otherwise (0: float32).
    options = {"model": file, "host": "127.0.0.1", "port": port, "n_ctx": 512, "n_threads": 1}
    options |= {"logits_all": "true", "type_k": 0, "type_v": 0, "verbose": "false"}
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with subprocess.Popen(
        [python, "-m", "llama_cpp.server", *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        url = f"http://127.0.0.1:{port}/v1"
        for _ in range(120):
            try:
                with urlopen(f"{url}/models") as answer:
                    assert json.load(answer)["data"]
                break
            except URLError:
                time.sleep(0.5)
        yield url
        process.terminate()


@pytest.mark.slow
def test_a_real_server_gives_the_chances_of_the_local_model(
    llama_cpp, tiny_model_folder, trials, local, monkeypatch
):
    # A random model's answers may be among the least likely of its 528 tokens: list them all.
    forms = [served_scorer.Form(ids, 528) for ids in (True, False)]
    monkeypatch.setattr(served_scorer, "FORMS", forms)
    scorer = scorer_at(llama_cpp, tiny_model_folder)
    prompts = scorer.prompts(trials)
    served = softmax(scorer.logits(prompts))
    assert not scorer.missing
    np.testing.assert_allclose(served, local, atol=1e-4)
