"""The design of a trial as the legacy XML told it before 2017: in one line of words.

"Allocation: Randomized, Endpoint Classification: Safety Study, Masking: Double Blind (Subject)";
before 2009 or so without names: "Treatment, Randomized, Double-Blind, Parallel Assignment".
"""

from __future__ import annotations

import re

from llm4top.registry import _codes

_NAMED = re.compile(r"(?:^|,)\s*([A-Z][A-Za-z /-]{2,30}):\s*")
_COMMAS = re.compile(r",(?![^(]*\))")
_FIELDS = {
    "allocation": ("allocation", _codes.ALLOCATIONS),
    "intervention model": ("intervention_model", _codes.MODELS),
    "masking": ("masking", {}),
    "primary purpose": ("primary_purpose", _codes.PURPOSES),
}
_BLIND = re.compile(r"blind|open[ -]?label|mask", re.IGNORECASE)


def parse_design(text: str) -> tuple[dict[str, str], str]:
    """The fields of a trial that a line about its design holds, and what else it says."""
    words = " ".join(text.split())
    names = list(_NAMED.finditer(words))
    if not names:
        return _unnamed(words)
    fields: dict[str, str] = {}
    rest = [words[: names[0].start()]]
    ends = [found.start() for found in names[1:]] + [len(words)]
    for found, end in zip(names, ends, strict=True):
        value = words[found.end() : end].strip(" ,")
        known = _FIELDS.get(found[1].lower())
        if known is None:
            rest.append(f"{found[1]}: {value}")
            continue
        field, table = known
        spelled = _codes.masking(value) if field == "masking" else _codes.design(table, value)
        if spelled:
            fields[field] = spelled
    return fields, ", ".join(part for part in rest if part)


def _unnamed(words: str) -> tuple[dict[str, str], str]:
    fields: dict[str, str] = {}
    rest = []
    for part in (part.strip() for part in _COMMAS.split(words)):
        spelled = None
        for field, table in _FIELDS.values():
            if field == "masking":
                spelled = _codes.masking(part) if _BLIND.search(part) else None
            else:
                spelled = _codes.design(table, part)
                spelled = spelled if spelled in table.values() and part != "Other" else None
            if spelled and field not in fields:
                fields[field] = spelled
                break
        else:
            rest.append(part)
    return fields, ", ".join(part for part in rest if part)
