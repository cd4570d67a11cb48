"""Errors of the API, all in one form: what happened, where, what to do. No trace, no path."""

import logging
import re
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm4top import errors

_LOG = logging.getLogger("llm4top.studio")
RETRY_SECONDS = 10
MAX_BODY = 1_000_000
"""Bytes of a request that brings no records."""

_STATUS: tuple[tuple[type[errors.LLM4TOPError], int], ...] = (
    (errors.NotFoundError, 404),
    (errors.JobError, 409),
    (errors.UploadError, 413),
    (errors.ConfigError, 422),
    (errors.BusyError, 429),
    (errors.ServiceError, 503),
    (errors.WorkspaceError, 503),
    (errors.LLM4TOPError, 422),
)
"""The status of each kind of error; the first that fits counts."""

_BY_STATUS: Mapping[int, tuple[str, str, str]] = {
    400: ("bad-request", "The request cannot be read.", "See /api/v1/docs."),
    404: ("not-found", "There is nothing at this address.", "See /api/v1/docs for all addresses."),
    405: ("method-not-allowed", "This address does not support that method.", "See /api/v1/docs."),
    413: ("too-large", "The request is too large.", "Send it in parts."),
    415: ("unknown-media-type", "This content type is not supported.", "See /api/v1/docs."),
}

_ANSWERED = "llm4top.answered"
_PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/'\",;:()]+){2,}/?")


class ErrorDetail(BaseModel):
    """What happened, to which file or field, and what to do."""

    code: str = Field(description="A stable name for programs.")
    message: str = Field(description="What happened, in a sentence.")
    where: str | None = Field(None, description="The file, field or id concerned.")
    hint: str | None = Field(None, description="What to do next.")


class ErrorOut(BaseModel):
    """The body of every error response."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "not-found",
                        "message": "there is no run '5b0e'.",
                        "where": None,
                        "hint": "It may have been deleted in the meantime.",
                    }
                }
            ]
        }
    )

    error: ErrorDetail


def responses(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The errors of an operation, for its documentation."""
    words = {
        400: "The request cannot be read.",
        404: "There is nothing with that id.",
        409: "The action is not possible in the current state of the run.",
        413: "The request is too large, or holds too many files.",
        415: "This content type is not supported.",
        422: "A value is not valid.",
        429: "Too many requests are waiting. Try again later.",
        503: "The workspace or the forecasting process did not respond.",
    }
    return {s: {"model": ErrorOut, "description": words[s]} for s in statuses}


class ApiError(errors.LLM4TOPError):
    """An error of the request itself, with its status and code."""

    def __init__(
        self, status: int, code: str, message: str, *, where: str | None = None, hint: str = ""
    ):
        super().__init__(message, where=where, hint=hint or None)
        self.status = status
        self.code = code


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` with an ``ErrorOut``."""
    app.add_exception_handler(errors.LLM4TOPError, _own_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def error_response(
    status: int, code: str, message: str, *, where: str | None = None, hint: str | None = None
) -> JSONResponse:
    """An error as a response."""
    body = {
        "code": code,
        "message": without_paths(message),
        "where": None if where is None else without_paths(where),
        "hint": None if hint is None else without_paths(hint),
    }
    headers = {"Cache-Control": "no-store"}
    if status == 429:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse({"error": body}, status, headers=headers)


def without_paths(text: str) -> str:
    """``text`` with the last part of each path of this machine in place of the path."""

    def last_part(found: re.Match[str]) -> str:
        path = found[0]
        return path if path.startswith("/api/") else path.rstrip("/").rpartition("/")[2]

    return _PATH.sub(last_part, text)


def code_of(kind: type[errors.LLM4TOPError]) -> str:
    """The code of an error's class: "NotFoundError" is "not-found"."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", kind.__name__.removesuffix("Error"))
    return "-".join(word.lower() for word in words)


async def _own_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.LLM4TOPError)
    if isinstance(error, ApiError):
        status, code = error.status, error.code
    else:
        status = next(number for kind, number in _STATUS if isinstance(error, kind))
        code = code_of(type(error))
    return error_response(status, code, error.message, where=error.where, hint=error.hint)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places, faults = [], []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        places.append(place)
        faults.append(f"{place}: {fault['msg']}")
    return error_response(
        422,
        "invalid-request",
        "; ".join(faults[:10]) or "the request is not valid.",
        where=", ".join(dict.fromkeys(places[:10])) or None,
        hint="Compare it with the documentation at /api/v1/docs.",
    )


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message, hint = _BY_STATUS.get(
        error.status_code, ("refused", "The request was refused.", "See /api/v1/docs.")
    )
    response = error_response(error.status_code, code, message, hint=hint)
    response.headers.update(error.headers or {})
    return response


async def _unexpected(request: Request, _: Exception) -> Response:
    """The framework raises the error again after this answer: ``LastResort`` logs it."""
    request.scope[_ANSWERED] = True
    return _failed()


def _failed() -> Response:
    return error_response(
        500,
        "failed",
        "The request failed because of an unexpected error.",
        hint="Nothing was lost. The terminal that runs the Studio shows the details.",
    )


class LastResort:
    """Around the whole API: logs unexpected errors and answers them with a sentence.

    Bodies are read up to ``MAX_BODY``; the paths in ``uncapped`` have limits of their own.
    """

    def __init__(self, app: ASGIApp, *, uncapped: frozenset[str] = frozenset()):
        self._app = app
        self._uncapped = uncapped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started, size = False, 0
        capped = scope.get("path") not in self._uncapped

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if capped and size > MAX_BODY:
                raise HTTPException(413)
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except Exception:
            _LOG.exception("%s %s failed", scope.get("method"), scope.get("path"))
            if not started:
                await _failed()(scope, receive, send)
            elif not scope.get(_ANSWERED):
                raise
