"""Records are kept with their forecasts, read again from archives, and deleted with them."""

import zipfile
from contextlib import suppress

import pytest

from llm4top.errors import NotFoundError
from llm4top.workspace.cleanup import delete_batch
from llm4top.workspace.kept_records import (
    batch_name,
    files_name,
    keep_result,
    record_again,
    uploads_behind,
)
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.serving.request import ForecastResult, UploadedFile
from tests.workspace.views.test_portfolio import item


@pytest.fixture
def files(tmp_path):
    def made(*names):
        found = []
        for name in names:
            path = tmp_path / name
            path.write_bytes(name.encode())
            found.append(UploadedFile(path, name))
        return found

    return made


def result(items, files, refusals=()):
    return ForecastResult(tuple(items), tuple(refusals), "tiny-0123456789ab", 0.1, tuple(files))


def test_files_are_kept_with_their_forecasts_and_refused_ones_are_not(local, files):
    given = files("a.xml", "notes.xml")
    refused = Refusal("notes.xml", "EmptyError", "is empty")
    batch = keep_result(local, result([item()], [0], [refused]), given)
    assert [u.name for u in local.uploads.list()] == ["a.xml"]
    assert [u.name for u in uploads_behind(local, batch)] == ["a.xml"]
    assert [r.record for r in local.batches.left_out(batch)] == ["notes.xml"]
    # Dropped once more: nothing new.
    assert keep_result(local, result([item()], [0], [refused]), given, batch=batch) == batch
    assert local.forecasts.count() == len(local.batches.left_out(batch)) == 1
    other = item(bundle="other-0123456789ab")
    keep_result(local, result([other], [0]), given[:1], batch=batch)
    assert local.forecasts.count() == 2


def test_deleting_a_batch_deletes_its_files_unless_others_were_made_from_them(local, files):
    given = files("a.xml", "b.xml")
    trials = [item(), item(record="b.xml")]
    first = keep_result(local, result(trials, [0, 1]), given)
    shared = uploads_behind(local, first)[0]
    second = keep_result(
        local, result([item()], [0]), [UploadedFile(given[0].path, shared.name, shared.id)]
    )
    delete_batch(local, first)
    assert [u.id for u in local.uploads.list()] == [shared.id]
    delete_batch(local, second)
    assert local.uploads.count() == 0
    with pytest.raises(NotFoundError):
        delete_batch(local, second)


def test_a_member_of_an_archive_is_read_again_alone(local, tmp_path):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/a.xml", "<a/>")
    trials = [item(record="all.zip!folder/a.xml"), item(record="all.zip!gone.xml")]
    batch = keep_result(local, result(trials, [0, 0]), [UploadedFile(path, "all.zip")])
    there, gone = local.forecasts.list(batch=batch, order="position")
    with record_again(local, there) as file:
        assert file.name == "folder/a.xml"
        assert file.path.read_bytes() == b"<a/>"
        place = file.path
    assert not place.exists()
    with record_again(local, gone) as file:
        assert file.path == local.uploads.path(there.upload_id)


def test_a_record_that_is_not_kept_is_not_read_again(local):
    batch = local.forecasts.add(None, [item()])
    with record_again(local, local.forecasts.list(batch=batch)[0]) as file:
        assert file is None


def test_batches_are_called_by_their_trial_or_their_files(files):
    given = files("a.xml", "b.xml", "c.xml")
    assert batch_name(result([item(title="One")], [0]), given[:1]) == "One"
    assert batch_name(result([item(), item()], [0, 1]), given) == "a.xml and 2 more files"
    assert files_name(["a.xml", "b.xml"]) == "a.xml and 1 more file"
    assert files_name([]) == "Records"


def test_an_upload_that_went_is_not_behind_its_batch(local, files):
    batch = keep_result(local, result([item()], [0]), files("a.xml"))
    for upload in local.uploads.list():
        local.uploads.delete(upload.id)
    with suppress(NotFoundError):
        assert uploads_behind(local, batch) == []
