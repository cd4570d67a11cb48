"""The wording of prompts, held by files.

After a wanted change, write them anew with ``LLM4TOP_WRITE_GOLDEN=1 pytest tests/prompts`` and
read the difference.
"""

import os
from pathlib import Path

import pytest

from llm4top.prompts.prompt import PromptSpec, PromptWriter
from llm4top.registry.reader import read_records
from llm4top.tasks.builtin import COMPLETION, OUTCOME
from llm4top.tasks.task_file import task_from_labels
from tests.prompts.conftest import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"
DURATION = task_from_labels(
    "duration", "How long will this trial last?", ["1"], "ordinal", edges=(1, 3), unit="years"
)


def check(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("LLM4TOP_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "task", "budget"),
    [
        ("outcome_whole", OUTCOME, 100_000),
        ("outcome_1000_words", OUTCOME, 1000),
        ("outcome_300_words", OUTCOME, 300),
        ("outcome_150_words", OUTCOME, 150),
        ("completion_300_words", COMPLETION, 300),
        ("duration_300_words", DURATION, 300),
    ],
)
def test_the_example_as_a_prompt(name, task, budget, words, example):
    prompt = PromptWriter(words, task, PromptSpec(budget)).write(example)
    assert len(prompt.token_ids) <= budget
    check(name, prompt.text)


@pytest.mark.parametrize("budget", [2048, 1024, 512, 256, 128])
def test_the_example_as_qwen3_reads_it(budget, qwen3, example):
    prompt = PromptWriter(qwen3, OUTCOME, PromptSpec(budget)).write(example)
    assert len(prompt.token_ids) <= budget
    check(f"qwen3_{budget}_tokens", prompt.text)


def test_both_formats_of_the_example_are_one_prompt(words):
    writer = PromptWriter(words, OUTCOME)
    xml, api = (next(read_records(EXAMPLES / f"example.{kind}")) for kind in ("xml", "json"))
    assert xml.trial == api.trial
    assert xml.registry_outcome == api.registry_outcome
    assert writer.write(xml.trial) == writer.write(api.trial)


def test_the_example_with_results_shows_none_of_them(words):
    record = next(read_records(EXAMPLES / "example_with_results.xml"))
    assert record.registry_outcome.has_results
    text = PromptWriter(words, OUTCOME).write(record.trial).text
    for told in ("utility", "erminated", "0.61", "NCT9", "112", "2030", "2031"):
        assert told not in text
