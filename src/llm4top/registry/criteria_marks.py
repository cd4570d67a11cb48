"""What marks a criterion or heads a section, at the head of a line and within one."""

import re
from collections.abc import Iterator
from itertools import pairwise, takewhile
from string import ascii_letters

from ahocorasick_rs import BytesAhoCorasick, Implementation

_LONGEST_HEADING = 100

MARK = re.compile(
    r"""(?: [-*\u2013\u2014·\u2010\u2011\u2212+o] (?=\s|$)  # alone
        | [•●○◦▪▫■□◆‣\u2043►➢✓·]+ | [①-⑳]                # never anything else than a mark
        | [-*] (?=[A-Za-z(\[<>≥≤])                     # -Age; but -2 is a number
        | -{2,4} (?=[\sA-Za-z(\[<>≥≤]|$)               # -- Age
        | \(\d{1,2}\) | \d{1,2}\)                      # (1)  2)
        | \d{1,2}\. (?:\s|(?=[A-Za-z(\[<>≥≤])|$)       # 1. and 1.Age; but 1.5 is a number
        | \d{1,2} (?:\.\d{1,2}){2,3} [.)]? \s          # 4.1.2
        | \d{1,2}\.\d{1,2} [.)]? \s+ (?=[A-Z][a-z]{2}) # 3.1 Patients; but 1.5 ULN is a number
        | \(? (?:[a-zA-Z]|[ivx]{2,4}|[IVX]{2,4}) \) \s # (a)  b)  iv)
        | [ivx]{2,4}\. \s | [IVX]{2,4}\. \s (?=[A-Z])  # ii.
        ) \s*""",
    re.VERBOSE,
)
"""A mark of a list at the head of a line, with the blanks behind it."""

_LETTERS = frozenset(ascii_letters)
_GOES_ON_NO_MARK = _LETTERS - frozenset("ivxIVX")
_LETTER = re.compile(r"^([^\S\n]*(?:[-*•][^\S\n]+)?)([A-Za-z])\.[^\S\n]+(?=\S)", re.MULTILINE)
_NUMBER = re.compile(r"\(?(\d{1,2})[.)]")
_PREFIX = r"(?:(?:key|main|major|general|specific|study|subject|patient|participant)s? )*"
_SECTION = re.compile(  # also in brackets or between signs: [Inclusion Criteria]
    rf"[\[(<*_#=\s]*({_PREFIX})(in|ex)clusions?(?: criteri(?:a|on|um|as))? ?"
    r"[:.\-\u2013\u2014]*[\])>*_#=\s]*[:.]*",
    re.IGNORECASE,
)
_BEGINS_NO_SECTION = frozenset("abcdfhjlnoqrtuvwxyzABCDFHJLNOQRTUVWXYZ0123456789-")
_SECTION_AND_MORE = re.compile(
    rf"({_PREFIX}(?:in|ex)clusion(?: criteri(?:a|on) ?(?::| [-\u2013\u2014] )| ?:)) ?(?=\S)",
    re.IGNORECASE,
)
_SECTION_WITHIN = re.compile(
    r" (?=(?:(?:Key|KEY|Main|MAIN|Major|MAJOR) )?"
    r"(?:Inclusion|INCLUSION|Exclusion|EXCLUSION) "
    r"(?:(?:[Cc]riteria|CRITERIA|Criterion) ?:|(?P<bare>Criteria|CRITERIA)$))"
)
# Behind these a heading is only mentioned: "meets none of the Exclusion Criteria: ..."
_MENTIONS = re.compile(
    r"the|following|these|those|any|all|of|no|meet|meets|see|to|per|and|or|key|"
    r"main|major|other|study|with|for|additional|under|their|in",
    re.IGNORECASE,
)
_ALWAYS = re.compile(r"\s*(?=[•●▪■◆‣➢①-⑳])")
_DASHED = re.compile(r"--\s*([A-Z][A-Za-z/ ]{3,50}?):?\s*--(?=\s|$)")  # --Disease Characteristics--
_FIRST_DASH = re.compile(r"(?:^|:) ?[-*\u2013](?= [A-Za-z(\[<>≥≤0-9])")
_DASH = re.compile(r"(?<=[^\d\s]) (?=[-*\u2013] (?!\d))|(?<=\d) (?=[-*\u2013] [A-Za-z])")
_COUNTED = re.compile(r"(?:^|(?<=\s))(?:\(?(\d{1,2})[.)]|\(?([a-hA-H])\))(?=\s+[A-Za-z0-9(\[<>≥≤])")
_SECONDS = ("2.", "2)", "b)", "B)")
_LONG = 60  # characters that few headings have
_MORE = re.compile(r"[.:;] ")
_OPEN = re.compile(
    r"of|to|the|an?|and|or|than|least|most|with|without|for|in|on|at|by|from|as|is|are|be|has|have"
    r"|see|if|any|no|not|inclusion|exclusion|prior|after|before|during|within|between|under|over",
    re.IGNORECASE,
)
_LAST = re.compile(r"[,;] (?:and|or)$")  # of a list: "1) fever; 2) cough; or 3) pain"
_BARE = re.compile(r"[-*•·o\s]*")
# A heading at the head of a line with nothing behind it; elsewhere one may have to be split off.
_HEADED = re.compile(r"^(?:\S{1,3} )?(?i:in|ex)(?i:clusion criteri(?:a|on)) ?:?$", re.MULTILINE)
_CALL = "clusion criteri"  # stands once in each line that _HEADED matches
_COLON = re.compile(r":(?: ?[-*]| \u2013) ")
_PAIRS = ((" 2. ", "1. "), (" 2) ", "1) "), ("(2)", "(1)"), ("b) ", "a) "), ("B) ", "A) "))
# What a line that is to be split holds, in lower case; all in one pass over a text.
_CALLS = BytesAhoCorasick(
    [
        word.encode()
        for word in (
            *(_CALL, "--", ": - ", ": * ", ":- ", ":* ", ": \u2013 "),
            *dict.fromkeys(second.lower() for second, _ in _PAIRS),
        )
    ],
    implementation=Implementation.DFA,
)
# Behind these a number belongs to the text: "of grade 2. Patients ..."
_QUANTIFIERS = re.compile(
    r"than|of|grade|stage|to|least|and|or|type|class|phase|level|group|score|at|"
    r"is|was|by|within|cohort|part|step|version|day|week|month|visit|<|>|=|≤|"
    r"≥|<=|>=|-|above|below|over|under|age",
    re.IGNORECASE,
)


