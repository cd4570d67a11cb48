"""The class of a registry's sentence on why a trial was stopped, by simple patterns.

The classes are those of TrialBench (Chen et al., TrialBench, Scientific Data 2025). The first
pattern that is found decides, in this order:

1. *poor enrolment*: too few participants, slow accrual, nobody enrolled;
2. *safety*: harm, toxicity, adverse events, risk;
3. *efficacy*: no effect, futility, a negative interim analysis;
4. *other*: everything else: funding, the sponsor's decision, staff, supply.

Enrolment comes first because such sentences often go on to other things ("closed for slow accrual
and lack of drug"). A sentence that says nothing ("withdrawn") is *other*.

Of 13 411 sentences whose trials TrialBench has classified, 83 % get TrialBench's class; of the
sentences that TrialBench calls safety 54 %, mostly because the sentence names no harm.
"""

import re

POOR_ENROLMENT, EFFICACY, SAFETY, OTHER = "poor enrolment", "efficacy", "safety", "other"
CLASSES = (POOR_ENROLMENT, EFFICACY, SAFETY, OTHER)

_PEOPLE = r"(?:patients?|subjects?|participants?|volunteers?|candidates?|cases|women|children)"
_FEW = (
    r"(?:slow\w*|low|lack|poor\w*|insufficient|inadequate|limited|difficult\w*|no|not|never|zero|"
    r"few\w*|failure|failed|fail|unable|inability|problems?|challenges?|issues?|under|lower|less|"
    r"could not|cannot|didn't|did not|small|too|rate|delay\w*)"
)
_ENROL = r"(?:enrol\w*|accru\w*|recruit\w*|inclusions?|participation)"
_PATTERNS = (
    (
        POOR_ENROLMENT,
        rf"\b{_FEW}\b[^.;]{{0,60}}\b{_ENROL}|\b{_ENROL}[^.;]{{0,40}}\b{_FEW}\b"
        rf"|\b(?:no|lack of|few|insufficient|not enough|too few|low number of|inadequate number of|"
        rf"small number of)\b[^.;]{{0,20}}\b{_PEOPLE}\b|under-?enrol\w*|^\W*(?:enrol\w*|accrual|"
        r"recruitment)\W*$",
    ),
    (
        SAFETY,
        r"\bsafety\b|\btoxic\w*|adverse|side[ -]?effects?|\bserious\b[^.;]{0,20}\bevents?"
        r"|\bharm\w*|\bdeaths?\b|\bmortality\b|\brisks?\b|\bbleeding\b|tolerab\w*|\bSAEs?\b|\bAEs?\b"
        r"|\bhepato\w*|marketing authori[sz]ation|clinical hold",
    ),
    (
        EFFICACY,
        r"\befficac\w*|\bfutil\w*|ineffective|effectiveness|\bno\b[^.;]{0,40}\b(?:effect|benefit|"
        r"response|difference|improvement|activity)\b|\black of\b[^.;]{0,30}\b(?:effect|benefit|"
        r"response|activity)\b|interim (?:analysis|results|data)|\bnegative\b|primary end ?point"
        r"|did not (?:meet|show|demonstrate)|not (?:superior|effective|beneficial)|insufficient "
        r"(?:activity|response)|unfavou?rable",
    ),
)
_DENIED = re.compile(
    r"\b(?:no|without|unrelated to|neither"
    r"|not\b[^.;,]{0,30}\b(?:related|due|because|based|result|linked|reflect\w*|any|for)"
    r"(?:\s+(?:to|of|on|in))?)\s+(?:\w+\s+){0,3}?(?:safety|efficacy)"
    r"(?:\s+(?:or|and|nor)\s+(?:safety|efficacy))?"
    r"(?:\s+(?:concerns?|issues?|related|reasons?|signals?|findings?))?",
    re.IGNORECASE,
)
"""What the reason was not: "business decision, not related to safety"."""
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PATTERNS)


def class_of_reason(text: str) -> str:
    """The class of the reason ``text``, one of ``CLASSES``."""
    line = _DENIED.sub("", " ".join(text.split()))
    return next((name for name, pattern in _COMPILED if pattern.search(line)), OTHER)
