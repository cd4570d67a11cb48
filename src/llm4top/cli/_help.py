"""Help texts from docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def help_text(command: Callable[..., Any]) -> str:
    """The command's docstring with the lines of each paragraph joined, examples left as they are.

    The help would otherwise break lines where the source does.
    """
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else " ".join(p.split()) for p in paragraphs)
