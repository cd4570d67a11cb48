"""The words of the leak guard: its grammar, statuses next to a title, and identifiers.

- The grammar: parts of patterns for text in lower case.
- Statuses before or behind a title or a name: "Examplol in Gout (TERMINATED)", "WITHDRAWN: Examplol
  in Gout". The title keeps its other words.
- Identifiers and contacts, which are replaced themselves: an identifier would let a language model
  recall the trial instead of reading it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llm4top.registry.withheld_reasons import IDENTIFIER

START = "\0"
"""Stands before a match where vetoes are looked for."""

# What a plan or a stopping rule says; "May 2031" is a date.
PLAN = (
    r"\b(?:if|until|unless|once|when(?:ever)?|whichever|whether|should"
    r"|(?<!in\s)(?<!on\s)(?<!of\s)(?<!by\s)(?<!since\s)(?<!early\s)(?<!late\s)may(?!,?\s+(?:of\s+)?\d)"
    r"|might|will|would|can|could|must|shall|to\s+be|in\s+case|(?<!than\s)(?:planned|expected|anticipated)"
    r"|scheduled\s+to|not\s+yet|after\s+all)\b"
)
OTHER = (
    r"\b(?:another|an?(?!\s+(?:second|third|fourth|fifth|sixth)\b)|any|each|other|previous|previously|prior|earlier|preceding|past|recent"
    rf"|parent|lead-in|feasibility|pilot|similar|two|several)\s+(?:[\w-]+\s+){{0,3}}{START}"
)
# Of people, not of the trial: "patients who stopped the trial early".
PERSON = (
    r"\b(?:patients|subjects|participants|volunteers|women|men|children|infants|those|who|they"
    r"|having|have|be|her|his|their)\s+"
    rf"(?:\w+\s+)?{START}"
)
OTHER_STUDY = (
    r"\b(?:previous(?:ly)?|prior|earlier|pilot|preliminary|preclinical|pre-clinical|animals?|rats?"
    r"|mice|mouse|rabbits?|dogs?|monkeys?|in\s+vitro|literature|meta-?analys[ie]s|et\s+al|recent"
    r"|recently|published\s+(?:data|stud\w+|trials?|reports?)|reported\s+(?:by|that)|historical\w*"
    r"|(?:another|one|an|other|several|two|many|most|some|these|those|numerous|all|epidemiological"
    r"|clinical|observational|cohort)\s+(?:stud(?:y|ies)|trials?|reports?))\b"
    r"|\[\d+(?:\s?[-,]\s?\d+)*\]|\(\d{1,3}(?:\s?[-,]\s?\d{1,3})*\)|\((?:19|20)\d\d\)|,\s(?:19|20)\d\d\)"
)
STATISTICS = (
    r"\b(?:will|would|shall|if|whether|power|alpha|assum\w+|detect\w*|consider\w*|regarded|taken\s+as"
    r"|significance\s+level|levels?\s+of\s+significance|set\s+(?:at|to)|threshold|sample\s+sizes?"
    r"|hypothes\w+|deemed|defined|criteri\w+|accepted|p-?values?|expected|anticipated|calculat\w+"
    r"|precision|standard\s+deviation|equivalence|margin|planned|designed|estimated\s+that)\b"
)

NOUN = (
    r"(?:study|trial|protocol|enrol+ment|accrual|recruitment|recruiting|inclusion|randomi[sz]ation"
    r"|arm|stratum|cohort|phase\s+(?:i{1,3}|iv|\d)|dosing|follow-?up|data\s+collection|project"
    r"|investigation|funding|development\s+program(?:me)?|clinical\s+development|expanded\s+access|ind)"
)
PART = r"(?:arm|stratum|group|part|cohort|level|regimen|portion|window|substudy|component)"
NOUNS = r"(?:arms|strata|groups|cohorts|sites|cent(?:er|re)s|parts|levels)"
# "The trial (AVID)", "Study A4001060", "accrual to the second arm"
WHICH = (
    r"(?:,\s[^,.;]{1,60},|(?:\s+(?:[\w-]*\d[\w-]*|[a-z]|i{1,3}|iv))?(?:\s+\([^()]*\))?)"
    r"(?:\s+(?:of|to|in|into|onto|for|at|with|on)\s+(?:[\w/()-]+\s+){0,5}?[\w/()-]+)?"
)
ADVERB = (
    r"(?:\s+(?:now|been|also|then|thus|therefore|already|currently|early|soon|later|all|\w+ly))*"
)
HELD = r"(?:(?:placed|put)\s+on\s+(?:\w+\s+){0,2}hold|on\s+(?:clinical\s+)?hold)"
STOPPED = (
    r"(?:terminated|withdrawn|suspended|stopped|halted|discontinued|cancel+ed|closed|ended|ceased"
    rf"|abandoned|aborted|dropped|inactivated|{HELD})"
)
WAS = r"(?:was|got|(?:has|had)(?:\s+\w+)?\s+been|is\s+now|is\s+being)"
WERE = r"(?:were|(?:have|had)(?:\s+\w+)?\s+been|are\s+now)"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DAY = (
    rf"(?:\d{{1,2}}[/.-]\d{{1,4}}|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}\b"
    rf"|{MONTH}\b\.?(?:\s+\d|,)|(?:19|20|')\d\d\b)"
)
DATE = (
    r"(?:the\s+)?(?:early\s+|late\s+|mid-?"
    r"|(?:end|beginning|fall|spring|summer|autumn|winter)\s+of\s+)?"
    rf"(?:{DAY}|{MONTH}\b)"
)
FEW = (
    r"(?:very\s+)?(?:slow(?:ing)?|poor|low|lack\s+of|insufficient|inadequate|limited|no"
    r"|difficult(?:y|ies)\s+(?:in|with)|loss\s+of|withdrawal\s+of)"
)
PEOPLE = (
    r"(?:patients?|pts|subjects?|participants?|volunteers?|individuals|persons|people|men|women"
    r"|(?:grand)?children|infants|neonates|newborns|babies|adults|adolescents|girls|boys|mothers|families"
    r"|couples|pairs|twins|students|veterans|physicians|nurses|males|females|cases|households"
    r"|eyes|hypertensives|smokers|diabetics|donors|recipients|survivors|members|residents"
    r"|(?:junior\s+|high\s+)*schools|youths?|graders|workers|employees)"
)
ONES = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w{3,5}teen|twenty|thirty"
    r"|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand)"
)
TENS = r"(?:eleven|twelve|\w{3,5}teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
# Not the number of something else: of years, arms, doses.
OF_PEOPLE = (
    rf"(?![-\w])(?!\s+(?:(?!{PEOPLE}\b)[\w-]+\s+){{0,2}}(?:groups?|arms?|phases?|stages?|doses?|levels?|sites?"
    r"|cent(?:er|re)s?|parts?|times?|cycles?|courses?|types?|sequences?|cohorts?|visits?|days?"
    r"|occasions|or\s+more|or\s+older|percent)\b)"
)
BEGIN = r"(?<![\w.,/<>=≥≤±-])"
NUMBER = rf"{BEGIN}(?:\d[\d,]*(?![\d.]*[%/-])|{ONES}(?:(?:\s+and\s+|[\s-]+){ONES})*){OF_PEOPLE}"
# From eleven on a number of people needs no people behind it: "234 were randomized".
MANY = (
    rf"{BEGIN}(?:\d[\d,]+(?![\d.]*[%/-])|{TENS}(?:[\s-]+{ONES})*"
    rf"|{ONES}\s+(?:hundred|thousand)(?:(?:\s+and\s+|[\s-]+){ONES})*){OF_PEOPLE}"
)
BETWEEN = (
    r"(?:\([^()]{1,90}\)\s+|(?!(?:years?|yrs?|y|months?|weeks?|days?|hours?|mg|ml|kg|mm|cm|of\s+age"
    r"|percent|who|that|if|per|or|not)\b)[^\s;:%()]+\s+)"
)
ENROLLED = r"(?:enrol+ed|recruited|randomi[sz]ed|randomly|accrued|screened|registered)"
TREATED = (
    r"(?:included|entered|assigned|allocated|treated|selected|studied|evaluated|analy[sz]ed"
    r"|followed|admitted|consented|divided)"
)


_TITLE_DASH = "\u2013\u2014"
REASON = "states the status of the trial"

_WORDS = (
    r"terminated|withdrawn|suspended|completed|discontinued|halted|stopped|cancel+ed|abandoned"
    r"|closed|aborted|(?:placed\s+)?on\s+hold|never\s+(?:started|opened)|not\s+(?:started|opened)"
    r"|no\s+longer\s+(?:available|recruiting|enrolling|active)|(?:not\s+yet\s+)?recruiting"
    r"|(?:not\s+)?enrolling(?:\s+by\s+invitation)?|active,?\s+not\s+recruiting"
    r"|(?:temporarily\s+)?not\s+available|approved\s+for\s+marketing|early\s+termination"
    # French, German, Spanish, Portuguese, Italian, Dutch, Danish and Swedish, Polish
    r"|termin[ée]e?|abandonn[ée]e?|suspendue?|interrompue?|annul[ée]e?|abgebrochen|beendet"
    r"|abgeschlossen|zur[üu]ckgezogen|terminad[oa]|suspendid[oa]|suspens[oa]|cancelad[oa]"
    r"|retirad[oa]|finalizad[oa]|conclu[ií]d[oa]|encerrad[oa]|interrott[oa]|sospes[oa]|conclus[oa]"
    r"|terminat[oa]|ritirat[oa]|be[ëe]indigd|afgebroken|stopgezet|gestopt|afsluttet|afbrudt"
    r"|avslutad|avbruten|zako[ńn]czon[eay]|przerwan[eay]|wycofan[eay]"
    # Chinese, Japanese, Korean, Russian
    r"|已终止|已完成|已撤回|终止|暂停|中止|終了|完了|종료|중단|완료|завершено|прекращено|приостановлено"
)
_BEFORE = (
    r"(?:(?:this\s+|the\s+)?(?:study|trial|protocol|enrol+ment|recruitment|accrual|[ée]tude|essai"
    r"|studie|estudio|ensayo|estudo|ensaio|studio|onderzoek|badanie)[:\s]\s*"
    r"(?:status[:\s]\s*)?(?:is\s+|was\s+|has\s+been\s+|now\s+)?|status\s*[:=]\s*|now\s+"
    r"|(?:prematurely|early|permanently|temporarily|voluntarily)\s+){0,3}"
)
# Bounded and without a choice of how to read a text, so that no title takes long.
_TAIL = (
    rf"(?:[\s,;:.{_TITLE_DASH}-]{{1,3}}(?:early|prematurely|permanently|temporarily|study|trial"
    r"|to\s+(?:further\s+|new\s+)?(?:accrual|enrol\w+|recruitment|patients)"
    r"|(?:prior\s+to|before)\s+(?:any\s+|first\s+)?(?:accrual|enrol\w+|recruitment|patient|start)"
    r"|\d{1,4}(?:[/.-]\d{1,4}){0,2})\b){0,2}"
    rf"(?:[\s,;:.{_TITLE_DASH}-]{{1,3}}(?:prior\s+to|before|after|due\s+to|because|owing\s+to|by|per|for|as\s+of"
    r"|at|since|with|effective|in|on)\s[^()\[\]{}]{1,80}?)?"
)
_STATUS = rf"{_BEFORE}(?:{_WORDS})(?!\w){_TAIL}"
_OPEN, _CLOSE = "[(\\[{<\u3010\uff08*]+", "[)\\]}>\u3011\uff09*]+"
_SEPARATOR = rf"(?:\s*[:|/*{_TITLE_DASH}]\s*|\s+-+\s+|\s*--+\s*|(?<=\w{{4}}[.!])\s+)"
# "Withdrawn Prior to Enrollment Examplol in Gout"
_BEGUN = rf"^\W*(?:{_WORDS})\s+(?:prior\s+to|before)\s+(?:accrual|enrol\w+|recruitment)\W+(?=\w)"
# After a comma only what is never said of a treatment: "Tapered, Stopped or Continued".
_ANY_CASE = re.compile(
    rf"\s*{_OPEN}\s*{_STATUS}[\s.!*]*{_CLOSE}"
    rf"|^\W*{_STATUS}\W*?(?:\s*[:|{_TITLE_DASH}*]\s*|\s+-+\s+|\s*--+\s*)(?=\S)"
    rf"|{_SEPARATOR}{_STATUS}[\s.!*]*$"
    r"|,\s*(?:study\s+|trial\s+)?(?:terminated|withdrawn|prematurely\s+\w+ed|discontinued\s+early"
    rf"|stopped\s+early|terminated\s+early){_TAIL}[\s.!]*$"
    rf"|{_BEGUN}|^\W*{_STATUS}\W*$",
    re.IGNORECASE | re.MULTILINE,
)
_SHOUTED = (
    r"(?:(?:STUDY|TRIAL)\s+)?(?:PREMATURELY\s+|EARLY\s+)?(?:TERMINATED|WITHDRAWN|SUSPENDED|COMPLETED"
    r"|CANCEL+ED|HALTED|DISCONTINUED|CLOSED)(?:\s+(?:EARLY|PREMATURELY))?"
)
_CAPITALS = re.compile(
    rf"(?<=[a-z0-9)\]])[\s,.;*-]+{_SHOUTED}[\s.!*]*$|^\W*{_SHOUTED}[\s.!*-]+(?=[A-Z0-9]\w*[a-z])",
    re.MULTILINE,
)
MENTIONS = (
    "terminated", "withdrawn", "suspended", "not recruiting", "no longer available",
    "approved for marketing", "enrolling by invitation",
)  # fmt: skip
"""Statuses of the registry as words; "completed" describes treatments in every second record."""
LITERALS = (
    "terminated", "withdrawn", "suspended", "completed", "discontinued", "halted", "stopped",
    "canceled", "cancelled", "abandoned", "closed", "aborted", "on hold", "recruiting",
    "never started", "never opened", "not started", "not opened", "no longer", "not available",
    "early termination", "enrolling", "approved for marketing",
    "terminé", "terminee", "abandonn", "suspendu", "interromp", "annul", "abgebrochen", "beendet",
    "abgeschlossen", "zurückgezogen", "zuruckgezogen", "terminad", "suspendid", "suspens",
    "cancelad", "retirad", "finalizad", "concluíd", "concluid", "encerrad", "interrott", "sospes",
    "conclus", "terminat", "ritirat", "beëindigd", "beeindigd", "afgebroken", "stopgezet",
    "gestopt", "afsluttet", "afbrudt", "avslutad", "avbruten", "zakończon", "zakonczon",
    "przerwan", "wycofan", "终止", "已完成", "已撤回", "暂停", "中止", "終了", "完了", "종료",
    "중단", "완료", "завершено", "прекращено", "приостановлено",
)  # fmt: skip
"""One of them stands in every text that states a status."""


def without_status(text: str) -> tuple[str, list[str]]:
    """A title or name without what it says of the status of its trial, and what that was."""
    stated: list[str] = []

    def cut(match: re.Match[str]) -> str:
        stated.append(match[0].strip())
        return " "

    while (left := _CAPITALS.sub(cut, _ANY_CASE.sub(cut, text))) != text:
        text = left.strip()
    return " ".join(text.split()), stated


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


class OwnIdentifiers(NamedTuple):
    """What finds some of a record's identifiers, and a number that each of them holds."""

    pattern: re.Pattern[str]
    numbers: frozenset[str]

    def stand_in(self, text: str) -> bool:
        """Whether one of them may stand in ``text``; a fast check."""
        return any(number in text for number in self.numbers)


