"""What the sections of a synopsis say, as texts of the fields of a draft."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llm4top.registry import codes
from llm4top.registry.draft_fields import CHOICES_OF, value_of
from llm4top.registry.synopsis_headings import items_in, paragraph, section_of


@dataclass(frozen=True, slots=True)
class Value:
    """The text of a field; ``note`` says how it was mapped."""

    field: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a section gives a field no value."""

    field: str | None
    why: str


Found = Value | Doubt

_PHASE = re.compile(
    r"\bphase\s*((?:[0-4]|I{1,3}V?|IV)[abc]?(?:\s*(?:/|-|\u2013|and|to)\s*(?:phase\s*)?"
    r"(?:[0-4]|I{1,3}V?|IV)[abc]?)?)\b",
    re.IGNORECASE,
)
_AGES = re.compile(
    r"\b(\d{1,3})\s*(?:years?|yrs?)?\s*(?:to|-|\u2013|and|through)\s*(\d{1,3})\s*"
    r"(years?|yrs?|months?)\b",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"(?:(?:≥|>=|at least|aged?|from)\s*(\d{1,3})\s*(?:years?|yrs?)\b"
    r"(?!\s*(?:to|-|\u2013|or younger))"
    r"|\b(\d{1,3})\s*(?:years?|yrs?)(?:\s*of age)?\s*(?:and|or)\s*(?:older|above|over)\b)",
    re.IGNORECASE,
)
_UP_TO = re.compile(
    r"(?:(?:≤|<=|up to|at most|not older than)\s*(\d{1,3})\s*(?:years?|yrs?)\b"
    r"|\b(\d{1,3})\s*(?:years?|yrs?)(?:\s*of age)?\s*(?:and|or)\s*(?:younger|below|under)\b)",
    re.IGNORECASE,
)
_NUMBER = r"\d{1,3}(?:[ ,\u00a0\u202f]\d{3})+(?!\d)|\d+"
_COUNT = re.compile(
    rf"(?:\bn\s*=\s*({_NUMBER}))|(?:\b({_NUMBER})\s*(?:evaluable |randomi[sz]ed |adult )?"
    r"(?:subject|patient|participant|volunteer|men|women|adult|child)(?:s|ren)?\b)",
    re.IGNORECASE,
)
_NUMBERS = re.compile(rf"(?<![\d.,])(?:{_NUMBER})(?![.,]?\d|\s*%)")
_TIME_FRAME = re.compile(r"\s*[\[(]\s*time ?frame\s*:\s*([^\])]{1,200})[\])]\s*\.?$", re.IGNORECASE)
_NAME_ENDS = re.compile(r"\s*(?:[,;:(]|\s[-\u2013\u2014]\s|\s(?=\d))")
_NONE = re.compile(r"(?:none|n/?a|not applicable|no comparator)\W*", re.IGNORECASE)
_DOSE_ONLY = re.compile(r"\W*\d")

_DESIGN_WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "allocation": (
        ("Non-Randomized", r"\bnon[- ]?randomi[sz]ed|\bnot randomi[sz]ed|\bunrandomi[sz]ed"),
        ("Randomized", r"(?<!non)(?<!non[- ])(?<!not )\brandomi[sz](?:ed|ation)"),
    ),
    "intervention_model": (
        ("Parallel Assignment", r"\bparallel"),
        ("Crossover Assignment", r"\bcross[- ]?over"),
        ("Single Group Assignment", r"\bsingle[- ](?:arm|group)|\bone[- ]arm|\buncontrolled"),
        ("Factorial Assignment", r"\bfactorial"),
        ("Sequential Assignment", r"\bsequential (?:assignment|groups?|cohorts?)"),
    ),
    "masking": (
        ("None (Open Label)", r"\bopen[- ]label|\bunblinded|\bunmasked|\bno masking"),
        ("Single", r"\bsingle[- ](?:blind|mask)|\b(?:observer|assessor|evaluator)[- ]blind"),
        ("Double", r"\bdouble[- ](?:blind|mask)"),
        ("Triple", r"\btriple[- ](?:blind|mask)"),
        ("Quadruple", r"\bquadruple[- ](?:blind|mask)"),
    ),
}


def _phase(text: str) -> Iterator[Found]:
    whole = paragraph(text)
    if re.search(r"\bor\b", whole, re.IGNORECASE):
        found: set[str] = set()
    elif codes.phase(whole) in CHOICES_OF["phase"]:
        found = {str(codes.phase(whole))}
    else:
        found = {str(codes.phase(match[1])) for match in _PHASE.finditer(whole)}
    if len(found) == 1 and found <= set(CHOICES_OF["phase"]):
        phase = found.pop()
        yield Value("phase", phase, "" if whole == phase else f"“{whole:.60}” is {phase}")
    else:
        yield Doubt("phase", "no single phase of the registry is named.")


