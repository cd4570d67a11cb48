"""Prompts that leave out whole sections at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4top.forecasters.finetuning.section_dropout import SectionDropout, section_dropout
from llm4top.forecasters.finetuning.settings import finetune_settings
from llm4top.forecasters.model.tokenizer import load_tokenizer
from llm4top.prompts.prompt import PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import OUTCOME

SECTIONS = ("phase", "conditions", "criteria")
HEADINGS = ("Phase:", "Conditions:", "Eligibility criteria:")
TRIALS = [
    Trial(phase="Phase 2", conditions=(f"condition {i}",), criteria="Adults.") for i in range(300)
]


@pytest.fixture
def writer(tiny_model: Path) -> PromptWriter:
    spec = PromptSpec(400, SECTIONS, plain_text=True)
    return PromptWriter(load_tokenizer(tiny_model), OUTCOME, spec)


def texts(writer: PromptWriter, dropout: SectionDropout, epoch: int) -> list[str]:
    return [writer.tokenizer.decode(list(ids)) for ids in dropout(epoch)]


def test_each_section_goes_with_its_own_chance_and_the_rest_stays_as_it_was(
    writer: PromptWriter,
) -> None:
    shown = texts(writer, SectionDropout(writer, TRIALS, 0.25, seed=3), 0)
    present = [[heading.lower() in text.lower() for heading in HEADINGS] for text in shown]
    for column in zip(*present, strict=True):
        assert 0.65 < sum(column) / len(TRIALS) < 0.85
    # Independent: all three stay in .75 ** 3 of the prompts, and some prompts show none.
    assert 0.33 < sum(map(all, present)) / len(TRIALS) < 0.52
    assert any(not any(row) for row in present)
    whole = next(i for i, row in enumerate(present) if all(row))
    assert shown[whole] == writer.tokenizer.decode(list(writer.write(TRIALS[whole]).token_ids))


def test_the_draw_is_that_of_seed_and_epoch(writer: PromptWriter) -> None:
    one, again = (SectionDropout(writer, TRIALS[:40], 0.5, seed=1) for _ in range(2))
    assert one(2) == again(2)
    assert one(2) != one(3)
    assert one(2) != SectionDropout(writer, TRIALS[:40], 0.5, seed=2)(2)
    # A trial's own draw: it reads alike in another fold.
    assert SectionDropout(writer, TRIALS[10:20], 0.5, seed=1)(2) == one(2)[10:20]


def test_without_a_chance_nothing_is_dropped(writer: PromptWriter) -> None:
    assert section_dropout(writer, TRIALS, finetune_settings()) is None
    made = section_dropout(writer, TRIALS, finetune_settings(section_dropout=0.1, seed=9))
    assert made is not None
    assert (made.share, made.seed) == (0.1, 9)
