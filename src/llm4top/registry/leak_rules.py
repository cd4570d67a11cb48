"""What a sentence of free text may not say: how this trial went.

A rule is a small grammar: a thing of this trial (its accrual, an arm, its results), a verb in the
past or the perfect, and what happened. The rules are data. A rule is tried only where one of its
literals occurs, and only a match without a veto counts: "accrual will be closed if ..." is a plan,
"a previous trial was stopped" tells of another study. Literals that are common elsewhere are given
with their neighbours, because each place of one costs a closer look.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from llm4top.registry import leak_grammar
from llm4top.registry.leak_grammar import REASON as STATED


@dataclass(frozen=True, eq=False)
class Rule:
    """One way in which a sentence tells the outcome.

    Its patterns are in lower case and for lower-case text: to ignore case takes three times as
    long. They are compiled when first tried: all of them take as long as to forecast ten records.
    """

    reason: str
    literals: tuple[str, ...]
    patterns: tuple[str, ...]
    texts: tuple[str, str, str]
    """What ``near``, ``veto`` and ``elsewhere`` are compiled from."""

    @cached_property
    def near(self) -> re.Pattern[str]:
        """A cheap necessary condition, looked for in the two dozen characters around a literal."""
        return re.compile(self.texts[0])

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """All of ``patterns`` as one."""
        return re.compile(alternation(self.patterns))

    @cached_property
    def veto(self) -> re.Pattern[str]:
        """Looked for shortly before the match, ``START``, and in the match."""
        return re.compile(self.texts[1])

    @cached_property
    def elsewhere(self) -> re.Pattern[str] | None:
        """Looked for in the whole sentence, where that tells of a plan or of another study."""
        return re.compile(self.texts[2]) if self.texts[2] else None


def _rule(
    reason: str,
    literals: tuple[str, ...],
    *patterns: str,
    near: str = "",
    veto: str = f"{leak_grammar.PLAN}|{leak_grammar.OTHER}",
    elsewhere: str = "",
) -> Rule:
    return Rule(reason, literals, patterns, (near, veto, elsewhere))


def alternation(patterns: Sequence[str]) -> str:
    """A pattern that matches what the first of ``patterns`` to match does, found in less time.

    Where all of them begin with a word, a number or the text, no letter or digit stands before, so
    most places are passed over with one look; what neighbours begin with is looked for once.
    """
    groups = [(prefix, list(group)) for prefix, group in groupby(patterns, _prefix)]
    joined = "|".join(
        f"{prefix}{_AHEAD.get(prefix, '')}"
        f"(?:{'|'.join(f'(?:{pattern[len(prefix) :]})' for pattern in group)})"
        for prefix, group in groups
    )
    return rf"(?<!\w)(?:{joined})" if all(prefix for prefix, _ in groups) else joined


def _prefix(pattern: str) -> str:
    return next(filter(pattern.startswith, (r"\b", "^", leak_grammar.BEGIN)), "")


_AHEAD = {leak_grammar.BEGIN: rf"(?=\d|{leak_grammar.ONES})"}
"""What every number of the grammar begins with."""


RULES: tuple[Rule, ...] = (
    _rule(
        "says that the trial was stopped",
        ("terminat", "withdrawn", " ended", "stopped", "halted", "discontinued", "closed",
         "suspended", "cancel", "ceased", "abandoned", "aborted", "dropped", "inactivated",
         "on hold", "clinical hold", "prematurely"),
        rf"\b{leak_grammar.NOUN}{leak_grammar.WHICH}\s+{leak_grammar.WAS}{leak_grammar.ADVERB}\s+{leak_grammar.STOPPED}\b",
        rf"\b{leak_grammar.NOUN}{leak_grammar.WHICH}\s+(?:has|had){leak_grammar.ADVERB}\s+(?:closed|ended|ceased|terminated|stopped)\b"
        r"(?!\s+(?:the|its|use|using|taking))",
        r"^\W*(?:(?:this|the)\s+)?(?:study|trial|protocol)\s+(?:now\s+)?(?:terminated|withdrawn|suspended"
        r"|closed|stopped|halted|cancel+ed|discontinued)\W*$",
        r"\b(?:study|trial|accrual|enrol+ment)\s+closed\W*$",
        r"\b(?:placed|put)\s+(?:the|this)\s+(?:study|trial|ind)\s+on\s+(?:\w+\s+){0,2}hold\b",
        rf"\b{leak_grammar.PART}{leak_grammar.WHICH}\s+{leak_grammar.WAS}{leak_grammar.ADVERB}\s+{leak_grammar.STOPPED}\b",
        rf"\b{leak_grammar.NOUNS}{leak_grammar.WHICH}\s+{leak_grammar.WERE}{leak_grammar.ADVERB}\s+{leak_grammar.STOPPED}\b",
        rf"\b(?:{leak_grammar.NOUN}|{leak_grammar.PART}|{leak_grammar.NOUNS}){leak_grammar.WHICH}\s+(?:is|are){leak_grammar.ADVERB}\s+(?:closed(?!-)|terminated|{leak_grammar.HELD})",
        rf"\b(?:study|trial|accrual|enrol+ment|recruitment)\s+(?:{leak_grammar.STOPPED})\s+(?:early|prematurely"
        r"|due\s+to|because|by\s+(?:the\s+)?(?:sponsor|fda|i?d?smb|dmc|irb|investigator|pi|company)"
        r"|(?:prior\s+to|before)\s+(?:any\s+)?(?:enrol|accru|recruit|patient|subject|start|open)\w*"
        r"|accrual|enrol+ment|recruitment|on\s+the\s+advice)\b",
        rf"\b(?:{leak_grammar.NOUN}|{leak_grammar.PART}){leak_grammar.WHICH}\s+(?:closed|halted|stopped"
        r"|ended|terminated|suspended)\s+(?:early|prematurely)\b",
        r"\b(?:due\s+to|because\s+of|led\s+to|resulted\s+in|recommended)\s+(?:the\s+|an?\s+)?"
        r"(?:early|premature)\s+(?:study\s+|trial\s+)?"
        r"(?:termination|closure|discontinuation)\b",
        rf"\b{leak_grammar.STOPPED}\b[^.;]{{0,60}}?\b(?:due\s+to|because\s+of|for|owing\s+to)\s+(?:the\s+)?"
        rf"{leak_grammar.FEW}\s+(?:patient\s+|study\s+)?"
        r"(?:accrual|enrol+ment|recruitment|recruiting|funding|funds|sponsor|financial\s+support)\b",
        rf"\b{leak_grammar.PART}\s+(?:\w+\s+)?(?:now\s+)?(?:closed(?!-)|dropped|discontinued)\s*(?:[])]|$)",
        near=r"\b(?:was|were|has|have|had|been|is|are|now|also|then|already|stud(?:y|ies)|trials?"
        r"|early|all|arms?|accrual|enrol+ment|recruitment|being|\w+ly|soon|group|stratum|cohort"
        r"|[a-z]|i{1,3}|iv|\d+|hold|got|ment|accrual|funding|protocol)\s+"
        r"(?:terminated|withdrawn|suspended|stopped|halted|discontinued|cancel+ed|closed|ended"
        r"|ceased|abandoned|aborted|dropped|inactivated|placed|put|on)\b"
        r"|(?:early|premature|trial|study)\s+terminat|(?:ed|led|wn|off|ate)\s+(?:\w+\s+)?(?:for|due|because|owing|to)\b"
        r"|prematurely",
        veto=f"{leak_grammar.PLAN}|{leak_grammar.OTHER}|{leak_grammar.PERSON}",
        elsewhere=r"^\W*(?:if|should|in\s+the\s+event|when(?:ever)?|once)\b",
    ),
    _rule(
        "says that enrolment is closed",
        ("closed", "completed", "stopped", "no longer", "discontinued"),
        r"\bclosed\s+(?:to|for)\s+(?:further\s+|new\s+|all\s+|any\s+|adult\s+|\w+\s+)?"
        r"(?:accrual|enrol+\w*|recruitment|entry|patients?|participants|subjects)\b",
        rf"\b(?:closed|completed|stopped|discontinued)\s+(?:as\s+of|effective|since)\s+{leak_grammar.DATE}",
        rf"\bclosed\s+(?:on\s+|in\s+)?{leak_grammar.DAY}",
        rf"\b(?:arms?|strat(?:um|a)|group|part|cohort|level|regimen)\s+(?:\w+\s+)?"
        rf"(?:was\s+|were\s+)?closed\s+(?:on|in|by)\s+(?:the\s+dsmb|{leak_grammar.DATE})",
        r"^\W*(?:now\s+|study\s+|trial\s+)?closed\W*$",
        r"\bno\s+longer\s+(?:recruiting|enrol+ing|accruing|accepting\s+(?:new\s+)?(?:patients"
        r"|participants|subjects)|open\s+(?:to|for)\s+(?:accrual|enrol|recruit|new|patient|entry))",
        r"\b(?:study|trial|arm|ind|(?:study\s+|investigational\s+)(?:drug|product|agent|device)"
        r"|compound|expanded\s+access)\s+(?:is|are|was|were)\s+no\s+longer\s+(?:available|active"
        r"|ongoing|open|being\s+(?:studied|developed|conducted|supplied|manufactured))",
        r"\b(?:the|this)\s+(?:\w+\s+)?(?:drug|agent|device|product|compound|vaccine)\s+(?:is|was)\s+no"
        r"\s+longer\s+(?:available|manufactured|produced|supplied)\b",
        r"\bno\s+longer\s+eligible\s+for\s+(?:the|this)\s+(?:study|trial)\b",
        near=r"closed\s+(?:\w+\s+)?(?:to|for|as\s+of|effective|since|on|in|by|\d)"
        r"|(?:completed|stopped|discontinued)\s+(?:as\s+of|effective|since)"
        r"|closed\s+(?:\d|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
        r"|\W(?:now\s|study\s|trial\s)?closed\W*(?:$|\W\n)|[\[(]closed|no\s+longer",
        veto=r"\b(?:if|once|when|until|unless|will|would|to\s+be|being|may\s+be|should|must|who"
        rf"|(?:patients?|subjects?|participants?)\s+(?:are|is)\s+{leak_grammar.START})\b",
    ),
    _rule(
        "says that the trial has ended",
        ("completed", " ended", "concluded", "finished", "terminated", "ment is complete",
         "ment was complete", "accrual is complete", "accrual was complete", "study is complete",
         "trial is complete", "now complete", "completion date listed", "recruited from",
         "recruited between",
         "enrolled from", "enrolled between", "conducted from", "conducted between",
         "carried out from", "carried out between", "took place", "occurred from",
         "occurred between", "enrolled by", "recruited by", "randomized by", "randomised by",
         "completed due", "completed because", "performed due", "performed because",
         "collected due", "collected because"),
        # The registry's own note under records that were entered after the study.
        r"\bstudy\s+completion\s+date\s+listed\s+in\s+this\s+record\b",
        rf"\b(?:{leak_grammar.NOUN}|{leak_grammar.NOUNS}|data\s+analysis|phase|patients?\s+entry|treatment\s+trial)\b"
        rf"[^.;]{{0,60}}?\b(?:ended|concluded|completed|finished|terminated)\b[^.;]{{0,25}}?"
        rf"\b(?:(?:in|on|as\s+of|by|since|effective|about),?\s+{leak_grammar.DATE}|(?<=ended\s){leak_grammar.DAY})",
        rf"\b(?:{leak_grammar.NOUN}|data\s+analysis){leak_grammar.WHICH}\s+(?:has|had){leak_grammar.ADVERB}\s+(?:completed"
        r"|concluded(?!\s+that)|ended|finished)\b",
        rf"\b(?:{leak_grammar.NOUNS}){leak_grammar.WHICH}\s+(?:have|had){leak_grammar.ADVERB}\s+(?:completed|ended|finished)\b",
        r"^\W*(?:(?:this|the)\s+)?(?:study|trial)\s+(?:now\s+)?(?:completed|finished|concluded)\W*$",
        rf"\b(?:study|trial|protocol)\s+(?:was|is){leak_grammar.ADVERB}\s+(?:completed?|concluded|finished)\b"
        r"(?!\s+(?:within|before|prior|by|after|at|on))",
        r"\b(?:has|have|was|is)\s+(?:been\s+)?complete[d]?\s+(?:the\s+)?"
        r"(?:accrual|enrol+ment|recruitment)\b",
        rf"\b(?:accrual|enrol+ment|recruitment){leak_grammar.WHICH}\s+(?:is|was|were){leak_grammar.ADVERB}\s+complete[d]?\b"
        r"(?!\s+(?:within|before|prior))",
        r"\bstudy\s+treatment\s+for\s+[^.;]{0,40}?\bhas\s+been\s+completed\b",
        rf"\b(?:trial|intervention|study)\s+(?:ended|terminated|concluded)\s+(?:about\s+)?(?:{leak_grammar.DATE}"
        r"|(?:\w+\s+){1,3}(?:later|early|ahead))",
        rf"\b(?:(?:(?:patients|subjects|participants)\s+)?(?:was|were)\s+(?:conducted|carried\s+out|enrol+ed|recruited)|took\s+place)\b[^.;]{{0,80}}?\b(?:from|between)\s+"
        rf"{leak_grammar.DATE}[^.;]{{0,20}}?\b(?:to|and|through|until)\s+{leak_grammar.DATE}",
        r"\b(?:enrol+ment|accrual|recruitment|randomi[sz]ation|data\s+collection)\b[^.;]{0,60}?"
        rf"\boccurred\s+(?:from|between)\s+{leak_grammar.DATE}",
        rf"\ball\s+(?:\w+\s+)?{leak_grammar.PEOPLE}\s+(?:were|have\s+been|had\s+been)\s+(?:enrol+ed|recruited"
        rf"|randomi[sz]ed)\s+by\s+{leak_grammar.DATE}",
        r"\b(?:was|were)\s+not\s+(?:completed|performed|collected)\s+(?:due\s+to|because\s+of)\s+(?:the\s+)?"
        rf"(?:covid|pandemic|(?:early\s+)?(?:study|trial)|early|{leak_grammar.FEW}\s+(?:accrual|enrol|recruit|fund))",
        near=r"(?:completed|\bended|concluded|finished|terminated)\W{1,2}(?:\w+ )?(?:in|on|as|by"
        r"|since|effective|accrual|enrol|recruit|follow|jan|feb|mar|apr|may|jun|jul|aug|sep"
        r"|oct|nov|dec|from|about)|(?:trial|intervention|study) (?:ended|termina|conclu)"
        r"|(?:has|have|had|now|already|was|were|is|ment|up|accrual|been|soon|study|trial|\w+ly) "
        r"(?:completed?|concluded|ended|finished)|(?:from|between|took place)|date listed|ed by "
        r"|not \w+ (?:due|because)",
        veto=f"{leak_grammar.PLAN}|{leak_grammar.OTHER}|{leak_grammar.PERSON}|"
        rf"\b(?:after|before|following|upon|while|by\s+the\s+time)\s+(?:[\w-]+\s+){{0,4}}{leak_grammar.START}",
    ),
    _rule(
        "says that the trial never began",
        ("never start", "never open", "never init", "never beg", "never activ", "never enrol",
         "never recruit", "never commenc", "never been", "never conduct", "never fund",
         "zero patients", "zero subjects", "zero participants", "no patients", "no subjects",
         "no participants", "no pts", "no volunteers", "did not open", "did not start",
         "not started", "not opened", "not initiated", "not activated"),
        r"\b(?:study|trial|arm|enrol+ment|recruitment|protocol)\s+(?:was\s+|were\s+|has\s+|had\s+)*"
        r"(?:never|not)\s+(?:been\s+)?(?:started|opened|initiated|began|begun|activated|enrol+ed"
        r"|recruited|commenced|conducted|funded)\b",
        r"\b(?:study|trial)\s+(?:never|did\s+not)\s+(?:start|open|begin|enrol+|recruit)\w*\b",
        r"\b(?:zero|no)\s+(?:patients?|pts|subjects?|participants?|volunteers?)\s+(?:were\s+|was\s+"
        r"|have\s+|has\s+|had\s+|been\s+|ever\s+)*(?:accrued|enrol+ed|recruited|randomi[sz]ed"
        r"|entered)\b",
        near=r"never|not |(?:no|zero) \w+ (?:w|ha|ever|been|accr|enr|rec|ran|ent)",
        veto=leak_grammar.PLAN,
    ),
    _rule(
        "tells how many took part",
        ("were enrol", "were recruit", "were random", "were screen", "were accru", "were assign",
         "were alloc", "were includ", "were entered", "were treat", "were select", "were studied",
         "were follow", "were evalua", "were analy", "were prospect", "were divided",
         "were ultim", "were sequential", "were instead", "were initially", "were registered",
         "was assign", "was select", "was recruit", "was random", "been enrol", "been accru",
         "been recruit", "been random", "been screen", "been registered", "there were",
         "completed the", "completed this", "completed treat", "completed follow",
         "completed their", "enrolled before", "enrolled over", "enrolled during", "actual)",
         "actual enrol", "actual accrual", "final enrol", "final accrual", "final sample",
         *(f"{who} {verb}" for who in ("study", "trial", "we", "they", "that", "which", "has",
                                       "have", "tors", "rchers", "centers", "centres", "sites")
           for verb in ("enrolled", "recruited", "accrued", "randomi", "screened", "included"))),
        rf"{leak_grammar.MANY}\s+{leak_grammar.BETWEEN}{{0,9}}?(?:was|were|has\s+been|have\s+been|had\s+been)\s+"
        rf"(?:\w+ly\s+|also\s+|then\s+|instead\s+)*{leak_grammar.ENROLLED}\b",
        *(
            rf"{count}{leak_grammar.PEOPLE}\s+{leak_grammar.BETWEEN}{{0,7}}?"
            r"(?:was|were|has\s+been|have\s+been|had\s+been)\s+(?:\w+ly\s+|also\s+|then\s+)*"
            rf"(?:{leak_grammar.TREATED}|{leak_grammar.ENROLLED})\b"
            for count in (
                rf"{leak_grammar.MANY}\s+{leak_grammar.BETWEEN}{{0,5}}?",
                rf"{leak_grammar.NUMBER}\s+(?:(?!(?:of|in|by|from|for|at|to)\b)[\w-]+\s+){{0,4}}?",
            )
        ),
        rf"\b(?:study|trial|we|they|that|which|investigators|researchers|cent(?:er|re)s|sites|study\s+group)\s+"
        rf"(?:have\s+|has\s+)?(?:enrol+ed|recruited|accrued|randomi[sz]ed|screened|included|followed)\s+"
        rf"(?:a\s+total\s+of\s+|about\s+|approximately\s+|over\s+)?{leak_grammar.NUMBER}\s+{leak_grammar.BETWEEN}{{0,6}}?{leak_grammar.PEOPLE}\b",
        rf"\btotal\s+of\s+{leak_grammar.NUMBER}\s+(?:was|were)\s+(?:{leak_grammar.TREATED}|{leak_grammar.ENROLLED})\b",
        rf"{leak_grammar.NUMBER}\s+(?:{leak_grammar.BETWEEN}{{0,3}}?{leak_grammar.PEOPLE}\s+)?(?:have\s+|had\s+)?completed\s+(?:the\s+"
        r"|this\s+|their\s+)?(?:\w+\s+)?(?:study|trial|treatment|follow-?up|protocol)\b",
        rf"{leak_grammar.NUMBER}\s+(?:[\w-]+\s+){{0,3}}?{leak_grammar.PEOPLE}\s+enrol+ed\s+(?:before|over|during)\b",
        r"\b(?:actual|final)\s+(?:study\s+)?(?:enrol+ment|accrual|recruitment|sample\s+size)\s*(?:was|:|="
        r"|is)\s*\w",
        r"\b(?:enrol+ment|accrual)\W{1,3}\d+\s*\(?actual\b",
        rf"\bthere\s+were\s+{leak_grammar.NUMBER}\s+{leak_grammar.BETWEEN}{{0,3}}?{leak_grammar.PEOPLE}\s+(?:\w+ly\s+)?{leak_grammar.ENROLLED}\b",
        veto=rf"{leak_grammar.PLAN}|\b(?:aged?|ages|than|least|to|between|stage|grade|phase|type|days?|weeks?|level"
        rf"|actg|first|every|each|next|last|only\s+the|after|of\s+up\s+to|(?:study|trial|protocol)(?=\s+{leak_grammar.START}\d)"
        rf"|between\s+[\d,]+\s+and|\d,?\s+and)\s+{leak_grammar.START}"
        rf"|\b(?:in|since|by|before|during|until|{leak_grammar.MONTH}|of)\s+{leak_grammar.START}(?:19|20)\d\d\b"
        rf"|\b(?:previous|prior|earlier|pilot|original|another|other)\s+(?:[\w-]+\s+){{0,3}}?"
        r"(?:stud(?:y|ies)|trials?|surveys?|protocols?)\b",
        elsewhere=r"\bplanned\s+to\b|\bet\s+al\b|\[\d+\]",
    ),
    _rule(
        "tells results of the trial",
        ("results", "findings", "conclusion:", "conclusions:", "showed", "demonstrated", "interim",
         "manuscript", "published"),
        r"\b(?:results?|findings|data)\s+(?:of|from)\s+(?:this|the|our)\s+(?:present\s+|current\s+)?"
        r"(?:study|trial)\b[^.;]{0,60}?\b(?:show(?:ed|n)?|demonstrated?|suggest(?:ed)?"
        r"|indicated?|reveal(?:ed)?|produced|reported|published)\b",
        r"\b(?:this|our|the)\s+(?:present\s+|current\s+)?(?:study|trial|protocol)\s+"
        r"(?:has\s+|have\s+|also\s+|already\s+|clearly\s+)*"
        r"(?:showed|shown|demonstrated|confirmed|revealed|indicated|failed\s+to)\b",
        r"\b(?:study|trial)\s+(?:\d|i{1,3})\s+(?:showed|demonstrated|confirmed|failed\s+to)\b",
        r"\bstudy\s+results\s+(?:have\s+)?(?:showed|shown|demonstrated?|indicated?|suggest(?:ed)?)\b",
        r"\b(?:the|our)\s+(?:[\w-]+\s+)?(?:results|findings)\s+(?:\w+ly\s+)?(?:demonstrate[ds]?"
        r"|show(?:ed|s)?|indicated|revealed|confirm(?:ed|s)?)\b",
        r"\binterim\s+(?:\w+\s+)?(?:analys[ie]s|results?|data)\b[^.;]{0,30}?\b"
        r"(?:showed|shown|demonstrated|revealed|indicated|suggested|determined)\b",
        r"\b(?:main|primary|final|trial|study)\s+(?:\w+\s+)?results\b[^.;]{0,30}?"
        r"\b(?:published|reported|unblinded)\b",
        r"\bresults\s+(?:of\s+[^.;]{0,60}?\s)?(?:were|have\s+been|are)\s+(?:now\s+|already\s+|first\s+)?"
        r"(?:published\b|unblinded\b|(?:reported|presented)\s+(?:in|at)\s+(?:the\s+)?(?:(?:19|20)\d\d"
        r"|annual|american|european|congress|asco|ash|meeting))",
        r"\b(?:manuscript|main\s+paper|article)\s+(?:was|has\s+been)\s+published\b",
        r"\ba\s+paper\s+has\s+been\s+published\b",
        r"\bno\s+results\s+(?:were|are)\s+(?:reported|available)\b",
        r"^\W*(?:results|findings|conclusions?)\s*:\s+\S.*?\b(?:was|were|had|have|has|did|do|does"
        r"|seems?|is|are)\b",
        near=r"(?:results|findings) (?:of|from) (?:this|the|our) (?:pres|curr|stud|tria)"
        r"|results (?:of .{0,12})?(?:were|have|are) |(?:results|findings)(?: \w+ly)? "
        r"(?:demo|show|indi|reve|conf)|(?:no|main|primary|final|study|trial) (?:\w+ )?results "
        r"|(?:study|trial|protocol)(?: \w+){0,2} (?:showed|demonstrated)"
        r"|interim (?:\w+ )?(?:analys|result|data).{0,16}"
        r"|(?:^|\n|[.;] )\W*(?:results|findings|conclusions?):|manuscript"
        r"|(?:have|were|are|was|been|already) published",
        veto=f"{leak_grammar.PLAN}|{leak_grammar.OTHER}|"
        + r"\b(?:these|animal|laboratory|test|scan|biopsy)\s+results\b",
        elsewhere=leak_grammar.OTHER_STUDY,
    ),
    _rule(
        "tells results of the trial",
        ("p<", "p <", "p=", "p =", "p≤", "hazard ratio", "95%", "95 %", "we found", "we conclu",
         "no significant diff", "no difference", "no statistically", "similar in ",
         "similar between", "comparable in ", "comparable between", "did not improve",
         "did not reduce", "did not prolong", "did not differ", "in this study w",
         "in this trial w", "in this study, ", "in this trial ", "in this trial, ",
         "tolerated in this", "effective in this", "safe in this", "more than placebo",
         "benefit was ", "not analyzed", "not analysed", "not used or analy"),
        r"\b(?:was|were|had|has|did|showed|reduced|improved|increased|decreased|lowered|differed|died"
        r"|occurred|declined|achieved|experienced|found|indicated|revealed|prolonged|exceeded"
        r"|resulted)\b[^;]{0,200}?(?:\bp\s?[<=≤]\s?0?[.,]\d|\b95\s?%\s?(?:ci\b"
        r"|confidence)|\bhazard\s+ratio\b[^.;]{0,30}?\d)",
        r"\bhazard\s+ratio\s+(?:for\s+[^.;]{0,60}?\s)?(?:was|of)\s+\d",
        r"\b(?:estimate|probability)\b[^;]{0,120}?\bis\s+0?\.\d+\W{1,3}\s?95\s?%\s+(?:ci|confidence)",
        r"\bwe\s+(?:have\s+)?(?:found|conclude[d]?)\s+that\b[^.;]{0,80}?\b(?:was|were|had|did|reduced"
        r"|improved|increased|decreased)\b",
        r"\bdid\s+not\s+(?:\w+ly\s+)?(?:improve|reduce|increase|prolong|differ)\b[^.;]{0,80}?\b(?:compared"
        r"\s+(?:with|to)|than|versus|from)\s+(?:placebo|controls?|standard|usual|the\s+control)\b",
        r"\bsignificantly\s+(?:more|less|better)\s+than\s+placebo\b",
        r"\b(?:data|patients|participants)\s+(?:was|were)\s+not\s+(?:used\s+or\s+)?analy[sz]ed\b",
        r"\bno\s+(?:[\w-]+\s+)?benefit\s+was\s+(?:seen|observed|found|shown)\b",
        r"\bin\s+this\s+(?:study|trial),?\s+(?:[^.;]{0,60}?\s)?(?:was|were)\s+(?:shown|found\s+to|superior"
        r"|inferior|safe\b|effective|well\s+tolerated|significantly|\d+(?:\.\d+)?\s?%)",
        r"\b(?:was|were)\s+(?:[\w-]+\s+){0,4}?(?:safe|effective|tolerated|superior)\s+in\s+this\s+(?:study"
        r"|trial)\b",
        r"\b(?:there\s+(?:was|were)|we\s+(?:observed|found|saw|noted))\s+no\s+(?:statistically\s+)?(?:significant\s+)?differences?\b"
        r"[^.;]{0,90}?\b(?:groups?|arms?|treatments?|placebo)\b",
        r"\b(?:was|were)\s+(?:similar|comparable)\s+(?:in|between|among)\s+(?:the\s+)?(?:two|both|three"
        r"|four|treatment|study)\s+(?:treatment\s+|study\s+)?(?:groups|arms)\b",
        veto=r"\b(?:if|whether)\b",
        elsewhere=f"{leak_grammar.STATISTICS}|{leak_grammar.OTHER_STUDY}",
    ),
    _rule(
        "tells whether the trial met its aim",
        ("futility", "primary end", "bjectives w", "goal was", "goal met", "goal has", "goals w",
         "goal not", "target of", "target was", "been met", "met its", "met the", "met all",
         "met both", "achieved its", "reached its"),
        r"\b(?:met|crossed)\s+the\s+(?:\w+\s+)?(?:futility|stopping)\b",
        r"\b(?:due\s+to|because\s+of|for)\s+(?:statistical\s+)?futility\b",
        r"\b(?:accrual|enrol+ment|recruitment|sample\s+size)\s+(?:goal|target|objective)s?\s+(?:was\s+"
        r"|were\s+|has\s+been\s+)?(?:not\s+)?(?:met|reached|achieved)\b",
        rf"\btarget\s+of\s+\d+\s+{leak_grammar.PEOPLE}\s+was\s+(?:not\s+|never\s+)?(?:met|reached|achieved)\b",
        r"\b(?:accrual|enrol+ment|recruitment)\s+has\s+been\s+met\b",
        r"\b(?:stud(?:y|ies)|trial|it)\s+(?:\w+\s+)?(?:did\s+not|failed\s+to)\s+(?:meet|reach|achieve)"
        r"\s+(?:its|the|their|any)\b[^.;]{0,40}?\b(?:end\s?-?points?|objectives?|outcomes?|target)",
        r"\b(?:did\s+not|failed\s+to)\s+(?:meet|reach|achieve)\s+(?:its|their)\s+(?:[\w-]+\s+){0,3}"
        r"(?:end\s?-?points?|objectives?|outcomes?)\b",
        r"\b(?:study|trial|primary|secondary)\s+(?:end\s?-?points?|objectives?|outcomes?)\s+"
        r"(?:was|were|has\s+been|have\s+been)\s+(?:not\s+)?(?:met|achieved|reached)\b",
        r"\b(?:the|this|our)\s+(?:study|trial)\s+(?:has\s+)?(?:\w+ly\s+)?(?:met|achieved|reached)\s+"
        r"(?:its|the|all|both)\s+(?:[\w-]+\s+){0,3}(?:end\s?-?points?|objectives?|outcomes?)\b",
        near=r"futility|objectives w|goal|target|been met|primary end\S*(?: \S+)? (?:was|were|has"
        r"|have)|(?:meet|reach|achieve|met|reached|achieved) (?:its|the|their|any|all|both) ",
    ),
    _rule(
        "tells what a monitoring board or the sponsor decided",
        ("terminat", "withdrawn", "recommended", "stopped", "halted", "discontinu", "closed",
         "suspend", "decided to", "decided not", "decision to", "decision was", "elected to",
         "had to close", "had to stop", "had to end",
         "chose to", "opted to"),
        r"\b(?:dsmb|i?dmc|dsmc|monitoring\s+(?:board|committee)|steering\s+committee|sponsor|company"
        r"|manufacturer|funder|safety\s+board|fda|irb|board)\b"
        r"[^.;]{0,40}?\b(?:recommended|decided|elected|directed|chose|opted|stopped|terminated"
        r"|discontinued|withdrew|halted|suspended|closed)\b[^.;]{0,60}?\b"
        r"(?:stop\w*|terminat\w*|clos\w+|discontinu\w*|halt\w*|suspen\w+|study|trial|arm|early"
        r"|ind|development)\b",
        r"\b(?:decided|elected|decision\s+(?:was\s+)?(?:made|taken)|decision)\s+(?:not\s+)?to\s+(?:\w+\s+)?"
        r"(?:discontinue|stop|terminate|close|end|withdraw|halt|cancel|abandon|suspend|proceed|pursue)"
        r"\b[^.;]{0,60}?\b(?:study|trial|development|enrol+ment|accrual|recruitment|follow-?\s?up"
        r"|program(?:me)?|arm)\b",
        r"\b(?:has\s+|have\s+)?(?:terminated|discontinued|stopped|halted|suspended)\s+(?:(?:its|the|all|further)\s+)?"
        r"(?:[\w.-]+\s+){0,2}development\s+(?:of|for)\b",
        r"\b(?:we|investigators?|sponsor|fda|pi|company)\s+(?:\w+\s+)?(?:had\s+to\s+|have\s+|then\s+)?"
        r"(?:stop(?:ped)?|closed?|terminated?|halt(?:ed)?|ended|suspend(?:ed)?|discontinued?|cancel+ed)"
        r"\s+(?:the|this|our)\s+(?:study|trial|enrol+ment|accrual|recruitment)\b",
        near=r"be (?:stopped|terminated|discontinued|halted|suspended|closed)|had to"
        r"|(?:terminated|discontinued|stopped|halted|suspended) (?:the|this|its|all|further|clinic"
        r"|develop)|decided|decision|elected|chose|opted"
        r"|(?:stopped|discontinued|halted|suspended|closed|withdrawn) "
        r"(?:the|this|\w+ (?:phase|arm|early))"
        r"|(?:dsmb|dsmc|dmc|board|committee|sponsor|company|fda|irb)\W+(?:\w+ )?recommended ",
        veto=r"\b(?:if|unless|until|once|whether|will|would|may|can|could|should\s+the|reserves)\b"
        rf"|\b(?:patients?|subjects?|participants?|women|men|who|they|parents?)\s+(?:\w+\s+)?{leak_grammar.START}",
    ),
    _rule(
        STATED,
        (*(f"status{joint}{word}" for joint in (": ", ":", " - ", " is ", " was ", "= ", "=")
           for word in ("termin", "withdr", "suspen", "complet", "closed", "discont", "halted",
                        "stopped", "no longer", "recruit", "not yet", "active")),
         "why stopped", "why study stopped", "why_stop", "why the study stop"),
        r"(?:^\W*|[.;]\s+|\b(?:study|trial|overall|recruitment|protocol|enrol+ment|current)\s+)"
        r"status\W{1,3}(?:is\s+|was\s+)?(?:terminated|withdrawn|suspended|completed|closed"
        r"|discontinued|halted|stopped|no\s+longer|recruiting|not\s+yet\s+recruiting"
        r"|active,?\s+not)\b",
        r"\bwhy[\s_](?:study\s+|the\s+study\s+)?stop(?:ped)?\b",
        veto=r"\b(?:if|when|once)\b",
    ),
)  # fmt: skip
