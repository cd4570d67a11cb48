"""What was asked about a stored forecast, kept with it, and the report that holds all of it.

What moves the chance is kept by ``reasons``. Everything here is deleted with the forecast.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from llm4top.errors import NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.forecasters.reasons.explanation import Explanation
from llm4top.prompts.prompt import SectionAccount
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.reasons import kept_reasons
from llm4top.workspace.views.other_questions import Answer
from llm4top.workspace.views.trial_report import TrialReport
from llm4top.workspace.workspace import Workspace

_PRECEDENTS, _ANSWERS, _COMPARISON = "precedents", "answers", "what_if"


def keep_precedents(
    workspace: Workspace, forecast_id: str, found: Mapping[str, Any], terms: Sequence[str]
) -> None:
    """Keep earlier trials (``Found.to_dict``) with a forecast, and the terms of their data."""
    _keep(workspace, forecast_id, _PRECEDENTS, {"found": found, "terms": list(terms)})


def keep_answers(workspace: Workspace, forecast_id: str, answers: Iterable[Answer]) -> None:
    """Keep answers to other questions with a forecast."""
    _keep(workspace, forecast_id, _ANSWERS, {"answers": [asdict(one) for one in answers]})


def keep_comparison(workspace: Workspace, forecast_id: str, comparison: Mapping[str, Any]) -> None:
    """Keep variants (``Comparison.to_dict``) with the forecast of the original."""
    _keep(workspace, forecast_id, _COMPARISON, comparison)


def _keep(workspace: Workspace, forecast_id: str, name: str, value: Mapping[str, Any]) -> None:
    try:
        workspace.forecasts.attach(forecast_id, name, value)
    except NotFoundError:  # deleted meanwhile: there is nothing to keep it with
        return


def kept_precedents(stored: StoredForecast) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """The earlier trials and the terms of their data; None where none were looked for."""
    kept = stored.values.get(_PRECEDENTS)
    return kept and (kept["found"], tuple(kept["terms"]))


def kept_answers(stored: StoredForecast) -> list[Answer]:
    """The answers to other questions; empty where none was asked."""
    return [Answer(**one) for one in (stored.values.get(_ANSWERS) or {}).get("answers", ())]


def kept_comparison(stored: StoredForecast) -> dict[str, Any] | None:
    """The kept variants; None where there is none."""
    kept: dict[str, Any] | None = stored.values.get(_COMPARISON)
    return kept if kept and kept["variants"] else None


def report_of(
    workspace: Workspace, forecast_id: str, sections: Sequence[SectionAccount] = ()
) -> TrialReport:
    """The report of a stored forecast, with everything that was asked about it so far.

    Args:
        workspace: Where it is stored.
        forecast_id: Its id.
        sections: What the model read, where the forecast is stored without the text.

    Raises:
        NotFoundError: There is no such forecast.
    """
    stored = workspace.forecasts.get(forecast_id)
    forecast = Forecast.from_dict(stored.values, id=stored.id)
    if sections:
        forecast = replace(forecast, sections=tuple(sections))
    reasons = kept_reasons(stored)
    found, terms = kept_precedents(stored) or (None, ())
    models = (one.facts for one in workspace.bundles.list() if one.identity == forecast.bundle)
    return TrialReport(
        forecast,
        model=next(models, None),
        reasons=None if reasons is None else Explanation.from_dict(reasons),
        comparison=kept_comparison(stored),
        precedents=found,
        terms=terms,
        answers=kept_answers(stored),
    )
