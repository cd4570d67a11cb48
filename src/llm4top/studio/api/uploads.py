"""Operations on uploaded files. Their size is limited while they arrive."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from io import BytesIO

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from llm4top.studio.api import schemas
from llm4top.studio.api.errors import ApiError, responses
from llm4top.workspace.uploads import Upload, UploadLimits
from llm4top.workspace.workspace import Workspace

MAX_FILES = 1000
MAX_BYTES = 500_000_000
"""Bytes of one request with files."""
MAX_JSON_BYTES = 16_000_000
"""Bytes of one request with records in its body."""
JSON_NAME = "records.json"

LIMITS = UploadLimits(file_bytes=MAX_BYTES)


router = APIRouter(tags=["Uploads"])


@router.get("/uploads", responses=responses(422, 503))
def list_uploads(
    workspace: schemas.OpenWorkspace, limit: schemas.Limit = 100, offset: schemas.Offset = 0
) -> schemas.Page[schemas.UploadOut]:
    """The uploaded files, newest first."""
    found = workspace.uploads.list(limit=limit, offset=offset)
    total = workspace.uploads.count()
    return schemas.page_of([upload_out(item) for item in found], offset, total)


@router.delete("/uploads/{upload_id}", status_code=204, responses=responses(404, 422, 503))
def delete_upload(workspace: schemas.OpenWorkspace, upload_id: schemas.ThingId) -> Response:
    """Delete a file and the forecasts that were made from it. This cannot be undone."""
    workspace.uploads.delete(upload_id)
    workspace.activity.log("delete", "API", "an uploaded file", subject=upload_id)
    return Response(status_code=204)


def upload_out(upload: Upload) -> schemas.UploadOut:
    """An upload as the API shows it."""
    return schemas.UploadOut(**asdict(upload))


async def take_in(workspace: Workspace, request: Request) -> list[Upload]:
    """Store the files of a multipart request, or the records in a JSON body.

    Raises ``ApiError`` for another content type, an empty request, or one over the limits, as
    soon as that is known; then nothing of the request is stored.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _files(workspace, request)
    if kind == "application/json":
        return [await _body(workspace, request)]
    raise ApiError(
        415,
        "unknown-media-type",
        "send records as files (multipart/form-data) or as JSON (application/json).",
        where="content-type",
        hint=f"Send: curl -F files=@record.xml ...{request.url.path}",
    )


async def _files(workspace: Workspace, request: Request) -> list[Upload]:
    async with files_of(request, MAX_BYTES, MAX_FILES) as files:
        return await run_in_threadpool(_keep, workspace, files)


@asynccontextmanager
async def files_of(
    request: Request, most_bytes: int, most_files: int, *, part: str = "files"
) -> AsyncIterator[list[UploadFile]]:
    """The files of a multipart request, one at least; they are gone after the block.

    Raises ``ApiError`` for a form that cannot be read, holds none, or is over the limits, as soon
    as that is known. ``part`` is what its hints call a file's part; other names are as good.
    """
    what = f"up to {most_files:,} files, each" if most_files > 1 else "one file,"
    hint = f"Send {what} in a part called {part}."
    stream = _capped(request, most_bytes)
    parser = MultiPartParser(request.headers, stream, max_files=most_files, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        many = error.message.startswith("Too many files")
        if many and most_files == 1:
            message = "there is more than one file in the form."
            raise ApiError(400, "bad-request", message, where=part, hint=hint) from None
        large = many or isinstance(error, _TooMuchError)
        raise ApiError(
            413 if large else 400,
            "too-large" if large else "bad-request",
            f"the form cannot be read: {error.message.rstrip('.')}.",
            hint=hint,
        ) from None
    except (KeyError, ValueError):
        raise ApiError(
            400,
            "bad-request",
            "the form cannot be read.",
            where="content-type",
            hint="Send multipart/form-data with its boundary.",
        ) from None
    try:
        files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
        if not files:
            message = "there is no file in the form."
            raise ApiError(400, "bad-request", message, where=part, hint=hint)
        yield files
    finally:
        await form.close()


def _keep(workspace: Workspace, files: list[UploadFile]) -> list[Upload]:
    kept: list[Upload] = []
    try:
        for file in files:
            kept.append(workspace.uploads.add(file.filename or "upload", file.file, limits=LIMITS))
    except BaseException:
        forget(workspace, kept)
        raise
    return kept


def forget(workspace: Workspace, uploads: list[Upload]) -> None:
    """Delete uploads whose request is refused."""
    for upload in uploads:
        workspace.uploads.delete(upload.id)


async def _body(workspace: Workspace, request: Request) -> Upload:
    body = await body_of(request, MAX_JSON_BYTES)
    if not body.strip():
        raise ApiError(
            400,
            "bad-request",
            "the body is empty.",
            where="body",
            hint="Send one study, a list of studies, or an object with studies.",
        )
    return await run_in_threadpool(workspace.uploads.add, JSON_NAME, BytesIO(body), limits=LIMITS)


async def body_of(request: Request, most: int) -> bytes:
    """The body; ``ApiError`` where it is larger than ``most`` bytes, or cut off."""
    try:
        return b"".join([part async for part in _capped(request, most)])
    except MultiPartException as error:
        status, code = (413, "too-large") if isinstance(error, _TooMuchError) else (400, "cut-off")
        raise ApiError(status, code, error.message, hint="Send it as files.") from None


class _TooMuchError(MultiPartException):
    """Over the limit. The form's parser releases its files on this class of error."""


async def _capped(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives; refused as soon as it is too large."""
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _TooMuchError(f"the request is larger than {most:,} bytes.")
            yield chunk
    except ClientDisconnect:
        raise MultiPartException("the connection ended before the request was complete.") from None
