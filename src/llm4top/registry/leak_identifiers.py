"""Words of free text that say which trial it is or whom to call; they are replaced themselves.

An identifier would let a language model recall the trial instead of reading it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm4top.registry.withheld_reasons import IDENTIFIER

CONTACT = "an address or telephone number"
INSTEAD = "[identifier]"
_DASH = "\u2010\u2011\u2012\u2013-"  # the last must be last in a set of characters
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """Words that may not be read; they are replaced themselves, their sentence stays."""

    reason: str
    literals: tuple[str, ...]
    near: re.Pattern[str]
    pattern: re.Pattern[str]
    instead: str


def _contact(literals: tuple[str, ...], near: str, pattern: str) -> Mark:
    return Mark(
        CONTACT, literals, re.compile(near), re.compile(pattern, re.IGNORECASE), "[contact]"
    )


def _identifier(literals: tuple[str, ...], near: str, *patterns: str) -> Mark:
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    return Mark(IDENTIFIER, literals, re.compile(near), re.compile(joined, re.IGNORECASE), INSTEAD)


def _with_digit(*stems: str) -> tuple[str, ...]:
    """Each stem with each digit behind it: a stem alone would stand in many ordinary words."""
    return tuple(stem + digit for stem in stems for digit in _DIGITS)


MARKS: tuple[Mark, ...] = (
    _contact(
        ("://", "www.", "@"),
        "",
        r"\b\w+://[^\s<>\"]*[^\s<>\".,;:)\]]|\bwww\.[^\s<>\"]*[^\s<>\".,;:)\]]"
        r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    ),
    _contact(
        ("phone", " call"),
        r"\d",
        r"(?<![\w.:/-])(?:1[-. ])?\(?\d{3}\)?[-. /]\s?\d{3}[-. ]\d{4}(?![\w-])"
        r"|\+\d{1,3}(?:[ -]\d{2,4}){2,5}\b",
    ),
    _identifier(
        _with_digit("nct", "nct ", "nct-", "nct\u2011", "nct\u2013", "nct#", "nct:", "nct: ",
                    "nct #", "nct no ", "nct no. ", "nct number ", "nct id "),
        "",
        rf"\bNCT(?:\s?(?:no\.?|number|id))?[ #:{_DASH}]{{0,2}}\d{{6,8}}\b",
    ),
    # EudraCT 2004-001234-56 and EU CT 2023-501234-12-00: the number itself carries no name.
    _identifier(
        tuple(dash + digits for dash in _DASH for digits in ("00", "50", "51", "52")),
        rf"\d{{4}}[{_DASH}](?:00|5[0-2])\d{{4}}[{_DASH}]\d\d",
        rf"\b(?:(?:EudraCT|EU\W?CTR?|CTIS)(?:\s+(?:no\.?|number|nr\.?))?[\s#:]{{0,3}})?"
        rf"\b20\d\d[{_DASH}](?:00|5[0-2])\d{{4}}[{_DASH}]\d\d(?:[{_DASH}]\d\d)?\b",
    ),
    _identifier(
        ("isrctn", "umin0", "umin 0", "umin-ctr", "umin ctr", "japic", "jrct", "jma-iia", "chictr",
         "actrn", "drks", "ctri/", "irct2", "irct1", "pactr", "tctr2", "rbr-", "slctr", "rpcec",
         "lbctr", "hkuctr", "itmctr", "phrr", "u1111"),
        "",
        r"\bISRCTN[\s:#-]{0,2}\d{6,8}\b",
        r"\b(?:JPRN[\s-]?)?(?:UMIN(?:[\s-]?CTR)?[\s:#-]{0,2}C?\d{6,9}|JapicCTI[\s:#-]{0,2}\d{5,6}"
        r"|jRCTs?[\s:#-]{0,2}\d{8,10}|JMA-IIA\d{5})\b",
        r"\bChiCTR(?:-[A-Z]{2,4}){0,2}[\s:#-]{0,2}\d{8,10}\b",
        r"\bACTRN[\s:#-]{0,2}\d{14}p?\b",
        r"\bDRKS[\s:#-]{0,2}\d{6,8}\b",
        r"\bCTRI/\d{4}/\d{2,3}/\d{4,6}\b",
        r"\bIRCT\d{6,14}(?:N\d{1,3})?\b",
        r"\b(?:PACTR|TCTR|RPCEC|LBCTR|HKUCTR|ITMCTR|PHRR)[\s:#-]{0,2}\d{4,18}(?:-\d{6})?\b",
        r"\bRBR-\w{6,8}\b",
        r"\bSLCTR/\d{4}/\d{2,3}\b",
        r"\bU1111-\d{4}-\d{4}\b",
    ),
    _identifier(_with_digit("kct", "kct-"), "", r"\bKCT[\s-]?\d{7}\b"),
    _identifier(
        _with_digit("ntr", "ntr ", "ntr-", "ntr: ", " nl", "(nl", "-nl"),
        r"(?:ntr|nl)\W{0,2}\d{2,5}",
        r"\bNTR[\s:#-]{0,2}\d{2,5}\b",
        r"\b(?:NL-OMON|NL)\d{4,5}(?:\.\d{3}\.\d\d)?\b",
    ),
    _identifier(
        (*_with_digit("cdr0", " ind ", "(ind ", "-ind ", " ind#", " ind-", " ind: "),
         " ind #", " ind no", " ind num", "(ind #", "(ind no", "nci-", "ide g", "ide #g",
         "ide number g", "ide no. g"),
        "",
        r"\bCDR(?:#)?\d{7,10}\b",
        r"\b(?:BB-)?IND(?:\s+(?:no\.?|number|num\.?))?[\s:#-]{0,3}\d{1,3},?\d{3}\b",
        r"\bIDE(?:\s+(?:no\.?|number))?[\s:#]{0,2}G\d{6}\b",
        r"\bNCI-(?:\d{4}-\d{5}|[A-Z]?\d{2}-(?:[A-Z]-)?N?\d{4}[A-Z]?)\b",
    ),
)  # fmt: skip


# ---------------------------------------------------------------- the trial's own identifiers

_PIECES = re.compile(r"[^\W\d_]+|\d+")
_NUMBERS = re.compile(r"\d{3,}")
_JOINTS = str.maketrans("", "", f" /_.{_DASH}")
_FEWEST = 5
_BARE_DIGITS = 6


def own_identifiers(identifiers: Sequence[str], texts: Sequence[str]) -> re.Pattern[str] | None:
    """What finds those of a record's identifiers that stand in its ``texts`` (lower case).

    They are found however their parts are joined: "A-123/45" as "A 123-45" too. An identifier
    counts from five letters and digits on, of which three digits in a row, or from six digits:
    "X-1" or "2004" would be found where it is not meant. None where none stands in the text.
    """
    numbers = _NUMBERS.findall(" ".join(identifiers))
    if not any(number in text for text in texts for number in numbers):
        return None  # most end here
    spellings = []
    for identifier in identifiers:
        pieces = _PIECES.findall(identifier.lower())
        numbers = _NUMBERS.findall(identifier)
        fewest = _FEWEST if len(pieces) > 1 else _BARE_DIGITS
        if not numbers or sum(map(len, pieces)) < fewest:
            continue
        longest = max(numbers, key=len)
        if any(_stands("".join(pieces), longest, text) for text in texts):
            spellings.append(rf"[\s/_.{_DASH}]?".join(map(re.escape, pieces)))
    if not spellings:
        return None
    spellings.sort(key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(spellings)})(?!\w)", re.IGNORECASE)


def _stands(joined: str, number: str, text: str) -> bool:
    """Whether ``joined``, which holds ``number``, stands in ``text`` but for its joints."""
    around = 2 * len(joined)
    at = text.find(number)
    while at >= 0:
        if joined in text[max(0, at - around) : at + around].translate(_JOINTS):
            return True
        at = text.find(number, at + 1)
    return False
