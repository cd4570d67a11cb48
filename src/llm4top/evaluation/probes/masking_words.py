"""Words that tell a name from an ordinary phrase, in names of drugs and organisations."""

from __future__ import annotations

import re
from collections.abc import Iterator

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


COMMON = frozenset(
    """
    a an the and or no not none other any all each per as to of in on at by for from with without
    placebo placebos control controls comparator comparators active inactive matching matched match
    dummy sham vehicle blank mimic saline water sugar pill pills study test reference standard care
    soc usual routine conventional best supportive background rescue medication medications
    medicine medicines drug drugs agent agents product products investigational experimental
    intervention interventions treatment treatments therapy therapies therapeutic therapeutics
    regimen regimens chemotherapy chemoradiotherapy chemoradiation radiotherapy radiation
    immunotherapy surgery surgical procedure procedures transplantation vaccine vaccines
    vaccination immunization biological biologically based combination combined concurrent
    sequential adjuvant neoadjuvant maintenance induction consolidation prophylaxis preventive
    prevention management complications adjunctive alternative complementary differentiation
    systemic local standardised standardized observation observational monitoring follow followup
    questionnaire questionnaires administration assessment analysis laboratory biomarker
    quality-of-life quality life examination screening diagnostic education educational counseling
    behavioral behavioural program training session exercise diet dietary supplement
    supplementation waiting waitlist list group groups arm arms cohort cohorts stage part period
    line first second third initial low lower high higher medium mid middle dose doses dosage
    dosing level levels single multiple double triple fixed fixed-dose flexible variable loading
    escalating increasing tapering continuous intermittent once twice thrice two three four times
    daily weekly monthly yearly every day days week weeks month months year years hour hours hourly
    morning evening bedtime night duration following before after during then versus vs bid tid qid
    qd qhs prn oral orally intravenous intravenously iv im sc po subcutaneous intramuscular
    inhalation inhaled inhaler nasal intranasal topical ophthalmic ocular transdermal rectal
    vaginal sublingual intrathecal intravitreal injection injections injectable infusion infusions
    bolus tablet tablets capsule capsules caplet suspension solution solutions syrup cream gel
    ointment lotion patch patches spray drop drops eye powder powders granules film coated release
    extended-release immediate-release sustained-release controlled-release extended immediate
    sustained controlled delayed modified xr er sr mr ir formulation formulations form brand
    generic new old free unspecified recombinant human purified synthetic blood plasma serum cell
    cells device patient patients subject subjects participant participants healthy volunteers
    adult adults child children phase type total body short long term intensive intensity
    normal range same open label blind blinded masked randomized randomised
    registered trademark tm
    mg mcg ug g kg ml l iu unit units mmol meq gy ppm percent mgs
    """.split()  # noqa: SIM905 - two hundred words read better as prose
)
"""Words of no drug's name: an intervention made of them alone ("Placebo", "Usual care") is no
name that could be recalled, and stays."""

SALTS = frozenset(
    """
    hydrochloride dihydrochloride hcl sodium disodium potassium calcium magnesium zinc sulfate
    sulphate bisulfate acetate maleate mesylate mesilate tartrate bitartrate citrate phosphate
    diphosphate succinate fumarate besylate besilate tosylate bromide hydrobromide chloride
    nitrate lactate gluconate pamoate palmitate valerate propionate furoate medoxomil axetil
    dimeglumine meglumine tromethamine olamine trihydrate dihydrate monohydrate hydrate anhydrous
    """.split()  # noqa: SIM905
)
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

ORGANISATION_WORDS = frozenset(
    """
    the of and for de la inc ltd limited llc llp plc gmbh ag sa spa nv bv ab co kg corp corporation
    company companies group holdings international global usa us uk pharmaceutical pharmaceuticals
    pharma laboratories laboratory labs therapeutics biosciences bioscience biotech biotechnology
    biotechnologies biopharma biopharmaceuticals biologics healthcare health medical medicine
    sciences science research development institute institutes institution national federal
    university college school hospital hospitals clinic clinics center centers centre centres
    foundation trust association society council consortium network department ministry
    cooperative oncology cancer study studies trials trial clinical general office
    """.split()  # noqa: SIM905
)
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
