"""Undo and redo of edits, and the chart of a sweep."""

from xml.etree import ElementTree

from llm4top.registry.edits import Edit
from llm4top.workspace.views.what_if import History, chance_of, interval_of, sweep_chart


def edits(history):
    return [edit.text for edit in history.edits]


def test_edits_are_undone_and_redone():
    history = History()
    assert not history.can_undo
    history.add(Edit.parse("phase=Phase 3"))
    history.add(Edit.parse("criteria-=1"))
    history.undo()
    assert edits(history) == ["phase=Phase 3"]
    history.redo()
    assert edits(history) == ["phase=Phase 3", "criteria-=1"]
    history.undo()
    history.add(Edit.parse("sex=All"))
    assert edits(history) == ["phase=Phase 3", "sex=All"]
    assert not history.can_redo
    history.replace([])
    history.undo()
    assert edits(history) == ["phase=Phase 3", "sex=All"]


def test_setting_one_place_twice_is_one_edit_that_undoes_step_by_step():
    history = History()
    for text in (
        "criteria[2]=A",
        "criteria[2]=A, B",
        "criteria[3]=C",
        "criteria-=1",
        "criteria-=1",
    ):
        history.add(Edit.parse(text))
    assert edits(history) == ["criteria[2]=A, B", "criteria[3]=C", "criteria-=1", "criteria-=1"]
    for _ in range(4):
        history.undo()
    assert edits(history) == ["criteria[2]=A"]


def variant(name, chance, lower=None, upper=None):
    forecast = {"probability": chance, "lower": lower, "upper": upper}
    return {"name": name, "forecast": forecast, "words": "words"}


def test_a_sweep_is_drawn_with_its_intervals_and_said():
    shown = {
        "original": variant("as registered", 0.5, 0.3, 0.7),
        "variants": [variant("<Phase 1>", 0.4, 0.2, 0.6), variant("N/A", 0.6), variant("No", None)],
    }
    drawn = ElementTree.fromstring(sweep_chart(shown, "Phase"))
    assert drawn.get("aria-label") == "Chance by phase: <Phase 1> 40\u00a0%; N/A 60\u00a0%"
    assert len(drawn.findall(".//{*}circle")) == 2
    assert chance_of(shown["variants"][2]) == "none"
    assert interval_of(shown["variants"][0]) == "20 to 60\u00a0%"
