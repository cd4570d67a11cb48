"""Ask the process that holds the models for work on the record of a stored forecast."""

from collections.abc import Mapping
from typing import Any

from llm4top.errors import NotFoundError
from llm4top.progress import OnProgress
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.kept_records import record_again
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace


async def ask_about(
    workspace: Workspace,
    service: ForecastService,
    stored: StoredForecast,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    client: str,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Work of a ``kind`` on the record of a stored forecast, by the model that forecast it.

    Args:
        workspace: Where the forecast is stored.
        service: The workspace's service.
        stored: The forecast.
        kind: The kind of work, a name in ``trial_work.KINDS``.
        arguments: JSON-able arguments of the work's function.
        client: Whose turn it takes in the queue.
        on_progress: Called on the running event loop with the stages of the request.

    Returns:
        What the work's function returned.

    Raises:
        NotFoundError: The model or the record is no longer stored.
        LLM4TOPError: What ``ForecastService.ask`` raises.
    """
    place = place_of(workspace, stored.bundle)
    with record_again(workspace, stored) as file:
        if file is None:
            raise NotFoundError(
                "the record is no longer stored.",
                where=stored.record,
                hint="Forecast the record again.",
            )
        return await service.ask(
            kind,
            file,
            arguments,
            client=client,
            bundle=place,
            sha256=stored.values.get("source_sha256") or None,
            on_progress=on_progress,
        )


def place_of(workspace: Workspace, identity: str) -> str:
    """The model of that identity as the service takes it: "embedded", or a folder.

    Raises ``NotFoundError`` where it is gone.
    """
    for bundle in workspace.bundles.list():
        if bundle.identity == identity:
            return workspace.bundles.place(bundle.id)
    raise NotFoundError(
        "the model of this forecast is no longer stored.",
        where=identity,
        hint="Forecast the record again with another model.",
    )
