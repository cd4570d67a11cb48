"""The Train page in a real browser: choose, see faults, start, leave, stop, resume, come back."""

import re

import pytest
from playwright.sync_api import expect

from llm4top.testing import make_tiny_model
from llm4top.workspace.run_states import Process, Run, RunEvent, RunState
from llm4top.workspace.workspace import Workspace
from tests.studio._server import start_server, stop_server
from tests.warm import slow_training
from tests.workspace.tiny import save_tiny_dataset, wait_for

WAIT = 60_000
"""Milliseconds for what first loads torch, in the checks and in the worker."""

SETTINGS = {
    "Epochs": "8",
    "Maximum tokens": "128",
    "Learning rate": "0.01",
    "Batch size": "8",
    "Accumulation": "1",
    "Evaluations per epoch": "1",
    "Checkpoint steps": "10",
    "Log steps": "2",
    "Patience": "none",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Studio with a downloaded tiny model and no data set."""
    folder = tmp_path_factory.mktemp("train")
    make_tiny_model(folder / "home" / "models" / "invented--tiny")
    save_tiny_dataset(folder / "invented", train=64)
    with pytest.MonkeyPatch.context() as patch:
        slow_training(patch, folder)
        made = start_server(folder / "home")
    yield made
    stop_server(made)


def choose(page, label, option):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option).click()


@pytest.mark.browser
@pytest.mark.slow
def test_a_training_is_chosen_started_left_stopped_resumed_and_seen_to_its_end(page, server):
    page.goto("/train")
    page.get_by_text("There is none yet").wait_for()
    assert page.get_by_role("link", name="Import a data set").is_visible()
    with Workspace.open(server.home) as workspace:
        workspace.datasets.register(server.home.parent / "invented")
    page.goto("/train")
    page.get_by_role("heading", name="Before you start").wait_for()
    choose(page, "Base model", "invented/tiny")
    page.get_by_role("radio", name=re.compile("^Quick")).click()
    page.get_by_text("More settings").click()
    page.get_by_text("Maximum passes over the training trials").wait_for()
    epochs = page.get_by_label("Epochs", exact=True)
    epochs.fill("banana")
    page.get_by_label("Batch size", exact=True).fill("0")
    start = page.get_by_role("button", name="Start training")
    page.get_by_text("Must be a number, not 'banana'.").wait_for(timeout=WAIT)
    page.get_by_text("Must be 1 or more, not 0.").wait_for()
    page.get_by_text("2 settings above cannot be used.").wait_for()
    expect(start).to_be_disabled()
    for label, entry in SETTINGS.items():
        page.get_by_label(label, exact=True).fill(entry)
    choose(page, "Gradient checkpointing", "no")
    page.get_by_text("needs about").first.wait_for(timeout=WAIT)
    page.get_by_text("at most 64 steps of 8 trials").wait_for()
    page.get_by_role("button", name="Measure time and memory").click()
    page.get_by_text("Measuring a few steps on this machine").wait_for()
    expect(start).to_be_enabled()
    page.get_by_text("by the fastest and the slowest of 4 measured steps").wait_for(timeout=WAIT)
    page.get_by_text("at the peak of these steps").wait_for()
    assert page.get_by_text("No similar training").count() == 0
    command = page.locator(".l4-command code").inner_text()
    assert command.startswith("llm4top train --data ")
    assert "--base invented/tiny" in command
    assert "--preset quick" in command
    assert str(server.home) not in command
    assert page.get_by_text("Must be").count() == 0
    page.get_by_label("Name of the model").fill("<b>tiny</b>")
    page.wait_for_function(
        "document.querySelector('.l4-command code')?.innerText.includes('--set')"
        " && document.querySelector('.l4-command code').innerText.includes('<b>tiny</b>')"
    )
    page.locator("button:has-text('Start training'):not([disabled])").click(timeout=WAIT)

    page.wait_for_url(re.compile("/train/[0-9a-f]{32}$"))
    address = page.url
    page.get_by_role("img", name=re.compile("Training loss")).wait_for(timeout=WAIT)
    page.close()
    with Workspace.open(server.home) as workspace:
        run = workspace.runs.get(address.rpartition("/")[2])
        assert run.state is RunState.RUNNING
        again = page.context.new_page()
        again.goto(address)
        again.get_by_role("heading", name="<b>tiny</b>").wait_for()
        again.get_by_role("img", name=re.compile("Training loss")).wait_for()
        again.get_by_role("button", name="Stop", exact=True).click()
        again.get_by_role("button", name="Resume", exact=True).wait_for(timeout=WAIT)
        stopped = workspace.runs.get(run.id)
        assert stopped.state is RunState.INTERRUPTED
        again.get_by_text("Interrupted.").wait_for()
        (server.home.parent / "go").touch()
        again.get_by_role("button", name="Resume", exact=True).click()
        again.goto("/about")
        assert wait_for(workspace, run, lambda r: r.state is RunState.DONE).attempt == 2
        resumed = [e.details for e in workspace.runs.events(run.id, kind="folder", limit=None)]
        assert [e["step"] for e in resumed if e["event"] == "training"][1] > 0
    again.goto("/train")
    again.get_by_role("link", name="<b>tiny</b>").click()
    again.get_by_role("heading", name="Results").wait_for()
    again.get_by_text("gave the same probabilities").wait_for()
    again.get_by_text("Last lines of the log").click()
    expect(again.locator("pre.l4-log-tail")).to_contain_text("Done.")
    assert again.locator("#page b").count() == 0
    again.set_viewport_size({"width": 390, "height": 800})
    assert again.evaluate("document.documentElement.scrollWidth") <= 390
    again.get_by_text("Saved as").wait_for()
    again.get_by_text("On the same validation trials TF-IDF + logistic regression").wait_for()
    again.get_by_text(
        re.compile(r"The current default, Embedded default, has 0\.\d{3}, measured on other")
    ).wait_for()
    again.get_by_role("button", name="Use for forecasts").click()
    confirm = again.get_by_role("dialog", name="Make this weaker model the default?")
    confirm.or_(again.get_by_role("button", name="Try an example")).first.wait_for()
    if confirm.is_visible():
        confirm.get_by_role("button", name="Make it the default").click()
    again.get_by_role("button", name="Try an example").wait_for()


@pytest.mark.browser
def test_a_training_that_is_not_there_is_told_in_words(page):
    page.goto(f"/train/{'0' * 32}")
    page.get_by_role("alert").wait_for()
    expect(page.get_by_role("alert")).to_contain_text("no run")


def test_a_resumed_training_draws_its_steps_once():
    from datetime import UTC, datetime

    from llm4top.studio.components.run_view import Curves

    def told(**details):
        return RunEvent(1, "r", datetime.now(UTC), "folder", details)

    curves = Curves()
    assert curves.take([told(event="log", step=s, loss=1 / s) for s in (1, 2, 3, 4)])
    assert curves.take([told(event="evaluation", step=4, eval_log_loss=0.7)])
    assert not curves.take([told(event="checkpoint", step=4)])
    assert curves.take([told(event="training", step=2), told(event="log", step=3, loss=9.0)])
    assert curves.loss == {1: 1.0, 2: 0.5, 3: 9.0}
    assert curves.validation == {}
    curves.take([told(event="log", step=4, loss=float("nan"))])
    assert 4 not in curves.loss
    assert 'aria-label="Training loss 9.000 at step 3."' in curves.drawing(10)


def test_the_figures_of_a_training_tell_what_is_known(tmp_path):
    from llm4top.studio.components.run_view import figures_of

    with Workspace.open(tmp_path / "home") as workspace:
        settings = {"base": "invented/tiny", "preset": "quick"}
        workspace.runs.submit("train", settings, device="cpu")
        run = workspace.runs.claim(Process.current(), device="cpu")
        step = {"stage": "training", "done": 3, "total": 1200, "tokens_per_second": 1500.4}
        workspace.runs.add_event(run.id, "progress", {**step, "eta_seconds": 90, "memory": 2e9})
        told: Run = workspace.runs.get(run.id)
    assert dict(figures_of(told)) == {
        "Training step": "3 of 1\u202f200",
        "Tokens per second": "1\u202f500",
        "Time left in this stage": "about 2\u00a0min",
        "Memory": "2.0\u00a0GB",
        "Device": "cpu",
        "Base model and preset": "invented/tiny, quick",
    }


def test_a_probe_tells_its_trials_and_its_layers(tmp_path):
    from dataclasses import replace

    from llm4top.studio.components.run_view import figures_of, layer_table
    from llm4top.workspace.run_states import RunState
    from llm4top.workspace.views.wording import probe_in_words

    with Workspace.open(tmp_path / "home") as workspace:
        settings = {"base": "invented/tiny", "tuning": "probe"}
        run = workspace.runs.submit("train", settings, device="cpu")
    step = {"stage": "training", "done": 256, "total": 2100}
    reading = replace(run, state=RunState.RUNNING, progress=step)
    assert dict(figures_of(reading))["Trials read"] == "256 of 2\u202f100"
    done = replace(run, state=RunState.DONE, result={"seconds": 50.0, "steps": 0})
    assert dict(figures_of(done))["Duration"] == "50\u00a0s"
    losses = {(4, "answer"): 0.68, (4, "mean"): 0.66, (8, "answer"): 0.65, (8, "mean"): 0.67}
    tried = [
        {"layer": layer, "pooling": pooling, "c": 0.001, "eval_log_loss": loss}
        for (layer, pooling), loss in losses.items()
    ]
    columns, rows = layer_table(tried)
    assert columns[1:] == ("At the answer's position: log-loss", "Mean over the prompt: log-loss")
    assert rows == [("4", "0.680", "0.660"), ("8", "0.650", "0.670")]
    assert probe_in_words(tried) == (
        "Best of 2 layers on the validation trials: layer 8, at the answer's position, penalty "
        "C = 0.001, log-loss 0.650."
    )


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.516, 0.68, [0.5, 0.55, 0.6, 0.65, 0.7]),
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (2.3, 14.2, [0.0, 5.0, 10.0, 15.0]),
        (0.5, 0.5, [0.5, 0.5002]),
    ],
)
def test_the_axis_of_a_curve_bears_round_numbers(low, high, ticks):
    from llm4top.studio.components.run_view import _ticks

    assert _ticks(low, high) == ticks


def test_the_step_that_is_kept_is_marked_and_told():
    from datetime import UTC, datetime

    from llm4top.studio.components.run_view import Curves

    def told(step, loss, auc):
        details = {"event": "evaluation", "step": step, "eval_log_loss": loss, "eval_roc_auc": auc}
        return RunEvent(1, "r", datetime.now(UTC), "folder", details)

    curves = Curves()
    assert curves.best is None
    assert curves.roc_words() == ""
    curves.take([told(10, 0.597, 0.68), told(20, 0.704, 0.69)])
    assert curves.best == 10
    assert curves.words() == "Validation 0.704 at step 20. Best validation 0.597 at step 10."
    assert curves.roc_words() == "Validation ROC-AUC 0.690 at step 20."
    assert "<title>Step 10: 0.5970, best</title>" in curves.drawing(20)
    assert "<title>Step 10: 0.6800, best</title>" in curves.roc_drawing(20)
    assert "<title>Step 20: 0.6900</title>" in curves.roc_drawing(20)


def test_which_step_the_model_is_of_is_told_in_words(tmp_path):
    from dataclasses import replace

    from llm4top.studio.components.run_view import best_step

    with Workspace.open(tmp_path / "home") as workspace:
        run = workspace.runs.submit("train", {"base": "invented/tiny"})
    assert best_step(run) == ""
    early = replace(run, result={"best_step": 10, "steps": 20, "best_log_loss": 0.597})
    assert best_step(early) == (
        "The best step was 10 of 20, with a validation log-loss of 0.597. The model has the "
        "weights of that step; later steps were discarded."
    )
    last = replace(run, result={"best_step": 1200, "steps": 1200, "best_log_loss": None})
    assert best_step(last) == "The model has the weights of the last step, 1\u202f200."
