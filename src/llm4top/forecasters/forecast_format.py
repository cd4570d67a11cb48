"""A forecast, and its two written forms: a JSON object and a CSV row.

The command line, Python, the REST API and the Studio's exports all write these forms, which
docs/forecast-format.md describes. A test compares the document with this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from sys import intern
from typing import Any

from llm4top.errors import WorkspaceError
from llm4top.prompts.prompt import SectionAccount
from llm4top.registry.trial import Trial, Withheld
from llm4top.text import DISCLAIMER

FORMAT = 2
"""Version of the JSON form. What version 0.1.0 stored has no version and is read as 1."""


FORECAST, NOT_APPLICABLE, REFUSED = "forecast", "not applicable", "refused"
"""The values of "status"."""

TARGET = "target"
"""What ``Forecast.compared_with`` calls a target base rate."""

Cell = str | float | int | None

COLUMNS: dict[str, str] = {
    "record": "Record",
    "nct_id": "NCT id",
    "title": "Title",
    "phase": "Phase",
    "area": "Area",
    "sponsor_class": "Sponsor class",
    "task": "Task",
    "label": "Label",
    "probability": "Probability",
    "lower": "95 % interval, lower",
    "upper": "95 % interval, upper",
    "unit": "Unit",
    "median": "Median",
    "p10": "80 % interval, lower",
    "p90": "80 % interval, upper",
    "base_rate": "Base rate",
    "base_rate_of": "Base rate of",
    "adapted_to": "Adapted to base rate",
    "target_rate": "Target base rate",
    "unadapted_probability": "Probability before",
    "unadapted_lower": "95 % interval before, lower",
    "unadapted_upper": "95 % interval before, upper",
    "score": "Score",
    "probabilities": "Probabilities",
    "base_rates": "Base rates",
    "warnings": "Warnings",
    "withheld": "Fields hidden from the model",
    "tokens": "Tokens read",
    "tokens_cut": "Tokens cut",
    "bundle": "Bundle",
    "prompt_sha256": "Prompt SHA-256",
    "source_sha256": "Record SHA-256",
    "same_trial_as": "Same trial as",
    "status": "Status",
    "reason": "Reason",
}
"""The columns of every table of forecasts, in order, each with its heading for people.

