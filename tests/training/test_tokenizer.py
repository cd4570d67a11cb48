from __future__ import annotations

import pytest

from llm4top.forecasters.model.tokenizer import answer_token_ids
from llm4top.tasks.builtin import OUTCOME
from llm4top.training.tokenizer import CHAT_TOKENS, train_tokenizer

TEXTS = ["Phase: Phase 2\nConditions: asthma; no known allergy\n- Age ≥ 18 years, 250 mg"] * 40


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, vocab_size=400)


def test_answers_are_one_token_in_either_case(tokenizer):
    ids = answer_token_ids(tokenizer, OUTCOME)
    assert ids[0] != ids[1]
    assert tokenizer("yes", add_special_tokens=False)["input_ids"] == [ids[1]]


def test_an_answer_inside_a_word_is_text(tokenizer):
    (_, yes) = answer_token_ids(tokenizer, OUTCOME)
    assert yes not in tokenizer("yesterday eyes", add_special_tokens=False)["input_ids"]


def test_chat_marks_are_single_tokens(tokenizer):
    for mark in CHAT_TOKENS:
        assert len(tokenizer(mark, add_special_tokens=False)["input_ids"]) == 1


def test_case_does_not_matter_and_any_text_survives(tokenizer):
    upper = tokenizer("ASTHMA", add_special_tokens=False)["input_ids"]
    assert upper == tokenizer("asthma", add_special_tokens=False)["input_ids"]
    text = "β-blocker 🧪 200\tmg\n"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_digits_are_split_one_by_one(tokenizer):
    assert len(tokenizer("2503", add_special_tokens=False)["input_ids"]) == 4


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    again = train_tokenizer(TEXTS, vocab_size=400)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
