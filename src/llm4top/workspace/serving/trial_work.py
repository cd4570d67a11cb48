"""Work on one trial by the process that holds the models: an explanation, a changed trial.

A kind of work is a function that any room before ``workspace`` defines. To add one, write
``def function(forecaster, record, arguments) -> dict`` with JSON-able arguments and result, which
raises an ``LLM4TOPError`` where the request is at fault, and name it in ``KINDS``. Then::

    answer = await service.ask("explain", file, {"seed": 0}, client=client, bundle=place)

in a page or an operation, where ``service`` is the ``ForecastService``, and ``file`` an
``UploadedFile`` with one record, or a ``Record``. ``ask_about`` (``workspace/ask.py``) does it for
a stored forecast. The request waits its turn among forecasts, is withdrawn when its task is
cancelled, and raises what the function raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm4top.workspace.serving.ipc import Message

KINDS: dict[str, str] = {
    "explain": "llm4top.forecasters.reasons.explain:explanation_of",
    "precedents": "llm4top.forecasters.precedents.work:precedents_of",
    "what-if": "llm4top.forecasters.what_if:answer_what_if",
    "draft": "llm4top.forecasters.section_costs:answer_draft",
}
"""The function of each kind of work, as "module:function"."""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work: its kind, the arguments of its function, and which record it is about.

    ``sha256`` is that of the record's source; None: the first record of the file.
    """

    kind: str
    arguments: Mapping[str, Any]
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no kind of work {self.kind!r}; known: {', '.join(KINDS)}.")

    def is_about(self, record: Message) -> bool:
        """Whether a record, as it is sent to the process, is the one."""
        return self.sha256 is None or record["source"]["sha256"] == self.sha256

    def to_wire(self) -> Message:
        """As the process takes it."""
        return {"function": KINDS[self.kind], "arguments": dict(self.arguments)}
