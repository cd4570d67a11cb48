"""Standard output and error as they are: an old encoding, a reader that goes away, a full disk."""

from __future__ import annotations

import codecs
import io
import os
import sys

from llm4top.cli.exit_codes import BROKEN_PIPE, IN_PART, sentence_of

_PLAIN = {
    "\N{THIN SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{NO-BREAK SPACE}": " ",
    "…": "...",
    "→": "->",
    "✓": "ok",
    "○": "-",
    "✗": "X",
    "✂": "-",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "≤": "<=",
    "≥": ">=",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "•": "-",
}
"""What is written where the terminal's encoding lacks a character; "?" for any other."""


def _as_plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end


def adapt_streams() -> None:
    """Let standard output and error take any text, whatever the terminal's encoding."""
    codecs.register_error("llm4top.plain", _as_plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not is_unicode(stream):
            stream.reconfigure(errors="llm4top.plain")


def is_unicode(stream: object) -> bool:
    """Whether a stream takes every character."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


def silence() -> None:
    """Send to nowhere what is still to be written: the interpreter flushes once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue  # a stream without a file has nothing that could break


def flush() -> int | None:
    """Write out what is buffered; the exit code where that fails, else None."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return BROKEN_PIPE
    except OSError as error:
        print(f"Error: standard output: {sentence_of(error)}", file=sys.stderr)
        silence()
        return IN_PART
    return None


def broke(end: BaseException) -> bool:
    """Whether the reader of a pipe is gone: rich ends the program in its own way then."""
    return isinstance(end, BrokenPipeError) or isinstance(end.__context__, BrokenPipeError)
