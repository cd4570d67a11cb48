"""Ask the embedded models why the trials of some files may fail, and when they end."""

import asyncio
from collections.abc import Sequence

from llm4top.forecasters.bundles.paths import embedded_names, question_name
from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.planned_starts import planned_starts
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.views.portfolio_sums import PortfolioSums, sums_of

_REASONS, _DURATION = (question_name(name) for name in ("why-it-fails", "duration"))


def can_be_asked() -> bool:
    """Whether the models that answer are there."""
    return {_REASONS, _DURATION} <= set(embedded_names())


async def ask_portfolio(
    service: ForecastService,
    files: Sequence[UploadedFile],
    outcomes: Sequence[Forecast],
    *,
    client: str,
) -> PortfolioSums:
    """What the trials of ``outcomes`` add up to; the files hold their records.

    Raises what ``ForecastService.forecast`` raises.
    """
    reasons = await service.forecast(files, client=client, bundle=_REASONS)
    lasting = await service.forecast(files, client=client, bundle=_DURATION)
    starts = await asyncio.to_thread(planned_starts, files)
    return sums_of(outcomes, reasons.items, lasting.items, starts)
