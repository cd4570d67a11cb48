"""Coded values in one spelling, that of the legacy XML."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache


def _titled(codes: str, suffix: str = "", **others: str) -> dict[str, str]:
    """Names by code: the code's words in title case, with ``suffix``, unless ``others`` has it."""
    names = {code: code.replace("_", " ").title() + suffix for code in codes.split()}
    return {code: others.get(code, name) for code, name in names.items()}


PHASES = {
    "EARLY_PHASE1": "Early Phase 1",
    **{f"PHASE{number}": f"Phase {number}" for number in range(1, 5)},
    "NA": "N/A",
}
STUDY_TYPES = _titled("INTERVENTIONAL OBSERVATIONAL EXPANDED_ACCESS")
PATIENT_REGISTRY = " [Patient Registry]"
ALLOCATIONS = {"RANDOMIZED": "Randomized", "NON_RANDOMIZED": "Non-Randomized", "NA": "N/A"}
MODELS = _titled("SINGLE_GROUP PARALLEL CROSSOVER FACTORIAL SEQUENTIAL", " Assignment")
MASKINGS = _titled("NONE SINGLE DOUBLE TRIPLE QUADRUPLE", NONE="None (Open Label)")
WHO_MASKED = _titled("PARTICIPANT CARE_PROVIDER INVESTIGATOR OUTCOMES_ASSESSOR")
PURPOSES = _titled(
    "TREATMENT PREVENTION DIAGNOSTIC ECT SUPPORTIVE_CARE SCREENING HEALTH_SERVICES_RESEARCH "
    "BASIC_SCIENCE DEVICE_FEASIBILITY OTHER",
    ECT="Educational/Counseling/Training",
)
INTERVENTION_TYPES = _titled(
    "BEHAVIORAL BIOLOGICAL COMBINATION_PRODUCT DEVICE DIAGNOSTIC_TEST DIETARY_SUPPLEMENT DRUG "
    "GENETIC PROCEDURE RADIATION OTHER"
)
ARM_ROLES = _titled(
    "EXPERIMENTAL ACTIVE_COMPARATOR PLACEBO_COMPARATOR SHAM_COMPARATOR NO_INTERVENTION OTHER"
)
SEXES = _titled("ALL FEMALE MALE")
_STATUS_CODES = (
    "ACTIVE_NOT_RECRUITING COMPLETED ENROLLING_BY_INVITATION NOT_YET_RECRUITING RECRUITING "
    "SUSPENDED TERMINATED WITHDRAWN AVAILABLE NO_LONGER_AVAILABLE TEMPORARILY_NOT_AVAILABLE "
    "APPROVED_FOR_MARKETING WITHHELD UNKNOWN"
)
STATUSES = {code: code.replace("_", " ").capitalize() for code in _STATUS_CODES.split()}
STATUSES |= {"ACTIVE_NOT_RECRUITING": "Active, not recruiting", "UNKNOWN": "Unknown status"}
DATE_TYPES = {"ACTUAL": "Actual", "ESTIMATED": "Anticipated"}
PLANNED = frozenset({"Anticipated", "Estimated"})
"""How the legacy XML marks a number or date that was only planned."""

# The legacy XML knows four classes; the finer ones of the v2 JSON all read "Other" there.
_CLASSES = {"NIH": "NIH", "INDUSTRY": "Industry", "FED": "U.S. Fed", "U.S. FED": "U.S. Fed"}
_STATUS_BY_NAME = {name.lower(): name for name in STATUSES.values()}
_PHASE_NUMBERS = {"0": 0, "i": 1, "ii": 2, "iii": 3, "iv": 4, "1": 1, "2": 2, "3": 3, "4": 4}
_NO_PHASE = frozenset({"na", "notapplicable", "none", "nophase"})
_LEVELS = ("single", "double", "triple", "quadruple")
_LEVEL = re.compile("|".join(_LEVELS))
_UNMASKED = re.compile(
    r"open[ -]?label|no masking|unmasked|unblinded|non-?blinded|not masked|^none"
)
_ROLES = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("Participant", r"\b(?:subject|participant|patient|volunteer)"),
        ("Care Provider", r"\bcare ?(?:giver|provider)"),
        ("Investigator", r"\binvestigator"),
        ("Outcomes Assessor", r"\boutcomes? ?assessor"),
    )
)
_MONTH_NAMES = (
    "january february march april may june july august september october november december"
)
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES.split(), start=1)}
_ISO = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T.*)?)?)?", re.ASCII)


def spelled(table: dict[str, str], code: str) -> str:
    """The legacy spelling of a v2 ``code``; an unknown code reads as words."""
    known = table.get(code)
    return known if known is not None else code.replace("_", " ").capitalize()


def organisation_class(code: str) -> str:
    """Tell "NIH", "Industry", "U.S. Fed" or "Other" from the class of either format."""
    return _CLASSES.get(code.upper(), "Other")


def status(text: str) -> str:
    """A status in the legacy spelling, from any mixture of cases ("terminated")."""
    known = _STATUS_BY_NAME.get(text.lower())
    if known is not None:
        return known
    return "Unknown status" if text.lower() == "unknown" else text


