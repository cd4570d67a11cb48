"""Words that tell a name from an ordinary phrase, in names of drugs and organisations."""

import re
from collections.abc import Iterator
from importlib.resources import files

import yaml

from llm4top.registry.trial import Trial

_WORD = r"[A-Z0-9][A-Za-z0-9]*[A-Z][A-Za-z0-9]*(?:[-/+ ][A-Z0-9]{1,6})*"
_IN_BRACKETS = re.compile(rf"[(\[]\s*({_WORD})(?:\s+(?:[Ss]tudy|[Tt]rial))?\s*[)\]]")
_AT_THE_START = re.compile(rf"\A({_WORD})\s?(?::|\s[\u2013-]\s)")
_AS_A_STUDY = re.compile(rf"\b({_WORD})\s+(?:[Ss]tudy|[Tt]rial)\b")
_STUDY = re.compile(r"study|trial|registry|project|program(?:me)?|survey|cohort")
_NO_ACRONYM = re.compile(r"\A[IVX]+\Z|\d{3}")
_LETTERS = 3


def trial_acronyms(trial: Trial) -> tuple[str, ...]:
    """Acronyms of the trial itself, as its titles write them.

    Those are capitals in brackets, before a colon at the start, or before the word "study" or
    "trial". An abbreviation that belongs to the disease is none: one that the conditions or
    keywords hold, or that stands behind the words it abbreviates (unless these name a study).
    """
    ours: dict[str, None] = {}
    topics = " ; ".join((*trial.conditions, *trial.condition_mesh, *trial.keywords)).lower()
    for title in (trial.brief_title, trial.official_title):
        for name, before in _candidates(title or ""):
            known = re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", topics)
            if known or _NO_ACRONYM.search(name) or sum(c.isupper() for c in name) < _LETTERS:
                continue
            words = _abbreviated(name, before)
            if not words or any(map(_STUDY.fullmatch, words)):
                ours[name] = None
    return tuple(ours)


def _candidates(title: str) -> Iterator[tuple[str, str]]:
    """Each possible acronym with the text before it."""
    patterns = [_IN_BRACKETS]
    if not title.isupper():
        patterns += [_AT_THE_START, _AS_A_STUDY]
    for pattern in patterns:
        for match in pattern.finditer(title):
            yield match[1], title[: match.start()]


def _abbreviated(name: str, before: str) -> list[str]:
    """The words right before that give the letters: "Human Papilloma Virus (HPV)".

    The last of them alone may do: "Methotrexate (MTX)". Empty where none do.
    """
    letters = [c.lower() for c in name if c.isalpha()]
    words = re.findall(r"[^\W\d_]+", before.lower())
    if [word[0] for word in words[-len(letters) :]] == letters:
        return words[-len(letters) :]
    rest = iter(words[-1] if words else "")
    if words and words[-1][0] == letters[0] and all(letter in rest for letter in letters):
        return words[-1:]
    return []


_WORDS = yaml.safe_load(
    (files("llm4top.evaluation.probes") / "data/masking_words.yaml").read_text("utf-8")
)

COMMON = frozenset(_WORDS["common"].split())
"""Words of no drug's name: an intervention made of them alone ("Placebo", "Usual care") is no
name that could be recalled, and stays."""

SALTS = frozenset(_WORDS["salts"].split())
"""Last words of a drug's name that texts leave out."""

DRUG_STEM = re.compile(
    r"[^\W\d_]{2,}(?:mab|nib|vir|vudine|statin|cillin|mycin|micin|cycline|floxacin|azole|pril"
    r"|sartan|olol|dipine|platin|taxel|rubicin|tecan|poside|trexate|citabine|arabine|setron"
    r"|triptan|gliptin|glitazone|gliflozin|glutide|parin|xaban|gatran|grel|cept|kinra|stim"
    r"|poetin|poietin|feron|leukin|relin|relix|mustine|fosfamide|phosphamide|sulfan|thiazide"
    r"|semide|caine|barbital|azepam|azolam|oxetine|tiapine|zapine|idone|peridol|piprazole|onide"
    r"|asone|solone|estradiol|progesterone|testosterone|ciclib|parib|zomib|limus|lidomide"
    r"|dronate|profen|coxib|fenac|oxicam|lukast|terol|tropium|phylline)",
    re.IGNORECASE,
)
"""Endings by which a single word shows to be a drug (the WHO's stems of international names)."""

ORGANISATION_WORDS = frozenset(_WORDS["organisation"].split())
"""Words that many organisations' names share; one alone names none."""

_FORM = (
    r"Inc|Ltd|Limited|LLC|GmbH|Corp|Corporation|Pharmaceuticals?|Pharma|Laboratories|Therapeutics"
    r"|Biosciences|Biotech|Biotechnologies|University|Hospital|Institute|Foundation|Clinic"
    r"|Medical Cent(?:er|re)|Cancer Cent(?:er|re)"
)
ORGANISATION = re.compile(
    rf"\b(?!(?:The|A|An|In|At|By|From|Each|This|Any)\s)(?:[A-Z][\w&'\u2019.-]*[,]?\s+){{1,4}}(?:{_FORM})\b"
    r"(?:\s+of(?:\s+[A-Z]\w+){1,3})?"
    r"|\bUniversity of(?:\s+[A-Z]\w+){1,3}"
)
"""What has the form of an organisation's name. The lead sponsor is no field of a trial, so its
name can be known in a text by its form alone."""

GROUPS = "ACOSOG|ACRIN|ACTG|CALGB|CCG|COG|ECOG|EORTC|GOG|HPTN|HVTN|NCCTG|NCIC|NSABP|PACTG|POG|RTOG"
CODE = re.compile(
    rf"\b(?:{GROUPS}|SWOG)[ -]?[A-Z]{{0,3}}-?\d{{2,}}[\w-]*"
    r"|\b(?:NSC|IND|EudraCT|Protocol|ISRCTN|UTN)\s?(?:[Nn]o\.?|[Nn]umber|#)?[ :#-]*\d[\w-]*\d"
    r"|\b\d{4}-\d{6}-\d{2}\b"
    r"|\bU1111-\d{4}-\d{4}\b"
    r"|\b(?!CA-?125\b|BMI|ISO)[A-Z]{2,6}-?\d{3,}[A-Z0-9-]*\b"
)
"""Protocol and registration codes: letters with three digits or more, numbers of registers, the
numbers of cooperative groups. Fewer digits are mostly markers and scales (IL-2, SF-36)."""
