"""What a person should know about a file although none of its records is refused for it."""

from __future__ import annotations

from dataclasses import dataclass

NO_RECORD = "there is no record in it."


@dataclass(frozen=True, slots=True)
class ReadNote:
    """A remark on a file: studies that are on pages behind it, files that were passed over.

    ``file`` names the file (``archive.zip!member`` inside an archive), ``message`` says what was
    found and ``hint`` what to do, where there is something to do. Nothing is refused because of
    it, so it changes no exit code.
    """

    file: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}: {self.message}"
        return f"{text} {self.hint}" if self.hint else text
