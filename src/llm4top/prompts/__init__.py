"""Trials as prompts: one rendering function for zero-shot, training and forecasting."""

from llm4top.prompts._budget import fair_share
from llm4top.prompts._examples import Example, Examples, FewShotWriter, choose_examples
from llm4top.prompts._prompt import (
    Prompt,
    PromptSpec,
    PromptWriter,
    SectionAccount,
    chat_message,
    question_text,
)
from llm4top.prompts._sections import (
    SECTION_HEADINGS,
    SECTION_NAMES,
    SECTIONS_BEYOND_RECORDS,
    Section,
    defuse,
    trial_sections,
)

__all__ = [
    "SECTIONS_BEYOND_RECORDS",
    "SECTION_HEADINGS",
    "SECTION_NAMES",
    "Example",
    "Examples",
    "FewShotWriter",
    "Prompt",
    "PromptSpec",
    "PromptWriter",
    "Section",
    "SectionAccount",
    "chat_message",
    "choose_examples",
    "defuse",
    "fair_share",
    "question_text",
    "trial_sections",
]
