"""What moves a stored forecast: explained once, then kept with the forecast and deleted with it."""

import asyncio
from typing import Any

from llm4top.progress import OnProgress
from llm4top.workspace.ask import ask_about
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace

_KEY = "reasons"
SAMPLES = 16
"""Permutations where sections are sampled."""


async def reasons_of(
    workspace: Workspace,
    service: ForecastService,
    stored: StoredForecast,
    *,
    client: str,
    samples: int = SAMPLES,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """The explanation of a stored forecast, as ``Explanation.to_dict`` writes it.

    A forecast is of one bundle and one record. Its explanation is kept under its settings, so that
    the next one with the same settings costs nothing.

    Args:
        workspace: Where the forecast is stored.
        service: The workspace's service.
        stored: The forecast.
        client: Whose turn it takes in the queue.
        samples: See ``explain``.
        seed: See ``explain``.
        on_progress: Called on the running event loop with the stages of the request.

    Raises:
        NotFoundError: The model or the record is no longer stored.
        LLM4TOPError: What ``ForecastService.ask`` raises.
    """
    settings = {"samples": samples, "seed": seed}
    if (kept := kept_reasons(stored, **settings)) is not None:
        return kept
    base_rate = stored.values.get("adapted_to")
    answer = await ask_about(
        workspace,
        service,
        stored,
        "explain",
        settings | {"base_rate": base_rate},
        client=client,
        on_progress=on_progress,
    )
    kept = {"settings": settings, "explanation": answer}
    await asyncio.to_thread(workspace.forecasts.attach, stored.id, _KEY, kept)
    return answer


def kept_reasons(
    stored: StoredForecast, *, samples: int = SAMPLES, seed: int = 0
) -> dict[str, Any] | None:
    """The explanation that is kept with the forecast; None where there is none."""
    kept = stored.values.get(_KEY) or {}
    same = kept.get("settings") == {"samples": samples, "seed": seed}
    return kept["explanation"] if same else None
