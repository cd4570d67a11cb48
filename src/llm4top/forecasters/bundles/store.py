"""The bundles on this machine, and bundles as one file to carry to another."""

import errno
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.files import publishing, replacing
from llm4top.forecasters.bundles import paths
from llm4top.forecasters.bundles.manifest import Manifest
from llm4top.forecasters.bundles.schema1 import BASELINE_MANIFEST_FILE, manifest_file
from llm4top.forecasters.bundles.verify import VerifyReport, read_manifest, verify_bundle

MAX_RATIO = 200
"""Unpacked to packed bytes of one member: weights hardly shrink, text shrinks a few times."""

DISK_RESERVE = 1 << 30
"""Bytes that stay free on the disk after an import."""

_MAX_MANIFEST_BYTES = 8 * 1024 * 1024
_MANIFESTS = (paths.MANIFEST_FILE, BASELINE_MANIFEST_FILE)
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A bundle on this machine: the name it goes by, its folder and its manifest."""

    name: str
    folder: Path
    manifest: Manifest

    @property
    def identity(self) -> str:
        """Names the bundle for good, whatever it is called here."""
        return self.manifest.identity


def list_bundles(
    store: Path | None = None,
    *,
    on_problem: Callable[[Path, BundleError], None] | None = None,
) -> list[StoredBundle]:
    """List the embedded bundles and those in the store. Their files are not verified.

    Args:
        store: The folder of the store; ``bundles_folder()`` where None.
        on_problem: Called with each folder whose manifest cannot be read, and its error. Without
            it, the first such error is raised.

    Returns:
        The bundles with name, folder and manifest: the embedded ones, "embedded" first, then the
        store's by name.

    Raises:
        BundleError: A manifest cannot be read, and ``on_problem`` is None.
    """
    store = paths.bundles_folder() if store is None else store
    folders = [(name, paths.embedded_folder(name)) for name in paths.embedded_names()]
    if store.is_dir():
        folders += [(path.name, path) for path in sorted(store.iterdir())]
    found = []
    for name, folder in folders:
        if name.startswith(".") or not paths.is_bundle(folder):
            continue
        try:
            found.append(StoredBundle(name, folder, read_manifest(folder)))
        except BundleError as error:
            if on_problem is None:
                raise
            on_problem(folder, error)
    return found


def export_bundle(bundle: str | Path, file: str | Path, *, overwrite: bool = False) -> Path:
    """Verify a bundle and pack it into one zip. The same bundle gives the same bytes.

    Args:
        bundle: "embedded", a folder, or a name in the store.
        file: The zip to write.
        overwrite: Replace the file if it exists.

    Returns:
        The path of the zip.

    Raises:
        BundleError: There is no such bundle, or ``file`` exists and ``overwrite`` is False.
        TamperedBundleError: A file of the bundle does not match its hash.
        UnsafeBundleError: A file of the bundle may contain code.
    """
    report = verify_bundle(bundle)
    report.raise_for_problems()
    file = Path(file)
    if file.is_dir() or (file.exists() and not overwrite):
        raise BundleError(
            f"there is a {'folder' if file.is_dir() else 'file'} here already.",
            where=str(file),
            hint="Choose another name."
            if file.is_dir()
            else "Choose another name, or --overwrite.",
        )
    names = [manifest_file(report.folder).name, *sorted(report.manifest.files)]
    try:
        # Weights do not shrink: stored as they are, they unpack at the disk's speed.
        with (
            replacing(file) as scratch,
            zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive,
        ):
            for name in names:
                _pack(report.folder / name, name, archive)
    except OSError as error:
        # A full disk does not say by itself which file it was.
        error.filename = error.filename or str(file)
        raise
    return file


def _pack(path: Path, name: str, archive: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.external_attr = 0o644 << 16
    large = path.stat().st_size >= 1 << 31
    with path.open("rb") as source, archive.open(member, "w", force_zip64=large) as target:
        shutil.copyfileobj(source, target, _CHUNK)


def import_bundle(
    file: str | Path, *, name: str | None = None, store: Path | None = None
) -> StoredBundle:
    """Import a bundle into the store, from a zip of ``export_bundle`` or from a folder.

    The bundle appears in the store only after every file has been verified. An identical bundle
    that is already there is left as it is.

    Args:
        file: The zip or folder.
        name: Name in the store; the bundle's own name where None.
        store: The folder of the store; ``bundles_folder()`` where None.

    Returns:
        The imported bundle with name, folder and manifest.

    Raises:
        UnsafeBundleError: The archive has another file, a link, encryption or a suspicious size.
        TamperedBundleError: A file does not match the manifest.
        BundleError: The file is not an archive, the name is taken, or the disk is full.
    """
    file = Path(file)
    store = paths.bundles_folder() if store is None else store
    if file.is_dir():
        return _import_folder(file, name, store)
    if not file.exists():
        raise BundleError("there is no such file.", where=str(file))
    try:
        with zipfile.ZipFile(file) as archive:
            return _import_zip(archive, file.name, name, store)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and _is_about_store(error, file):
            raise _unusable(store, error) from error
        raise BundleError(
            f"cannot be unpacked ({error}).",
            where=str(file),
            hint="Give a file that `llm4top bundle export` wrote.",
        ) from error


def _imported(
    manifest: Manifest, name: str | None, store: Path, size: int, fill: Callable[[Path], None]
) -> StoredBundle:
    """Put a bundle of ``size`` bytes, which ``fill`` writes into a folder, into the store."""
    chosen = paths.checked_name(name or manifest.name)
    folder = store / chosen
    if paths.is_bundle(folder):
        there = read_manifest(folder)
        if there.identity != manifest.identity:
            raise BundleError(
                f"the name {chosen!r} is taken by {there.identity}.",
                hint="Use --as NAME to keep both.",
            )
        verify_bundle(folder).raise_for_problems()
        return StoredBundle(chosen, folder, there)
    if folder.exists():
        raise BundleError("there is something else here.", where=str(folder))
    _check_disk(store, size)
    with publishing(folder) as staging:
        fill(staging)
        verify_bundle(staging).raise_for_problems()
    return StoredBundle(chosen, folder, read_manifest(folder))


def _import_zip(
    archive: zipfile.ZipFile, where: str, name: str | None, store: Path
) -> StoredBundle:
    members = _members(archive, where)
    manifest = _manifest(archive, members, where)

    def fill(staging: Path) -> None:
        for member_name, member in members.items():
            _extract(archive, member, staging / member_name, where)

    size = sum(member.file_size for member in members.values())
    return _imported(manifest, name, store, size, fill)


def _import_folder(bundle: Path, name: str | None, store: Path) -> StoredBundle:
    report = verify_bundle(bundle)
    report.raise_for_problems()

    size = sum(entry.size for entry in report.manifest.files.values())
    return _imported(report.manifest, name, store, size, lambda to: copy_bundle(report, to))


def copy_bundle(report: VerifyReport, folder: Path) -> None:
    """Copy the files of a verified bundle into ``folder``: its manifest and what that lists."""
    for name in (manifest_file(report.folder).name, *report.manifest.files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(report.folder / name, folder / name)


def _members(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by name, once each has shown to be one that a bundle may have."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        if name.endswith("/") and paths.is_plain_name(name[:-1]) and not member.file_size:
            continue
        problem = _member_problem(name, member)
        if problem is None and name in found:
            problem = "is there twice"
        if problem is not None:
            raise UnsafeBundleError(
                f"the member {name!r:.100} {problem}.",
                where=where,
                hint="Nothing was unpacked. Ask for a file that `llm4top bundle export` wrote.",
            )
        found[name] = member
    return found


def _member_problem(name: str, member: zipfile.ZipInfo) -> str | None:
    if not paths.is_plain_name(name):
        return "points outside the bundle"
    if name not in _MANIFESTS and not paths.is_bundle_file(name):
        return "is none of a bundle's files"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if (member.external_attr >> 16) & 0o170000 not in (0, 0o100000):
        return "is not an ordinary file"
    if member.file_size > MAX_RATIO * max(member.compress_size, 1) + _CHUNK:
        return "would unpack to far more than it holds"
    return None


def _manifest(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], where: str
) -> Manifest:
    member = members.get(paths.MANIFEST_FILE) or members.get(BASELINE_MANIFEST_FILE)
    if member is None:
        raise BundleError(
            "there is no manifest in it: this is not a bundle.",
            where=where,
            hint="Give a file that `llm4top bundle export` wrote.",
        )
    if member.file_size > _MAX_MANIFEST_BYTES:
        raise UnsafeBundleError("its manifest is far larger than a manifest is.", where=where)
    with archive.open(member) as source:
        text = source.read(_MAX_MANIFEST_BYTES)
    try:
        manifest = Manifest.from_json(text.decode("utf-8"), where=f"{where}!{member.filename}")
    except UnicodeDecodeError:
        raise UnsafeBundleError("its manifest is not text.", where=where) from None
    for name, entry in manifest.files.items():
        if name in members and members[name].file_size != entry.size:
            raise TamperedBundleError(
                f"has {members[name].file_size} bytes where the manifest says {entry.size}.",
                where=f"{where}!{name}",
            )
    return manifest


def _is_about_store(error: OSError, file: Path) -> bool:
    """Whether it was writing that failed, and not reading ``file``."""
    named = error.filename2 or error.filename
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return full or (named is not None and Path(named) != file)


def _unusable(store: Path, error: OSError) -> BundleError:
    return BundleError(
        f"cannot be written to ({error.strerror or error}).",
        where=str(store),
        hint="Set LLM4TOP_HOME to a folder that you may write to.",
    )


def _check_disk(store: Path, needed: int) -> None:
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(store, error) from error
    free = shutil.disk_usage(store).free
    if free < needed + DISK_RESERVE:
        raise BundleError(
            f"the bundle takes {needed >> 20} MiB and {free >> 20} MiB are free.",
            where=str(store),
            hint="Free some space, or set LLM4TOP_HOME to a folder on a larger disk.",
        )


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, where: str) -> None:
    """Unpack one member, never more of it than its stated size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, path.open("xb") as target:
        while left >= 0 and (chunk := source.read(min(_CHUNK, left + 1))):
            target.write(chunk)
            left -= len(chunk)
    if left < 0:
        raise UnsafeBundleError(
            "unpacks to more than its stated size.", where=f"{where}!{member.filename}"
        )
