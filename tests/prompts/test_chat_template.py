"""A prompt is what Qwen3's own chat template makes of the message, thinking switched off."""

import importlib.util
import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from llm4top.prompts.examples import Example, Examples, FewShotWriter
from llm4top.prompts.prompt import PromptSpec, PromptWriter, chat_message
from llm4top.prompts.sections import trial_sections
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import COMPLETION, OUTCOME

# Qwen3's published format for one user turn with add_generation_prompt=True and
# enable_thinking=False.
THINK = "<think>\n\n</think>\n\n"
PUBLISHED = "<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n" + THINK


def written(tokenizer, task, trial):
    prompt = PromptWriter(tokenizer, task, PromptSpec(100_000)).write(trial)
    return prompt, chat_message(trial_sections(trial, hidden_fields=task.hidden_fields), task)


@pytest.mark.parametrize("task", [OUTCOME, COMPLETION])
def test_the_published_format(task, qwen3, example):
    prompt, message = written(qwen3, task, example)
    assert prompt.text == PUBLISHED.format(message=message)


def test_the_frame_is_made_of_qwen3s_own_tokens(qwen3):
    ids = PromptWriter(qwen3, OUTCOME).write(Trial()).token_ids
    # <|im_start|>, user, newline ... <|im_end|>, newline, <|im_start|>, assistant, newline,
    # <think>, blank line, </think>, blank line.
    assert ids[:3] == (151644, 872, 198)
    assert ids[-10:] == (13, 151645, 198, 151644, 77091, 198, 151667, 271, 151668, 271)


def test_a_model_without_think_tokens_gets_no_think_block(tiny, example):
    """Qwen2.5's and SmolLM2's format: to them the marks would be ten tokens of noise."""
    stored = json.loads(tiny.backend_tokenizer.to_str())
    stored["added_tokens"] = [t for t in stored["added_tokens"] if "think" not in t["content"]]
    backend = Tokenizer.from_str(json.dumps(stored))
    plain = PreTrainedTokenizerFast(tokenizer_object=backend)
    prompt, message = written(plain, OUTCOME, example)
    assert prompt.text == PUBLISHED.removesuffix(THINK).format(message=message)
    writer = PromptWriter(plain, OUTCOME)
    assert writer.fingerprint != PromptWriter(tiny, OUTCOME).fingerprint
    examples = Examples((Example(example, "success"),))
    shown = FewShotWriter(plain, OUTCOME, examples, PromptSpec(4000)).write(Trial()).text
    assert "think" not in shown
    assert shown.endswith("<|im_start|>assistant\n")


def test_a_text_begins_as_the_models_own_texts_do(tiny, example):
    """Llama and Gemma put one token before every text, once, whatever the prompt shows."""
    backend = Tokenizer.from_str(tiny.backend_tokenizer.to_str())
    backend.add_special_tokens(["<s>"])
    number = backend.token_to_id("<s>")
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", number)])
    llama = PreTrainedTokenizerFast(tokenizer_object=backend)
    prompt, message = written(llama, OUTCOME, example)
    assert prompt.text == "<s>" + PUBLISHED.format(message=message)
    assert prompt.token_ids[0] == number
    examples = Examples((Example(example, "success"), Example(Trial(), "failure")))
    shown = FewShotWriter(llama, OUTCOME, examples, PromptSpec(4000)).write(example)
    assert shown.token_ids[0] == number
    assert shown.token_ids.count(number) == 1


@pytest.mark.parametrize("task", [OUTCOME, COMPLETION])
def test_the_template_itself(task, qwen3, example):
    """The template as TRL ships it; runs where TRL is installed."""
    trl = importlib.util.find_spec("trl")
    if trl is None or trl.origin is None:
        pytest.skip("TRL, which ships Qwen3's chat template, is not installed")
    template = Path(trl.origin).parent / "chat_templates" / "qwen3.jinja"
    prompt, message = written(qwen3, task, example)
    ids = qwen3.apply_chat_template(
        [{"role": "user", "content": message}],
        chat_template=template.read_text(encoding="utf-8"),
        add_generation_prompt=True,
        enable_thinking=False,
        return_dict=False,
    )
    assert tuple(ids) == prompt.token_ids
