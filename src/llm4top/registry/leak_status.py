"""Words for how a trial stands, where they are put before or behind a title or a name.

"Examplol in Gout (TERMINATED)", "WITHDRAWN: Examplol in Gout", "Examplol in Gout - study closed".
The title keeps its other words.
"""

import re

_DASH = "\u2013\u2014"
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
    rf"(?:[\s,;:.{_DASH}-]{{1,3}}(?:early|prematurely|permanently|temporarily|study|trial"
    r"|to\s+(?:further\s+|new\s+)?(?:accrual|enrol\w+|recruitment|patients)"
    r"|(?:prior\s+to|before)\s+(?:any\s+|first\s+)?(?:accrual|enrol\w+|recruitment|patient|start)"
    r"|\d{1,4}(?:[/.-]\d{1,4}){0,2})\b){0,2}"
    rf"(?:[\s,;:.{_DASH}-]{{1,3}}(?:prior\s+to|before|after|due\s+to|because|owing\s+to|by|per|for|as\s+of"
    r"|at|since|with|effective|in|on)\s[^()\[\]{}]{1,80}?)?"
)
_STATUS = rf"{_BEFORE}(?:{_WORDS})(?!\w){_TAIL}"
_OPEN, _CLOSE = "[(\\[{<\u3010\uff08*]+", "[)\\]}>\u3011\uff09*]+"
_SEPARATOR = rf"(?:\s*[:|/*{_DASH}]\s*|\s+-+\s+|\s*--+\s*|(?<=\w{{4}}[.!])\s+)"
# "Withdrawn Prior to Enrollment Examplol in Gout"
_BEGUN = rf"^\W*(?:{_WORDS})\s+(?:prior\s+to|before)\s+(?:accrual|enrol\w+|recruitment)\W+(?=\w)"
# After a comma only what is never said of a treatment: "Tapered, Stopped or Continued".
_ANY_CASE = re.compile(
    rf"\s*{_OPEN}\s*{_STATUS}[\s.!*]*{_CLOSE}"
    rf"|^\W*{_STATUS}\W*?(?:\s*[:|{_DASH}*]\s*|\s+-+\s+|\s*--+\s*)(?=\S)"
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
