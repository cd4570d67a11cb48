"""Data sets by id: moved in whole, or listed where they lie."""

import pytest

from llm4top.errors import DatasetError, NotFoundError


def test_a_data_set_is_moved_in(workspace, made):
    stored = workspace.datasets.add(made)
    assert (stored.name, stored.task, stored.rows, stored.folder) == ("four", "outcome", 4, None)
    assert not made.exists()
    assert workspace.datasets.folder(stored.id) == workspace.folder / "datasets" / stored.id
    dataset = workspace.datasets.load(stored.id)
    assert dataset.sha256 == stored.sha256
    assert stored.card["balance"]["valid"]["success"] == 1
    assert workspace.datasets.list(sha256=stored.sha256) == workspace.datasets.list() == [stored]
    assert workspace.datasets.get(stored.id) == stored


def test_one_that_lies_elsewhere_is_listed_once_and_stays(workspace, made):
    stored = workspace.datasets.register(made, name="mine")
    again = workspace.datasets.register(str(made), name="renamed")
    assert (again.id, again.name, again.folder) == (stored.id, "renamed", str(made))
    assert workspace.datasets.count() == 1
    assert len(workspace.datasets.load(stored.id)) == 4
    workspace.datasets.delete(stored.id)
    assert workspace.datasets.count() == 0
    assert made.exists()


def test_deleting_one_deletes_its_files(workspace, made):
    stored = workspace.datasets.add(made)
    workspace.datasets.delete(stored.id)
    assert list((workspace.folder / "datasets").iterdir()) == []
    for act in (workspace.datasets.get, workspace.datasets.folder, workspace.datasets.delete):
        with pytest.raises(NotFoundError, match="there is no data set"):
            act(stored.id)


def test_what_is_no_data_set_is_refused(workspace, tmp_path):
    with pytest.raises(DatasetError, match="it has no card"):
        workspace.datasets.add(tmp_path / "nothing")
    (tmp_path / "card.json").write_text("{")
    for act in (workspace.datasets.add, workspace.datasets.register):
        with pytest.raises(DatasetError, match=r"its card is damaged\. Make the data set again"):
            act(tmp_path)
    assert workspace.datasets.count() == 0


def test_an_id_is_never_a_path(workspace, made):
    for spelling in ("../made", str(made), "..", "", "%2e%2e"):
        with pytest.raises(NotFoundError):
            workspace.datasets.folder(spelling)
