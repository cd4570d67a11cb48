"""What posted results say of a whole trial: the shares that left, had a serious event, or died.

A trial's *flow* lists its periods, each with the participants that started and did not complete it.
The share that dropped out is all of those who did not complete a period, over those who started
the first one. The other shares sum the registry's own totals over the arms: participants with a
serious adverse event, and deaths of any cause, over participants at risk. Deaths are there since
2017.

All of it belongs to the label side: only label rules read it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_MILESTONE = re.compile(
    rb"<milestone>\s*<title>(STARTED|NOT COMPLETED)</title>(.*?)</milestone>", re.DOTALL
)
_COUNT = re.compile(rb'\bcount="(\d{1,9})"')
_TOTAL = rb"<sub_title>\s*Total, %s\s*</sub_title>(.*?)</event>"
_SERIOUS = re.compile(_TOTAL % rb"serious adverse events", re.DOTALL)
_DEATHS = re.compile(_TOTAL % rb"all-cause mortality", re.DOTALL)
_AFFECTED = re.compile(rb'\bsubjects_affected="(\d{1,9})"')
_AT_RISK = re.compile(rb'\bsubjects_at_risk="(\d{1,9})"')

Rates = dict[str, float]


def rates_of_xml(results: bytes) -> Rates:
    """The rates of a ``clinical_results`` element, by the fields of ``RegistryOutcome``."""
    counts = [(title, _sum(_COUNT, body)) for title, body in _MILESTONE.findall(results)]
    started = [count for title, count in counts if title == b"STARTED"]
    left = [count for title, count in counts if title == b"NOT COMPLETED"]
    pairs = {"dropout_rate": (sum(left), started[0] if started and left else 0)}
    for name, pattern in (("serious_event_rate", _SERIOUS), ("mortality_rate", _DEATHS)):
        found = pattern.search(results)
        body = found[1] if found else b""
        pairs[name] = (_sum(_AFFECTED, body), _sum(_AT_RISK, body))
    return _shares(pairs)


def rates_of_api(results: Mapping[str, Any]) -> Rates:
    """The same of a study's ``resultsSection``; what has another form than the registry's is 0."""
    started: list[int] = []
    left: list[int] = []
    for period in _items(results, "participantFlowModule", "periods"):
        for milestone in _items(period, "milestones"):
            into = {"STARTED": started, "NOT COMPLETED": left}.get(str(milestone.get("type")))
            if into is not None:
                counts = _items(milestone, "achievements")
                into.append(sum(_number(item.get("numSubjects")) for item in counts))
    pairs = {"dropout_rate": (sum(left), started[0] if started and left else 0)}
    groups = _items(results, "adverseEventsModule", "eventGroups")
    for name, key in (("serious_event_rate", "serious"), ("mortality_rate", "deaths")):
        affected, at_risk = (
            sum(_number(group.get(key + part)) for group in groups)
            for part in ("NumAffected", "NumAtRisk")
        )
        pairs[name] = (affected, at_risk)
    return _shares(pairs)


def _shares(pairs: Mapping[str, tuple[int, int]]) -> Rates:
    """A share of nobody is none; one above 1 is a slip of whoever typed the numbers."""
    return {name: part / of for name, (part, of) in pairs.items() if of > 0 and part <= of}


def _sum(pattern: re.Pattern[bytes], text: bytes) -> int:
    return sum(map(int, pattern.findall(text)))


def _items(value: Any, *keys: str) -> list[Mapping[str, Any]]:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    found: Iterable[Any] = value if isinstance(value, list) else ()
    return [item for item in found if isinstance(item, Mapping)]


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
