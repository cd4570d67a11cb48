"""The test ledger: what it writes, what it notices, and two processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import SealedTestError, TooFewRowsError
from llm4top.evaluation.ledger import TestLedger, sealed_rows_sha256
from llm4top.registry.trial import Trial

KEY = "a" * 64
OTHER = "b" * 64


def data(rows, **text):
    """A data set of (id, label, split)."""
    ids, labels, splits = zip(*rows, strict=True)
    trials = [Trial(phase="Phase 1", **text) for _ in rows]
    return make_dataset(trials, labels, ids, splits, task="outcome")


ROWS = (
    ("NCT90000001", "success", "train"),
    ("NCT90000002", "failure", "test"),
    ("NCT90000003", "success", "test"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "home" / "test-ledger.jsonl")


def look(ledger: TestLedger, key: str = KEY, what: str = "evaluate"):
    return ledger.record(what=what, bundle="tiny-0123", data_sha256=key, n=7)


def test_it_lies_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "mine"))
    look(TestLedger())
    assert (tmp_path / "mine" / "test-ledger.jsonl").is_file()


def test_looks_are_counted_by_the_rows_looked_at(ledger):
    assert ledger.looks(KEY) == ()
    first = look(ledger)
    look(ledger, OTHER)
    second = look(ledger, what="compare")
    assert ledger.looks(KEY) == (first, second)
    assert (first.what, first.bundle, first.n) == ("evaluate", "tiny-0123", 7)
    assert first.time.endswith("+00:00")
    ledger.verify()


def test_only_the_owner_reads_it(ledger):
    look(ledger)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_what_was_written_stays_when_more_is_appended(ledger):
    look(ledger)
    before = ledger.path.read_bytes()
    look(ledger)
    assert ledger.path.read_bytes().startswith(before)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: [lines[0].replace(b'"n": 7', b'"n": 8'), *lines[1:]], 1),
        (lambda lines: [lines[0], lines[1].replace(b"evaluate", b"rehearse"), lines[2]], 2),
        (lambda lines: [*lines[:2], lines[2].replace(b"tiny", b"huge")], 3),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [lines[0], b"not JSON", *lines[1:]], 2),
        (lambda lines: [lines[0], b"[1]", *lines[1:]], 2),
        (lambda lines: [lines[0], b"\xff\xfe", *lines[1:]], 2),
        (lambda lines: [*lines, b"", b""], 4),
    ],
)
def test_a_changed_line_is_named(ledger, damage, line):
    for _ in range(3):
        look(ledger)
    lines = damage(ledger.path.read_bytes().splitlines())
    ledger.path.write_bytes(b"\n".join(lines) + b"\n")
    assert ledger.damaged_from() == line
    with pytest.raises(SealedTestError, match=f"is damaged from line {line} on") as caught:
        ledger.verify()
    assert "restore the file from a backup" in str(caught.value)
    assert f"damaged from line {line} on: its count cannot be trusted" in ledger.note(KEY)


def test_a_damaged_ledger_is_written_on_and_never_repaired(ledger):
    look(ledger)
    torn = ledger.path.read_bytes()[:-20]  # no end of line: a crash while writing
    ledger.path.write_bytes(torn)
    look(ledger)
    look(ledger)
    assert ledger.path.read_bytes().startswith(torn + b"\n")
    assert len(ledger.looks(KEY)) == 2
    assert ledger.damaged_from() == 1


def test_a_line_of_a_later_version_with_more_in_it_is_read(ledger):
    entry = look(ledger)
    from llm4top.evaluation.ledger import _own_hash

    values = json.loads(ledger.path.read_bytes())
    del values["sha256"]
    values["reason"] = "annual check"
    ledger.path.write_text(json.dumps({**values, "sha256": _own_hash(values)}) + "\n")
    ledger.verify()
    assert ledger.looks(KEY) == (entry,)


def test_the_note_counts(ledger):
    look(ledger)
    assert ledger.note(KEY).startswith("1 look at these test rows so far, this one included")
    look(ledger)
    note = ledger.note(KEY)
    assert note.startswith("2 looks at these test rows so far")
    assert "a chance to choose by the test" in note


def test_what_cannot_be_written_down_is_not_looked_at(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(SealedTestError, match="cannot be written down") as caught:
        look(TestLedger(tmp_path / "home" / "test-ledger.jsonl"))
    assert "LLM4TOP_HOME" in str(caught.value)


def test_the_key_is_about_the_test_rows_alone():
    key = sealed_rows_sha256(data(ROWS))
    other_train = (("NCT90000009", "failure", "valid"), *ROWS[1:])
    assert sealed_rows_sha256(data(other_train)) == key
    assert sealed_rows_sha256(data(ROWS[::-1])) == key
    assert sealed_rows_sha256(data(ROWS, criteria="Other text.")) == key
    other_label = (*ROWS[:2], ("NCT90000003", "failure", "test"))
    assert sealed_rows_sha256(data(other_label)) != key
    assert sealed_rows_sha256(data(ROWS[:2])) != key


def test_no_test_split_no_key():
    with pytest.raises(TooFewRowsError, match="there is no test split"):
        sealed_rows_sha256(data(ROWS[:1]))


def test_two_processes_write_at_once(ledger):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from llm4top.evaluation.ledger import TestLedger\n"
        "ledger = TestLedger(Path(sys.argv[1]))\n"
        "sys.stdin.readline()\n"
        "for i in range(40):\n"
        f"    ledger.record(what=f'{{sys.argv[2]}} {{i}}', bundle='b', data_sha256={KEY!r}, n=2)\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(ledger.path), name], stdin=subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.stdin.close()
        assert writer.wait(60) == 0
    ledger.verify()
    looks = ledger.looks(KEY)
    for name in ("one", "two"):
        assert [e.what for e in looks if e.what.startswith(name)] == [
            f"{name} {i}" for i in range(40)
        ]
    assert len(looks) == 80
