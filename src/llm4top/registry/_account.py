"""What was kept out of a record: noted while it is read, put into words when somebody looks."""

from __future__ import annotations

from llm4top.registry._reasons import REASONS, UNLISTED
from llm4top.registry._text import excerpt
from llm4top.registry._trial import Withheld

KEPT = 160
"""How many characters of a text an excerpt may look at."""


class Account:
    """The account of one record. Of many alike only the first is shown, the rest are counted."""

    __slots__ = ("cut", "first", "more", "reasons")

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        """By field, the text of the first of its kind."""
        self.more: dict[str, int] = {}
        """By field, how many more there were."""
        self.reasons: dict[str, str] = {}
        """By field, a reason other than the one of its kind."""
        self.cut: list[Withheld] = []
        """What the leak guard cut out of free text."""

    def note(self, field: str, text: str, reason: str | None = None) -> None:
        """Keep ``field`` out of the trial."""
        if field in self.first:
            self.more[field] = self.more.get(field, 0) + 1
            return
        self.first[field] = text[:KEPT]
        if reason is not None:
            self.reasons[field] = reason

    def __call__(self) -> tuple[Withheld, ...]:
        """The account in words: fields as they came, then what the leak guard cut."""
        fields = [self._withheld(field, text) for field, text in self.first.items()]
        return (*fields, *self.cut)

    def _withheld(self, field: str, text: str) -> Withheld:
        reason = self.reasons.get(field) or REASONS.get(field, UNLISTED)
        more = self.more.get(field)
        if not more:
            return Withheld(field, reason, excerpt(text))
        suffix = f" (and {more} more)"
        return Withheld(field, reason, excerpt(excerpt(text), 80 - len(suffix)) + suffix)
