"""Foreign text in a spreadsheet's cell, which must not run as a formula (CWE-1236)."""

from __future__ import annotations

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters after which a spreadsheet may see a formula; some fold the wide forms."""

LONGEST_CELL = 32_767
"""Characters that a spreadsheet's cell can hold."""


def plain_text(words: str) -> str:
    """``words`` on one line, without control characters, no longer than a cell can hold."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(words.splitlines()))
    return line[:LONGEST_CELL]


def harmless_cell(words: str) -> str:
    """``plain_text`` that no spreadsheet runs: what could begin a formula follows an apostrophe."""
    line = plain_text(words)
    return f"'{line[: LONGEST_CELL - 1]}" if is_risky(words) else line


def is_risky(words: str) -> bool:
    """Whether a spreadsheet may run the words as a formula."""
    return words.startswith(FORMULA_STARTS) or words.lstrip().startswith(FORMULA_STARTS)
