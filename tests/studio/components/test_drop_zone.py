"""Files that the browser keeps back, in words."""

from llm4top.studio.components.drop_zone import Limits, not_taken

LIMITS = Limits(".xml,.json,.zip", 1_000_000_000, 1000)


def test_each_reason_is_said_with_what_to_do():
    said = {
        why: (refusal.reason, refusal.hint)
        for why in ("accept", "max-total-size", "max-files", "duplicate")
        for refusal in not_taken([{"name": "a", "why": why}], LIMITS)
    }
    assert said == {
        "accept": ("Not an XML, JSON or zip file.", "Drop XML, JSON or zip files."),
        "max-total-size": (
            "With it, the files are larger than 1\u202f000 megabytes together.",
            "Drop it by itself, or split it.",
        ),
        "max-files": (
            "Only 1\u202f000 files are taken at once.",
            "Drop it afterwards, or pack the files into one zip.",
        ),
        "duplicate": ("It is being read already.", "Wait for it."),
    }


def test_what_the_browser_tells_is_not_trusted():
    for strange in (None, "x", 3, {"name": "a"}, [1, None, "b"]):
        assert not_taken(strange, LIMITS) == []
    (refusal,) = not_taken([{"name": 999 * "x", "why": {"a": 1}}], LIMITS)
    assert len(refusal.record) == 200
    assert refusal.reason == "Not an XML, JSON or zip file."
    (nameless,) = not_taken([{}], LIMITS)
    assert nameless.record == ""


def test_kinds_are_said_as_people_write_them():
    assert Limits(".xml", 1, 1).kinds == "XML"
    assert Limits(".xml,.json,.zip,.csv", 1, 1).kinds == "XML, JSON, zip or CSV"
