"""Files and records without a forecast, in lists: what was refused, what does not apply."""

from collections import Counter
from collections.abc import Sequence

from nicegui import ui

from llm4top.studio.components.elements import Words
from llm4top.text import counted, thousands
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.caveats import sentence

FOLD = 3
"""More refusals than this are folded into one line: results come first."""
SHOWN = 200
"""Refusals that are listed at most."""


def refused_list(refusals: Sequence[Refusal]) -> None:
    """Refused files, each with its reason and what to do; many are folded."""
    with ui.element("section").classes("l4-refused").props('aria-label="Refused"'):
        if len(refusals) <= FOLD:
            for refusal in refusals:
                _refused(refusal)
            return
        counts = Counter(sentence(refusal.reason) for refusal in refusals)
        (reason, most), *rest = counts.most_common()
        others = f" {counted(len(refusals) - most, 'other')} for other reasons." if rest else ""
        with ui.element("details"):
            summary = f"{counted(len(refusals), 'file or record', 'files and records')} refused."
            Words("summary", f"{summary} {thousands(most)}: {reason}{others}")
            for refusal in refusals[:SHOWN]:
                _refused(refusal)
            _rest(refusals)


def _refused(refusal: Refusal) -> None:
    with ui.element("details"):
        with ui.element("summary"):
            Words("strong", f"{refusal.record}:")
            Words("span", f" refused. {sentence(refusal.reason)}")
            Words("span", " Why?").classes("l4-why")
        where = [f"line {refusal.line}"] if refusal.line is not None else []
        where += [refusal.element] if refusal.element else []
        if where:
            Words("p", f"Where: {', '.join(where)}.")
        Words("p", refusal.hint or "Check that it is a ClinicalTrials.gov record.")


def not_applicable_list(refusals: Sequence[Refusal]) -> None:
    """Records that the question does not apply to, each with the reason."""
    with ui.element("section").classes("l4-not-asked").props('aria-label="Not forecast"'):
        with ui.element("details") as box:
            what = counted(len(refusals), "record")
            Words("summary", f"{what} not forecast: the question does not apply.")
            for refusal in refusals[:SHOWN]:
                with ui.element("p"):
                    _not_applicable(refusal)
            _rest(refusals)
        if len(refusals) <= FOLD:
            box.props("open")


def _not_applicable(refusal: Refusal) -> None:
    """A record's id and title, which link to what was read of it, and the reason."""
    subject = refusal.subject or {}
    known = (subject.get("nct_id"), subject.get("title"))
    named = ", ".join(str(part) for part in known if part) or refusal.record
    if subject and refusal.id:
        ui.link(named, f"/not-forecast/{refusal.id}")
    else:
        Words("strong", named)
    Words("span", f": {sentence(refusal.reason)}")


def _rest(refusals: Sequence[Refusal]) -> None:
    if len(refusals) > SHOWN:
        more = thousands(len(refusals) - SHOWN)
        Words("p", f"and {more} more. The exports list all of them.").classes("l4-muted")
