"""Tell the format of a file from its first bytes, never from its name."""

from __future__ import annotations

from llm4top.errors import RegistryError, UnknownFormatError, UnsafeRecordError
from llm4top.registry._xmlsafe import is_wide

HEAD = 512
"""The bytes that tell a format."""

_BOM = b"\xef\xbb\xbf"
_ARCHIVES = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "7z"),
    (b"Rar!", "RAR"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_KNOWN = "LLM4TOP reads legacy XML, API v2 JSON, TOP's CSV, and zips and folders of them."


def detect(head: bytes, name: str) -> str:
    """Tell "zip", "xml", "json" or "csv"; raises ``UnknownFormatError`` for anything else."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if is_wide(head):
        raise UnsafeRecordError(
            "the text is in UTF-16, UTF-32 or UTF-7.",
            file=name,
            hint="Registry records are in UTF-8; convert the file or download it again.",
        )
    text = head.removeprefix(_BOM).lstrip()
    if text.startswith(b"<"):
        return "xml"
    if text.startswith((b"{", b"[")):
        return "json"
    if b"nctid" in text.lower().partition(b"\n")[0]:
        return "csv"
    raise _unknown(head, text, name)


def _unknown(head: bytes, text: bytes, name: str) -> RegistryError:
    archive = next((kind for start, kind in _ARCHIVES if head.startswith(start)), None)
    if archive is None and head[257:262] == b"ustar":
        archive = "tar"
    if archive:
        return UnknownFormatError(
            f"the file is a {archive} archive.", file=name, hint="Unpack it and give the folder."
        )
    if not text:
        return UnknownFormatError("the file is empty.", file=name, hint=_KNOWN)
    return UnknownFormatError("the content is no format LLM4TOP knows.", file=name, hint=_KNOWN)