def section(text: str) -> str | None:
    """The heading in its one spelling, where ``text`` is that of inclusion or exclusion."""
    if text[:1] in _BEGINS_NO_SECTION:
        return None
    found = _SECTION.fullmatch(text)
    return f"{found[1].title()}{found[2].title()}clusion Criteria:" if found else None


def introduces(text: str) -> bool:
    """Whether ``text`` is a short line that introduces those below it ("Age:")."""
    return text.endswith(":") and len(text) <= _LONGEST_HEADING and not text[0].islower()


def goes_on(above: str, text: str) -> bool:
    """Whether ``text`` ends in a colon as wrapped words may, not as a heading does.

    It does not begin like a heading, holds the end of a sentence, is long, or the line above it
    leaves its sentence open.
    """
    return (
        not text[0].isupper()
        or len(text) > _LONG
        or bool(_MORE.search(text))
        or bool(_OPEN.fullmatch(_last_word(above)))
    )


def mark_of(text: str) -> re.Match[str] | None:
    """The mark at the head of ``text``."""
    # Behind a letter a mark goes on with a blank, a bracket, a point, or as a Roman number.
    if text[1:2] in _GOES_ON_NO_MARK and text[0] in _LETTERS:
        return None
    return MARK.match(text)


def counted(mark: re.Match[str] | None) -> int | None:
    """The number of a numbered mark."""
    found = _NUMBER.match(mark[0]) if mark else None
    return int(found[1]) if found else None


def may_hold_several(text: str) -> bool:
    """Whether any line of ``text`` may have to be split; a fast check."""
    lower = text.lower()
    found = _CALLS.find_matches_as_indexes(lower.encode(errors="surrogatepass"))
    if any(number for number, _, _ in found):
        if "--" in text or _COLON.search(text):
            return True
        for second, first in _PAIRS:
            if second in text and first in text:
                return True
    if text.isascii():
        return not all(
            _HEADED.match(text, text.rfind("\n", 0, begin) + 1)
            for number, begin, _ in found
            if number == 0
        )
    # Other letters may be an "s" or an "i" when case is ignored, and move what follows them.
    headings = lower.count(_CALL)
    return bool(_ALWAYS.search(text)) or (headings > 0 and headings != len(_HEADED.findall(text)))


