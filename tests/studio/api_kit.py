"""The API over a workspace of its own, without the pages around it."""

import zipfile
from io import BytesIO
from pathlib import Path

from fastapi import FastAPI

import llm4top
from llm4top.studio.api.router import api_router

EXAMPLES = Path(llm4top.__file__).parent / "examples"
XML = (EXAMPLES / "example.xml").read_bytes()
JSON = (EXAMPLES / "example.json").read_bytes()
NO_ID = "0" * 32


def app_over(workspace, service):
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(api_router(workspace, lambda: service))
    return app


def zip_of(count, *, content=XML):
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"{number:05}.xml", content)
    return stream.getvalue()


def error_of(response):
    """The error of a response, whose shape is checked."""
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"code", "message", "where", "hint"}
    assert body["error"]["message"]
    return body["error"]
