"""The model hub as a download sees it: what a model holds, and a way to bring it here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llm4top.errors import DownloadError


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


class Hub(Protocol):
    """What a download needs of a model hub; tests bring their own."""

    def describe(self, name: str, revision: str | None) -> RemoteModel:
        """The model's files at ``revision`` (default branch: None), and the commit behind it."""

    def fetch(self, name: str, commit: str, patterns: Sequence[str], folder: Path) -> None:
        """Bring the files that match ``patterns`` into ``folder``, resuming what is there."""


class HuggingFaceHub:
    """The Hugging Face hub through its own client, whose failures become sentences."""

    def describe(self, name: str, revision: str | None) -> RemoteModel:
        import huggingface_hub

        with _in_sentences(name, revision):
            info = huggingface_hub.HfApi().model_info(name, revision=revision, files_metadata=True)
        files = tuple(
            RemoteFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None)
            for s in info.siblings or ()
        )
        return RemoteModel(str(info.sha), files)

    def fetch(self, name: str, commit: str, patterns: Sequence[str], folder: Path) -> None:
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

    def failed(message: str, hint: str) -> DownloadError:
        return DownloadError(message, where=name, hint=hint)

    try:
        yield
    except errors.GatedRepoError as error:
        raise failed(
            "its owner asks for a licence to be accepted first.",
            "Accept it on the model's page, then log in with `hf auth login`.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise failed("the hub has no such model.", "Check the spelling: owner/name.") from error
    except errors.RevisionNotFoundError as error:
        raise failed(
            f"the hub has no revision {revision!r} of it.", "Leave out --revision for the newest."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise failed(
            "HF_HUB_OFFLINE is set, so nothing may be fetched.", "Unset it and run again."
        ) from error
    except (errors.HfHubHTTPError, OSError, *_transport_errors()) as error:
        raise failed(
            f"the hub could not be reached or broke off ({type(error).__name__}).",
            "Check the connection or proxy and run the same command again: it continues where it "
            "stopped. On a machine without a network, copy the folder over and give its path.",
        ) from error


def _transport_errors() -> tuple[type[Exception], ...]:
    """The network errors of whichever HTTP client this version of the hub's client is built on."""
    found: list[type[Exception]] = []
    for module, name in (("httpx2", "HTTPError"), ("httpx", "HTTPError")):
        try:
            error: Any = getattr(__import__(module), name)
        except (ImportError, AttributeError):
            continue
        found.append(error)
    return tuple(found)
