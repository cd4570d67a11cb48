"""Exit codes, and which error leads to which."""

from __future__ import annotations

from llm4top.errors import (
    DownloadError,
    LLM4TOPError,
    ResumeError,
    TamperedBundleError,
    TrainingError,
    UnsafeBundleError,
)

IN_PART = 1
NOTHING_DONE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

EXIT_CODES: tuple[tuple[int, str], ...] = (
    (0, "all done"),
    (
        IN_PART,
        "done in part or failed: a refused record, a bundle that does not verify, a leak that was "
        "found, a broken run",
    ),
    (NOTHING_DONE, "nothing done: bad usage, wrong settings, no such file or model"),
    (INTERRUPTED, "interrupted with Ctrl-C"),
    (BROKEN_PIPE, "the reader of a pipe went away"),
)

_FAILED_MIDWAY = (TrainingError, DownloadError, TamperedBundleError, UnsafeBundleError)


def exit_code_of(error: LLM4TOPError) -> int:
    """1 where work had begun and failed, 2 where nothing was done."""
    failed = isinstance(error, _FAILED_MIDWAY) and not isinstance(error, ResumeError)
    return IN_PART if failed else NOTHING_DONE
