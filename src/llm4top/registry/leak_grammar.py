"""The words of the leak guard's grammar, as parts of patterns for text in lower case."""

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
