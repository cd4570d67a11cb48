import re

import pytest
from starlette.testclient import TestClient

from llm4top.studio.api.docs_page import render_docs
from llm4top.workspace.workspace import Workspace
from tests.studio.api_kit import app_over


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with Workspace.open(tmp_path_factory.mktemp("home")) as workspace:
        yield TestClient(app_over(workspace, None))


@pytest.fixture(scope="module")
def document(api):
    return api.get("/api/v1/openapi.json").json()


def test_the_document_is_complete(document):
    assert document["openapi"].startswith("3.1")
    expected = {
        "/api/v1/forecasts": {"get", "post"},
        "/api/v1/runs": {"get", "post"},
        "/api/v1/runs/{run_id}": {"get"},
        "/api/v1/runs/{run_id}/events": {"get"},
        "/api/v1/runs/{run_id}/{action}": {"post"},
        "/api/v1/bundles": {"get"},
        "/api/v1/bundles/{bundle_id}": {"get"},
        "/api/v1/uploads": {"get"},
        "/api/v1/uploads/{upload_id}": {"delete"},
    }
    assert {path: set(methods) for path, methods in document["paths"].items()} == expected
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["description"].strip()
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], parameter["name"]
            assert all(answer["description"] for answer in operation["responses"].values())


def test_every_failure_is_documented_in_the_one_shape(document):
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorOut"}, operation


def test_the_page_shows_every_operation_and_asks_for_nothing_else(api, document):
    told = api.get("/api/v1/docs")
    assert told.headers["content-type"] == "text/html; charset=utf-8"
    page = told.text
    for path, methods in document["paths"].items():
        for method in methods:
            assert re.search(rf">{method.upper()}</code>\s*<code>{re.escape(path)}</code>", page)
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert "<script" not in page
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?(https?:)?//""", page)
    assert "@import" not in page


def test_text_of_the_document_is_escaped():
    page = render_docs(
        {
            "openapi": "3.1.0",
            "info": {"title": "<b>", "version": "1", "description": "<script>1</script>"},
            "paths": {},
            "components": {"schemas": {}},
        }
    )
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
