"""The operation that gives the report of one trial."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool

from llm4top.studio.api import schemas
from llm4top.studio.api.errors import responses
from llm4top.workspace.trial_report import report_of
from llm4top.workspace.views.trial_report import MEDIA_TYPE, report_name

router = APIRouter(tags=["Forecasts"])


@router.get(
    "/forecasts/{forecast_id}/report",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {"schema": {"type": "string"}}}},
        **responses(404, 422, 503),
    },
)
async def report_forecast(
    workspace: schemas.OpenWorkspace,
    forecast_id: Annotated[
        str, Path(pattern=schemas.ID_PATTERN, description="The id of a stored forecast.")
    ],
) -> Response:
    """The report of one trial as one HTML page that prints.

    It holds what is kept with the forecast: what moves it, once it was asked here or in the Studio,
    and the variants, earlier trials and other questions of its page in the Studio.
    """
    report = await run_in_threadpool(report_of, workspace, forecast_id)
    page = await run_in_threadpool(report.to_html)
    name = {"Content-Disposition": f'attachment; filename="{report_name(report.forecast)}"'}
    return Response(page, media_type=MEDIA_TYPE, headers=name)
