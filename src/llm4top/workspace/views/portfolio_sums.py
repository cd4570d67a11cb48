"""What a portfolio adds up to, over several questions, as a table and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm4top.forecasters.forecast_format import Cell, Forecast
from llm4top.text import DISCLAIMER
from llm4top.workspace.views.portfolio import Counted, Distribution, counted, expected_successes
from llm4top.workspace.views.portfolio_questions import (
    FailureReasons,
    Key,
    Timeline,
    failure_reasons,
    key_of,
    timeline,
)

COLUMNS = (
    *("figure", "name", "trials", "expected", "lower", "upper"),
    *("exact_lower", "exact_upper", "note"),
)
INDEPENDENT = (
    "Ranges hold 95 % if the trials are independent. Trials of one programme tend to go the same "
    "way, so the true ranges are wider."
)
CALIBRATION = "“lower” and “upper” include the calibration's uncertainty, the exact ones do not."
FAILURES = (
    "The model of the reasons has little skill, and knows trials that were stopped early, not "
    "those that were completed and failed."
)
STARTS = "Starts are taken as planned. A trial that lasts 120 months or more is not known to end."


@dataclass(frozen=True, slots=True)
class PortfolioSums:
    """The sums over the trials of a portfolio; a question that was not asked has none.

    Attributes:
        counted: Trials that are added up, and those left out, by reason.
        label: What is counted: "success".
        successes: How many trials have that label.
        failures: How many fail, by reason.
        timeline: How many have ended by the end of each year.
    """

    counted: Counted
    label: str
    successes: Distribution | None
    failures: FailureReasons | None
    timeline: Timeline | None

    @property
    def not_counted(self) -> list[tuple[str, Sequence[Forecast]]]:
        """Why some trials are not among the figures, and which."""
        parts = self.counted
        said: list[tuple[str, Sequence[Forecast]]] = [
            ("further records of a trial that is counted", parts.copies),
            ("the model has learnt from them or was tuned on them", parts.learnt),
            ("unlike those that the model has learnt from", parts.out_of_scope),
        ]
        if self.failures is not None:
            said.append(("no forecast of their reason", self.failures.unanswered))
        if self.timeline is not None:
            said.append(("no planned start", self.timeline.undated))
        return [(why, trials) for why, trials in said if trials]

    @property
    def notes(self) -> list[str]:
        """What to know before relying on the figures."""
        notes = [INDEPENDENT, CALIBRATION]
        if self.failures is not None:
            notes.append(FAILURES)
        if self.timeline is not None:
            notes.append(STARTS)
        return notes

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; a question that was not asked is None."""
        failures, lasting = self.failures, self.timeline
        return {
            "label": self.label,
            "trials": len(self.counted.trials),
            "successes": self.successes and _values(self.successes),
            "failures": failures
            and {
                "trials": failures.n,
                "expected": failures.expected,
                "by_reason": [{"reason": name, **_values(one)} for name, one in failures.by_reason],
            },
            "timeline": lasting
            and {
                "trials": lasting.n,
                "ended": [{"year": year, **_values(one)} for year, one in lasting.told()],
            },
            "not_counted": [
                {"why": why, "count": len(trials), "records": [one.record for one in trials]}
                for why, trials in self.not_counted
            ],
            "notes": self.notes,
            "disclaimer": DISCLAIMER,
        }

    def rows(self) -> list[list[Cell]]:
        """The table, ``COLUMNS`` first; a row for each figure and for each reason to leave out."""
        rows: list[list[Cell]] = [list(COLUMNS)]
        if self.successes is not None:
            rows.append(_row("label", self.label, self.successes, INDEPENDENT))
        for name, one in self.failures.by_reason if self.failures else ():
            rows.append(_row("failures", name, one, FAILURES))
        for year, one in self.timeline.told() if self.timeline else ():
            rows.append(_row("ended by the end of", str(year), one, STARTS))
        for why, trials in self.not_counted:
            rows.append(["not counted", why, len(trials), *[None] * 5, ""])
        return rows


def sums_of(
    forecasts: Iterable[Forecast],
    reasons: Iterable[Forecast] = (),
    durations: Iterable[Forecast] = (),
    starts: Mapping[Key, str | None] | None = None,
) -> PortfolioSums:
    """What the trials of a portfolio add up to.

    Args:
        forecasts: Forecasts of a question with two answers: "outcome", where reasons are given.
        reasons: Forecasts of "why-it-fails" of the same records.
        durations: Forecasts of "duration" of the same records; alone they are counted themselves.
        starts: The planned start of each record, for the durations.
    """
    given, lasting, why = list(forecasts), list(durations), list(reasons)
    parts = counted(given or lasting)
    once = [replace(one, same_trial_as=None) for one in parts.trials]
    wanted = {key_of(one) for one in once}
    dated = {key_of(one): replace(one, same_trial_as=None) for one in lasting}
    successes = failures = ended = None
    if given and once and len(once[0].labels) == 2:
        successes = expected_successes(
            (one.probability for one in once), [(one.lower, one.upper) for one in once]
        )
    if why and given and given[0].task == "outcome":
        failures = failure_reasons(once, why)
    if lasting:
        ended = timeline([one for key, one in dated.items() if key in wanted], starts or {})
    return PortfolioSums(parts, given[0].label if given else "", successes, failures, ended)


def _values(found: Distribution) -> dict[str, Any]:
    return {
        "trials": found.n,
        "expected": found.expected,
        "lower": found.lower,
        "upper": found.upper,
        "exact_lower": found.exact_lower,
        "exact_upper": found.exact_upper,
    }


def _row(figure: str, name: str, found: Distribution, note: str) -> list[Cell]:
    return [figure, name, *_rounded(_values(found)), note]


def _rounded(values: Mapping[str, Any]) -> list[Cell]:
    return [f"{one:.4f}" if isinstance(one, float) else one for one in values.values()]
