"""Fetching a base model once: the only code that may use the network.

It comes from the hub, from a folder, or from a GGUF file.
A model is stored in ``models_folder()/<org>--<name>`` with ``llm4top-source.json`` next to its
files: where it came from, the commit it is pinned to and the sha256 of every file. Only
safetensors, JSON and tokenizer files are taken; a file that could hold code is never fetched.
"""

import fnmatch
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from llm4top.errors import DownloadError, ModelNotFoundError
from llm4top.files import is_locked, locked, publish, sha256_of, write_json
from llm4top.forecasters.bundles.paths import EMBEDDED_NAME
from llm4top.forecasters.model.gguf_header import read_gguf_header
from llm4top.forecasters.model.model_source import (
    HUB_NAME,
    MODEL_NAME,
    SOURCE_FILE,
    ModelSource,
    model_folder,
)
from llm4top.text import file_size, thousands


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model on the hub; ``sha256`` where the hub tells it (large files)."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model on the hub at one commit."""

    commit: str
    files: tuple[RemoteFile, ...]


class HuggingFaceHub:
    """The Hugging Face hub through its own client, whose failures become sentences.

    Tests bring another hub with the same two methods.
    """

    def describe(self, name: str, revision: str | None) -> RemoteModel:
        """The model's files at ``revision`` (default branch: None), and the commit behind it."""
        import huggingface_hub

        with _in_sentences(name, revision):
            info = huggingface_hub.HfApi().model_info(name, revision=revision, files_metadata=True)
        files = tuple(
            RemoteFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None)
            for s in info.siblings or ()
        )
        return RemoteModel(str(info.sha), files)

    def fetch(self, name: str, commit: str, patterns: Sequence[str], folder: Path) -> None:
        """Bring the files that match ``patterns`` into ``folder``, resuming what is there."""
        import huggingface_hub

        with _in_sentences(name, commit):
            huggingface_hub.snapshot_download(
                name,
                revision=commit,
                local_dir=folder,
                allow_patterns=list(patterns),
                # A pattern's star also matches a slash, and sub-folders are not wanted.
                ignore_patterns=["*/*"],
            )


