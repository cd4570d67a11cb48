"""Bundles by id: what lies in the folder is what is listed, and one of them is the default."""

import json
import shutil

import pytest

from llm4top.errors import BundleError, NotFoundError, TamperedBundleError
from llm4top.forecasters.bundles.paths import embedded_folder, embedded_names
from llm4top.forecasters.bundles.store import import_bundle


def own_names(workspace):
    """The names of the bundles, without the embedded ones of other questions."""
    return [b.name for b in workspace.bundles.list() if ":" not in b.name]


@pytest.mark.skipif(len(embedded_names()) == 1, reason="no embedded question has been made yet")
def test_embedded_questions_are_bundles_but_no_default(workspace):
    found = {b.id: b for b in workspace.bundles.list()}
    assert {"embedded:completion", "embedded:duration", "embedded:why-it-fails"} <= set(found)
    duration = found["embedded:duration"]
    assert (duration.task, duration.is_default) == ("duration", False)
    assert workspace.bundles.place("embedded:duration") == "embedded:duration"
    assert workspace.bundles.folder("embedded:duration") == embedded_folder("embedded:duration")
    with pytest.raises(BundleError, match="this embedded bundle cannot be the default"):
        workspace.bundles.set_default("embedded:duration")
    with pytest.raises(BundleError, match="part of the program and stays"):
        workspace.bundles.delete("embedded:duration")
    assert workspace.bundles.default().id == "embedded"


def taken_in(workspace, name="mine"):
    return workspace.bundles.add(embedded_folder(), name=name)


def test_an_empty_workspace_forecasts_with_the_embedded_bundle(workspace):
    bundle = workspace.bundles.list()[0]
    assert (bundle.id, bundle.name, bundle.is_default) == ("embedded", "embedded", True)
    assert workspace.bundles.default() == workspace.bundles.get("embedded") == bundle
    assert workspace.bundles.folder("embedded") == embedded_folder()
    assert bundle.facts["data"]["counts"]
    with pytest.raises(BundleError, match="the embedded bundle is part of the program and stays"):
        workspace.bundles.delete("embedded")


def test_a_bundle_is_taken_in_made_the_default_and_deleted(workspace):
    mine = taken_in(workspace)
    assert (mine.name, mine.is_default, mine.task) == ("mine", False, "outcome")
    assert own_names(workspace) == ["embedded", "mine"]
    folder = workspace.bundles.folder(mine.id)
    assert folder == workspace.folder / "bundles" / "mine"
    assert workspace.bundles.set_default(mine.id).is_default
    assert workspace.bundles.default().id == mine.id
    assert not workspace.bundles.get("embedded").is_default
    other = taken_in(workspace, "other")
    workspace.bundles.set_default(other.id)
    assert [b.name for b in workspace.bundles.list() if b.is_default] == ["other"]
    workspace.bundles.delete(other.id)
    assert workspace.bundles.default().id == "embedded"
    assert workspace.bundles.set_default("embedded").is_default
    workspace.bundles.delete(mine.id)
    assert not folder.exists()
    with pytest.raises(NotFoundError, match="there is no bundle"):
        workspace.bundles.folder(mine.id)


def test_what_a_terminal_imports_or_removes_is_seen(workspace):
    store = workspace.folder / "bundles"
    import_bundle(embedded_folder(), name="terminal", store=store)
    found = workspace.bundles.list()[-1]
    assert found.name == "terminal"
    assert workspace.bundles.list()[-1].id == found.id
    shutil.rmtree(store / "terminal")
    assert own_names(workspace) == ["embedded"]
    with pytest.raises(NotFoundError):
        workspace.bundles.get(found.id)


def test_another_bundle_under_the_same_name_is_another_bundle(workspace):
    mine = taken_in(workspace)
    file = workspace.bundles.folder(mine.id) / "manifest.json"
    values = json.loads(file.read_text("utf-8"))
    values["licence"] = "another"
    file.write_text(json.dumps(values), "utf-8")
    changed = workspace.bundles.list()[-1]
    assert changed.name == "mine"
    assert changed.id != mine.id


def test_a_bundle_goes_out_and_is_verified(workspace, tmp_path):
    mine = taken_in(workspace)
    file = workspace.bundles.export(mine.id, tmp_path / "out.zip")
    back = workspace.bundles.add(file, name="back")
    assert back.identity == mine.identity
    workspace.bundles.verify(back.id).raise_for_problems()
    card = workspace.bundles.folder(back.id) / "MODEL_CARD.md"
    card.write_text("changed")
    with pytest.raises(TamperedBundleError):
        workspace.bundles.verify(back.id).raise_for_problems()


def test_a_damaged_bundle_is_left_out(workspace):
    mine = taken_in(workspace)
    (workspace.bundles.folder(mine.id) / "manifest.json").write_text("{")
    assert own_names(workspace) == ["embedded"]


@pytest.mark.parametrize("spelling", ["../bundles", "mine", "..", "", "x\0"])
def test_an_id_is_never_a_path(workspace, spelling):
    with pytest.raises(NotFoundError, match="there is no bundle"):
        workspace.bundles.folder(spelling)
