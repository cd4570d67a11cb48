"""Operations on forecasts: make them from records, list them."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from llm4top.errors import LargeUploadError
from llm4top.forecasters.bundles.paths import question_name
from llm4top.forecasters.forecast_format import Forecast
from llm4top.studio.api import schemas
from llm4top.studio.api.errors import ApiError, responses
from llm4top.studio.api.runs import run_out
from llm4top.studio.api.uploads import (
    JSON_NAME,
    MAX_FILES,
    MAX_JSON_BYTES,
    forget,
    take_in,
    upload_out,
)
from llm4top.text import DISCLAIMER, counted
from llm4top.workspace.cleanup import delete_unused
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.kept_records import keep_result
from llm4top.workspace.serving.parsing import NOT_APPLICABLE, Refusal
from llm4top.workspace.serving.request import ForecastResult, UploadedFile
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.uploads import Upload
from llm4top.workspace.views.exports import to_csv
from llm4top.workspace.workspace import Workspace

BundleQuery = Annotated[
    str | None,
    Query(
        pattern=schemas.BUNDLE_PATTERN,
        description="The id of a bundle; the default bundle if omitted.",
    ),
]
QuestionQuery = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z0-9][a-z0-9.-]{0,60}$",
        description="Instead of a bundle: the question, such as completion, duration or "
        "why-it-fails. The default bundle answers its own, the embedded ones the others.",
    ),
]
BaseRateQuery = Annotated[
    str | None,
    Query(
        max_length=500,
        description="Adapt the forecasts to this base rate: 0.56, 56 %, or a share for each phase "
        "(phase 2=0.55, phase 3=0.7).",
    ),
]
IdQuery = Annotated[str | None, Query(pattern=schemas.ID_PATTERN)]

RECORDS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"Up to {MAX_FILES:,} files (XML, JSON, CSV, or zips of them), or up to "
        f"{MAX_JSON_BYTES // 1_000_000} MB of ClinicalTrials.gov API v2 JSON: one study, a list "
        "of studies, or an object with studies.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"type": "object", "minProperties": 1},
                        {"type": "array", "minItems": 1, "items": {"type": "object"}},
                    ]
                },
                "example": schemas.EXAMPLES["record"],
            },
        },
    }
}


router = APIRouter(tags=["Forecasts"])


@router.post(
    "/forecasts",
    openapi_extra=RECORDS_BODY,
    response_model=schemas.ForecastsOut,
    responses={
        202: {
            "model": schemas.StartedOut,
            "description": "Too large to wait for: a run was queued.",
        },
        **responses(400, 413, 415, 422, 429, 503),
    },
)
async def make_forecasts(
    workspace: schemas.OpenWorkspace,
    request: Request,
    bundle: BundleQuery = None,
    question: QuestionQuery = None,
    base_rate: BaseRateQuery = None,
    x_client: schemas.ClientHeader = None,
) -> Any:
    """Forecast records.

    A few records are answered immediately. Many become a run; the response then has its id.
    Files that cannot be read are listed in the response; they do not affect the others.
    """
    if base_rate is not None:
        from llm4top.forecasters.base_rate_shift import parse_shares

        parse_shares(base_rate)
    bundle = await run_in_threadpool(bundle_answering, workspace, bundle, question)
    place = await run_in_threadpool(bundle_place, workspace, bundle)
    uploads = await take_in(workspace, request)
    client = schemas.client_of(request, x_client)
    try:
        files = await run_in_threadpool(uploaded_files, workspace, uploads)
        service: ForecastService = request.app.state.service()
        result = await service.forecast(files, client=client, bundle=place, base_rate=base_rate)
        _check_body(uploads, result)
    except LargeUploadError:
        run = await run_in_threadpool(_start, workspace, uploads, bundle, base_rate)
        started = schemas.StartedOut(run=run_out(run), uploads=[upload_out(u) for u in uploads])
        where = {"Location": f"/api/v1/runs/{run.id}"}
        return JSONResponse(started.model_dump(mode="json"), 202, headers=where)
    except BaseException:
        # Without a wait: where the server is closing, a wait would be cut short.
        forget(workspace, uploads)
        raise
    return await run_in_threadpool(_kept, workspace, uploads, result)


@router.get(
    "/forecasts",
    response_model=schemas.Page[schemas.ForecastOut],
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        **responses(422, 503),
    },
)
def list_forecasts(
    workspace: schemas.OpenWorkspace,
    upload: Annotated[IdQuery, Query(description="Only forecasts from this upload.")] = None,
    run: Annotated[IdQuery, Query(description="Only forecasts of this run.")] = None,
    nct_id: Annotated[
        str | None, Query(max_length=20, pattern=r"^[\w.-]+$", description="Only this trial.")
    ] = None,
    format: Annotated[  # noqa: A002 - the name of the parameter in the address
        Literal["json", "csv"], Query(description="csv returns the page as a table.")
    ] = "json",
    limit: schemas.Limit = 100,
    offset: schemas.Offset = 0,
) -> Any:
    """Stored forecasts, newest first."""
    chosen = {"upload_id": upload, "run_id": run, "nct_id": nct_id}
    found = workspace.forecasts.list(**chosen, limit=limit, offset=offset)  # type: ignore[arg-type]
    if format == "csv":
        table = to_csv([Forecast.from_dict(item.values) for item in found])
        name = {"Content-Disposition": 'attachment; filename="forecasts.csv"'}
        return Response(table, media_type="text/csv; charset=utf-8", headers=name)
    total = workspace.forecasts.count(**chosen)
    return schemas.page_of([_stored(item) for item in found], offset, total)


def _check_body(uploads: list[Upload], result: ForecastResult) -> None:
    """Raise ``ApiError`` for a JSON body that is not a study, a list or an object of studies.

    The body was read in a separate process, like every upload; its refusal says what is wrong.
    Single studies that are refused are listed in the response, like files.
    """
    whole = [refusal for refusal in result.refusals if refusal.record == JSON_NAME]
    if [upload.name for upload in uploads] != [JSON_NAME] or result.items or not whole:
        return
    line = f", line {whole[0].line}" if whole[0].line is not None else ""
    raise ApiError(
        400, "bad-request", whole[0].reason, where=f"body{line}", hint=whole[0].hint or ""
    )


def bundle_answering(workspace: Workspace, bundle: str | None, question: str | None) -> str | None:
    """The id of the bundle that answers the question, or the one that was named.

    Raises ``ApiError`` where a named bundle answers another question.
    """
    if question is None:
        return bundle
    if bundle is not None:
        answers = workspace.bundles.get(bundle).task
        if answers != question:
            raise ApiError(
                422,
                "validation",
                f"the bundle answers {answers!r}, not {question!r}.",
                where="question",
                hint="Leave out the bundle or the question.",
            )
        return bundle
    default = workspace.bundles.default()
    return default.id if default.task == question else question_name(question)


def bundle_place(workspace: Workspace, bundle: str | None) -> str:
    """The name of a bundle for the service: "embedded", or a folder, which callers never see."""
    return workspace.bundles.place(bundle or workspace.bundles.default().id)


def uploaded_files(workspace: Workspace, uploads: list[Upload]) -> list[UploadedFile]:
    """Uploads as the service takes them."""
    return [UploadedFile(workspace.uploads.path(u.id), u.name, u.id) for u in uploads]


def _start(
    workspace: Workspace, uploads: list[Upload], bundle: str | None, base_rate: str | None
) -> Any:
    names = ", ".join(upload.name for upload in uploads[:3])
    chosen = bundle or workspace.bundles.default().id
    settings = {"uploads": [upload.id for upload in uploads], "model": chosen}
    settings |= {"base_rate": base_rate} if base_rate else {}
    run = submit(workspace, "forecast", settings, title=f"Forecast {names}"[:200], ids_only=True)
    workspace.activity.log("forecast", "API", f"queued a forecast of {names}", subject=run.id)
    return run


def _kept(
    workspace: Workspace, uploads: list[Upload], result: ForecastResult
) -> schemas.ForecastsOut:
    """Store the forecasts, each with its upload, and return them. Refused files are deleted."""
    batch = keep_result(workspace, result, uploaded_files(workspace, uploads))
    there = delete_unused(workspace, uploads, result)
    kept = workspace.forecasts.list(batch=batch, order="position", limit=None)
    refused = [r for r in result.refusals if r.code != NOT_APPLICABLE]
    not_applicable = [r for r in result.refusals if r.code == NOT_APPLICABLE]
    counts = [counted(len(kept), "forecast")]
    counts += [f"{len(not_applicable)} not applicable"] if not_applicable else []
    counts += [f"{len(refused)} refused"] if refused else []
    what = f"{', '.join(counts)}, with {result.bundle}" if result.bundle else ", ".join(counts)
    workspace.activity.log("forecast", "API", what, subject=batch)
    return schemas.ForecastsOut(
        forecasts=[_stored(item) for item in kept],
        not_applicable=[refusal_out(refusal) for refusal in not_applicable],
        refusals=[refusal_out(refusal) for refusal in refused],
        notes=list(result.notes),
        bundle=result.bundle,
        uploads=[upload_out(upload) for upload in there],
        seconds=result.seconds,
        disclaimer=DISCLAIMER,
    )


def refusal_out(refusal: Refusal) -> schemas.RefusalOut:
    """A record without a forecast as the API shows it."""
    values = asdict(refusal)
    return schemas.RefusalOut(**{name: values[name] for name in schemas.RefusalOut.model_fields})


def _stored(item: StoredForecast) -> schemas.ForecastOut:
    return schemas.ForecastOut(**Forecast.from_dict(item.values, id=item.id).to_dict())
