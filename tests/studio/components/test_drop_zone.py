"""Files that the browser keeps back, in words."""

from llm4top.studio.components.drop_zone import Limits, rejected_files

LIMITS = Limits(".xml,.json,.zip", 1_000_000_000, 1000)


def test_each_reason_is_said_with_what_to_do():
    said = {
        why: (refusal.reason, refusal.hint)
        for why in ("accept", "max-total-size", "max-files", "duplicate")
        for refusal in rejected_files([{"name": "a", "why": why}], LIMITS)
    }
    assert said == {
        "accept": ("Not an XML, JSON or zip file.", "Drop XML, JSON or zip files."),
        "max-total-size": (
            "With this file, the total is over 1\u202f000 megabytes.",
            "Drop it by itself, or split it.",
        ),
        "max-files": (
            "Only 1\u202f000 files can be dropped at once.",
            "Drop it afterwards, or put all files into one zip.",
        ),
        "duplicate": ("This file is being read already.", "Wait until it is finished."),
    }


def test_what_the_browser_tells_is_not_trusted():
    for strange in (None, "x", 3, {"name": "a"}, [1, None, "b"]):
        assert rejected_files(strange, LIMITS) == []
    (refusal,) = rejected_files([{"name": 999 * "x", "why": {"a": 1}}], LIMITS)
    assert len(refusal.record) == 200
    assert refusal.reason == "Not an XML, JSON or zip file."
    (nameless,) = rejected_files([{}], LIMITS)
    assert nameless.record == ""


def test_kinds_are_said_as_people_write_them():
    assert Limits(".xml", 1, 1).kinds == "XML"
    assert Limits(".xml,.json,.zip,.csv", 1, 1).kinds == "XML, JSON, zip or CSV"
