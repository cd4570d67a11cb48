"""From trials to answer logits with a model on a server, by the log-probabilities that it lists.

It stands in the place of a ``TrialScorer``. The prompt is written here and is token for token the
local one. The server continues it by one token and lists the most likely ones; those of the
answers are the local logits up to a constant of the row, so the probabilities are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import AnswerTokenError, ModelError, ServerError
from llm4top.forecasters.model.completion_server import CompletionServer
from llm4top.forecasters.model.tokenizer import FastTokenizer, answer_token_ids
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptSpec, PromptWriter
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task
from llm4top.text import counted

if TYPE_CHECKING:
    from llm4top.forecasters.model.base_model import BaseModel

AT_ONCE = 8
"""Requests that a server has at a time."""
_LISTED = (200, 20, 5)
"""Tokens to list, of which a server gets the first number that it takes (vLLM: 20)."""
_ROUNDING = 1e-6
"""What float32 log-probabilities may be short of one in sum."""
_NOT_UNDERSTOOD = (400, 413, 422, 500, 501)


@dataclass(frozen=True, slots=True)
class Form:
    """How a server wants to be asked: with token ids or text, and for how many listed tokens."""

    ids: bool
    listed: int


FORMS = [Form(ids, listed) for ids in (True, False) for listed in _LISTED]
"""The forms that a server is asked in until it understands one."""


class ServedScorer:
    """A model on a server with a task's question: trials in, answer logits out.

    Attributes are those of a ``TrialScorer``, but for the weights, which are not here. ``missing``
    has the answers that the last ``logits`` had to bound, by the prompt's text, and ``bounded`` is
    the number of its prompts with such answers.

    Raises ``AnswerTokenError`` where the tokenizer cannot say the answers.
    """

    batch_tokens: int | None = None
    probe = None
    weight_bytes = 0

    def __init__(
        self, server: CompletionServer, tokenizer: FastTokenizer, writer: PromptWriter, task: Task
    ):
        self.server, self.tokenizer, self.writer, self.task = server, tokenizer, writer, task
        self.answer_ids = answer_token_ids(tokenizer, task)
        self.missing: dict[str, tuple[str, ...]] = {}
        self.bounded = 0
        self._form: Form | None = None

    @classmethod
    def plain(
        cls, server: CompletionServer, tokenizer: FastTokenizer, task: Task, spec: PromptSpec
    ) -> ServedScorer:
        """A scorer whose prompts have no examples."""
        return cls(server, tokenizer, PromptWriter(tokenizer, task, spec), task)

    def with_writer(self, writer: PromptWriter) -> ServedScorer:
        """A scorer of the same server whose prompts another writer writes."""
        return ServedScorer(self.server, self.tokenizer, writer, self.task)

    @property
    def folder(self) -> Path:
        """Raises ``ModelError``: the weights are in no folder here."""
        self._refuse()

    @property
    def base(self) -> BaseModel:
        """Raises ``ModelError``: the model is not in this process."""
        self._refuse()

    @property
    def model(self) -> Any:
        """Raises ``ModelError``: the model is not in this process."""
        self._refuse()

    def prompts(self, trials: Iterable[Trial]) -> list[Prompt]:
        """The trials as the model reads them."""
        return [self.writer.write(trial) for trial in trials]

    def logits(
        self, prompts: Sequence[Prompt], *, on_progress: OnProgress | None = None
    ) -> NDArray[np.float64]:
        """Log-probabilities of the answers ``[prompts, labels]``, in place of their logits.

        An answer that the server does not list gets the highest value that it can have: it is at
        most as likely as the least likely token of the list, and as all unlisted ones together.
        Ctrl-C ends the requests that are on their way.

        Raises ``ServerError`` with the row of the prompt for the first one that gets no answer.
        """
        self.missing, self.bounded = {}, 0
        found = np.empty((len(prompts), len(self.answer_ids)))
        if not prompts:
            return found
        self.server.resume()
        done = tokens = 0
        self._settle(prompts[0])
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            rows = {pool.submit(self._row, p, row): row for row, p in enumerate(prompts)}
            for future in as_completed(rows):
                row = rows[future]
                found[row] = future.result()
                done, tokens = done + 1, tokens + len(prompts[row].token_ids)
                if on_progress is not None:
                    figures = {"tokens": tokens}
                    on_progress(Progress("forecast", done, len(prompts), figures=figures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self.server.stop()
            raise
        finally:
            pool.shutdown()
        self.bounded = sum(prompt.text in self.missing for prompt in prompts)
        return found

    def notes_on(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """A sentence about each of the last prompts whose answers were not all listed."""
        return [self._note(self.missing.get(prompt.text, ())) for prompt in prompts]

    def _note(self, missing: Sequence[str]) -> str | None:
        if not missing:
            return None
        names = ", ".join(missing)
        if len(missing) == len(self.answer_ids):
            return f"the server listed none of the answers ({names}): this chance says nothing"
        return (
            f"the server did not list the answer {names}: "
            "the chance rests on the highest probability that it can have"
        )

    def _settle(self, prompt: Prompt) -> None:
        """Find the first form that the server understands, with the first prompt."""
        for form in FORMS if self._form is None else ():
            try:
                self.server.ask(self._body(prompt, form), known=False)
            except ServerError as error:
                if error.status in _NOT_UNDERSTOOD and form is not FORMS[-1]:
                    continue
                error.row = 0
                raise
            self._form = form
            return

    def _row(self, prompt: Prompt, row: int) -> list[float]:
        assert self._form is not None
        try:
            answer = self.server.ask(self._body(prompt, self._form))
            self._check_tokens(answer, prompt)
            return self._answers(answer, prompt)
        except ServerError as error:
            error.row = row
            raise

    def _body(self, prompt: Prompt, form: Form) -> dict[str, Any]:
        # Servers put the token that begins every text before a text themselves.
        text = prompt.text.removeprefix(self.writer.beginning)
        return {
            "prompt": list(prompt.token_ids) if form.ids else text,
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": form.listed,
            # Of vLLM; others ignore it. Two tokens may have the same text.
            "return_tokens_as_token_ids": True,
        }

    def _check_tokens(self, answer: Mapping[str, Any], prompt: Prompt) -> None:
        """Refuse an answer to another prompt than ours: with a chat template, say, around it."""
        usage = answer.get("usage")
        read = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        ours = len(prompt.token_ids)
        if read == ours:
            return
        told = "did not say how many tokens it read"
        if isinstance(read, int):
            told = f"read {counted(read, 'token')}"
        self._fail(
            f"it {told} of a prompt of {ours}.",
            "Its tokenizer is another one, or it changes prompts: serve the model that the "
            "tokenizer here belongs to, without a chat template around completions.",
        )

    def _answers(self, answer: Mapping[str, Any], prompt: Prompt) -> list[float]:
        listed = self._listed(answer)
        found = [listed.get(token_id) for token_id in self.answer_ids]
        given = zip(self.task.answers, found, strict=True)
        missing = tuple(name for name, value in given if value is None)
        if missing:
            self.missing[prompt.text] = missing
        unlisted = 1.0 - sum(math.exp(value) for value in listed.values())
        bound = min([*listed.values(), math.log(max(unlisted, _ROUNDING))])
        return [bound if value is None else value for value in found]

    def _listed(self, answer: Mapping[str, Any]) -> dict[int | str, float]:
        """The listed log-probabilities: by token id, or by text where that is no answer's."""
        try:
            given = answer["choices"][0]["logprobs"]
            if given.get("content"):  # llama.cpp, and the form of chat completions
                top = given["content"][0]["top_logprobs"]
                pairs = [(one.get("id", one["token"]), one["logprob"]) for one in top]
            else:
                pairs = list(given["top_logprobs"][0].items())
            values = {self._token(name): float(value) for name, value in pairs}
        except (LookupError, TypeError, ValueError, AttributeError):
            values = {}
        if not values or not all(value <= _ROUNDING for value in values.values()):
            self._fail(
                "its answer has no list of log-probabilities.",
                "Start it so that completions have them (llama-cpp-python: --logits_all true).",
            )
        return {token: value for token, value in values.items() if value > -math.inf}

    def _token(self, name: int | str) -> int | str:
        """The id of a token that a server names by id, "token_id:9454", or text."""
        if isinstance(name, int):
            return name
        number = name.removeprefix("token_id:")
        if number != name and number.isdecimal():
            return int(number)
        return self._ids_by_text.get(name, name)

    @cached_property
    def _ids_by_text(self) -> dict[str, int]:
        """The answers' token ids by their text; ``AnswerTokenError`` where another has the same."""
        texts = {self.tokenizer.decode([token_id]): token_id for token_id in self.answer_ids}
        found = Counter(self.tokenizer.decode([n]) for n in range(len(self.tokenizer)))
        for text in texts:
            if found[text] != 1:
                raise AnswerTokenError(
                    f"{found[text]} tokens of the tokenizer read {text!r}, and the server does not "
                    "say which of them it lists.",
                    where=self.server.served.url,
                    hint="Use a server that lists token ids, such as vLLM or llama.cpp's own.",
                )
        return texts

    def _fail(self, message: str, hint: str) -> NoReturn:
        raise ServerError(message, where=self.server.served.url, hint=hint)

    def _refuse(self) -> NoReturn:
        raise ModelError(
            "the model's weights are on a server: they cannot be trained, stored or looked into.",
            where=self.server.served.url,
            hint="Download the model for that, and give its name or folder.",
        )
