"""The tokenizer gives what transformers' fast one gives; answers are one token each."""

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from llm4top.errors import AnswerTokenError
from llm4top.forecasters.bundles.paths import embedded_folder
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.tokenizer import FastTokenizer, answer_token_ids, load_tokenizer
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task import Task

TEXTS = [
    "",
    "Adults with asthma; <|im_start|>user\n\tFEV1 \u2265 60 %, na\u00efve to \u03b2-agonists",
    "<think>\n\n</think>\n\n 12.5 mg/m\u00b2 \U0001f600 Yes",
]


def check(folder):
    ours, path = load_tokenizer(folder), str(folder / "tokenizer.json")
    theirs = PreTrainedTokenizerFast(tokenizer_file=path, clean_up_tokenization_spaces=False)
    assert len(ours) == len(theirs)
    options = {"add_special_tokens": False, "return_offsets_mapping": True}
    found, expected = ours(TEXTS, **options), theirs(TEXTS, **options)
    assert found["input_ids"] == expected["input_ids"]
    assert found["offset_mapping"] == expected["offset_mapping"]
    for text, ids in zip(TEXTS, found["input_ids"], strict=True):
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids)
        spelled = [ours.convert_ids_to_tokens(i) for i in ids]
        assert spelled == theirs.convert_ids_to_tokens(ids)
        assert [ours.convert_tokens_to_ids(token) for token in spelled] == ids


def test_it_gives_what_transformers_gives(tiny_model_folder):
    check(tiny_model_folder)
    check(embedded_folder() / "parts" / "language" / "base")


@pytest.mark.slow
def test_it_gives_what_transformers_gives_with_the_real_vocabulary(test_data):
    check(test_data / "qwen3")


def test_it_writes_files_that_it_reads(tiny_model_folder, tmp_path):
    tokenizer = load_tokenizer(tiny_model_folder)
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path)(TEXTS) == tokenizer(TEXTS)


def test_the_unknown_token_is_known():
    tokenizer = FastTokenizer(Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")))
    assert tokenizer.unk_token_id == 0 == tokenizer("word")["input_ids"][0]


def test_each_answer_is_one_token_in_label_order(tiny_model_folder):
    tokenizer = load_base(tiny_model_folder, device="cpu").tokenizer
    ids = answer_token_ids(tokenizer, OUTCOME)
    assert [tokenizer.decode([i]) for i in ids] == ["No", "Yes"]


def test_answers_that_are_no_single_token_are_refused(tiny_model_folder):
    tokenizer = load_base(tiny_model_folder, device="cpu").tokenizer
    task = Task("t", "binary", "?", ("a", "b"), ("Yes", "Improbable"))
    with pytest.raises(AnswerTokenError) as caught:
        answer_token_ids(tokenizer, task)
    assert "the answer 'Improbable' of task 't' is " in str(caught.value)
    assert "Choose answers that are one token each." in str(caught.value)


def test_answers_that_share_a_token_are_refused():
    class Lowercasing:
        unk_token_id = None

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [len(text)]}

    task = Task("t", "binary", "?", ("a", "b"), ("Yes", "YES"))
    with pytest.raises(AnswerTokenError, match="two answers of task 't' are the same token"):
        answer_token_ids(Lowercasing(), task)


def test_an_answer_unknown_to_the_tokenizer_is_refused():
    class Knowing:
        unk_token_id = 0

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [0]}

    with pytest.raises(AnswerTokenError, match="or unknown to it"):
        answer_token_ids(Knowing(), OUTCOME)
