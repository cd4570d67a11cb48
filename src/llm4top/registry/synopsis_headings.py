"""The headings of a synopsis, and which lines of a text are headings at all."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from llm4top.registry.document_text import Passage

HEADINGS: dict[str, str] = {
    "brief_title": "title; study title; trial title; brief title; short title; public title; "
    "title of study; title of the study; title of the trial",
    "official_title": "protocol title; full title; official title; scientific title",
    "phase": "phase; study phase; trial phase; clinical phase; development phase; "
    "phase of development; phase of the study; clinical trial phase",
    "study_type": "study type; type of study; trial type",
    "conditions": "indication; condition; disease; condition or disease; therapeutic indication; "
    "target indication; medical condition; disease under study; condition under study; "
    "condition/indication; indication/condition; indication studied; diagnosis",
    "interventions": "investigational product; investigational medicinal product; imp; "
    "test product; study drug; study treatment; study medication; intervention; treatment; "
    "investigational drug; investigational product/intervention; study intervention; "
    "name of investigational product; name of finished product; test treatment; "
    "investigational treatment",
    "comparator": "comparator; control; reference therapy; reference product; control treatment; "
    "comparator product; active comparator; control group; reference treatment",
    "arms": "arm; study arm; treatment arm; treatment group; study group; arms and interventions",
    "design": "design; study design; trial design; design of the study; overall design",
    "allocation": "allocation; randomization; randomisation",
    "intervention_model": "intervention model; assignment",
    "masking": "masking; blinding",
    "primary_purpose": "primary purpose; purpose",
    "objectives": "objective; study objective; primary objective; secondary objective; aim; "
    "study aim; main objective; trial objective",
    "primary_outcomes": "primary endpoint; primary outcome; primary outcome measure; "
    "primary efficacy endpoint; primary end point; main outcome; primary variable",
    "secondary_outcomes": "secondary endpoint; secondary outcome; secondary outcome measure; "
    "secondary efficacy endpoint; secondary end point; key secondary endpoint",
    "endpoints": "endpoint; outcome; outcome measure; study endpoint; end point; "
    "objectives and endpoints; efficacy endpoint",
    "population": "population; study population; patient population; subject; participant; "
    "patient; target population; trial population",
    "inclusion": "inclusion criteria; key inclusion criteria; main inclusion criteria; inclusion; "
    "main criteria for inclusion",
    "exclusion": "exclusion criteria; key exclusion criteria; main exclusion criteria; exclusion; "
    "main criteria for exclusion",
    "criteria": "eligibility criteria; eligibility; selection criteria; "
    "inclusion and exclusion criteria; inclusion/exclusion criteria; "
    "diagnosis and main criteria for inclusion",
    "ages": "age; age range; age group; age limits",
    "minimum_age": "minimum age; lower age limit",
    "maximum_age": "maximum age; upper age limit",
    "sex": "sex; gender",
    "healthy_volunteers": "healthy volunteers; accepts healthy volunteers",
    "planned_enrolment": "sample size; number of subjects; number of patients; "
    "number of participants; planned enrolment; planned enrollment; enrolment; enrollment; "
    "planned sample size; planned number of subjects; planned number of patients; "
    "planned number of participants; number of subjects planned; number of patients planned; "
    "total sample size; n",
    "sponsor_class": "sponsor; sponsor class; sponsor type; lead sponsor; name of sponsor; "
    "sponsor name; name of sponsor/company; sponsor/company",
    "collaborators": "collaborator",
    "has_dmc": "data monitoring committee; dmc; dsmb; data safety monitoring board; "
    "data and safety monitoring board; independent data monitoring committee",
    "planned_start": "start; start date; study start; planned start; planned start date; "
    "study start date; anticipated start date; estimated start date; first patient in; "
    "planned study start; study period",
    "keywords": "keyword; key word",
    "brief_summary": "summary; brief summary; lay summary; study summary",
    "detailed_description": "background; rationale; background and rationale; study rationale; "
    "introduction; detailed description; description; methodology; method; study procedures; "
    "procedures; treatment duration; duration of treatment; study duration; duration; "
    "statistical methods; statistical analysis; dose and regimen; dosage; schedule",
    "never read": "protocol number; protocol no; protocol id; study number; study no; study id; "
    "protocol code; eudract number; eu ct number; ind number; nct number; nct id; "
    "clinicaltrials.gov identifier; principal investigator; coordinating investigator; "
    "investigator; study center; study centre; study site; site; country; version; date; "
    "protocol version; author; status; result; conclusion",
}
"""By what a section holds, the headings that begin one, in the singular and in lower case."""

NEVER_READ = "never read"
UNKNOWN = "unknown"

_NUMBER = r"(?:(?P<number>\d{1,2})(?:\.\d{1,2}){0,2}[.)]?|[IVX]{1,4}[.)]|[A-Z][.)])\s+"
_NUMBERED = re.compile(rf"\s*(?:#+\s+|\*\*\s*)?(?:{_NUMBER})?(?P<words>\S.*)")
_COLON = re.compile(r"(?P<label>[^:\t]{1,80}?)\s*(?::|\t+| [-\u2013\u2014] )\s*(?P<rest>.*)")
_CAPITALS = re.compile(r"[A-Z][A-Z /&(),-]{3,59}:?")
_LABEL = re.compile(r"[A-Z][A-Za-z/() -]{2,39}")
_WIDE = re.compile(r"[^\S\n]{2,}")
_LONGEST_HEADING = 100
_LONGEST_LABEL_WORDS = 4
_LONGEST_NUMBERED = 60
_LISTS = ("inclusion", "exclusion", "criteria", "endpoints", "primary_outcomes")


def _normal(label: str) -> str:
    """A heading in lower case, without marks and brackets at its end."""
    words = label.casefold().replace("&", " and ").replace("(s)", "").replace("(es)", "")
    words = re.sub(r"[*_#:.\s]+$|^[*_#\s]+", "", words)
    return re.sub(r"\s*/\s*", "/", " ".join(words.split()))


def _known() -> dict[str, str]:
    found: dict[str, str] = {}
    for key, labels in HEADINGS.items():
        for label in labels.split("; "):
            plural = label[:-1] + "ies" if label.endswith("y") else label + "s"
            for spelling in (label, plural):
                found.setdefault(spelling, key)
    return found


_KNOWN = _known()


def section_of(label: str) -> str | None:
    """What a section with this heading holds; None for a heading that is not known."""
    if len(label) > _LONGEST_HEADING:
        return None
    plain = _normal(label)
    bare = re.sub(r" ?\([^()]*\)$", "", plain)  # "Number of patients (planned)"
    return _KNOWN.get(plain) or _KNOWN.get(bare)


@dataclass(slots=True)
class FoundSection:
    """A heading and what stands below it. ``key`` is one of ``HEADINGS``, or ``UNKNOWN``."""

    key: str
    heading: str
    where: str
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What stands below the heading, as it was given."""
        return "\n".join(self.lines).strip()