@contextmanager
def _in_sentences(name: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub import errors

    known = {
        errors.GatedRepoError: (
            "its owner asks for a licence to be accepted first.",
            "Accept it on the model's page, then log in with `hf auth login`.",
        ),
        errors.RepositoryNotFoundError: (
            "the hub has no such model.",
            "Check the spelling: owner/name.",
        ),
        errors.RevisionNotFoundError: (
            f"the hub has no revision {revision!r} of it.",
            "Leave out --revision for the newest.",
        ),
        errors.OfflineModeIsEnabled: (
            "HF_HUB_OFFLINE is set, so nothing may be fetched.",
            "Unset it and run again.",
        ),
    }
    try:
        yield
    except (errors.HfHubHTTPError, OSError, *known, *_transport_errors()) as error:
        broke_off = (
            f"the hub could not be reached or broke off ({type(error).__name__}).",
            "Check the connection or proxy and run the same command again: it continues where it "
            "stopped. On a machine without a network, copy the folder over and give its path.",
        )
        found = (words for kind, words in known.items() if isinstance(error, kind))
        message, hint = next(found, broke_off)
        raise DownloadError(message, where=name, hint=hint) from error


def _transport_errors() -> tuple[type[Exception], ...]:
    """The network errors of whichever HTTP client this version of the hub's client is built on."""
    found: list[type[Exception]] = []
    for module in ("httpx2", "httpx"):
        with suppress(ImportError, AttributeError):
            found.append(__import__(module).HTTPError)
    return tuple(found)


ALLOWED_PATTERNS: tuple[str, ...] = (
    "*.safetensors", "*.json", "tokenizer.model", "merges.txt", "vocab.txt", "LICENSE*",
    "README.md",
)  # fmt: skip
"""Weights as safetensors, configuration, tokenizer, licence and card. No pickle, no code."""

GGUF_SUFFIX = ".gguf"
DISK_RESERVE = 1 << 30
"""Bytes that stay free on the disk after a download."""


def download_model(
    name: str,
    *,
    revision: str | None = None,
    save_as: str | None = None,
    replace: bool = False,
    hub: HuggingFaceHub | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[Path, ModelSource]:
    """Fetch ``name`` from the hub, or take it from a local folder or GGUF file; return its folder.

    ``revision`` is a branch, tag or commit and is pinned to the commit behind it. ``save_as``
    is the name to keep it under. A model that is already here at that commit is checked and
    left alone. ``notify`` is called with what is being done, in words.

    Raises ``ModelNotFoundError`` for what is neither a folder, a file nor the name of a model,
    ``DownloadError`` where the model does not exist, has no safetensors, does not fit on
    the disk, does not match its hashes, is a GGUF file that cannot be read, or another one of that
    name is here (see ``replace``), and ``MissingExtraError`` for a GGUF file without the extra.
    """
    local = Path(name).expanduser()
    take: Callable[..., tuple[Path, ModelSource]] | None = None
    if local.is_dir():
        take, keep = _take_folder, save_as or local.resolve().name
    elif local.is_file():
        take, keep = _take_gguf, save_as or local.name.removesuffix(GGUF_SUFFIX)
    elif name.endswith(GGUF_SUFFIX):
        raise ModelNotFoundError("there is no such file.", where=name, hint="Check the path.")
    elif HUB_NAME.fullmatch(name):
        keep = save_as or name
    else:
        hint = "Give a folder, a GGUF file, or a name such as Qwen/Qwen3-8B."
        if name == EMBEDDED_NAME:
            hint = "It ships with LLM4TOP: llm4top train --base embedded"
        raise ModelNotFoundError(
            f"{name!r} is neither a folder, a file nor a model name.", hint=hint
        )
    if not MODEL_NAME.fullmatch(keep):
        raise DownloadError(f"{keep!r} is not a name to keep a model under.", hint="Use --as NAME.")
    folder = model_folder(keep)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(folder.name + ".lock")
    if is_locked(lock):
        notify("another process is fetching this model; waiting for it")
    with locked(lock):
        if take is not None:
            return take(local, keep, folder, replace, notify)
        return _take_hub(name, revision, keep, folder, replace, hub or HuggingFaceHub(), notify)


def _take_hub(
    name: str,
    revision: str | None,
    keep: str,
    folder: Path,
    replace: bool,
    hub: HuggingFaceHub,
    notify: Callable[[str], None],
) -> tuple[Path, ModelSource]:
    remote = hub.describe(name, revision)
    wanted = [file for file in remote.files if _allowed(file.name)]
    _check_weights([file.name for file in wanted], name)
    here = ModelSource.read(folder)
    if here is not None and here.commit == remote.commit:
        notify(f"{name} is already here at {remote.commit[:12]}; checking its files")
        if _matches(folder, here):
            return folder, here
        notify("a file has changed since; fetching it again")
    else:
        _check_vacant(folder, here, replace)
    partial = folder.with_name(folder.name + ".partial")
    size = sum(file.size for file in wanted)
    there = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    _check_disk(folder.parent, max(size - there, 0))
    notify(f"fetching {name} at {remote.commit[:12]}: {len(wanted)} files, {file_size(size)}")
    hub.fetch(name, remote.commit, ALLOWED_PATTERNS, partial)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    notify("checking what arrived")
    files = _hashes(partial, [file.name for file in wanted])
    for file in wanted:
        if file.sha256 is not None and files[file.name] != file.sha256:
            (partial / file.name).unlink()
            raise DownloadError(
                "the file that arrived is not the one the hub describes.",
                where=file.name,
                hint="Run the same command again: what is intact is kept.",
            )
    source = ModelSource(keep, "hub", name, revision, remote.commit, _now(), files)
    return _settle(partial, folder, source), source


def _take_folder(
    local: Path, keep: str, folder: Path, replace: bool, notify: Callable[[str], None]
) -> tuple[Path, ModelSource]:
    if local.resolve() == folder.resolve():
        raise DownloadError("this is already the folder of that model.", where=str(local))
    names = sorted(path.name for path in local.iterdir() if path.is_file() and _allowed(path.name))
    names = [name for name in names if name != SOURCE_FILE]
    _check_weights(names, str(local))
    _check_vacant(folder, ModelSource.read(folder), replace)
    size = sum((local / name).stat().st_size for name in names)
    _check_disk(folder.parent, size)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    notify(f"copying {len(names)} files, {file_size(size)}")
    for name in names:
        shutil.copyfile(local / name, partial / name)
    files = _hashes(partial, names)
    source = ModelSource(keep, "folder", local.resolve().name, None, None, _now(), files)
    return _settle(partial, folder, source), source


def _take_gguf(
    file: Path, keep: str, folder: Path, replace: bool, notify: Callable[[str], None]
) -> tuple[Path, ModelSource]:
    from llm4top.forecasters.model import convert_gguf

    header = read_gguf_header(file)
    _check_vacant(folder, ModelSource.read(folder), replace)
    convert_gguf.require_gguf()
    convert_gguf.check_gguf(file, header)
    _check_disk(folder.parent, header.elements * convert_gguf.stored_type(header).itemsize)
    notify(
        f"converting {file.name}: {header.architecture}, {thousands(header.elements)} parameters"
    )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        convert_gguf.convert_gguf(file, header, partial, notify)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    files = _hashes(partial, [path.name for path in partial.iterdir()])
    source = ModelSource(keep, "gguf", file.name, None, None, _now(), files)
    return _settle(partial, folder, source), source


def _allowed(name: str) -> bool:
    """Files of the top folder only: sub-folders hold other formats and other checkpoints."""
    return "/" not in name and any(fnmatch.fnmatch(name, p) for p in ALLOWED_PATTERNS)


def _check_weights(names: Sequence[str], model: str) -> None:
    if "config.json" not in names:
        raise DownloadError("there is no config.json: this is not a language model.", where=model)
    if not any(name.endswith(".safetensors") for name in names):
        raise DownloadError(
            "there are no weights as safetensors, the only kind that LLM4TOP loads.",
            where=model,
            hint="Look for a conversion of the same model to safetensors.",
        )


def _check_vacant(folder: Path, here: ModelSource | None, replace: bool) -> None:
    if not folder.exists() or replace:
        return
    held = here.origin if here else "something else"
    held += f" at {here.commit}" if here and here.commit else ""
    raise DownloadError(
        f"the name is taken by {held}.",
        where=str(folder),
        hint="Use --as NAME to keep both, or --replace to exchange it (bundles trained on it "
        "will then refuse it).",
    )


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + DISK_RESERVE:
        raise DownloadError(
            f"the model takes {file_size(needed)} and {file_size(free)} are free.",
            where=str(folder),
            hint="Free some space, or set LLM4TOP_HOME to a folder on a larger disk.",
        )


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    hashes = {}
    for name in sorted(names):
        try:
            hashes[name] = sha256_of(folder / name)
        except FileNotFoundError:
            raise DownloadError(
                "did not arrive.", where=name, hint="Run the same command again."
            ) from None
    return hashes


def _matches(folder: Path, source: ModelSource) -> bool:
    try:
        return _hashes(folder, list(source.files)) == source.files
    except DownloadError:
        return False


def _settle(partial: Path, folder: Path, source: ModelSource) -> Path:
    """Write the note and put the finished folder in its place in one step."""
    write_json(partial / SOURCE_FILE, asdict(source))
    publish(partial, folder)
    return folder


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
