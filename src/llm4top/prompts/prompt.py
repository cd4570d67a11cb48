"""The one rendering function: a trial and a task as the tokens a model reads.

Zero-shot scoring, fine-tuning and forecasting all go through ``PromptWriter.write``. The prompt
ends where the answer begins; the answer is never part of it, so shortening cannot touch it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from llm4top.errors import PromptError
from llm4top.prompts.sections import SECTION_NAMES, Section, defuse, trial_sections
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial
from llm4top.tasks.task import Task

PROBE = Trial(
    phase="Phase 2",
    study_type="Interventional",
    brief_title="brief title",
    official_title="official title",
    conditions=("first condition", "second condition"),
    condition_mesh=("first term", "second term"),
    icd_codes=("A00", "B00"),
    keywords=("first keyword", "second keyword"),
    interventions=(
        Intervention("first", "Drug", "first description", ("Experimental", "Other")),
        Intervention("second", "Drug"),
    ),
    intervention_mesh=("first drug term", "second drug term"),
    smiles=("C", "CC"),
    arms=(Arm("first arm", "Experimental", "its description"), Arm("second arm")),
    number_of_arms=2,
    allocation="Randomized",
    intervention_model="Parallel Assignment",
    masking="Double",
    primary_purpose="Treatment",
    primary_outcomes=(Outcome("first", "1 week", "its description"), Outcome("second")),
    secondary_outcomes=(Outcome("third", "2 weeks"), Outcome("fourth")),
    criteria="- criteria",
    sex="All",
    minimum_age="18 Years",
    maximum_age="65 Years",
    healthy_volunteers=False,
    sponsor_class="Industry",
    collaborators=(Collaborator("collaborator", "NIH"), Collaborator("another")),
    has_dmc=True,
    planned_enrolment=100,
    planned_start="2031-05",
    brief_summary="brief summary",
    detailed_description="detailed description",
)


def fair_share(needs: Sequence[int], room: int) -> list[int]:
    """Max-min fair shares of ``room``: none is larger than its need, the others are equal.

    Short sections stay whole and the longest are cut to a common length. ``sum(shares)`` is
    ``min(sum(needs), room)``. (Progressive filling: Bertsekas & Gallager, Data Networks, 6.5.2.)
    """
    shares = [0] * len(needs)
    left = max(room, 0)
    order = sorted(range(len(needs)), key=lambda i: needs[i])
    for position, index in enumerate(order):
        shares[index] = min(needs[index], left // (len(order) - position))
        left -= shares[index]
    return shares


INTRODUCTION = "This is a clinical trial's registry record as it stood before the trial began."
CUT_MARK = " […]"

# ChatML as Qwen3's own chat template writes it with thinking switched off: the empty think block
# belongs to the prompt (a test compares it with the template over the real tokenizer).
OPENING = "<|im_start|>user\n"
TURN = "<|im_end|>\n<|im_start|>assistant\n"
CLOSING = TURN + "<think>\n\n</think>\n\n"


def closing(tokenizer: Any) -> str:
    """What ends the prompts of a model with this tokenizer: ``CLOSING``, or ``TURN``.

    A model whose vocabulary has no ``<think>`` (Qwen2.5, SmolLM2) never saw a think block: to it
    the marks are ten tokens of noise between the question and the answer. None is Qwen3's.
    """
    if tokenizer is None:
        return CLOSING
    thinks = len(tokenizer("<think>", add_special_tokens=False)["input_ids"]) == 1
    return CLOSING if thinks else TURN


def beginning(tokenizer: Any) -> str:
    """The token that this tokenizer puts before every text (Llama's, Gemma's), or nothing.

    Models that learned with one do not understand a text without it. Qwen's have none.
    """
    if tokenizer is None:
        return ""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    if not plain or len(whole) == len(plain) or whole[1 : 1 + len(plain)] != plain:
        return ""
    return str(tokenizer.convert_ids_to_tokens(whole[0]))


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """What a prompt may hold: its token budget and the sections it shows (None: all).

    A fine-tuned model reads the sections it was trained on, so its bundle stores its spec. With
    ``plain_text`` it reads their words alone, so that no layout moves a forecast: see
    ``plain_words``. Raises ``PromptError`` for an unknown section or a budget below one.
    """

    max_tokens: int = 2048
    sections: tuple[str, ...] | None = None
    plain_text: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise PromptError(f"a token budget is 1 or more, not {self.max_tokens}.")
        unknown = sorted(set(self.sections or ()) - set(SECTION_NAMES))
        if unknown:
            raise PromptError(
                f"no prompt section {', '.join(unknown)}.",
                hint=f"Sections: {', '.join(SECTION_NAMES)}.",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as stored in a bundle's manifest."""
        values = asdict(self)
        if not self.plain_text:
            # Specs of before this field keep their form, which fingerprints are hashes of.
            del values["plain_text"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PromptSpec:
        """Inverse of ``to_dict``."""
        sections = values.get("sections")
        return cls(
            values["max_tokens"],
            tuple(sections) if sections is not None else None,
            values.get("plain_text", False),
        )


@dataclass(frozen=True, slots=True)
class SectionAccount:
    """Tokens of one section: as the trial has it, and how many of them the prompt shows.

    The heading's tokens count as the section's; the mark of a cut is not counted. ``text`` is
    the section as shown, empty where nothing of it fits.
    """

    name: str
    heading: str
    tokens: int
    kept: int
    text: str

    @property
    def cut(self) -> int:
        """Tokens left out to fit the budget."""
        return self.tokens - self.kept


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: text, token ids and an account of what was kept and cut."""

    text: str
    token_ids: tuple[int, ...]
    sections: tuple[SectionAccount, ...]

    @property
    def tokens_cut(self) -> int:
        """Tokens of the trial's text that the budget left out."""
        return sum(section.cut for section in self.sections)


def question_text(task: Task) -> str:
    """The question as it closes every prompt, with the allowed answers spelled out."""
    if task.kind == "binary":
        return f"{task.question} Answer {task.answers[1]} or {task.answers[0]}."
    choices = "; ".join(f"{a}: {label}" for a, label in zip(task.answers, task.labels, strict=True))
    return f"{task.question} Answer with one of these: {choices}."


def chat_message(sections: Sequence[Section], task: Task) -> str:
    """The user's message: introduction, the sections, the question."""
    question = defuse(question_text(task))  # a task may come with somebody else's bundle
    return "\n".join([INTRODUCTION, "", *(s.block for s in sections), "", question])


class PromptWriter:
    """Writes prompts for one tokenizer, task and spec.

    Args:
        tokenizer: A fast tokenizer of Hugging Face (it must report character offsets).
        task: The question that closes each prompt.
        spec: Token budget and sections; ``PromptSpec()`` where None.
    """

    def __init__(self, tokenizer: Any, task: Task, spec: PromptSpec | None = None):
        self.tokenizer = tokenizer
        self.task = task
        self.spec = spec or PromptSpec()
        self.beginning, self.closing = beginning(tokenizer), closing(tokenizer)

    @property
    def fingerprint(self) -> str:
        """sha256 of everything about a prompt that is not the trial, its wording included."""
        probe = trial_sections(
            PROBE, hidden_fields=self.task.hidden_fields, plain=self.spec.plain_text
        )
        parts = {
            "probe": self._wrap(chat_message(probe, self.task)),
            "spec": self.spec.to_dict(),
            "cut": CUT_MARK,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def write(self, trial: Trial) -> Prompt:
        """Render one trial within the token budget.

        Args:
            trial: The trial.

        Returns:
            The prompt: its text, its token ids (at most ``spec.max_tokens``) and the tokens that
            were kept and cut of each section.

        Raises:
            PromptError: The question alone exceeds the budget.
        """
        sections = trial_sections(
            trial,
            only=self.spec.sections,
            hidden_fields=self.task.hidden_fields,
            plain=self.spec.plain_text,
        )
        ids = self._encode(self._wrap(chat_message(sections, self.task)))
        if len(ids) <= self.spec.max_tokens:
            counts = [len(tokens) for tokens in self._offsets(sections)]
            return self._prompt(sections, sections, ids, counts, counts)
        return self._shortened(sections)

    def with_spec(self, spec: PromptSpec) -> PromptWriter:
        """A writer that differs from this one in its spec only."""
        return PromptWriter(self.tokenizer, self.task, spec)

    @cached_property
    def _frame_tokens(self) -> int:
        """The tokens of a prompt without any section."""
        return len(self._encode(self._wrap(chat_message([], self.task))))

    def _wrap(self, message: str) -> str:
        """The user's message in the chat format, up to where the answer begins."""
        return self.beginning + OPENING + message + self.closing

    def _shortened(self, sections: list[Section]) -> Prompt:
        """Shorten the longest sections first; short ones stay whole."""
        frame = self._frame_tokens
        room = self.spec.max_tokens - frame
        if room < 0:
            raise PromptError(
                f"the question alone takes {frame} tokens of a budget of {self.spec.max_tokens}.",
                hint="Raise the prompt's token budget.",
            )
        offsets = self._offsets(sections)
        counts = [len(tokens) for tokens in offsets]
        while True:
            cuts = _fit(sections, offsets, room)
            shown = [section for section, _ in cuts]
            ids = self._encode(self._wrap(chat_message([s for s in shown if s.text], self.task)))
            excess = len(ids) - self.spec.max_tokens
            if excess <= 0:
                return self._prompt(sections, shown, ids, counts, [kept for _, kept in cuts])
            # Joining sections may merge or split a few tokens; take exactly that much more away.
            # Without any section the frame is left, and that fits.
            room = max(room - excess, 0)

    def _prompt(
        self,
        sections: Sequence[Section],
        shown: Sequence[Section],
        ids: list[int],
        counts: Sequence[int],
        kept: Sequence[int],
    ) -> Prompt:
        text = self._wrap(chat_message([s for s in shown if s.text], self.task))
        accounts = (
            SectionAccount(s.name, s.heading, n, k, v.text)
            for s, v, n, k in zip(sections, shown, counts, kept, strict=True)
        )
        return Prompt(text, tuple(ids), tuple(accounts))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _offsets(self, sections: Sequence[Section]) -> list[list[tuple[int, int]]]:
        if not sections:
            return []
        encoded = self.tokenizer(
            [section.block + "\n" for section in sections],
            add_special_tokens=False,
            return_offsets_mapping=True,
        )
        offsets: list[list[tuple[int, int]]] = encoded["offset_mapping"]
        return offsets


def _fit(
    sections: Sequence[Section], offsets: Sequence[Sequence[tuple[int, int]]], room: int
) -> list[tuple[Section, int]]:
    """The sections shortened to ``room`` tokens together, each with its tokens kept.

    Where a share is too small for a single word, the last such section leaves its share to the
    others.
    """
    needs = [len(tokens) for tokens in offsets]
    while True:
        caps = fair_share(needs, room)
        cuts = [_cut(s, o, cap) for s, o, cap in zip(sections, offsets, caps, strict=True)]
        empty = [i for i, (section, _) in enumerate(cuts) if needs[i] and not section.text]
        if not empty:
            return cuts
        needs[empty[-1]] = 0


def _cut(section: Section, offsets: Sequence[tuple[int, int]], cap: int) -> tuple[Section, int]:
    """The section's first ``cap`` tokens at most, and the number of its tokens that are kept.

    A cut text ends at a whole word and is marked as cut; the mark is made room for.
    """
    if cap >= len(offsets):
        return section, len(offsets)
    lead = len(section.block) - len(section.text)
    end = offsets[cap - 1][1] - lead if cap else 0
    words = section.text[: max(end - len(CUT_MARK), 0)].rsplit(None, 1)
    if len(words) < 2 or words[0] == "-":
        return Section(section.name, section.heading, "", section.fields), 0
    text = words[0].removesuffix("\n-")
    kept = sum(stop <= lead + len(text) for _, stop in offsets)
    return Section(section.name, section.heading, text + CUT_MARK, section.fields), kept
