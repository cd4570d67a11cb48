"""Few-shot forecasting: a base model that is shown labelled trials before each question."""

from __future__ import annotations

from collections.abc import Sequence

from llm4top.forecasters._base_model import BaseModel
from llm4top.forecasters._language import LanguageForecaster
from llm4top.prompts import FewShotWriter, PromptSpec, choose_examples
from llm4top.registry import Trial
from llm4top.tasks import Task, get_task


def few_shot(
    base: BaseModel,
    task: Task | str,
    trials: Sequence[Trial],
    labels: Sequence[str],
    *,
    shots: int = 4,
    seed: int = 0,
    spec: PromptSpec | None = None,
    batch_tokens: int | None = None,
) -> LanguageForecaster:
    """A forecaster that shows ``shots`` labelled trials before each question; nothing is trained.

    ``trials`` and ``labels`` (labels of ``task``) are **training** data: whatever is shown has
    been seen. The examples are drawn by ``seed``, balanced over the labels, the same for every
    question, and never the trial that is asked about. They and the question share the budget of
    ``spec``, of which the question keeps half or more; see ``FewShotWriter``. A clone of the
    forecaster shows no examples.

    Raises ``PromptError`` where a label has too few trials or the budget is too small for so
    many examples, ``TaskError`` for what is no label, and what ``LanguageForecaster`` raises.
    """
    asked = get_task(task)
    examples = choose_examples(asked, trials, labels, shots=shots, seed=seed)
    writer = FewShotWriter(base.tokenizer, asked, examples, spec)
    return LanguageForecaster.from_model(base, asked, writer=writer, batch_tokens=batch_tokens)
