"""What free text may not say: how the trial went, which trial it is, and whom to call.

The rules are data. A rule is tried only on a line in which one of its literals occurs (in lower
case), and only a match without a veto counts: "accrual will be closed if ..." tells nothing.
Each place of a literal costs a closer look, so words that are common elsewhere are given with their
neighbours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One way in which a sentence tells the outcome.

    Its patterns are in lower case and for lower-case text: to ignore case takes thrice the time.
    """

    reason: str
    literals: tuple[str, ...]
    near: re.Pattern[str]
    """A cheap necessary condition, looked for in the two dozen characters around a literal."""
    pattern: re.Pattern[str]
    veto: re.Pattern[str]
    """Looked for in the match and shortly before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """Words that may not be read; they are replaced themselves, their sentence stays."""

    reason: str
    literals: tuple[str, ...]
    near: re.Pattern[str]
    pattern: re.Pattern[str]
    instead: str


# What a plan or a stopping rule says, and what is said of another study.
_PLAN = (
    r"\b(?:if|until|unless|once|when(?:ever)?|whichever|should|may|might|will|would|can|could|must"
    r"|to\s+be|in\s+case|planned|expected|anticipated|not\s+yet)\b"
)
_OTHER = (
    r"\b(?:another|an?|any|each|other|previous|previously|prior|earlier|preceding|past|recent|parent"
    r"|lead-in|feasibility|pilot)\s+(?:[\w-]+\s+){0,3}$"
)
_NOUN = (
    r"(?:stud(?:y|ies)|trial|protocol|enrol+ment|accrual|recruitment|randomi[sz]ation|arms?"
    r"|strat(?:um|a)|phase\s+(?:i{1,3}|iv|\d))"
)
# "The trial (AVID)", "Study A4001060", "accrual to the second arm"
_WHICH = (
    r"(?:\s+\([^)]*\)|\s+[\w-]*\d[\w-]*)?"
    r"(?:\s+(?:of|to|in|into|onto|for|at)\s+(?:[\w/()-]+\s+){0,5}?[\w/()-]+)?"
)
_ADVERB = (
    r"(?:\s+(?:now|been|also|then|already|currently|prematurely|early|officially|permanently"
    r"|temporarily|voluntarily|ultimately|subsequently|eventually|recently))*"
)
_STOPPED = r"(?:terminated|withdrawn|suspended|stopped|halted|discontinued|cancel+ed|closed)"
_STOP_WORDS = (
    "terminat", "withdrawn", "ended", "stopped", "halted", "discontinued", "closed",
)  # fmt: skip
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = rf"(?:\d{{1,2}}[/-]\d{{1,4}}|(?:\d{{1,2}}\s+)?{_MONTH}\b|(?:19|20)\d\d\b)"


def _rule(
    reason: str, literals: tuple[str, ...], near: str, *patterns: str, other: bool = True
) -> Rule:
    return Rule(
        reason,
        literals,
        re.compile(near),
        re.compile("|".join(f"(?:{pattern})" for pattern in patterns)),
        re.compile(f"{_PLAN}|{_OTHER}" if other else _PLAN),
    )


RULES: tuple[Rule, ...] = (
    _rule(
        "says that the trial was stopped",
        _STOP_WORDS,
        r"\b(?:was|were|has|have|had|been|is|are|now|also|then|already|study|trial|early|\w+ly) "
        r"(?:terminated|withdrawn|suspended|stopped|halted|discontinued|cancel+ed|closed)"
        r"|(?:early|premature|trial|study) terminat|ed (?:for|due|because|owing|to)\b",
        rf"\b{_NOUN}{_WHICH}\s+(?:was|were|has|have|had)\b{_ADVERB}\s+{_STOPPED}\b",
        rf"\b{_NOUN}{_WHICH}\s+(?:is|are){_ADVERB}\s+closed\b",
        rf"\b(?:study|trial)\s+{_STOPPED}\s+(?:early|prematurely|due\s+to|because|by\s+the)\b",
        r"\b(?:due\s+to|because\s+of|led\s+to|resulted\s+in|recommended)\s+(?:the\s+|an?\s+)?"
        r"(?:early|premature)\s+(?:study\s+|trial\s+)?"
        r"(?:termination|closure|discontinuation)\b",
        rf"\b{_STOPPED}\b[^.;]{{0,60}}?\b(?:due\s+to|because\s+of|for|owing\s+to)\s+(?:the\s+)?"
        r"(?:very\s+)?(?:slow(?:ing)?|poor|low|lack\s+of|insufficient|inadequate)\s+(?:patient\s+)?"
        r"(?:accrual|enrol+ment|recruitment|funding)\b",
    ),
    _rule(
        "says that enrolment is closed",
        ("closed", "completed", "stopped"),
        r"(?:closed|completed|stopped) (?:to|for|as of|effective|since|on|in|by)\b",
        r"\bclosed\s+(?:to|for)\s+(?:further\s+|new\s+|all\s+|any\s+)?"
        r"(?:accrual|enrol+\w*|recruitment|entry|patients?|participants|subjects)\b",
        rf"\b(?:closed|completed|stopped)\s+(?:as\s+of|effective|since)\s+{_DATE}",
        rf"\b(?:arms?|strat(?:um|a)|group|part|cohort|level|regimen)\s+(?:\w+\s+)?"
        rf"(?:was\s+|were\s+)?closed\s+(?:on|in|by)\s+(?:the\s+dsmb|{_DATE})",
        other=False,
    ),
    _rule(
        "says that the trial is over",
        ("completed", "ended", "concluded"),
        r"(?:completed|\bended|concluded)\W{1,2}(?:\w+ )?(?:in|on|as|by|since|effective|with"
        r"|accrual|enrol|recruit|the|follow|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|from|at)"
        r"|(?:has|have|had|been|now|already|was|is) (?:completed|concluded|ended)",
        rf"\b(?:{_NOUN}|follow-?up|data\s+collection|data\s+analysis|phase)\b[^.;]{{0,60}}?\b"
        rf"(?:ended|concluded|completed)\b[^.;]{{0,25}}?\b(?:in|on|as\s+of|by|since|effective),?\s+"
        rf"(?:the\s+)?(?:early\s+|late\s+|mid-?|end\s+of\s+|fall\s+of\s+|spring\s+of\s+)?{_DATE}",
        rf"\b{_NOUN}{_WHICH}\s+(?:has|have|had){_ADVERB}\s+(?:completed|concluded|ended)\b",
        r"\b(?:has|have|was|is)\s+(?:been\s+)?complete[d]?\s+(?:the\s+)?"
        r"(?:accrual|enrol+ment|recruitment)\b",
        rf"\b(?:accrual|enrol+ment|recruitment){_WHICH}\s+(?:is|was|were){_ADVERB}\s+complete[d]?\b"
        r"(?!\s+(?:within|before|prior))",
    ),
    _rule(
        "tells results of the trial",
        ("results", "showed", "demonstrated", "interim"),
        r"results (?:of|from) (?:th|our)|results .{0,12}(?:publ|repo|w|ha|are)|(?:no|main|primary"
        r"|final|study|trial) (?:\w+ )?results|(?:study|trial|has|have|also|clearly|analysis|data) "
        r"(?:showed|demonstrated)|interim (?:\w+ )?(?:analys|result|data)",
        r"\b(?:results?|findings|data)\s+(?:of|from)\s+(?:this|the|our)\s+(?:present\s+|current\s+)?"
        r"(?:study|trial)\b[^.;]{0,60}?\b(?:show(?:ed|n)?|demonstrated?|suggest(?:ed)?"
        r"|indicated?|reveal(?:ed)?|produced|reported|published)\b",
        r"\b(?:this|our|the)\s+(?:present\s+|current\s+)?(?:study|trial)\s+"
        r"(?:has\s+|have\s+|also\s+|clearly\s+)*"
        r"(?:showed|shown|demonstrated|confirmed|revealed|indicated|failed\s+to)\b",
        r"\binterim\s+(?:\w+\s+)?(?:analys[ie]s|results?|data)\b[^.;]{0,30}?\b"
        r"(?:showed|shown|demonstrated|revealed|indicated|suggested|determined)\b",
        r"\b(?:main|primary|final|trial|study)\s+(?:\w+\s+)?results\b[^.;]{0,30}?"
        r"\b(?:published|reported)\b",
        r"\bno\s+results\s+(?:were|are)\s+(?:reported|available)\b",
    ),
    _rule(
        "tells whether the trial met its aim",
        ("futility", "primary end", "bjectives w"),
        "",
        r"\b(?:met|crossed)\s+the\s+(?:\w+\s+)?(?:futility|stopping)\b",
        r"\b(?:due\s+to|because\s+of|for)\s+(?:statistical\s+)?futility\b",
        r"\b(?:stud(?:y|ies)|trial|it)\s+(?:\w+\s+)?(?:did\s+not|failed\s+to)\s+(?:meet|reach|achieve)"
        r"\s+(?:its|the|their|any)\b[^.;]{0,40}?\b(?:end\s?-?points?|objectives?|outcomes?|target)",
        r"\b(?:did\s+not|failed\s+to)\s+(?:meet|reach|achieve)\s+(?:its|their)\s+(?:[\w-]+\s+){0,3}"
        r"(?:end\s?-?points?|objectives?|outcomes?)\b",
        r"\b(?:study|trial|primary|secondary)\s+(?:end\s?-?points?|objectives?|outcomes?)\s+"
        r"(?:was|were|has\s+been|have\s+been)\s+(?:not\s+)?(?:met|achieved|reached)\b",
    ),
    _rule(
        "tells what a monitoring board or the sponsor decided",
        _STOP_WORDS,
        r"be (?:stopped|terminated|discontinued|halted|suspended|closed)"
        r"|terminat\w+ (?:of|the|this)"
        r"|(?:stopped|discontinued|halted|suspended|closed) (?:the|this|\w+ (?:phase|arm|early))"
        r"|recommended ",
        r"\b(?:dsmb|i?dmc|dsmc|monitoring\s+(?:board|committee)|steering\s+committee|sponsor)\b"
        r"[^.;]{0,40}?\b(?:recommended|decided|elected|directed|stopped|terminated|discontinued"
        r"|halted|suspended|closed)\b[^.;]{0,60}?\b"
        r"(?:stop\w*|terminat\w*|clos\w+|discontinu\w*|halt\w*|suspen\w+|study|trial|arm|early)\b",
        other=False,
    ),
)

MARKS: tuple[Mark, ...] = (
    Mark(
        "an address or telephone number",
        ("://", "www.", "@"),
        re.compile(""),
        re.compile(
            r"\b\w+://[^\s<>\"]*[^\s<>\".,;:)\]]|\bwww\.[^\s<>\"]*[^\s<>\".,;:)\]]"
            r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
            re.IGNORECASE,
        ),
        "[contact]",
    ),
    Mark(
        "an address or telephone number",
        ("phone", " call"),
        re.compile(r"\d"),
        re.compile(
            r"(?<![\w.:/-])(?:1[-. ])?\(?\d{3}\)?[-. /]\s?\d{3}[-. ]\d{4}(?![\w-])"
            r"|\+\d{1,3}(?:[ -]\d{2,4}){2,5}\b"
        ),
        "[contact]",
    ),
    Mark(
        "an identifier would let a model recall the trial",
        ("nct",),
        re.compile(r"nct\W{0,2}\d"),
        re.compile(r"\bNCT[ #:-]{0,2}\d{6,8}\b", re.IGNORECASE),
        "[identifier]",
    ),
)
