"""The activity log: newest first, never changed but for the names of deleted things."""

from llm4top.workspace.tables import new_id


def test_entries_come_newest_first_and_in_pages(workspace):
    log = workspace.activity
    for n in range(5):
        log.log("uploaded" if n % 2 else "deleted", "someone", f"thing {n}")
    first = log.list(limit=2)
    assert [e.what for e in first] == ["thing 4", "thing 3"]
    rest = log.list(before=first[-1].id)
    assert [e.what for e in rest] == ["thing 2", "thing 1", "thing 0"]
    assert [e.what for e in log.list(action="uploaded")] == ["thing 3", "thing 1"]
    assert log.count() == 5
    assert first[0].time.utcoffset().total_seconds() == 0


def test_an_entry_is_given_back_as_it_is_kept(workspace):
    subject = new_id()
    entry = workspace.activity.log("a" * 100, "who\0", "x" * 5000, subject=subject)
    assert workspace.activity.list(subject=subject) == [entry]
    assert (len(entry.action), entry.who, len(entry.what)) == (64, "who", 1000)
    assert workspace.activity.list(subject="embedded") == []
