"""``GET /api/v1/forecasts/ID/explanation``: computed once, kept, deleted with the forecast."""

import time

import pytest

from llm4top.workspace.cleanup import delete_batch
from tests.studio.api_kit import NO_ID, XML, error_of

pytestmark = pytest.mark.slow


def test_an_explanation_is_computed_once_and_kept_with_its_forecast(api, workspace):
    made = api.post("/api/v1/forecasts", files=[("files", ("a.xml", XML))])
    (forecast,) = made.json()["forecasts"]
    place = f"/api/v1/forecasts/{forecast['id']}/explanation"
    told = api.get(place)
    assert told.status_code == 200, told.text
    body = told.json()
    assert body["chance"] == pytest.approx(forecast["probability"], abs=1e-4)
    assert body["sections"]
    assert len(body["parts"]) == 3
    begun = time.perf_counter()
    assert api.get(place).json() == body
    assert time.perf_counter() - begun < 0.5
    assert api.get(place, params={"seed": 1}).json()["seed"] == 1
    # A list and the forecast itself carry no reasons.
    assert "reasons" not in api.get(f"/api/v1/forecasts/{forecast['id']}").json()
    stored = workspace.forecasts.get(forecast["id"])
    assert workspace.batches.lines(stored.batch)[0].nct_id == forecast["nct_id"]
    delete_batch(workspace, stored.batch)
    assert error_of(api.get(place))["code"] == "not-found"


@pytest.mark.parametrize("query", ["samples=5", "samples=2"])
def test_samples_that_cannot_be_are_refused(api, query):
    told = api.get(f"/api/v1/forecasts/{NO_ID}/explanation?{query}")
    assert told.status_code == 422
    assert error_of(told)["message"]
