"""Operations on drafts: trials that have no record yet."""

from datetime import datetime
from pathlib import Path, PurePath
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from llm4top.registry.document_text import DocumentLimits
from llm4top.registry.draft import Draft
from llm4top.registry.trial import Trial
from llm4top.studio.api import schemas
from llm4top.studio.api.errors import MAX_BODY, ApiError, responses
from llm4top.studio.api.uploads import body_of, files_of
from llm4top.text import one_line
from llm4top.workspace.drafts import SavedDraft

Texts = Annotated[
    dict[str, str],
    Field(
        default_factory=dict,
        description="By field of the trial, its value as text; an empty text removes it. Lists "
        "have one item a line, and the parts of an item stand between bars.",
    ),
]


class DraftIn(BaseModel):
    """A new draft: the text of a synopsis, values of fields, or both."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "synopsis": "Title: Exemplamab in asthma\nPhase: II\nCondition: Asthma",
                    "fields": {"sponsor_class": "Industry"},
                }
            ]
        },
    )

    synopsis: str = Field(
        "",
        max_length=DocumentLimits().characters,
        description="Plain text; its sections are told by their headings.",
    )
    fields: Texts


class DraftChange(BaseModel):
    """Values of a draft to change."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"fields": {"phase": "Phase 2"}}]}
    )

    fields: Texts


class ReadingOut(BaseModel):
    """What was read of the synopsis for one field."""

    field: str
    text: str = Field(description="The value.")
    source: str = Field(description="The text that it came from.")
    where: str
    note: str = Field(description="How it was mapped; empty if it was not.")


class UnreadOut(BaseModel):
    """Text of the synopsis that gave no value."""

    source: str
    where: str
    why: str
    field: str | None = Field(description="The field that it is about, if known.")


class DraftOut(BaseModel):
    """A draft that is kept."""

    id: str
    name: str = Field(description="Its title.")
    fields: dict[str, str] = Field(description="The values, by field, as text.")
    missing: list[str] = Field(description="Fields without a value that records usually have.")
    created: datetime
    changed: datetime


class NewDraftOut(DraftOut):
    """A draft with what was read of its synopsis, which is not kept."""

    readings: list[ReadingOut]
    unread: list[UnreadOut]


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A synopsis as a file (.txt, .docx, .pdf), up to "
        f"{DocumentLimits().file_bytes // 1_000_000} MB; or its text and values as JSON.",
        "content": {
            "application/json": {"schema": DraftIn.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_FORM_BYTES = 100_000
"""What a form may add to its file."""
_NAME = 200


async def _given(request: Request) -> Draft:
    """The draft of a request with a file, or with text and values."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        most = DocumentLimits().file_bytes + _FORM_BYTES
        async with files_of(request, most, 1, part="file") as (file,):
            return await run_in_threadpool(_read_file, file)
    if kind != "application/json":
        raise ApiError(
            415,
            "unknown-media-type",
            "send a synopsis as a file (multipart/form-data) or as JSON (application/json).",
            where="content-type",
            hint="Send: curl -F file=@synopsis.docx .../api/v1/drafts",
        )
    body = await body_of(request, MAX_BODY)
    try:
        asked = DraftIn.model_validate_json(body)
    except ValidationError as error:
        faults = [fault | {"loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None
    return await run_in_threadpool(_of_texts, asked)


def _read_file(file: UploadFile) -> Draft:
    """The draft in a file, which a process of its own reads where it is a Word file or PDF."""
    name = one_line(PurePath(file.filename or "").name, _NAME) or "the file"
    with TemporaryDirectory(prefix="llm4top-") as folder:
        path = Path(folder) / "0"
        with path.open("wb") as place:
            copyfileobj(file.file, place)
        return Draft.from_file(path, name=name, limits=DocumentLimits())


def _of_texts(asked: DraftIn) -> Draft:
    draft = Draft.from_text(asked.synopsis) if asked.synopsis else Draft.of(Trial())
    return draft.with_texts(asked.fields)


router = APIRouter(tags=["Drafts"])


@router.post(
    "/drafts",
    status_code=201,
    responses=responses(400, 413, 415, 422, 503),
    openapi_extra=_BODY,
)
async def create_draft(workspace: schemas.OpenWorkspace, request: Request) -> NewDraftOut:
    """Make a draft from a synopsis, pasted or as a file, and from values, which win over it.

    Nothing is guessed: `unread` lists what can be read in two ways, and text under headings that
    are not known.
    """
    draft = await _given(request)

    def make() -> NewDraftOut:
        kept = workspace.drafts.add(draft)
        workspace.activity.log("draft", "API", f"kept the draft {kept.name}", subject=kept.id)
        found = draft.synopsis
        return NewDraftOut(
            **_values(kept, draft),
            readings=[ReadingOut(**_plain(item)) for item in (found.readings if found else ())],
            unread=[UnreadOut(**_plain(item)) for item in (found.unread if found else ())],
        )

    return await run_in_threadpool(make)


@router.get("/drafts", responses=responses(422, 503))
def list_drafts(
    workspace: schemas.OpenWorkspace, limit: schemas.Limit = 100, offset: schemas.Offset = 0
) -> schemas.Page[DraftOut]:
    """The drafts, the one changed last first."""
    found = workspace.drafts.list(limit=limit, offset=offset)
    items = [DraftOut(**_values(kept, kept.draft)) for kept in found]
    return schemas.page_of(items, offset, workspace.drafts.count())


@router.get("/drafts/{draft_id}", responses=responses(404, 422, 503))
def get_draft(workspace: schemas.OpenWorkspace, draft_id: schemas.ThingId) -> DraftOut:
    """A draft."""
    kept = workspace.drafts.get(draft_id)
    return DraftOut(**_values(kept, kept.draft))


@router.patch("/drafts/{draft_id}", responses=responses(400, 404, 413, 415, 422, 503))
def change_draft(
    workspace: schemas.OpenWorkspace, draft_id: schemas.ThingId, body: DraftChange
) -> DraftOut:
    """Change values of a draft; the others stay. After an error nothing is changed."""
    draft = workspace.drafts.get(draft_id).draft.with_texts(body.fields)
    return DraftOut(**_values(workspace.drafts.change(draft_id, draft), draft))


@router.delete("/drafts/{draft_id}", status_code=204, responses=responses(404, 422, 503))
def delete_draft(workspace: schemas.OpenWorkspace, draft_id: schemas.ThingId) -> Response:
    """Delete a draft. Forecasts that were made from it stay. This cannot be undone."""
    workspace.drafts.delete(draft_id)
    workspace.activity.log("delete", "API", "a draft", subject=draft_id)
    return Response(status_code=204)


@router.get(
    "/drafts/{draft_id}/record",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        **responses(404, 422, 503),
    },
)
def export_draft(workspace: schemas.OpenWorkspace, draft_id: schemas.ThingId) -> Response:
    """A draft as a record in the registry's JSON, which `POST /forecasts` takes.

    One without a title, or without anything else to forecast from, is answered with 422.
    """
    text = workspace.drafts.get(draft_id).draft.to_json()
    name = {"Content-Disposition": 'attachment; filename="draft.json"'}
    return Response(text, media_type="application/json", headers=name)


def _values(kept: SavedDraft, draft: Draft) -> dict[str, Any]:
    return {
        "id": kept.id,
        "name": kept.name,
        "fields": draft.texts,
        "missing": list(draft.missing),
        "created": kept.created,
        "changed": kept.changed,
    }


def _plain(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}
