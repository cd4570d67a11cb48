"""The therapeutic area of a trial: the chapter of the ICD-10 that its conditions belong to.

Source of the chapters: World Health Organization, ICD-10, version 2019.
"""

import re
from bisect import bisect_right
from collections import Counter

from llm4top.registry.trial import Trial

UNKNOWN_AREA = "unknown"

_CHAPTERS: tuple[tuple[str, str], ...] = (
    ("A00", "infections (A-B)"),
    ("C00", "neoplasms (C00-D48)"),
    ("D50", "blood and immune mechanism (D50-D89)"),
    ("E00", "endocrine, nutritional, metabolic (E)"),
    ("F00", "mental and behavioural (F)"),
    ("G00", "nervous system (G)"),
    ("H00", "eye (H00-H59)"),
    ("H60", "ear (H60-H95)"),
    ("I00", "circulatory system (I)"),
    ("J00", "respiratory system (J)"),
    ("K00", "digestive system (K)"),
    ("L00", "skin (L)"),
    ("M00", "musculoskeletal system (M)"),
    ("N00", "genitourinary system (N)"),
    ("O00", "pregnancy and childbirth (O)"),
    ("P00", "perinatal period (P)"),
    ("Q00", "congenital malformations (Q)"),
    ("R00", "symptoms and findings (R)"),
    ("S00", "injury and poisoning (S-T)"),
    ("U00", "special purposes (U)"),
    ("V01", "external causes (V-Y)"),
    ("Z00", "contact with health services (Z)"),
)
"""The first code of each chapter, and how a table calls it."""

_STARTS = [start for start, _ in _CHAPTERS]
_NAMES = dict(_CHAPTERS)
_CODE = re.compile(r"\s*([A-Z]\d[0-9A-Z])")

# Stems of common condition names, for records without codes. What names an organ and a tumour is
# a tumour, as in the ICD, so neoplasms come first; infections of an organ come before the organ,
# and the eye before what else its diseases are named by (vessels, diabetes). Stems begin at a word
# where another word holds them: "adrenal" is not "renal", nor "heartburn" a burn or the heart.
_STEMS: tuple[tuple[str, str], ...] = (
    (
        "C00",
        r"cancer|carcinoma|neoplas|tumou?rs?\b|leuka?emi|lymphom|melanom|myelom|sarcom|gliom"
        r"|glioblastom|blastoma|adenoma\b|metasta|malignan|myelodysplas",
    ),
    (
        "A00",
        r"infecti|hiv\b|aids\b|hepatitis [bc]\b|malaria|tubercul|influenza|sepsis|septic|candid"
        r"|herpes|virus|viral|bacter|fung|parasit|helminth",
    ),
    (
        "H00",
        r"macular? (?:degen|o?edema|hole)|maculopath|glaucoma|\bretin[ao]|\bretinitis|cataract"
        r"|ocular|\bocul|ophthalm|\beyes?\b|choroid|vitre|cornea|keratoconus|keratitis|optic n"
        r"|uveitis|conjunctiv|blephar|amblyop|strabism|myopia",
    ),
    ("O00", r"pregnan|preeclamp|pre-eclamp|labou?r\b|postpartum|childbirth|caesarean|cesarean"),
    ("P00", r"premature birth|preterm infant|neonat|newborn"),
    ("D50", r"ana?emi|ha?emophil|thrombocytop|neutropeni|sickle|thalassa?emi"),
    (
        "E00",
        r"diabet|obes|insulin|thyroid|cholesterol|lipid|metabolic|growth hormone|cystic fibrosis"
        r"|gaucher|malnutrition|vitamin|adrenal|pituitar|acromegal|polycystic ovar",
    ),
    (
        "F00",
        r"depress|schizo|bipolar|anxiety|autis|alcohol|cocaine|opioid|smok|addict|dementia|psycho"
        r"|attention deficit|post-?traumatic|obsessive",
    ),
    (
        "G00",
        r"alzheimer|parkinson|multiple sclerosis|epilep|seizure|migraine|neuropath|huntington"
        r"|amyotrophic|insomnia|sleep|muscular dystroph",
    ),
    ("H60", r"otitis|hearing|tinnitus"),
    (
        "I00",
        r"hypertens|\bheart(?!burn)|cardi|coronar|myocard|stroke|atrial|thrombo|embol|arter|angina"
        r"|(?<!neo)vascul|atheroscl",
    ),
    ("J00", r"asthma|copd|pulmonary|respirat|rhinit|pneumon|bronch|lung"),
    (
        "K00",
        r"crohn|colitis|bowel|gastr|reflux|heartburn|ulcer|hepat|cirrhos|liver|pancrea|dental|periodont"
        r"|constipat|celiac",
    ),
    ("L00", r"psoria|dermat|eczema|acne|urticaria|rosacea|alopecia|pemphig|skin"),
    ("M00", r"arthrit|osteop|lupus|spondyl|fibromyalg|gout|back pain|osteoarthr|scleroderma"),
    (
        "N00",
        r"kidney|\brenal|nephr|prostat|bladder|urinar|endometrio|menopaus|erectile|infertil|ovar"
        r"|vagin",
    ),
    (
        "Q00",
        r"congenital|down syndrome|cleft|chromosom|trisomy|prader|turner syndrome|fragile x|marfan"
        r"|noonan|phelan|spina bifida",
    ),
    ("S00", r"injur|trauma|\bburns?\b|fractur|wound|poison|overdose|transplant|graft"),
    ("R00", r"\bpain\b|nausea|vomit|fever|fatigue|cough"),
)
_PATTERNS = tuple((start, re.compile(stems)) for start, stems in _STEMS)


def therapeutic_area(trial: Trial) -> str:
    """The chapter that most of a trial's ICD-10 codes are in; of equals the one named first.

    A trial without codes is placed by its conditions (MeSH terms, else conditions, else keywords),
    each by common word stems: coarse, and "unknown" where no stem is met.
    """
    starts = _starts(trial)
    return _NAMES[Counter(starts).most_common(1)[0][0]] if starts else UNKNOWN_AREA


CHAPTERS: tuple[str, ...] = tuple(_NAMES.values())
"""Every chapter, in the order of the ICD-10."""


def condition_chapters(trial: Trial) -> set[str]:
    """The chapters of a trial's ICD-10 codes, or of its conditions where it has no codes.

    Conditions are placed as ``therapeutic_area`` does it.
    """
    return {_NAMES[start] for start in _starts(trial)}


def _starts(trial: Trial) -> list[str]:
    """The first code of the chapter of each code, else of each condition that can be placed."""
    starts = [start for code in trial.icd_codes if (start := _chapter_of(code))]
    if starts:
        return starts
    terms = trial.condition_mesh or trial.conditions or trial.keywords
    return [start for term in terms if (start := _chapter_of_term(term))]


def _chapter_of(code: str) -> str | None:
    """The first code of the chapter that holds a code; None for what is no code."""
    match = _CODE.match(code.upper())
    if match is None:
        return None
    position = bisect_right(_STARTS, match[1]) - 1
    return _STARTS[position] if position >= 0 else None


def _chapter_of_term(term: str) -> str | None:
    text = term.casefold()
    return next((start for start, stems in _PATTERNS if stems.search(text)), None)