def _design(text: str) -> Iterator[Found]:
    for field, words in _DESIGN_WORDS.items():
        found = [name for name, pattern in words if re.search(pattern, text, re.IGNORECASE)]
        if len(found) == 1:
            yield Value(field, found[0], "from the words of the design")
        elif found:
            yield Doubt(field, f"the design names {' and '.join(found)}.")
    if codes.phase(paragraph(text)) is not None and _PHASE.search(text):
        yield from _phase(text)


def _of_design(field: str) -> Callable[[str], Iterator[Found]]:
    """A section that is about one term of the design alone."""

    def read(text: str) -> Iterator[Found]:
        try:
            value = value_of(field, paragraph(text).rstrip("."))
        except ValueError:
            found = [item for item in _design(text) if item.field == field]
            yield from found or [Doubt(field, "no choice of the registry is named.")]
        else:
            yield Value(field, str(value))

    return read


def _interventions(text: str) -> Iterator[Found]:
    if _NONE.fullmatch(text.strip()):
        return
    for item in items_in(text):
        kind, name = _kind_and_name(item)
        if _DOSE_ONLY.match(name):
            yield Doubt("interventions", f"“{name:.60}” has no name.")
            continue
        short = _NAME_ENDS.split(name, maxsplit=1)[0].strip(" .") or name
        about = "" if short == name.strip(" .") else name
        parts = [part.replace("|", "\\|") for part in (short, kind, about)]
        yield Value("interventions", " | ".join(parts).rstrip(" |"), _name_note(about))


def _name_note(about: str) -> str:
    return "name and description parted at the first comma, number or bracket" if about else ""


def _kind_and_name(item: str) -> tuple[str, str]:
    """The type that stands before a colon ("Drug: Exemplamab"), and what is behind it."""
    before, colon, rest = item.partition(":")
    kind = codes.design(codes.INTERVENTION_TYPES, before) if colon else None
    if kind in codes.INTERVENTION_TYPES.values() and rest.strip():
        return str(kind), rest.strip()
    return "", item


def _comparator(text: str) -> Iterator[Found]:
    for found in _interventions(text):
        if isinstance(found, Value):
            yield Value(
                found.field, found.text, "an intervention, which the synopsis compares with"
            )
        else:
            yield found


def _arms(text: str) -> Iterator[Found]:
    for item in items_in(text):
        label, colon, about = item.partition(":")
        about = about.strip()
        label = (label if colon and about else item).strip(" .")
        before, _, bracket = label.removesuffix(")").rpartition("(")
        role = codes.design(codes.ARM_ROLES, bracket) or ""
        role = role if role in codes.ARM_ROLES.values() else ""
        label = before.strip() or label if role else label
        parts = [part.replace("|", "\\|") for part in (label, role, about if colon else "")]
        yield Value("arms", " | ".join(parts).rstrip(" |"))


def _outcomes(field: str) -> Callable[[str], Iterator[Found]]:
    def read(text: str) -> Iterator[Found]:
        for item in items_in(text):
            frame = _TIME_FRAME.search(item)
            measure = item[: frame.start()] if frame else item
            parts = [measure.strip(" ."), frame[1].strip() if frame else ""]
            written = " | ".join(part.replace("|", "\\|") for part in parts)
            yield Value(field, written.rstrip(" |"))

    return read


def _endpoints(text: str) -> Iterator[Found]:
    """Endpoints under one heading: lines that begin "Primary:" or "Secondary endpoints:"."""
    current: str | None = None
    parts: dict[str, list[str]] = {}
    for line in text.splitlines():
        label, colon, rest = line.strip(" -*•").partition(":")
        key = section_of(label if "point" in label or "come" in label else f"{label} endpoint")
        if colon and key in ("primary_outcomes", "secondary_outcomes"):
            current, line = key, rest
        if line.strip():
            parts.setdefault(current or "", []).append(line)
    for key, lines in parts.items():
        if key:
            yield from _outcomes(key)("\n".join(lines))
        else:
            why = "it does not say which endpoints are primary."
            yield Doubt("primary_outcomes", why)


def _population(text: str) -> Iterator[Found]:
    found = [*_ages(text, doubt=False)]
    both = re.search(
        r"\bmen (?:and|or) women|\bwomen (?:and|or) men|\bmales? (?:and|or) females?"
        r"|\bfemales? (?:and|or) males?|\b(?:both|either|any) sex",
        text,
        re.IGNORECASE,
    )
    if both:
        found.append(Value("sex", "All", f"“{both[0]}”"))
    healthy = re.search(
        r"\bhealthy (?:\w+ )?(?:volunteers|subjects|participants|adults)", text, re.IGNORECASE
    )
    if healthy and not re.search(r"\bno healthy|\bnot healthy", text, re.IGNORECASE):
        found.append(Value("healthy_volunteers", "Yes", f"“{healthy[0]}”"))
    yield from found or [Doubt(None, "no age, sex or healthy volunteers are named in it.")]