def own_identifiers(identifiers: Sequence[str], texts: Sequence[str]) -> OwnIdentifiers | None:
    """What finds those of a record's identifiers that stand in its ``texts`` (lower case).

    They are found however their parts are joined: "A-123/45" as "A 123-45" too. An identifier
    counts from five letters and digits on, of which three digits in a row, or from six digits:
    "X-1" or "2004" would be found where it is not meant. None where none stands in the text.
    """
    numbers = _NUMBERS.findall(" ".join(identifiers))
    if not any(number in text for text in texts for number in numbers):
        return None  # most end here
    spellings = []
    found = set()
    for identifier in identifiers:
        pieces = _PIECES.findall(identifier.lower())
        numbers = _NUMBERS.findall(identifier)
        fewest = _FEWEST if len(pieces) > 1 else _BARE_DIGITS
        if not numbers or sum(map(len, pieces)) < fewest:
            continue
        longest = max(numbers, key=len)
        if any(_stands("".join(pieces), longest, text) for text in texts):
            spellings.append(rf"[\s/_.{_DASH}]?".join(map(re.escape, pieces)))
            found.add(longest)
    if not spellings:
        return None
    spellings.sort(key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(spellings)})(?!\w)", re.IGNORECASE)
    return OwnIdentifiers(pattern, frozenset(found))


def _stands(joined: str, number: str, text: str) -> bool:
    """Whether ``joined``, which holds ``number``, stands in ``text`` but for its joints."""
    around = 2 * len(joined)
    at = text.find(number)
    while at >= 0:
        if joined in text[max(0, at - around) : at + around].translate(_JOINTS):
            return True
        at = text.find(number, at + 1)
    return False
