"""The records behind forecasts: stored with them, and read again for their pages."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import select

from llm4top.errors import NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.jobs.resolve import uploads_of
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.serving.request import ForecastResult, UploadedFile
from llm4top.workspace.tables import ForecastRow, now
from llm4top.workspace.uploads import Upload
from llm4top.workspace.workspace import Workspace

_MARK = "!"
"""Between an archive and its member in the name of a record."""

LARGEST_MEMBER = 50_000_000
"""Bytes of an archive's member that is read again for one page."""


def keep_result(
    workspace: Workspace,
    result: ForecastResult,
    files: Sequence[UploadedFile],
    *,
    batch: str | None = None,
) -> str:
    """Keep what was made of dropped files, in a new batch or behind ``batch``; its id.

    The files are kept with their forecasts; those of which nothing was forecast are not. A
    forecast that the batch has already, of the same record and model, is not kept twice.
    """
    known: set[tuple[str, str, str]] = set()
    moment = now()
    if batch is None:
        batch = workspace.batches.open(batch_name(result, files))
    else:
        lines = workspace.batches.lines(batch)
        known = {_named(line) for line in lines}
    for number, file in enumerate(files):
        made = [i for i, k in zip(result.items, result.files, strict=True) if k == number]
        new = [item for item in made if _named(item) not in known]
        if new:
            upload = stored_upload(workspace, file)
            workspace.forecasts.add(upload, new, batch=batch, moment=moment)
    there = {(r.record, r.code, r.reason) for r in workspace.batches.left_out(batch)}
    refused = [*result.refusals, *map(Refusal.note, result.notes)]
    left = [r for r in refused if (r.record, r.code, r.reason) not in there]
    workspace.batches.leave_out(batch, left)
    return batch


def _named(item: Forecast) -> tuple[str, str, str]:
    """What makes a forecast the same as another: record, content, model and base rate."""
    return item.record, item.source_sha256, item.variant


def batch_name(result: ForecastResult, files: Sequence[UploadedFile]) -> str:
    """What a drop is called: the title of its only trial, else its files."""
    if len(result.items) == 1 and result.items[0].title:
        return result.items[0].title
    return files_name([file.name for file in files])


def files_name(names: Sequence[str]) -> str:
    """Several files by their first: "a.zip and 2 more files"."""
    if not names:
        return "Records"
    first, *others = names
    more = f" and {len(others)} more file{'s' if len(others) > 1 else ''}" if others else ""
    return f"{first}{more}"


def stored_upload(workspace: Workspace, file: UploadedFile) -> str:
    """The id of the file's upload, which is stored now where it is not yet."""
    if file.upload_id is not None:
        return file.upload_id
    with file.path.open("rb") as stream:
        return workspace.uploads.add(file.name, stream).id


def uploads_behind(workspace: Workspace, batch: str) -> list[Upload]:
    """The stored files that a batch was made from and that still exist."""
    found = workspace.batches.get(batch)
    query = select(ForecastRow.upload_id).where(ForecastRow.batch == batch).distinct()
    with workspace.session(write=False) as session:
        ids = [upload for upload in session.scalars(query) if upload is not None]
    if found.run_id is not None:
        with suppress(NotFoundError):
            ids += sorted(uploads_of(workspace.runs.get(found.run_id).settings) - set(ids))
    uploads = []
    for upload_id in ids:
        with suppress(NotFoundError):
            uploads.append(workspace.uploads.get(upload_id))
    return uploads


@contextmanager
def record_again(workspace: Workspace, stored: StoredForecast) -> Iterator[UploadedFile | None]:
    """The file that holds a stored forecast's record, alone where it is a member of an archive.

    None where it is no longer stored. Unpacked files are deleted after the block.
    """
    name, mark, member = stored.record.partition(_MARK)
    behind = [u for u in uploads_behind(workspace, stored.batch) if u.name == name]
    if stored.upload_id is not None:
        behind.sort(key=lambda upload: upload.id != stored.upload_id)
    if not behind:
        yield None
        return
    path = workspace.uploads.path(behind[0].id)
    if not mark:
        yield UploadedFile(path, name)
        return
    folder = Path(tempfile.mkdtemp(prefix="llm4top-"))
    try:
        unpacked = _unpacked(path, member, folder)
        yield UploadedFile(path, name) if unpacked is None else UploadedFile(unpacked, member)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(path: Path, member: str, folder: Path) -> Path | None:
    """One member of an archive as a file; None where it is not found as it is named."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as source:
            if archive.getinfo(member).file_size > LARGEST_MEMBER:
                return None
            place = folder / "0"
            place.write_bytes(source.read(LARGEST_MEMBER))
            return place
    except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return None
