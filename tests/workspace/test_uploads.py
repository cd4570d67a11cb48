"""Uploads: capped, kept for the owner alone, found by id only, and gone when deleted."""

import io
import shutil
import stat
from collections import namedtuple

import pytest

from llm4top.errors import NotFoundError, UploadError
from llm4top.workspace.uploads import UploadLimits, shown_name
from llm4top.workspace.workspace import Workspace

TRAVERSALS = [
    "../llm4top.db",
    "..\\llm4top.db",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "%2e%2e/llm4top.db",
    "a" * 32 + "\0",
    "",
    ".",
    "..",
]


def add(workspace, data=b"<xml/>", name="a.xml", **limits):
    return workspace.uploads.add(name, io.BytesIO(data), limits=UploadLimits(**limits))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_an_upload_is_kept_as_it_came(workspace):
    data = bytes(range(256)) * 20_000
    upload = add(workspace, data, "trials.zip", file_bytes=len(data))
    assert (upload.name, upload.size) == ("trials.zip", len(data))
    assert workspace.uploads.get(upload.id) == upload
    with workspace.uploads.open(upload.id) as file:
        assert file.read() == data
    assert workspace.uploads.list(sha256=upload.sha256) == workspace.uploads.list() == [upload]
    assert workspace.uploads.list(sha256="0" * 64) == []
    assert workspace.uploads.count() == 1


def test_only_the_owner_can_read_uploads(workspace):
    upload = add(workspace)
    assert mode(workspace.uploads.path(upload.id)) == 0o600
    assert mode(workspace.folder / "uploads") == 0o700


def test_a_folder_that_was_open_to_others_is_closed(tmp_path):
    (tmp_path / "uploads").mkdir(mode=0o755)
    with Workspace.open(tmp_path):
        assert mode(tmp_path / "uploads") == 0o700


def test_the_newest_come_first_and_pages_follow_each_other(workspace):
    ids = [add(workspace, name=f"{n}.xml").id for n in range(5)]
    assert [u.id for u in workspace.uploads.list()] == ids[::-1]
    assert [u.id for u in workspace.uploads.list(limit=2, offset=1)] == ids[::-1][1:3]


def test_a_file_over_its_cap_is_refused_and_leaves_nothing(workspace):
    with pytest.raises(UploadError, match=r"big\.xml: is larger than 10 bytes\. Split it"):
        add(workspace, b"x" * 11, "big.xml", file_bytes=10)
    assert add(workspace, b"x" * 10, file_bytes=10).size == 10
    assert len(list((workspace.folder / "uploads").iterdir())) == 1


def test_a_file_over_its_cap_is_not_read_to_its_end(workspace):
    class Endless:
        given = 0

        def read(self, size):
            self.given += size
            return b"x" * size

    stream = Endless()
    with pytest.raises(UploadError, match="is larger than 5 MB"):
        workspace.uploads.add("x", stream, limits=UploadLimits(file_bytes=5_000_000))
    assert stream.given < 10_000_000


def test_too_many_files_or_too_much_altogether_is_refused(workspace):
    add(workspace, b"x" * 100)
    said = r"the workspace is full: it holds 1 upload, 100 bytes\. Delete uploads"
    with pytest.raises(UploadError, match=said):
        add(workspace, files=1)
    with pytest.raises(UploadError, match=said):
        add(workspace, total_bytes=100)


def test_the_disk_is_not_filled(workspace, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 1_000_000))
    with pytest.raises(UploadError, match=r"would leave less than 999 kB of the disk free"):
        add(workspace, b"x" * 2000, free_bytes=999_000)
    assert list((workspace.folder / "uploads").iterdir()) == []


@pytest.mark.parametrize("spelling", TRAVERSALS)
def test_an_id_is_never_a_path(workspace, spelling):
    for act in (workspace.uploads.path, workspace.uploads.get, workspace.uploads.delete):
        with pytest.raises(NotFoundError, match="there is no upload"):
            act(spelling)


def test_a_link_among_the_uploads_is_not_followed(local, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    upload = add(local)
    path = local.uploads.path(upload.id)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(NotFoundError):
        local.uploads.path(upload.id)
    local.uploads.delete(upload.id)
    assert secret.read_text() == "secret"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("NCT1.xml", "NCT1.xml"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\x\\y.xml", "y.xml"),
        ("a\nb\x1b[31m\u202ec.xml", "ab[31mc.xml"),
        ("", "upload"),
        ("...", "upload"),
        ("/", "upload"),
        ("protocole été.xml", "protocole été.xml"),
        ("<img src=x>.xml", "<img src=x>.xml"),
        ("a\0\ud800.xml", "a?.xml"),
    ],
)
def test_names_are_for_showing(workspace, sent, shown):
    assert shown_name(sent) == shown
    assert add(workspace, name=sent).name == shown


def test_a_long_name_keeps_its_beginning_and_its_end():
    shown = shown_name("x" * 5000 + ".xml")
    assert len(shown) == 200
    assert shown.endswith("x.xml")


def test_deleting_an_upload_deletes_its_forecasts(workspace):
    upload, other = add(workspace), add(workspace)
    workspace.forecasts.add(upload.id, [FORECAST])
    workspace.forecasts.add(other.id, [FORECAST])
    workspace.activity.log("uploaded", "me", upload.name, subject=upload.id)
    path = workspace.uploads.path(upload.id)
    workspace.uploads.delete(upload.id)
    assert not path.exists()
    assert workspace.forecasts.count() == 1
    assert [e.what for e in workspace.activity.list()] == ["(deleted)"]
    with pytest.raises(NotFoundError, match="It may have been deleted in the meantime"):
        workspace.uploads.get(upload.id)


FORECAST = {
    "record": "a.xml",
    "nct_id": "NCT00000001",
    "phase": "Phase 2",
    "task": "outcome",
    "label": "success",
    "probability": 0.6,
    "bundle": "b-1",
}


def test_what_a_killed_process_left_is_swept_away(local):
    import os

    upload, folder = add(local), local.folder / "uploads"
    strays = [folder / ".part-x", folder / ("b" * 32)]
    for path in (*strays, folder / ".deleted-y"):
        path.write_text("left")
    local.sweep()
    assert not (folder / ".deleted-y").exists()
    assert all(path.exists() for path in strays)  # somebody may be at it
    for path in strays:
        os.utime(path, (0, 0))
    os.utime(local.uploads.path(upload.id), (0, 0))
    local.sweep()
    assert [path.name for path in folder.iterdir()] == [upload.id]
