"""Exit codes, and which error leads to which."""

import errno
from pathlib import Path

from llm4top import errors

_SENTENCES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full.", "Free some space, or write to another disk."),
    errno.EDQUOT: ("your quota on this disk is used up.", "Free some space, or use another disk."),
    errno.ENOENT: ("there is no such file or folder.", "Check the path; make the folder first."),
    errno.ENOTDIR: (
        "a part of this path is a file where a folder is needed.",
        "Choose another path.",
    ),
    errno.EISDIR: ("this is a folder where a file is needed.", "Give the name of a file."),
    errno.EEXIST: ("there is something here already.", "Choose another name, or remove it."),
    errno.EACCES: ("you may not read or write this.", "Check its permissions and its owner."),
    errno.EPERM: ("the system does not allow this.", "Check its permissions and its owner."),
    errno.EROFS: ("this disk can only be read.", "Choose a folder that you may write to."),
    errno.ENAMETOOLONG: ("the name is too long for this disk.", "Choose a shorter one."),
    errno.EMFILE: ("too many files are open.", "Raise the limit with: ulimit -n 4096"),
    errno.EIO: ("the disk reports an error.", "Check the disk, then run the command again."),
    errno.ENOMEM: ("there is not enough memory.", "Close other programs and run it again."),
}
_RIGHTS = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
_MIDWAY = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM)


def sentence_of(error: OSError) -> str:
    """What happened and what to do next, without the file."""
    reason, step = _SENTENCES.get(error.errno or 0, ("", ""))
    if not reason:
        words = error.strerror or str(error) or type(error).__name__
        reason = f"the system refuses: {words[0].lower()}{words[1:]}."
        step = "Run it again with --debug to see where."
    return f"{reason} {step}"


def report_of(error: OSError) -> tuple[str, int]:
    """The line for standard error, with the file where one is known, and the exit code.

    1 where work was under way (a full disk), 2 where it could not start.
    """
    where = error.filename2 or error.filename
    if where is not None and error.errno in _RIGHTS and _is_at_home(where):
        step = "Set LLM4TOP_HOME to a folder that you may write to."
        return f"{_text(where)}: {_SENTENCES[error.errno][0]} {step}", NOTHING_DONE
    if error.errno == errno.ENOENT and isinstance(where, str) and not Path(where).parent.exists():
        # Often a scratch file, whose name would tell a person nothing.
        folder = Path(where).parent
        return f"{folder}: there is no such folder. Make it first, or choose another.", NOTHING_DONE
    name = "writing failed: " if error.errno in _MIDWAY else ""
    if where is not None and not isinstance(where, int):
        name = f"{_text(where)}: "
    return f"{name}{sentence_of(error)}", IN_PART if error.errno in _MIDWAY else NOTHING_DONE


def _is_at_home(name: object) -> bool:
    from llm4top.paths import home_folder

    return isinstance(name, str) and Path(name).is_relative_to(home_folder())


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


IN_PART = 1
NOTHING_DONE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

EXIT_CODES: tuple[tuple[int, str], ...] = (
    (0, "success"),
    (
        IN_PART,
        "partly done or failed: refused records, a bundle that does not verify, a leak that was "
        "found, a failed run",
    ),
    (NOTHING_DONE, "nothing done: wrong usage or settings, no such file or model"),
    (INTERRUPTED, "interrupted with Ctrl-C"),
    (BROKEN_PIPE, "the reader of a pipe has gone"),
)

_FAILED_MIDWAY = (
    errors.TrainingError,
    errors.DownloadError,
    errors.ShardError,
    errors.TamperedBundleError,
    errors.UnsafeBundleError,
)


def exit_code_of(error: errors.LLM4TOPError) -> int:
    """1 where work had started and failed, 2 where nothing was done."""
    failed = isinstance(error, _FAILED_MIDWAY) and not isinstance(error, errors.ResumeError)
    return IN_PART if failed else NOTHING_DONE
