"""Few-shot prompts: labelled training trials shown before the trial in question.

Each example is an earlier turn of the chat: the trial with the question as the user's message,
its label's answer as the model's. Qwen3's own template writes earlier answers without the think
block that the last one begins with (a test compares the two over the real tokenizer).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm4top.errors import PromptError
from llm4top.prompts.prompt import OPENING, TURN, Prompt, PromptSpec, PromptWriter, fair_share
from llm4top.prompts.sections import defuse
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

_END = "<|im_end|>\n"
LEAST_TOKENS = 32
"""Tokens of its own text that each example is given at least; with fewer it shows nothing."""


@dataclass(frozen=True, slots=True)
class Example:
    """A trial whose label is shown."""

    trial: Trial
    label: str


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples in the order in which they are shown, and spares to take their place.

    A spare stands in where the trial that is asked about is itself an example: one a label, so
    that the balance stays. A label may have none.
    """

    shown: tuple[Example, ...]
    spares: tuple[Example, ...] = ()

    def besides(self, trial: Trial) -> tuple[Example, ...]:
        """The examples to show before a question about ``trial``; never ``trial`` itself."""
        if all(example.trial != trial for example in self.shown):
            return self.shown
        spares = [spare for spare in self.spares if spare.trial != trial]
        kept: list[Example] = []
        for example in self.shown:
            if example.trial != trial:
                kept.append(example)
            elif spare := next((s for s in spares if s.label == example.label), None):
                kept.append(spare)
        return tuple(kept)


def choose_examples(
    task: Task, trials: Sequence[Trial], labels: Sequence[str], *, shots: int = 4, seed: int = 0
) -> Examples:
    """``shots`` training trials, as evenly over the labels as can be, all different.

    ``labels`` are labels of ``task``, one a trial. Which trials, which labels get one more where
    ``shots`` is no multiple of their number, and the order are drawn by ``seed``.

    Raises ``PromptError`` for fewer than one example and where a label has too few trials, and
    ``TaskError`` for what is no label.
    """
    if shots < 1:
        raise PromptError(f"{shots} examples: show one or more.")
    if len(trials) != len(labels):
        raise PromptError(f"{len(trials)} trials and {len(labels)} labels for the examples.")
    rows: dict[str, list[int]] = {label: [] for label in task.labels}
    for row, label in enumerate(labels):
        rows[task.labels[task.label_index(label)]].append(row)
    rng = random.Random(seed)
    lucky = rng.sample(task.labels, shots % len(task.labels))
    shown: list[Example] = []
    spares: list[Example] = []
    for label in task.labels:
        wanted = shots // len(task.labels) + (label in lucky)
        if not wanted:
            continue
        taken = {example.trial for example in (*shown, *spares)}
        drawn = list(_draw(trials, label, rows[label], wanted + 1, taken, rng))
        if len(drawn) < wanted:
            raise PromptError(
                f"{shots} examples need {wanted} different trials with label {label!r}; "
                f"the training data have {len(drawn)}.",
                hint="Show fewer examples, or give more training trials.",
            )
        shown += drawn[:wanted]
        spares += drawn[wanted:]
    rng.shuffle(shown)
    return Examples(tuple(shown), tuple(spares))


def _draw(
    trials: Sequence[Trial],
    label: str,
    rows: list[int],
    count: int,
    taken: set[Trial],
    rng: random.Random,
) -> Iterator[Example]:
    """Up to ``count`` trials of ``rows`` that are equal to none taken before."""
    # Not all rows are looked at: a stored data set decodes each trial that is.
    for row in rng.sample(rows, len(rows)):
        if count == 0:
            return
        if (trial := trials[row]) not in taken:
            taken.add(trial)
            count -= 1
            yield Example(trial, label)


