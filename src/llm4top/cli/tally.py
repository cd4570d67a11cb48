"""What is said at the end of many forecasts: what was left out, copies, and how many succeed."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from llm4top.cli.console import names_apart, short_name
from llm4top.text import counted, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import NotApplicable
    from llm4top.tasks.task import Task

NAMED = 3
"""Records that are named of many alike; the rest is counted."""


class Tally:
    """Counts forecasts as they come. Holds names and numbers, no records."""

    def __init__(self, task: Task):
        self.done = 0
        self.left_out = 0
        self._task = task
        self._reasons: Counter[str] = Counter()
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        self._first: dict[str, str] = {}
        self._copies: list[str] = []
        self._n_copies = 0
        self._chances = array("d")
        self._from_base: float | None = 0.0

    def add(
        self, record: str, nct_id: str | None, probability: float, base_rate: float | None
    ) -> str | None:
        """Count one forecast; the earlier record with the same NCT id, where there is one."""
        self.done += 1
        first = self._first.setdefault(nct_id, record) if nct_id else record
        if first is not record:
            self._n_copies += 1
            if len(self._copies) < NAMED:
                copy, original = names_apart(record, first)
                self._copies.append(f"{copy} ({nct_id}, as {original})")
            return first
        self._chances.append(probability)
        if base_rate is None or self._from_base is None:
            self._from_base = None
        else:
            self._from_base += base_rate
        return None

    def leave_out(self, record: NotApplicable) -> None:
        """Count a record that the question does not apply to."""
        self.left_out += 1
        self._reasons[record.reason] += 1
        if len(self._names[record.reason]) < NAMED:
            self._names[record.reason].append(short_name(record.record))

    def lines(self) -> list[str]:
        """The sentences, each a line: one a reason, the commonest first; copies; the sum."""
        lines = []
        for reason, count in self._reasons.most_common():
            names = _listed(self._names[reason], count)
            lines.append(f"Not forecast: {counted(count, 'record')} ({names}): {reason}")
        if self._n_copies:
            names = _listed(self._copies, self._n_copies)
            several = "is a copy" if self._n_copies == 1 else "are copies"
            lines.append(
                f"{counted(self._n_copies, 'record')} {several} of a trial that came before, by "
                f"NCT id: {names}."
            )
        return lines + self._expected()

    def _expected(self) -> list[str]:
        """How many trials have the event, copies counted once; nothing for fewer than two."""
        from llm4top.workspace.views.label_bars import event_verb
        from llm4top.workspace.views.portfolio import expected_successes

        if self._task.kind != "binary" or len(self._chances) < 2:
            return []
        found = expected_successes(self._chances)
        once = " (copies counted once)" if self._n_copies else ""
        base = "" if self._from_base is None else f"; by base rates alone {self._from_base:.1f}"
        return [
            f"Expected to {event_verb(self._task.labels[1])}: {found.expected:.1f} of "
            f"{thousands(found.n)} trials{once}, {thousands(found.lower)} to "
            f"{thousands(found.upper)} with 95 % probability if they are independent{base}."
        ]


def _listed(names: list[str], count: int) -> str:
    rest = count - len(names)
    return ", ".join(names) + (f" and {thousands(rest)} more" if rest else "")
