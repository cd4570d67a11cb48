"""Schemathesis against the whole API: whatever is sent, no answer is a 500."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace
from tests.studio.api_kit import app_over

pytestmark = pytest.mark.slow

BOUNDED = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    with (
        Workspace.open(tmp_path_factory.mktemp("home")) as workspace,
        ForecastService(device="cpu") as service,
    ):
        app = app_over(workspace, service)
        yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


def test_no_answer_is_a_server_error(schema):
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy())
        def fuzz(case):
            response = case.call(timeout=200)
            case.validate_response(response, checks=[not_a_server_error])
            if response.status_code >= 400:
                assert set(response.json()["error"]) == {"code", "message", "where", "hint"}

        fuzz()
        asked.add(operation.label)
    assert len(asked) == 23
