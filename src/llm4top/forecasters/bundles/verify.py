"""Whether a bundle is what its manifest says, file by file, before anything of it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.files import sha256_of
from llm4top.forecasters.bundles import schema1
from llm4top.forecasters.bundles.manifest import HINT, FileEntry, LanguageEntry, Manifest
from llm4top.forecasters.bundles.paths import (
    MANIFEST_FILE,
    is_bundle,
    is_hub_file,
    resolve_bundle,
)
from llm4top.forecasters.bundles.safe_files import entries, unsafe_content, unsafe_kind
from llm4top.forecasters.bundles.schema1 import manifest_file

State = Literal["ok", "missing", "changed", "unlisted", "unsafe"]
_MAX_MANIFEST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file: its name, what was found, and in words what is wrong."""

    name: str
    state: State
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found in a bundle's folder.

    ``files`` names each file that is listed or there, but for the plain ones that a repository of
    the Hub has besides (``README.md``): nothing reads them.
    """

    folder: Path
    manifest: Manifest
    files: tuple[FileCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether every listed file is there, unchanged, and there is no other."""
        return all(check.state == "ok" for check in self.files)

    @property
    def problems(self) -> tuple[FileCheck, ...]:
        """The files that are not as they should be, the gravest first."""
        bad = [check for check in self.files if check.state != "ok"]
        return tuple(sorted(bad, key=lambda check: (check.state != "unsafe", check.name)))

    def raise_for_problems(self) -> None:
        """``UnsafeBundleError`` or ``TamperedBundleError`` naming the gravest; nothing if ok."""
        for check in self.problems:
            kind = UnsafeBundleError if check.state == "unsafe" else TamperedBundleError
            hint = "Nothing of it was loaded. Get the bundle again from where it came."
            raise kind(f"{check.problem}.", where=f"{self.folder.name}/{check.name}", hint=hint)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in ``folder``; ``BundleError`` where it is none."""
    path = manifest_file(folder)
    where = f"{folder.name}/{path.name}"
    if not is_bundle(folder):
        raise BundleError("there is no manifest here.", where=where)
    if path.is_symlink():
        raise UnsafeBundleError("is a link.", where=where)
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise UnsafeBundleError("is far larger than a manifest is.", where=where, hint=HINT)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise UnsafeBundleError("is not text.", where=where, hint=HINT) from None
    return Manifest.from_json(text, where=where)


def language_part(folder: Path) -> tuple[Path, LanguageEntry] | None:
    """The language model of the bundle in ``folder``, alone or in a blend, and its own folder."""
    manifest = read_manifest(folder)
    if manifest.language is not None:
        return folder, manifest.language
    for part in manifest.blend.parts if manifest.blend else ():
        if part.kind == "language":
            place, stored = folder / part.folder, manifest.stored
            own = schema1.language_part(stored) if part.folder == "." else None
            where = f"{place.name}/{MANIFEST_FILE}"
            found = read_manifest(place) if own is None else Manifest.from_json(own, where=where)
            return None if found.language is None else (place, found.language)
    return None


def verify_bundle(
    bundle: str | Path, *, verified: Mapping[str, FileEntry] | None = None
) -> VerifyReport:
    """Check every file of a bundle against its manifest. Nothing is loaded, no link is followed.

    Args:
        bundle: "embedded", a folder, or a name in the store.
        verified: What was just found of files in its folder, by name: that the manifest says the
            same of them is enough. A blend's manifest lists the files of its parts.

    Returns:
        A report with the state of each file. ``ok`` says whether all are as they should be;
        ``raise_for_problems`` raises the gravest problem.

    Raises:
        BundleError: There is no bundle, or its manifest is wrong.
        UnsafeBundleError: The manifest points outside its folder.
    """
    folder = resolve_bundle(bundle)
    manifest = read_manifest(folder)
    checks: dict[str, FileCheck] = {}
    own = manifest_file(folder).name
    for name, entry in entries(folder):
        if name == own:
            continue
        path = Path(entry.path)
        if problem := unsafe_kind(name, entry):
            checks[name] = FileCheck(name, "unsafe", problem)
        elif name in manifest.files and (verified or {}).get(name) == manifest.files[name]:
            checks[name] = FileCheck(name, "ok")
        elif name not in manifest.files:
            content = unsafe_content(name, path)
            if content is None and is_hub_file(name):
                continue
            state: State = "unsafe" if content else "unlisted"
            checks[name] = FileCheck(name, state, content or "is not in the manifest")
        else:
            checks[name] = _check(name, path, manifest)
    for name in manifest.files:
        checks.setdefault(name, FileCheck(name, "missing", "is missing"))
    return VerifyReport(folder, manifest, tuple(checks[name] for name in sorted(checks)))


def _check(name: str, path: Path, manifest: Manifest) -> FileCheck:
    expected = manifest.files[name]
    size = path.stat().st_size
    if size != expected.size:
        words = f"has {size} bytes where the manifest says {expected.size}"
        changed = FileCheck(name, "changed", words)
    elif sha256_of(path) != expected.sha256:
        changed = FileCheck(name, "changed", "does not match its hash in the manifest")
    else:
        changed = FileCheck(name, "ok")
    # A file that could run code is reported as such even if its hash matches.
    if problem := unsafe_content(name, path):
        hostile = changed.state == "ok" or "run code" in problem
        return FileCheck(name, "unsafe", problem) if hostile else changed
    return changed