class FewShotWriter(PromptWriter):
    """Writes prompts that show labelled examples before the question.

    The budget of ``spec`` is the whole prompt's. The examples take half of it at most, shared
    fairly between them, and are the same in every prompt (but for an example that is asked
    about itself); all the rest is the question's. Examples show the sections that the question
    shows and are shortened in the same way; their labels are never shortened. The account of a
    ``Prompt`` is about the trial that is asked about.

    Raises ``PromptError`` where half of the budget is too little for that many examples.
    """

    def __init__(
        self, tokenizer: Any, task: Task, examples: Examples, spec: PromptSpec | None = None
    ):
        super().__init__(tokenizer, task, spec)
        self.examples = examples
        self._writers: dict[tuple[Example, ...], _AfterExamples] = {}
        self._after(examples.shown)

    @property
    def fingerprint(self) -> str:
        """sha256 of everything about a prompt that is not the trial, the examples included."""
        parts = {
            "plain": PromptWriter(self.tokenizer, self.task, self.spec).fingerprint,
            "shown": [[e.label, e.trial.to_dict()] for e in self.examples.shown],
            "spares": [[e.label, e.trial.to_dict()] for e in self.examples.spares],
            "turns": self._after(self.examples.shown).before,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def write(self, trial: Trial) -> Prompt:
        """Render one trial behind the examples, all of it within the token budget.

        Raises ``PromptError`` where the examples and the question alone exceed it.
        """
        return self._after(self.examples.besides(trial)).write(trial)

    def with_spec(self, spec: PromptSpec) -> FewShotWriter:
        """A writer that differs from this one in its spec only; so do its examples."""
        return FewShotWriter(self.tokenizer, self.task, self.examples, spec)

    def _after(self, examples: tuple[Example, ...]) -> _AfterExamples:
        if examples not in self._writers:
            before = "".join(self._turns(examples))
            self._writers[examples] = _AfterExamples(self.tokenizer, self.task, before, self.spec)
        return self._writers[examples]

    def _turns(self, examples: Sequence[Example]) -> Iterator[str]:
        """The examples as earlier turns of the chat, together within half of the budget."""
        half = self.spec.max_tokens // 2
        frames = [self._frame(example) for example in examples]
        whole = [self._turn(example, None) for example in examples]
        needs = [len(prompt.token_ids) - n for prompt, n in zip(whole, frames, strict=True)]
        room = half - sum(frames)
        if room < sum(min(need, LEAST_TOKENS) for need in needs):
            raise PromptError(
                f"{len(examples)} examples do not fit into half of a budget of "
                f"{self.spec.max_tokens} tokens.",
                hint="Show fewer examples, or raise the prompt's token budget.",
            )
        shares = fair_share(needs, room)
        for example, share, frame in zip(examples, shares, frames, strict=True):
            yield self._turn(example, share + frame).text

    def _frame(self, example: Example) -> int:
        return len(self._turn(Example(Trial(), example.label), None).token_ids)

    def _turn(self, example: Example, tokens: int | None) -> Prompt:
        """One example within ``tokens`` (None: whole)."""
        spec = replace(self.spec, max_tokens=_NO_LIMIT if tokens is None else tokens)
        answer = self.task.answers[self.task.label_index(example.label)]
        return _AnsweredWriter(self.tokenizer, self.task, answer, spec).write(example.trial)


_NO_LIMIT = 1 << 40


class _AnsweredWriter(PromptWriter):
    """Writes an example's turn: the question about a trial, and its answer."""

    def __init__(self, tokenizer: Any, task: Task, answer: str, spec: PromptSpec):
        super().__init__(tokenizer, task, spec)
        self.answer = defuse(answer)

    def _wrap(self, message: str) -> str:
        return OPENING + message + TURN + self.answer + _END


class _AfterExamples(PromptWriter):
    """Writes the question behind examples that are written already."""

    def __init__(self, tokenizer: Any, task: Task, before: str, spec: PromptSpec):
        super().__init__(tokenizer, task, spec)
        self.before = before

    def _wrap(self, message: str) -> str:
        return self.beginning + self.before + OPENING + message + self.closing