A column holds what the key of its name holds in the JSON form, with three exceptions: "warnings"
are joined by "; ", "withheld" is their number, and "probabilities" and "base_rates" are JSON texts
rounded to six decimals.
"""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The estimate of one bundle for one record, with what explains it.

    Attributes:
        record: The file, with the member or position in it.
        nct_id: The registry's id, None where the record has none. Never shown to the model.
        phase: The trial's phase, None where the record states none.
        task: Name of the question.
        labels: The possible answers, in the task's order.
        probabilities: Calibrated probabilities, one for each of ``labels``; they sum to 1.
        label: What ``probability`` is about: a binary task's event, else the most probable label.
        probability: Calibrated probability of ``label``.
        lower, upper: Bounds of its 95 % interval, None where the calibration gives none.
        unit: Unit of an ordinal task's quantity ("months"; "share" is 0 to 1); None for others.
        median, p10, p90: Its median and the ends of its 80 % interval, by ``distribution.py``; None
            inside a bin without an outer edge, and for tasks that are not ordinal.
        base_rate: Share of ``label`` among the training trials of the same phase (of all phases
            where the bundle does not know the phase). None where the bundle has no base rates.
        warnings: What to know before trusting the number, the gravest first.
        bundle: Identity of the bundle.
        prompt_sha256: Hash of the prompt's text, None for a forecaster that reads no prompt.
        tokens: Tokens of the prompt.
        tokens_cut: Tokens of the record that did not fit the budget.
        adapted_to: The base rates that forecasts were to be adapted to, as they were given; None
            for a forecast that is not adapted. See ``forecast_records``.
        target_rate, target_rates: Shares of ``label`` and of all ``labels`` that it was adapted
            to; None and empty where it was not, which a warning explains.
        unadapted_probability, unadapted_lower, unadapted_upper, unadapted_probabilities: What it
            was before; None and empty likewise.
        parts: What each part of a blend says of ``label`` by itself, not calibrated, by the
            part's name; empty for other forecasters.
        score: Log-odds of ``label`` before calibration. It orders trials of equal probability.
            None in forecasts that version 0.1.0 stored early.
        base_rates: Shares of all ``labels``; empty where the bundle has none.
        base_rate_of: The phase whose training trials the base rates are of, or "all".
        title: The trial's title, else its conditions; empty where the record has neither.
        area: The therapeutic area by ICD-10 chapter, or "unknown".
        sponsor_class: Class of the lead sponsor, such as "Industry".
        withheld: What was kept from the model, and why.
        sections: What the model read and how much of it was cut. Empty where it was not stored.
        unread: Headings of sections that the record has and this model does not read.
        source_format: "legacy-xml", "api-v2" or "top-csv".
        source_processed: The registry's processing date of the record, where it states one.
        source_sha256: Hash of the record's bytes as read.
        same_trial_as: Name of an earlier record of the same input with the same NCT id.
        id: Id of a stored forecast, empty for one that no workspace holds.
    """

    record: str
    nct_id: str | None
    phase: str | None
    task: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    label: str
    probability: float
    lower: float | None
    upper: float | None
    base_rate: float | None
    warnings: tuple[str, ...]
    bundle: str
    prompt_sha256: str | None
    tokens: int
    tokens_cut: int
    unit: str | None = None
    median: float | None = None
    p10: float | None = None
    p90: float | None = None
    score: float | None = None
    base_rates: tuple[float, ...] = ()
    base_rate_of: str | None = None
    adapted_to: str | None = None
    target_rate: float | None = None
    target_rates: tuple[float, ...] = ()
    unadapted_probability: float | None = None
    unadapted_lower: float | None = None
    unadapted_upper: float | None = None
    unadapted_probabilities: tuple[float, ...] = ()
    parts: tuple[tuple[str, float], ...] = ()
    title: str = ""
    area: str = "unknown"
    sponsor_class: str | None = None
    withheld: tuple[Withheld, ...] = ()
    sections: tuple[SectionAccount, ...] = ()
    unread: tuple[str, ...] = ()
    source_format: str = ""
    source_processed: str | None = None
    source_sha256: str = ""
    same_trial_as: str | None = None
    id: str = ""

    def to_dict(self, *, sections: bool = True) -> dict[str, Any]:
        """The JSON form, as docs/forecast-format.md describes it.

        Args:
            sections: Whether to include the text that the model read, which is most of the size.
                Without it "sections" is an empty list.

        Returns:
            JSON-able values in a fixed order of keys.
        """
        return {
            "format": FORMAT,
            "id": self.id or None,
            "status": FORECAST,
            "reason": None,
            "record": self.record,
            "nct_id": self.nct_id,
            "title": self.title,
            "phase": self.phase,
            "area": self.area,
            "sponsor_class": self.sponsor_class,
            "task": self.task,
            "labels": list(self.labels),
            "label": self.label,
            "probability": self.probability,
            "lower": self.lower,
            "upper": self.upper,
            "unit": self.unit,
            "median": self.median,
            "p10": self.p10,
            "p90": self.p90,
            "base_rate": self.base_rate,
            "base_rate_of": self.base_rate_of,
            "adapted_to": self.adapted_to,
            "target_rate": self.target_rate,
            "unadapted_probability": self.unadapted_probability,
            "unadapted_lower": self.unadapted_lower,
            "unadapted_upper": self.unadapted_upper,
            "score": self.score,
            "probabilities": self._by_label(self.probabilities),
            "base_rates": self._by_label(self.base_rates),
            "target_rates": self._by_label(self.target_rates),
            "unadapted_probabilities": self._by_label(self.unadapted_probabilities),
            "parts": dict(self.parts) or None,
            "warnings": list(self.warnings),
            "withheld": [asdict(item) for item in self.withheld],
            "sections": [{n: getattr(s, n) for n in _SECTION} for s in self.sections if sections],
            "unread": list(self.unread),
            "tokens": self.tokens,
            "tokens_cut": self.tokens_cut,
            "bundle": self.bundle,
            "prompt_sha256": self.prompt_sha256,
            "source_format": self.source_format,
            "source_processed": self.source_processed,
            "source_sha256": self.source_sha256,
            "same_trial_as": self.same_trial_as,
            "disclaimer": DISCLAIMER,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, id: str | None = None) -> Forecast:  # noqa: A002
        """The forecast that ``to_dict`` wrote; reads what version 0.1.0 stored as well.

        Args:
            values: The JSON form. "withheld", "sections" and "unread" may be absent.
            id: Where it is stored; None takes the id in ``values``.

        Raises:
            WorkspaceError: A later version of LLM4TOP wrote it.
        """
        version = values.get("format", 1)
        if version > FORMAT:
            raise WorkspaceError(
                f"holds a forecast in format {version}; this version reads up to {FORMAT}.",
                where=str(values.get("record", "")),
                hint="Open it with the version of LLM4TOP that made it, or a later one.",
            )
        if version == 1:
            values = _upgraded(values)
        labels = values["labels"]
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        # Held once for all trials that share them: a page lists ten thousand forecasts.
        known |= {name: intern(known[name]) for name in _SHARED}
        return cls(
            **{
                **known,
                "labels": tuple(map(intern, labels)),
                **{name: _in_order(values.get(name), labels) for name in _BY_LABEL},
                "parts": tuple((values.get("parts") or {}).items()),
                "warnings": tuple(map(intern, values["warnings"])),
                "withheld": tuple(Withheld(**item) for item in values.get("withheld", ())),
                "sections": tuple(
                    SectionAccount(**{n: part[n] for n in _SECTION if n != "cut"})
                    for part in values.get("sections", ())
                ),
                "unread": tuple(values.get("unread", ())),
                "id": (values.get("id") if id is None else id) or "",
            }
        )

    def row(self) -> dict[str, Cell]:
        """The CSV form: a value for each of ``COLUMNS``, in their order.

        ``pandas.DataFrame(forecast.row() for forecast in forecasts)`` makes a data frame.
        """
        return {
            **{name: getattr(self, name, None) for name in COLUMNS},
            "probabilities": _json(self._by_label(self.probabilities)),
            "base_rates": _json(self._by_label(self.base_rates)),
            "warnings": "; ".join(self.warnings),
            "withheld": len(self.withheld),
            "status": FORECAST,
        }

    @property
    def variant(self) -> str:
        """The bundle, and the base rates adapted to: what tells forecasts of one record apart."""
        return variant_of(self.bundle, self.adapted_to)

    @property
    def compared_with(self) -> tuple[float | None, str | None]:
        """The base rate to compare with, the target's where there is one, and whose it is."""
        if self.target_rate is not None:
            return self.target_rate, TARGET
        return self.base_rate, self.base_rate_of

    def _by_label(self, values: Sequence[float]) -> dict[str, float] | None:
        return dict(zip(self.labels, values, strict=True)) if values else None


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A record that the bundle's question does not apply to: it gets no number.

    Attributes:
        record: The file, with the member or position in it.
        nct_id: The registry's id, None where the record has none.
        task: Name of the question.
        reason: One sentence, which also says which question would apply.
        title: The trial's title; empty where the record has none.
        study_type: What the record says it is, such as "Observational".
        sections: Headings and texts that the model would have read.
        withheld: What would have been kept from the model, and why.
    """

    record: str
    nct_id: str | None
    task: str
    reason: str
    title: str = ""
    study_type: str | None = None
    sections: tuple[tuple[str, str], ...] = ()
    withheld: tuple[Withheld, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the keys of a forecast's that have a value."""
        return {
            "format": FORMAT,
            "status": NOT_APPLICABLE,
            "reason": self.reason,
            "record": self.record,
            "nct_id": self.nct_id,
            "title": self.title,
            "task": self.task,
        }

    def row(self) -> dict[str, Cell]:
        """The CSV form: a value for each of ``COLUMNS``, most of them None."""
        return left_out_row(**{k: v for k, v in self.to_dict().items() if k in COLUMNS})

    def subject(self) -> dict[str, Any]:
        """What a workspace stores of the record, for the page that shows it."""
        return {
            "title": self.title,
            "nct_id": self.nct_id,
            "study_type": self.study_type,
            "sections": [{"heading": heading, "text": text} for heading, text in self.sections],
            "withheld": [asdict(item) for item in self.withheld],
        }