def _ages(text: str, *, doubt: bool = True) -> Iterator[Found]:
    ranges = {match.groups() for match in _AGES.finditer(text)}
    if len(ranges) == 1:
        low, high, unit = ranges.pop()
        name = "Months" if unit.lower().startswith("m") else "Years"
        yield Value("minimum_age", f"{low} {name}")
        yield Value("maximum_age", f"{high} {name}")
        return
    got = False
    for field, pattern in (("minimum_age", _FROM), ("maximum_age", _UP_TO)):
        numbers = {match[1] or match[2] for match in pattern.finditer(text)}
        if len(numbers) == 1 and not ranges:
            got = True
            yield Value(field, f"{numbers.pop()} Years")
    if doubt and not got:
        yield Doubt("minimum_age", "it names no single range of ages.")


def _sex(text: str) -> Iterator[Found]:
    words = paragraph(text).casefold().strip(" .")
    female, male = re.search(r"\b(?:female|women)", words), re.search(r"\b(?:male|men)\b", words)
    if words in ("all", "both", "any") or (female and male):
        yield Value("sex", "All", "" if words == "all" else f"“{words:.60}” is All")
    elif female or re.search(r"\bmales?\b|\bmen\b", words):
        yield Value("sex", "Female" if female else "Male")
    else:
        yield Doubt("sex", "no sex is named.")


def _enrolment(text: str) -> Iterator[Found]:
    counted = {_digits(match[1] or match[2]) for match in _COUNT.finditer(text)}
    alone = {_digits(match[0]) for match in _NUMBERS.finditer(text)}
    numbers = counted if len(counted) == 1 else alone
    if len(numbers) == 1:
        yield Value("planned_enrolment", numbers.pop())
    else:
        named = ", ".join(sorted(counted or alone, key=int)[:6])
        why = f"it names several numbers: {named}." if named else "it names no number."
        yield Doubt("planned_enrolment", why)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _start(text: str) -> Iterator[Found]:
    whole = paragraph(text).rstrip(".")
    if codes.iso_date(whole):
        yield Value("planned_start", str(codes.iso_date(whole)))
    else:
        yield Doubt("planned_start", f"“{whole:.60}” is no month or day.")


def _sponsor(text: str) -> Iterator[Found]:
    try:
        found = value_of("sponsor_class", paragraph(text).rstrip("."))
    except ValueError:
        why = "a forecast uses the class of the sponsor, never its name."
        yield Doubt("sponsor_class", why)
    else:
        yield Value("sponsor_class", str(found))


def _yes_no(field: str) -> Callable[[str], Iterator[Found]]:
    def read(text: str) -> Iterator[Found]:
        first = re.match(r"\s*(yes|no|none)\b", text, re.IGNORECASE)
        if first:
            yield Value(field, "Yes" if first[1].lower() == "yes" else "No")
        else:
            yield Doubt(field, "it says neither yes nor no.")

    return read


def _listed(field: str) -> Callable[[str], Iterator[Found]]:
    def read(text: str) -> Iterator[Found]:
        yield Value(field, "\n".join(items_in(text)))

    return read


def _objectives(text: str) -> Iterator[Found]:
    note = "the registry has no field for objectives; its summary tells the purpose"
    yield Value("brief_summary", paragraph(text), note)


READERS: dict[str, Callable[[str], Iterator[Found]]] = {
    "phase": _phase,
    "study_type": _of_design("study_type"),
    "conditions": _listed("conditions"),
    "keywords": _listed("keywords"),
    "interventions": _interventions,
    "comparator": _comparator,
    "arms": _arms,
    "design": _design,
    "allocation": _of_design("allocation"),
    "intervention_model": _of_design("intervention_model"),
    "masking": _of_design("masking"),
    "primary_purpose": _of_design("primary_purpose"),
    "objectives": _objectives,
    "primary_outcomes": _outcomes("primary_outcomes"),
    "secondary_outcomes": _outcomes("secondary_outcomes"),
    "endpoints": _endpoints,
    "population": _population,
    "ages": _ages,
    "sex": _sex,
    "healthy_volunteers": _yes_no("healthy_volunteers"),
    "planned_enrolment": _enrolment,
    "sponsor_class": _sponsor,
    "collaborators": _listed("collaborators"),
    "has_dmc": _yes_no("has_dmc"),
    "planned_start": _start,
}
"""By section, what reads it; any other section is text of the field of its name."""
