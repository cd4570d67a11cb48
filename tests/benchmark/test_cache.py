"""WorkCache appear whole or not at all, and are found again only by what they came from."""

import json

import numpy as np
import pytest

from llm4top.benchmark import cache
from llm4top.benchmark.cache import KEY_FILE, WorkCache


@pytest.fixture
def pieces(tmp_path):
    return WorkCache(tmp_path / "pieces")


def refuse():
    raise AssertionError("a finished piece is not made again")


def test_arrays_are_made_once(pieces):
    made = {"valid": np.array([[0.1, 0.9]]), "test": np.empty((0, 2))}
    first = pieces.arrays("baseline", {"data": "a"}, lambda: made)
    again = pieces.arrays("baseline", {"data": "a"}, refuse)
    for found in (first, again):
        assert found.keys() == made.keys()
        assert all(np.array_equal(found[name], made[name]) for name in made)


def test_values_come_back_as_they_were(pieces):
    values = [{"name": "größer", "value": None, "x": 0.1}]
    assert pieces.values("probe", {}, lambda: values) == values
    assert pieces.values("probe", {}, refuse) == values


def test_whatever_changes_makes_another_piece(pieces, monkeypatch):
    paths = {pieces.path("a", {"seed": 0}), pieces.path("a", {"seed": 1}), pieces.path("b", {})}
    monkeypatch.setattr(cache, "code_hash", lambda: "another")
    paths.add(pieces.path("a", {"seed": 0}))
    monkeypatch.setattr(cache, "library_versions", lambda: {"numpy": "0"})
    paths.add(pieces.path("a", {"seed": 0}))
    assert len(paths) == 5


def test_a_failure_leaves_nothing_behind(pieces):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pieces.values("probe", {}, fail)
    assert not pieces.has("probe", {})
    assert list(pieces.folder.iterdir()) == []


def test_a_piece_tells_what_it_came_from(pieces):
    pieces.values("probe", {"data": "abc"}, lambda: 1)
    told = json.loads((pieces.path("probe", {"data": "abc"}) / KEY_FILE).read_text())
    assert told["kind"] == "probe"
    assert told["data"] == "abc"
    assert told["libraries"]["numpy"] == np.__version__
    assert len(told["code"]) == 64