def in_pieces(text: str) -> Iterator[str]:
    """The criteria that one line holds, with their marks; split only where that is safe.

    That is at headings with a colon, at marks that are never anything else ("•"), at numbers that
    count up from 1, and at dashes and asterisks where the first of them follows a heading.
    """
    if _is_whole(text):
        yield text
        return
    left = [(text, False)]  # not by recursion: a hostile text may hold thousands
    while left:
        text, opened = left.pop()
        mark = MARK.match(text)
        begin = mark.end() if mark and _SECTION_AND_MORE.match(text, mark.end()) else 0
        while heading := _SECTION_AND_MORE.match(text, begin):
            yield heading[1]
            begin, opened = heading.end(), True
        text = text[begin:]
        cuts = [cut for cut in _cuts(text, opened) if 0 < cut < len(text)]
        dashed = _DASHED.fullmatch(text)
        if dashed:
            yield dashed[1] + ":"
        elif cuts:
            places = list(pairwise([0, *cuts, len(text)]))
            left += [(text[a:b].strip(), opened and a == 0) for a, b in reversed(places)]
        elif text:
            yield text


def _is_whole(text: str) -> bool:
    """Whether nothing at which a line is split stands in ``text``; most lines take this test only.

    Each kind of place needs one of these: a heading its word, a list behind a heading a colon, one
    that counts up the second of its numbers, and what is always a mark a letter beyond ASCII.
    """
    return (
        text.isascii()
        and bool(text)
        and ":" not in text
        and "--" not in text
        and not any(second in text for second in _SECONDS)
        and "clusion" not in text.lower()
    )


def _cuts(text: str, opened: bool) -> list[int]:
    """Where ``text`` is to be cut; the first kind of place that it has at all."""
    cuts = [
        found.end() for found in _SECTION_WITHIN.finditer(text) if not _is_mentioned(text, found)
    ]
    if not cuts:
        cuts = [place for found in _DASHED.finditer(text) for place in found.span()]
    if not cuts:
        cuts = [found.start() for found in _ALWAYS.finditer(text) if found.start()]
    return cuts or _dashes(text, opened) or _counts(text)


def _is_mentioned(text: str, heading: re.Match[str]) -> bool:
    """Whether a heading within ``text`` heads nothing there.

    Without a colon it may also stand behind its own number ("2.2 Exclusion Criteria") or be part of
    a longer one ("Clinical Exclusion Criteria").
    """
    before = _last_word(text[: heading.start()])
    if _MENTIONS.fullmatch(before):
        return True
    if not heading["bare"]:
        return False
    mark = MARK.match(text)
    return before[:1].isupper() or (mark is not None and mark.end() >= heading.end())


def _dashes(text: str, opened: bool) -> list[int]:
    """The dashes or asterisks of a list that begins behind a heading or a colon."""
    first = _FIRST_DASH.match(text) if opened else _FIRST_DASH.search(text, 1)
    if not first:
        return []
    mark = first[0].strip()[-1]
    more = [found.end() for found in _DASH.finditer(text, first.end()) if text[found.end()] == mark]
    return [first.end() - 1, *more]


def _counts(text: str) -> list[int]:
    """The numbers, or letters in brackets, of a list that counts up from 1, all in one style."""
    cuts: list[int] = []
    style = ""
    for found in _COUNTED.finditer(text):
        value = found[1] or found[2]
        place = int(value) if value.isdigit() else ord(value.lower()) - ord("a") + 1
        before = text[: found.start()].rstrip()
        if place != len(cuts) + 1:
            continue
        if _QUANTIFIERS.fullmatch(_last_word(before)) and not (cuts and _LAST.search(before)):
            continue
        this = found[0].replace(value, str(value.isdigit()), 1)
        if not cuts:
            if not _BARE.fullmatch(before) and not (value.isdigit() and before[-1] in ".:;)"):
                continue
            style = this
        if this == style:
            cuts.append(found.start())
    return cuts if len(cuts) > 1 else []


def _last_word(text: str) -> str:
    return text.rsplit(" ", 1)[-1]


def without_letters(text: str) -> str:
    """``text`` with "- " for the letters that count its lines: A. and B., but never one alone.

    A letter and a point alone are a name: E. coli, S. aureus.
    """
    if not ("B. " in text and "A. " in text) and not ("b. " in text and "a. " in text):
        return text
    letters = {found[2] for found in _LETTER.finditer(text)}
    row = {
        letter
        for first in "Aa"
        for letter in takewhile(letters.__contains__, map(chr, range(ord(first), ord(first) + 26)))
    }
    if not row - {"A", "a"}:
        return text
    return _LETTER.sub(lambda found: f"{found[1]}- " if found[2] in row else found[0], text)
