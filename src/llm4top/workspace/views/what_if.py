"""Comparisons of variants as pages and downloads show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm4top.registry.edits import Edit
from llm4top.text import interval, percent
from llm4top.workspace.views import svg

Answer = Mapping[str, Any]
"""A variant, or a whole comparison, in its JSON form."""


def chance_of(variant: Answer) -> str:
    """The chance of a variant; why there is none."""
    chance = variant["forecast"].get("probability")
    return "none" if chance is None else percent(chance)


def interval_of(variant: Answer) -> str:
    """The interval of its chance, empty where there is none."""
    forecast = variant["forecast"]
    return interval(forecast.get("lower"), forecast.get("upper"))


COLUMNS = ("Variant", "Chance", "95\u00a0% interval", "Difference")


def variant_cells(variant: Answer) -> tuple[str, str, str, str]:
    """A row of ``COLUMNS``; the name is followed by the edits where these are short."""
    edits = ", ".join(Edit.from_dict(edit).text for edit in variant["edits"])
    shown = variant["name"] if len(edits) > 300 or not edits else f"{variant['name']}: {edits}"
    return shown, chance_of(variant), interval_of(variant), variant["words"]


@dataclass(slots=True)
class History:
    """Edits with undo and redo. Setting one place twice in a row is one edit."""

    edits: tuple[Edit, ...] = ()
    _past: list[tuple[Edit, ...]] = field(default_factory=list)
    _undone: list[tuple[Edit, ...]] = field(default_factory=list)

    @property
    def can_undo(self) -> bool:
        """Whether there is a state before this one."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether a state was undone."""
        return bool(self._undone)

    def add(self, edit: Edit) -> None:
        """Append an edit; what was undone is forgotten."""
        last = self.edits[-1] if self.edits else None
        again = last is not None and last.operation == edit.operation == "set"
        same = again and last is not None and last.path == edit.path
        self._change((*self.edits[:-1], edit) if same else (*self.edits, edit))

    def replace(self, edits: Sequence[Edit]) -> None:
        """Go to other edits, as when a variant is opened; can be undone."""
        if tuple(edits) != self.edits:
            self._change(tuple(edits))

    def undo(self) -> None:
        """Go back one state."""
        if self._past:
            self._undone.append(self.edits)
            self.edits = self._past.pop()

    def redo(self) -> None:
        """Go forward to what was undone last."""
        if self._undone:
            self._past.append(self.edits)
            self.edits = self._undone.pop()

    def _change(self, edits: tuple[Edit, ...]) -> None:
        self._past.append(self.edits)
        self._undone.clear()
        self.edits = edits


_ROW, _TOP = 30, 28


def sweep_chart(comparison: Answer, heading: str) -> str:
    """A dot with its interval for each value of a swept field, and a line at the original."""
    shown = [one for one in comparison["variants"] if one["forecast"].get("probability")]
    bottom = _TOP + _ROW * len(shown)
    marks = [svg.line((at, _TOP - 8), (at, bottom)) for at in (0, 25, 50, 75, 100)]
    marks += [svg.text(at, 12, f"{at}\u00a0%") for at in (0, 25, 50, 75, 100)]
    start = comparison["original"]["forecast"].get("probability")
    if start is not None:
        at = 100 * start
        marks.append(svg.line((at, _TOP - 8), (at, bottom), svg.INK, 1, "; stroke-dasharray: 4 3"))
        first = comparison["original"]
        marks.append(svg.text(at, bottom + 16, f"{first['name']} {chance_of(first)}", svg.INK))
    for n, one in enumerate(shown):
        y = _TOP + _ROW * n + 20
        forecast = one["forecast"]
        ends = forecast.get("lower"), forecast.get("upper")
        inside = []
        if None not in ends:
            inside.append(svg.line((100 * ends[0], y), (100 * ends[1], y), svg.SERIES, 2))
        inside.append(svg.dot(100 * forecast["probability"], y, 5, svg.SERIES))
        inside.append(svg.text(0, y - 8, one["name"], svg.INK, anchor="start", halo=True))
        title = f"{one['name']}: {chance_of(one)} ({interval_of(one)}); {one['words']}"
        marks.append(svg.titled(title, *inside))
    said = "; ".join(f"{one['name']} {chance_of(one)}" for one in shown)
    return svg.chart(marks, f"Chance by {heading.lower()}: {said}", bottom + 22)