def variant_of(bundle: str, adapted_to: str | None) -> str:
    """``Forecast.variant`` of forecasts by a bundle."""
    return bundle if adapted_to is None else f"{bundle} at {adapted_to}"


def csv_cells(row: Mapping[str, Cell]) -> list[Cell | Decimal]:
    """A row's cells for ``CsvRows``: ``COLUMNS`` in order, numbers with six decimals."""
    cells = (row[name] for name in COLUMNS)
    # Not as text: a number below zero would be taken for a formula.
    return [Decimal(f"{cell:.6f}") if isinstance(cell, float) else cell for cell in cells]


def left_out_row(**values: Cell) -> dict[str, Cell]:
    """A row for a record without a forecast: these values, and None in all other columns."""
    return {**dict.fromkeys(COLUMNS), **values}


def title_of(trial: Trial) -> str:
    """What lists call a trial: its title, else its conditions; empty where it has neither."""
    return trial.brief_title or trial.official_title or "; ".join(trial.conditions)


_BY_LABEL = ("probabilities", "base_rates", "target_rates", "unadapted_probabilities")


def _in_order(values: Mapping[str, float] | None, labels: Sequence[str]) -> tuple[float, ...]:
    return tuple(values[label] for label in labels) if values else ()


_SECTION = ("name", "heading", "text", "tokens", "kept", "cut")
_SHARED = ("task", "label", "bundle", "area", "source_format")


def _upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1, which version 0.1.0 stored: lists beside the labels, and a few other names."""
    labels: Sequence[str] = values["labels"]
    rates = values.get("base_rates")
    return {
        **values,
        "probabilities": dict(zip(labels, values["probabilities"], strict=True)),
        "base_rates": dict(zip(labels, rates, strict=True)) if rates else None,
        "sponsor_class": values["sponsor"],
    }


def _json(values: Mapping[str, float] | None) -> str | None:
    if values is None:
        return None
    return json.dumps({k: round(v, 6) for k, v in values.items()}, ensure_ascii=False)
