import re

import pytest
from starlette.testclient import TestClient

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
        "/api/v1/drafts": {"get", "post"},
        "/api/v1/drafts/{draft_id}": {"delete", "get", "patch"},
        "/api/v1/drafts/{draft_id}/record": {"get"},
        "/api/v1/forecasts": {"get", "post"},
        "/api/v1/forecasts/{forecast_id}/explanation": {"get"},
        "/api/v1/forecasts/{forecast_id}/report": {"get"},
        "/api/v1/portfolio": {"post"},
        "/api/v1/precedents": {"get", "post"},
        "/api/v1/what-if": {"post"},
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


def test_the_page_loads_only_from_here_and_its_scripts_carry_the_nonce(server):
    answer = server.ask("/api/v1/docs")
    page = answer.text
    nonce = re.search(r"'nonce-([\w-]+)'", answer.headers["content-security-policy"])[1]
    assert page.count("<script") == page.count(f'<script nonce="{nonce}"') == 2
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?(https?:)?//""", page)
    assert "validatorUrl: null" in page
    for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page):
        assert server.ask(f"/api/v1/{name}").status == 200, name
    for other in ("redoc.standalone.js", "..%2fcore.py", "core.py"):
        assert server.ask(f"/api/v1/docs/{other}").status == 404, other


@pytest.mark.browser
def test_the_page_shows_every_operation_and_asks_for_nothing_else(page, document):
    page.goto("/api/v1/docs")
    page.locator(".opblock").first.wait_for()
    shown = {
        (block.locator(".opblock-summary-method").inner_text().lower(), path)
        for block in page.locator(".opblock").all()
        for path in [block.locator(".opblock-summary-path").get_attribute("data-path")]
    }
    paths = document["paths"]
    assert shown == {(method, path) for path, methods in paths.items() for method in methods}