@lru_cache(maxsize=4096)
def phase(text: str) -> str | None:
    """A phase in the legacy spelling, from any other; ``None`` for an empty text.

    Reads "phase 1/phase 2", "PHASE2|PHASE3", "Phase II/III", "Phase1", "IIa", "2b", "Phase 0";
    two phases are given in their order, each once. What is no phase at all is left as it is.
    """
    words = " ".join(text.split())
    plain = words.casefold()
    if re.sub(r"[^a-z]", "", plain) in _NO_PHASE and not any(c.isdigit() for c in plain):
        return "N/A"
    numbers: set[int] = set()
    early = "early" in plain
    for token in re.findall(r"[a-z]+|[0-9]+", plain.replace("_", " ")):
        token = re.sub(r"^(early|phases?)", "", token)
        if token in ("", "early", "phase", "phases", "and", "or", "to", "na"):
            continue
        if token in ("a", "b", "c") and numbers:  # 2b
            continue
        number = _PHASE_NUMBERS.get(token)
        if number is None and token[-1] in "abc":  # IIa
            number = _PHASE_NUMBERS.get(token[:-1])
        if number is None:
            return words or None
        numbers.add(number)
    if early and numbers <= {0, 1}:
        numbers = {0}
    names = ["Early Phase 1" if n == 0 else f"Phase {n}" for n in sorted(numbers)]
    return "/".join(names) or words or None


def phases(codes: list[str]) -> str | None:
    """The legacy spelling of the v2 list of phases: PHASE1, PHASE2 → "Phase 1/Phase 2"."""
    return phase("/".join(codes))


def masking(text: str, who: Sequence[str] = ()) -> str | None:
    """Who is masked, in the legacy spelling: "Double (Participant, Investigator)".

    From the v2 code and its list, or from the words of any era: "Double Blind (Subject,
    Investigator)", "Open Label", "Participant, Care Provider". Since 2017 the registry names the
    level by the number of those who are masked; so does this.
    """
    words = " ".join(text.split())
    plain = words.casefold().replace("_", " ")
    if not who and _UNMASKED.search(plain):
        return MASKINGS["NONE"]
    listed = ", ".join([plain, *(name.casefold().replace("_", " ") for name in who)])
    roles = [name for name, pattern in _ROLES if pattern.search(listed)]
    for key in who:
        if not any(pattern.search(key.casefold().replace("_", " ")) for _, pattern in _ROLES):
            roles.append(spelled(WHO_MASKED, key))
    found = _LEVEL.search(plain)
    level = max(_LEVELS.index(found[0]) + 1 if found else 0, len(roles))
    if level == 0:
        return words or None
    name = _LEVELS[min(level, len(_LEVELS)) - 1].capitalize()
    return f"{name} ({', '.join(roles)})" if roles else name


def design(table: dict[str, str], text: str) -> str | None:
    """A term of the design in the legacy spelling of ``table``, from a code or other words."""
    words = " ".join(text.split())
    plain = re.sub("[^a-z]", "", words.casefold()).replace("randomised", "randomized")
    for code, name in table.items():
        for known in (code, name, name.removesuffix(" Assignment")):
            if plain == re.sub("[^a-z]", "", known.casefold()):
                return name
    return words or None


@lru_cache(maxsize=20_000)
def iso_date(text: str) -> str | None:
    """ISO from "November 2005", "March 28, 2011" or ISO itself; ``None`` if it is no date."""
    found = _ISO.fullmatch(text)
    if found:
        year, month, day = found.groups()
        return _checked(int(year), int(month or 1), int(day or 1), text[:10])
    words = text.replace(",", " ").split()
    number = _MONTHS.get(words[0].lower()) if words else None
    if number is None or not all(word.isascii() and word.isdigit() for word in words[1:]):
        return None
    if len(words) == 2 and len(words[1]) == 4:
        return _checked(int(words[1]), number, 1, f"{words[1]}-{number:02d}")
    if len(words) == 3 and len(words[1]) <= 2 and len(words[2]) == 4:
        iso = f"{words[2]}-{number:02d}-{int(words[1]):02d}"
        return _checked(int(words[2]), number, int(words[1]), iso)
    return None


def _checked(year: int, month: int, day: int, iso: str) -> str | None:
    try:
        date(year, month, day)
    except ValueError:
        return None
    return iso


CHOICES: dict[str, Mapping[str, str]] = {
    "protocolSection.designModule.phases": PHASES,
    "protocolSection.designModule.studyType": STUDY_TYPES,
    "protocolSection.designModule.designInfo.allocation": ALLOCATIONS,
    "protocolSection.designModule.designInfo.interventionModel": MODELS,
    "protocolSection.designModule.designInfo.primaryPurpose": PURPOSES,
    "protocolSection.designModule.designInfo.maskingInfo.masking": MASKINGS,
    "protocolSection.designModule.designInfo.maskingInfo.whoMasked": WHO_MASKED,
    "protocolSection.armsInterventionsModule.armGroups.type": ARM_ROLES,
    "protocolSection.armsInterventionsModule.interventions.type": INTERVENTION_TYPES,
    "protocolSection.eligibilityModule.sex": SEXES,
}
"""By the path of a coded field in the JSON: its codes there, and how the legacy XML writes each."""