def sections_in(passages: Sequence[Passage]) -> list[FoundSection]:
    """The sections of a synopsis in their order; what stands before the first is ``UNKNOWN``."""
    found: list[FoundSection] = []
    passages = [replace(passage, text=_narrow(passage.text)) for passage in passages]
    reader = _Reader(sum(_has_known_label(passage.text) for passage in passages) > 2)
    for passage in passages:
        begun = reader.begins(passage)
        if begun is not None:
            found.append(begun)
        elif found:
            found[-1].lines.append(passage.text)
        elif passage.text.strip():
            found.append(FoundSection(UNKNOWN, "", passage.where, [passage.text]))
    return [section for section in found if section.heading or section.text]


def _narrow(text: str) -> str:
    """``text`` with one blank, or one tab, in place of several."""
    return _WIDE.sub(lambda found: "\t" if "\t" in found[0] else " ", text)


def _has_known_label(text: str) -> bool:
    label = _COLON.fullmatch(text.strip())
    return label is not None and section_of(label["label"]) is not None


class _Reader:
    """Tells headings from text, line after line.

    Known headings are headings wherever they stand alone on a line or before a colon. Of the
    others, those in capitals are, those numbered in the order of the headings before, and, where
    the text writes its headings before colons, short ones before a colon outside of lists.
    """

    def __init__(self, colons: bool):
        self._colons = colons
        self._key = UNKNOWN
        self._number = 0  # of the last numbered heading
        self._item = 0  # of the last numbered line below it

    def begins(self, passage: Passage) -> FoundSection | None:
        """The section that the passage begins, if it begins one."""
        if passage.heading is not None:
            numbered = _NUMBERED.fullmatch(passage.heading)
            label = numbered["words"] if numbered else passage.heading
            return self._begun(section_of(label) or UNKNOWN, label, passage, passage.text)
        line = _NUMBERED.fullmatch(passage.text.rstrip())
        if line is None:
            return None
        words, number = line["words"].replace("**", "").strip(), int(line["number"] or 0)
        split = _COLON.fullmatch(words)
        for label, rest in ([(split["label"], split["rest"])] if split else []) + [(words, "")]:
            key = section_of(label)
            if key is not None and self._may_begin(key, label, rest, passage.text):
                self._numbered(number)
                return self._begun(key, label, passage, rest)
        if self._is_unknown(words, number, passage.text):
            self._numbered(number)
            label, rest = (split["label"], split["rest"]) if split else (words, "")
            return self._begun(UNKNOWN, label, passage, rest)
        if number:
            self._item = number
        return None

    def _may_begin(self, key: str, label: str, rest: str, text: str) -> bool:
        """Not a line of a list, nor a word that only happens to be one of the headings."""
        if text[:1].isspace() and text.lstrip()[:1] in "-*•":
            return False
        if self._key in ("inclusion", "exclusion", "criteria") and key in ("ages", "sex"):
            return False  # "Age: 18 to 75 years" is a criterion there
        return label[:1].isupper() or label[:1].isdigit() or bool(rest and label == "n")

    def _is_unknown(self, words: str, number: int, text: str) -> bool:
        if _CAPITALS.fullmatch(words) and " " in words + " " and len(words) > 4:
            return True
        if number:
            follows = self._number and number == self._number + 1 and number != self._item + 1
            return bool(follows) and len(words) <= _LONGEST_NUMBERED and words[-1] not in ".;,"
        split = _COLON.fullmatch(words)
        if not (self._colons and split and ":" in words) or self._key in _LISTS:
            return False
        label = split["label"]
        short = len(label.split()) <= _LONGEST_LABEL_WORDS and _LABEL.fullmatch(label)
        return bool(short) and not text[:1].isspace()

    def _numbered(self, number: int) -> None:
        self._number, self._item = number or self._number, 0

    def _begun(self, key: str, label: str, passage: Passage, rest: str) -> FoundSection:
        self._key = key
        shown = " ".join(label.split()).rstrip(":")
        return FoundSection(key, shown, passage.where, [rest] if rest else [])


def items_in(text: str) -> Iterator[str]:
    """The items of a list: one a line, hard-wrapped lines put together, marks taken off."""
    for line in _joined(text.splitlines()):
        item = re.sub(r"^(?:[-*•·\u2013]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+", "", line).strip()
        if item:
            yield item.rstrip(";").strip()


def _joined(lines: Iterable[str]) -> list[str]:
    """Lines that begin in lower case, below one that does not end a sentence, belong to it."""
    found: list[str] = []
    for line in map(str.strip, lines):
        goes_on = found and found[-1] and line[:1].islower() and found[-1][-1] not in ".;:"
        if goes_on and not re.match(r"\(?[a-z][.)]\s", line):
            found[-1] += " " + line
        else:
            found.append(line)
    return [line for line in found if line]


def paragraph(text: str) -> str:
    """A text as paragraphs: single line ends are blanks, an empty line ends a paragraph."""
    parts = re.split(r"\n\s*\n", text)
    return "\n".join(line for part in parts if (line := " ".join(part.split())))
