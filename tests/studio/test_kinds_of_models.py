"""Baselines and blends on the pages and in the API: chosen, listed, used like a language model."""

import json
from pathlib import Path

import pytest

import llm4top
from llm4top.workspace.workspace import Workspace
from tests.forecasters.baseline_kit import planted
from tests.studio._server import start_server, stop_server

pytestmark = pytest.mark.browser

EXAMPLES = Path(llm4top.__file__).parent / "examples"
JSON = (EXAMPLES / "example.json").read_bytes()
KINDS = {"tfidf": "baseline", "xgboost": "baseline", "blend": "blend"}
LABELS = {
    "tfidf": "TF-IDF + logistic regression",
    "xgboost": "XGBoost",
    "blend": "TF-IDF + logistic regression",
}
WAIT = 120_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Studio whose workspace has a TF-IDF bundle, an XGBoost bundle and a blend of both."""
    from llm4top.forecasters.baselines.catalog import make_baseline
    from llm4top.forecasters.blend import Blend
    from llm4top.forecasters.forecaster import as_forecaster

    home = tmp_path_factory.mktemp("kinds") / "home"
    trials, labels = planted(120)
    validation = planted(80)
    parts = {
        name: as_forecaster(make_baseline(name).fit(trials, labels))
        for name in ("tfidf", "xgboost")
    }
    for name, part in parts.items():
        part.save(home / "bundles" / name, validation=validation)
    blend = as_forecaster(Blend.fit(parts, *validation))
    blend.save(home / "bundles" / "blend", validation=validation)
    made = start_server(home)
    yield made
    stop_server(made)


@pytest.fixture
def bundles(server):
    with Workspace.open(server.home) as workspace:
        return {bundle.name: bundle for bundle in workspace.bundles.list()}


@pytest.mark.parametrize("name", KINDS)
def test_the_api_lists_a_bundle_of_any_kind_and_forecasts_with_it(server, bundles, name):
    listed = {item["name"]: item for item in server.ask("/api/v1/bundles").json()["items"]}
    assert listed[name]["kind"] == KINDS[name]
    answer = server.ask(
        f"/api/v1/forecasts?bundle={listed[name]['id']}",
        method="POST",
        headers={"Content-Type": "application/json"},
        body=JSON,
        patience=90,
    )
    assert answer.status == 200, answer.text
    (forecast,) = answer.json()["forecasts"]
    assert forecast["bundle"] == listed[name]["identity"] == bundles[name].identity
    assert forecast["lower"] <= forecast["probability"] <= forecast["upper"]
    assert json.loads(server.ask(f"/api/v1/bundles/{listed[name]['id']}").text)["facts"]["kind"]


@pytest.mark.parametrize("name", KINDS)
def test_a_model_of_any_kind_is_chosen_and_its_forecast_read(page, bundles, name):
    assert bundles[name].facts["kind"] == KINDS[name]
    page.goto("/models")
    row = page.get_by_role("table", name="Models").get_by_role("row", name=name)
    assert LABELS[name] in row.first.inner_text()
    page.goto("/")
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name=name, exact=True).click()
    page.get_by_role("button", name="Try an example").click()
    card = page.locator("article.l4-trial")
    card.locator(".l4-chance").get_by_text("interval").wait_for(timeout=WAIT)
    page.get_by_text(f"Model: {name}").wait_for()
    card.locator("h3 a").click()
    page.get_by_role("heading", name="What the model read").wait_for(timeout=WAIT)
    page.get_by_text("About the model and its metrics").click()
    page.get_by_text(LABELS[name]).filter(visible=True).first.wait_for()
