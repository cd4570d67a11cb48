"""The Forecast page with models of two questions, one of them with three answers."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

import llm4top
from llm4top.forecasters.bundles.paths import embedded_names
from llm4top.tasks.builtin import TASKS
from tests.studio._server import start_server, stop_server

pytestmark = pytest.mark.browser

EXAMPLES = Path(llm4top.__file__).parent / "examples"
QUESTION = "How long will this trial take?"
LABELS = ("under a year", "1 to 2 years", "over 2 years")
WAIT = 200_000


def save_bundle_of_three(folder, model):
    """A whole bundle around a random model that tells one of three answers."""
    from llm4top.forecasters.bundles.manifest import BundleFacts
    from llm4top.forecasters.bundles.write import save_bundle
    from llm4top.forecasters.calibration.methods import make_calibrator
    from llm4top.forecasters.language import LanguageForecaster
    from llm4top.forecasters.model.base_model import load_base
    from llm4top.prompts.prompt import PromptSpec
    from llm4top.tasks.task import Task

    task = Task("duration", "multiclass", QUESTION, LABELS, ("A", "B", "C"))
    forecaster = LanguageForecaster.from_model(
        load_base(model, device="cpu"), task, spec=PromptSpec(512)
    )
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    save_bundle(
        folder,
        name="duration",
        forecaster=forecaster,
        calibration=make_calibrator().fit(rng.normal(size=(200, 3)), y),
        facts=BundleFacts(),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from llm4top.testing import make_tiny_model

    folder = tmp_path_factory.mktemp("questions")
    model = make_tiny_model(folder / "model", words=("Yes", "No", "A", "B", "C"))
    save_bundle_of_three(folder / "home" / "bundles" / "duration", model)
    made = start_server(folder / "home")
    yield made
    stop_server(made)


@pytest.fixture
def studio(page):
    page.goto("/")
    page.get_by_role("button", name="Try an example").wait_for()
    return page


def opened(studio, label):
    """The options of one select; another's list may still be on its way out."""
    select = studio.get_by_role("combobox", name=label)
    select.click()
    listed = studio.locator(f"#{select.get_attribute('aria-controls')}").get_by_role("option")
    listed.first.wait_for()
    return listed


def ask_for_the_duration(studio):
    opened(studio, "Question").filter(has_text=QUESTION).click()
    studio.locator(".l4-choice").filter(has_text="duration").wait_for()


def test_a_question_leaves_only_the_models_that_answer_it(studio):
    shipped = [TASKS[name.partition(":")[2] or "outcome"] for name in embedded_names()]
    expect(opened(studio, "Question")).to_have_text([*(t.question for t in shipped), QUESTION])
    studio.keyboard.press("Escape")
    expect(opened(studio, "Model")).to_have_text(["Embedded default"])
    studio.keyboard.press("Escape")
    ask_for_the_duration(studio)
    expect(opened(studio, "Model")).to_have_text(["duration"])


def test_one_of_several_answers_is_shown_as_such_everywhere(studio):
    ask_for_the_duration(studio)
    studio.set_input_files(
        "input[type=file]", [EXAMPLES / "example.xml", EXAMPLES / "example_with_results.xml"]
    )
    studio.get_by_role("heading", name="2 trials").wait_for(timeout=WAIT)
    card = studio.locator("article.l4-trial").first
    assert re.search(r"Most likely “[^”]+”:\s*\d+", card.inner_text())
    said = card.get_by_role("img").get_attribute("aria-label")
    assert all(label in said for label in LABELS)
    studio.get_by_role("tab", name="Table").click()
    cell = studio.locator("td[data-title=Chance]").first
    cell.wait_for()
    assert re.match(r"“[^”]+” \d+", cell.inner_text())
    studio.get_by_role("tab", name="Portfolio").click()
    studio.get_by_role(
        "heading", name=re.compile(r"is expected most often, in about \d\.\d of 2 trials")
    ).wait_for()
    assert "succe" not in studio.locator(".l4-results").inner_text()
    studio.get_by_role("tab", name="Cards").click()
    card.locator("h3 a").click()
    studio.get_by_text("About the model and its metrics").click()
    studio.get_by_role("heading", name="Model", exact=True).wait_for()
    shown = studio.locator("article.l4-detail")
    assert QUESTION in shown.inner_text()
    assert all(label in shown.inner_text() for label in LABELS)


def test_another_model_forecasts_the_same_records_and_both_forecasts_are_kept(studio):
    studio.get_by_role("button", name="Try an example").click()
    card = studio.locator("article.l4-trial")
    card.wait_for(timeout=WAIT)
    ask_for_the_duration(studio)
    studio.get_by_role("button", name="Forecast again with duration").click()
    card.filter(has_text="Most likely").wait_for(timeout=WAIT)
    assert re.search(r"Embedded default: \d+\s%", card.inner_text())
    opened(studio, "Forecasts of").filter(has_text="Embedded default").click()
    studio.wait_for_url(re.compile(r"model=llm4top-mini-"))
    card.filter(has_text="similar trials succeed").wait_for()
    assert re.search(r"duration: “[^”]+” \d+", card.inner_text())
    card.locator("h3 a").click()
    studio.get_by_role("heading", name="Other models on this trial").wait_for()
    studio.get_by_role("link", name="duration").click()
    studio.locator("article.l4-detail").filter(has_text="Most likely").wait_for()
