"""One trial and its forecast in words, as its page and its report tell them."""

from collections.abc import Mapping
from typing import Any

from llm4top.forecasters.forecast_format import Forecast
from llm4top.registry.areas import UNKNOWN_AREA
from llm4top.text import interval, percent
from llm4top.workspace.views.label_bars import is_yes_or_no

INTERVAL_NOTE = (
    "The 95\u00a0% interval covers the uncertainty of the calibration only. It does not cover "
    "what the model does not see or know."
)


def trial_facts(item: Forecast) -> str:
    """The line under a title: NCT id, phase, area, class of sponsor and file, if known."""
    area = "" if item.area == UNKNOWN_AREA else item.area
    phase = item.phase or "phase not stated"
    known = (item.nct_id, phase, area, item.sponsor_class, item.record)
    return " · ".join(part for part in known if part)


def chance_of(item: Forecast) -> str:
    """A chance with its interval in one line."""
    bounds = interval(item.lower, item.upper)
    named = "" if is_yes_or_no(item) else f"“{item.label}” "
    return named + percent(item.probability) + (f" ({bounds})" if bounds else "")


PART_COLUMNS = ("Part", "Its own chance", "Weight")
PARTS_NOTE = (
    "Each part's own chance, before calibration. The model adds up their log-odds with "
    "these weights; the sum is then calibrated."
)


def part_rows(item: Forecast, model: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """A row of ``PART_COLUMNS`` for each part of a blend; none for other forecasters.

    ``model`` is the blend's manifest, where it is known: it holds names and weights.
    """
    entry = (model or {}).get("blend") or {}
    known = {part["name"]: part for part in entry.get("parts", ())}
    rows = []
    for name, chance in item.parts:
        part = known.get(name, {})
        label = part.get("label", name)
        called = f"Language model ({label})" if part.get("kind") == "language" else label
        weight = f"{part['weight']:.2f}" if "weight" in part else ""
        rows.append((called, percent(chance), weight))
    return rows


def said_by_parts(item: Forecast) -> str:
    """From which chance to which the parts of a blend go: "The parts of this model say ..."."""
    said = [percent(chance) for _, chance in sorted(item.parts, key=lambda part: part[1])]
    spread = f"{said[0]} to {said[-1]}" if len(set(said)) > 1 else said[0]
    return f"The parts of this model say {spread}"


def field_name(name: str) -> str:
    """A registry's field in words: "id_info/org_study_id" is "Org study id (id info)"."""
    group, _, last = name.rpartition("/")
    words = last.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    return f"{words} ({group.replace('_', ' ').replace('/', ', ')})" if group else words
