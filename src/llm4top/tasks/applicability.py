"""Whether a task applies to a study."""

from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import TASKS
from llm4top.tasks.task import Task


def why_not_applicable(task: Task, trial: Trial) -> str | None:
    """One sentence why ``task`` does not apply to this study, else None.

    A record without a study type is taken as one that the task applies to: drafts and TOP's rows
    do not carry it. A patient registry is an observational study. The sentence names the built-in
    tasks that do apply, where there are any.
    """
    asked_of, kind = _study_types(task), trial.study_type
    if not kind or not asked_of or _plain(kind) in asked_of:
        return None
    others = [
        repr(other.name)
        for other in TASKS.values()
        if not other.study_types or _plain(kind) in other.study_types
    ]
    instead = (
        f"{' and '.join(others)} can be used for it"
        if others
        else "only a question of your own can be used for it"
    )
    names = " and ".join(name.lower() for name in asked_of)
    return (
        f"{_with_article(_words(kind))}: {task.name!r} is a question about {names} studies; "
        f"{instead}."
    )


def _study_types(task: Task) -> tuple[str, ...]:
    # A bundle from before there were study types holds a built-in task without them.
    known = TASKS.get(task.name)
    return task.study_types or (known.study_types if task == known else ())


def _plain(kind: str) -> str:
    """The study type without what the registry writes behind it in brackets."""
    return kind.partition(" [")[0]


def _words(kind: str) -> str:
    if "[Patient Registry]" in kind:
        return "patient registry"
    return f"{kind.lower()} study" if kind != "Expanded Access" else "expanded-access programme"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
