"""The allowed inputs as a page: ``python -m llm4top.prompts.docs docs/allowed-inputs.md``."""

import sys
from pathlib import Path

from llm4top.prompts.prompt import PROBE
from llm4top.prompts.sections import SECTION_HEADINGS, trial_sections
from llm4top.registry.fields import ALLOWED_FIELDS, AllowedField
from llm4top.tasks.builtin import TASKS

_HEAD = """# Allowed inputs

<!-- Written by `python -m llm4top.prompts.docs docs/allowed-inputs.md`; do not edit. -->

A forecast may use what was known about a trial before it began, and nothing else. This page is
the complete list: every field of a `Trial`, its place in each format, and the section of the
prompt that shows it. Everything else in a record is withheld: status, reason for stopping,
results, actual dates and enrolment, identifiers, people and places. `llm4top inspect FILE` shows
what is read and what is withheld for one record.

Free text (marked ✎) is also searched for sentences that reveal the outcome. These are withheld
with a reason, and identifiers are replaced. [The leak guard](leak-guard.md) explains the rules
and states how often they fail.

Paths: *legacy XML* is below `clinical_study`; *API v2* is below the study, with `[]` for each
item of a list; *TOP* is the column of the benchmark's CSV files.

| Input | Section of the prompt | Legacy XML | API v2 | TOP | Note |
|---|---|---|---|---|---|
"""

_TASKS = """
## Fields that a task leaves out

The presence of an allowed field can still reveal something. Trials with a known outcome are
finished, and their plans have been replaced by actual numbers. The built-in tasks therefore leave
plans out.

| Task | Fields left out |
|---|---|
"""


def allowed_inputs_page() -> str:
    """The page as Markdown, made from the allow-list itself."""
    rows = [_row(field) for field in ALLOWED_FIELDS]
    tasks = [
        f"| `{task.name}` | {', '.join(f'`{name}`' for name in task.hidden_fields) or 'none'} |"
        for task in TASKS.values()
    ]
    return _HEAD + "\n".join(rows) + "\n" + _TASKS + "\n".join(tasks) + "\n"


def _row(field: AllowedField) -> str:
    sections = [SECTION_HEADINGS[s.name] for s in trial_sections(PROBE) if field.name in s.fields]
    cells = (
        f"{field.heading}{' ✎' if field.free_text else ''} (`{field.name}`)",
        ", ".join(sections),
        _paths(field.xml),
        _paths(field.api),
        _paths(field.top),
        field.note,
    )
    return f"| {' | '.join(cells)} |"


def _paths(paths: tuple[str, ...]) -> str:
    return "<br>".join(f"`{path}`" for path in paths) or "none"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(allowed_inputs_page(), encoding="utf-8")
