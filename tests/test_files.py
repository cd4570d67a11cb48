"""Files and folders that appear whole or not at all, and locks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from llm4top import files
from llm4top.errors import BundleError
from llm4top.files import (
    LockedError,
    check_vacant,
    delete_path,
    delete_remains,
    is_locked,
    locked,
    publishing,
    replacing,
    scratch_folder,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    write_text(file, "old\r\n")
    assert file.read_bytes() == b"old\r\n"
    write_bytes(file, b"new")
    assert file.read_bytes() == b"new"
    assert names(tmp_path) == ["state.json"]


def test_json_is_written_in_unicode(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Größe", "n": 1})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "Größe" in text
    assert json.loads(text) == {"name": "Größe", "n": 1}


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old")

    def fail() -> None:
        with replacing(file) as scratch:
            scratch.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_the_scratch_file_can_be_put_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with replacing(tmp_path / "bundle" / "a", scratch_folder=tmp_path) as scratch:
        scratch.write_text("a")
        assert scratch.parent == tmp_path
    assert names(tmp_path / "bundle") == ["a"]


def test_content_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    fsync = os.fsync
    monkeypatch.setattr(
        files.os, "fsync", lambda number: (seen.append(names(tmp_path)), fsync(number))[1]
    )
    write_text(tmp_path / "a", "text")
    assert "a" not in seen[0]
    assert seen[-1] == ["a"]


def test_a_folder_is_exchanged_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "bundle"
    for text in ("one", "two"):
        with publishing(folder) as scratch:
            (scratch / "inner").mkdir()
            (scratch / "inner" / text).write_text(text)
    assert names(folder / "inner") == ["two"]
    assert names(tmp_path / "deep") == ["bundle"]


def test_a_link_to_a_folder_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there")
    with publishing(link) as scratch:
        (scratch / "new").write_text("n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]
    assert [path.name for path in link.iterdir()] == ["new"]


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "old").touch()

    def fail() -> None:
        with publishing(folder) as scratch:
            (scratch / "new").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["bundle"]


def test_a_rename_that_fails_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "old").touch()
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if files.SCRATCH in self.name:
            raise OSError("no")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no"), publishing(folder) as scratch:
        (scratch / "new").touch()
    assert names(folder) == ["old"]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "absent"])
def test_deleting(tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").touch()
    target = tmp_path / "target"
    if kind == "file":
        target.touch()
    elif kind == "folder":
        (target / "inner").mkdir(parents=True)
    elif kind == "link":
        target.symlink_to(elsewhere)
    delete_path(target)
    assert names(tmp_path) == ["elsewhere"]
    assert names(elsewhere) == ["a"]


def test_what_a_kill_left_half_deleted_goes(tmp_path: Path) -> None:
    (tmp_path / ".deleted-x" / "inner").mkdir(parents=True)
    (tmp_path / ".deleted-y").touch()
    (tmp_path / "kept").touch()
    delete_remains(tmp_path)
    assert names(tmp_path) == ["kept"]


def test_deleting_what_a_kill_left_under_the_same_name(tmp_path: Path) -> None:
    for name in (".deleted-x", "x"):
        (tmp_path / name / "inner").mkdir(parents=True)
    delete_path(tmp_path / "x")
    assert names(tmp_path) == []


def test_one_process_holds_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert not is_locked(lock)
    assert not lock.exists()
    with locked(lock, wait=False):
        assert is_locked(lock)
        with pytest.raises(LockedError) as caught, locked(lock, wait=False):
            pass
    assert caught.value.holder == os.getpid()
    assert not is_locked(lock)


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom llm4top.files import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert is_locked(lock)
        child.kill()
    assert not is_locked(lock)
    with locked(lock, wait=False):
        assert is_locked(lock)


def test_a_scratch_folder_goes_however_its_block_ends(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), scratch_folder(tmp_path / "new", ".work-") as folder:
        (folder / "rows").write_text("x")
        raise KeyboardInterrupt
    assert names(tmp_path / "new") == []


def test_what_a_kill_left_in_a_scratch_folder_goes_and_nothing_else(tmp_path: Path) -> None:
    for name in (".work-killed", ".work-alive", ".work-young", ".work-mine", "work-killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows").write_text("x")
        if name != ".work-mine":
            (tmp_path / name / ".used").write_text("1")
            os.utime(tmp_path / name / ".used", (1e9, 1e9) if "young" not in name else None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".used").touch()
    os.utime(elsewhere / ".used", (1e9, 1e9))
    (tmp_path / ".work-link").symlink_to(elsewhere)
    with locked(tmp_path / ".work-alive" / ".used"):
        os.utime(tmp_path / ".work-alive" / ".used", (1e9, 1e9))
        with scratch_folder(tmp_path, ".work-"):
            pass
    assert names(tmp_path) == [
        ".work-alive",
        ".work-link",
        ".work-mine",
        ".work-young",
        "elsewhere",
        "work-killed",
    ]
    assert (elsewhere / ".used").exists()


def test_a_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()


def test_a_folder_is_written_only_where_nothing_else_is(tmp_path):
    def check(folder, **given):
        options = {"is_one": False, "replace": False, "error": BundleError, **given}
        check_vacant(folder, "a bundle", **options)

    check(tmp_path / "missing")
    check(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"exists and is not a bundle\. Choose a folder that"):
        check(tmp_path, replace=True)
    with pytest.raises(BundleError, match=r"exists and is not a bundle"):
        check(tmp_path / "mine.txt")
    with pytest.raises(BundleError, match=r"holds a bundle\. Choose another.* or replace it\.$"):
        check(tmp_path, is_one=True)
    with pytest.raises(BundleError, match=r"or replace it \(--overwrite\)\.$"):
        check(tmp_path, is_one=True, how="--overwrite")
    check(tmp_path, is_one=True, replace=True)
