"""The normal form of criteria: what it looks like, and that no layout moves it."""

from __future__ import annotations

import csv
import textwrap
import zipfile
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from llm4top.registry import criteria, criteria_marks
from llm4top.registry.api import read_study
from llm4top.registry.criteria import normal_criteria
from llm4top.registry.limits import Limits
from llm4top.registry.normalize_text import plain
from llm4top.registry.top_csv import read_rows
from llm4top.registry.trial import Trial
from llm4top.registry.xml_record import read_xml
from tests.profiles import examples
from tests.registry.builders import TOP_HEADER, criteria_words, dump, study, top_row, xml

NORMAL = """\
Inclusion Criteria:
- Age of 18 years or older
Gout, defined as:
- Urate > 6 mg/dl
- Tophi
Exclusion Criteria:
- Pregnancy
- Creatinine > 1.5 ULN"""

AS_TYPED = {
    "bullets": NORMAL,
    "single newlines without marks": NORMAL.replace("- ", ""),
    "numbers": """INCLUSION CRITERIA
1. Age of 18 years or older
2. Gout, defined as:
   a) Urate > 6 mg/dl
   b) Tophi
EXCLUSION CRITERIA
1) Pregnancy
2) Creatinine > 1.5 ULN""",
    "brackets, letters and dots": """Inclusion criteria -
(1) Age of 18 years or older
(2) Gout, defined as:
(a) Urate > 6 mg/dl
(b) Tophi
Exclusion:
• Pregnancy
·  Creatinine > 1.5 ULN""",
    "the legacy XML": """
        Inclusion Criteria:\r
\r
          -  Age of 18 years or\r
             older\r
\r
          -  Gout, defined as:\r
\r
               -  Urate > 6 mg/dl\r
\r
               -  Tophi\r
\r
        Exclusion Criteria:\r
\r
          1. Pregnancy\r
\r
          2. Creatinine > 1.5 ULN\r
      """,
    "tabs and letters with points": """\tInclusion Criteria
\tA.\tAge of 18 years or older
\tB.\tGout, defined as:
\t\to Urate > 6 mg/dl
\t\to Tophi

\tExclusion Criteria :
\tA.\tPregnancy
\tB.\tCreatinine > 1.5 ULN""",
    "Roman numbers": """Inclusion Criteria
i. Age of 18 years or older
ii. Gout, defined as:
-Urate > 6 mg/dl
-Tophi
Exclusion Criteria.
(i) Pregnancy
(ii) Creatinine > 1.5 ULN""".replace("i. Age", "i) Age"),
    "carriage returns alone": NORMAL.replace("\n", "\r"),
}


@pytest.mark.parametrize("layout", AS_TYPED)
def test_every_layout_has_one_normal_form(layout):
    assert normal_criteria(AS_TYPED[layout]) == NORMAL


@pytest.mark.parametrize(
    ("pasted", "normal"),
    [
        (
            "Inclusion Criteria: - a - b Exclusion Criteria: 1. c 2. d",
            "Inclusion Criteria:\n- a\n- b\nExclusion Criteria:\n- c\n- d",
        ),
        ("Adults • with gout • without tophi", "- Adults\n- with gout\n- without tophi"),
        ("1) Gout 2) Tophi of grade 3) 3) Pain", "- Gout\n- Tophi of grade 3)\n- Pain"),
        ("One of: 1. fever; 2. cough", "One of:\n- fever;\n- cough"),
        ("One of: 1) fever, or 2) cough", "One of:\n- fever, or\n- cough"),
        ("(a) Gout (b) tophi", "- Gout\n- tophi"),
        (
            "--Disease Characteristics-- Gout --Prior/Concurrent Therapy-- None",
            "Disease Characteristics:\n- Gout\nPrior/Concurrent Therapy:\n- None",
        ),
        ("--Other:-- Gout", "Other:\n- Gout"),
        ("- -- Gout\n---Tophi", "- Gout\n- Tophi"),
        ("Exclusion criteria: pregnancy", "Exclusion Criteria:\n- pregnancy"),
        ("Inclusion Criteria:\n①Adults; ②Gout", "Inclusion Criteria:\n- Adults;\n- Gout"),
        (
            "Inclusion Criteria\n- Written consent. Exclusion Criteria\n- Pregnancy",
            "Inclusion Criteria:\n- Written consent.\nExclusion Criteria:\n- Pregnancy",
        ),
        ("Aged 18 to 30 Exclusion Criteria", "- Aged 18 to 30\nExclusion Criteria:"),
    ],
)
def test_a_list_in_one_line_is_split_where_marks_make_that_safe(pasted, normal):
    assert normal_criteria(pasted) == normal


@pytest.mark.parametrize(
    "line",
    [
        "18 years and older",
        "1.5 ULN of creatinine at most",
        "E. coli in the urine",
        "-2 standard deviations of bone density",
        "Ages 18 - 65 and stage I - III",
        "Meets none of the Exclusion Criteria: see protocol",
        "Is ill as listed in the Exclusion Criteria",
        "Clinical Exclusion Criteria",
        "Fever, (a) above 38 degrees or (b) for a week",
        "Grade 1. 2. or 3 toxicity",
        "o'clock or later",
        "Beck inventory - depression",
        "Type 2 diabetes. Insulin is allowed.",
    ],
)
def test_text_that_looks_like_a_mark_is_text(line):
    assert normal_criteria(line) == "- " + line
    assert normal_criteria(f"* Adults\n* {line}") == f"- Adults\n- {line}"


WRAPPED = """\
Patients must have had no history of an allergy to the invented
medicine or to any other of its class
Volunteers with a history of gout and of kidney stones at the same
time
Adults"""


def test_a_wrap_is_told_from_a_line_that_was_meant():
    assert normal_criteria(WRAPPED) == (
        "- Patients must have had no history of an allergy to the invented medicine or to any "
        "other of its class\n"
        "- Volunteers with a history of gout and of kidney stones at the same time\n"
        "- Adults"
    )


def test_a_number_at_the_head_of_a_wrapped_line_is_no_mark():
    text = "- Adults who were at their first diagnosis with gout older than\n  18. Others may ask."
    assert normal_criteria(text) == "- " + " ".join(text[2:].split())


def test_a_heading_after_a_full_line_stays_one():
    text = "- Adults who have had gout for at least a year and who are not pregnant\nAge:\n- 18"
    assert normal_criteria(text).splitlines()[1:] == ["Age:", "- 18"]


def test_a_wrapped_line_that_happens_to_end_in_a_colon_is_no_heading():
    text = """
        PATIENT CHARACTERISTICS: Age: 18 and over Performance status: Karnofsky 60-100% Life
        expectancy: Not specified Hepatic: Bilirubin no greater than 1.5 times upper limit of normal
        (ULN) and no known liver disease of any other kind (unless it is due to gout) Renal:
        Creatinine no greater than 1.5 mg/dL Other: Not pregnant and not nursing HIV negative

        PRIOR CONCURRENT THERAPY: Biologic therapy: Not specified Chemotherapy: No more than three
        Endocrine therapy: Not specified Radiotherapy: No prior radiotherapy to the brain Surgery:
        Not specified
    """
    first, second = text.strip().split("\n\n")
    assert normal_criteria(text) == f"- {' '.join(first.split())}\n- {' '.join(second.split())}"


@pytest.mark.parametrize("width", range(84, 110))
def test_the_legacy_xml_may_wrap_behind_any_word(width):
    paragraphs = [
        "PATIENT CHARACTERISTICS: Age: 18 and over Performance status: ECOG 0-2 Hematopoietic: WBC "
        "at least 3,500/mm3 (immune to the invented virus; other causes are allowed; none is "
        "needed) Hepatic: Bilirubin no greater than 1.5 times upper limit of normal (ULN) AST and "
        "ALT no greater than 3 times ULN Renal: Creatinine no greater than 1.5 mg/dL Other: No",
        "Adults of any age who have had gout for at least a year before the first visit Exclusion "
        "Criteria:",
        "Pregnancy",
    ]
    indent = " " * 8
    text = "\n\n".join(
        textwrap.fill(paragraph, width, initial_indent=indent, subsequent_indent=indent)
        for paragraph in paragraphs
    )
    assert normal_criteria(text) == (
        f"- {paragraphs[0]}\n- {paragraphs[1].removesuffix(' Exclusion Criteria:')}\n"
        "Exclusion Criteria:\n- Pregnancy"
    )


def test_a_semicolon_ends_a_criterion_that_was_typed_on_its_line():
    typed = "Gout of the foot and of the hand for a year;\nPregnancy in the last two years at all;"
    assert normal_criteria(typed) == "- " + typed.replace("\n", "\n- ")


@pytest.mark.parametrize(
    "heading",
    [
        "[Exclusion Criteria]",
        "[Exclusion criteria]:",
        "<Exclusion>",
        "**Exclusion Criteria**",
        "== EXCLUSION CRITERIA ==",
        "(Exclusion Criteria:)",
        "2.2 Exclusion Criteria",
        "- [Exclusion Criteria]",
    ],
)
def test_a_heading_is_one_whatever_stands_around_it(heading):
    text = f"{heading.replace('Ex', 'In').replace('EX', 'IN')}\n- Gout\n{heading}\n- Pregnancy"
    assert normal_criteria(text) == "Inclusion Criteria:\n- Gout\nExclusion Criteria:\n- Pregnancy"


@pytest.mark.parametrize("text", ["", " \n\t\r\n", "-", "- \n• \n", "\xa0"])
def test_nothing_but_marks_is_none(text):
    assert normal_criteria(text) is None


@examples(300)
@given(st.text(alphabet="ab AB12.)(-*•o:;\n\r\té\xa0①", max_size=80) | st.text(max_size=80))
def test_the_normal_form_is_its_own(text):
    normal = normal_criteria(text)
    if normal is not None:
        assert normal_criteria(str(normal + "\n")) == normal
        assert all(line and line == " ".join(line.split()) for line in normal.split("\n"))


# ---------------------------------------------------------------------------- layouts and readers

# fmt: off
_TYPED = st.lists(
    st.sampled_from([
        "\n", "\r\n", "\n\n", "\r", "\t", "\x1f", " ", "  ", "- ", "-  ", "* ", "• ", "1. ", "2. ",
        "(1)", "(2)", "2) ", "a) ", "(b) ", "B. ", "ii. ", "IV) ", "o ", "--", ":", " \u2013 ",
        ": ", "; ", "Inclusion Criteria:", "EXCLUSION CRITERIA", "exclu\u017fion criteria:", "Age",
        "age over 18", "patients", "\u212aey", "é", "x", "E. coli", "\n          -  ",
        "\n             ",
    ]),
    max_size=16,
).map("".join)
# fmt: on
"""Texts made of what the fast checks look for."""
ANYTHING_IS_FOUND = SimpleNamespace(find_matches_as_indexes=lambda data: [(0, 0, 0)])


@examples(300)
@given(_TYPED)
def test_no_fast_check_changes_what_is_written(text):
    quick = normal_criteria(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(criteria, "_ODD", ANYTHING_IS_FOUND)
        patch.setattr(criteria, "_short_written", criteria._written)
        patch.setattr(criteria_marks, "_is_whole", lambda text: False)
        patch.setattr(criteria_marks, "_BEGINS_NO_SECTION", frozenset())
        patch.setattr(criteria_marks, "_GOES_ON_NO_MARK", frozenset())
        criteria._last[0] = ""
        assert normal_criteria(text) == quick


@examples(300)
@given(_TYPED)
def test_a_line_that_may_be_split_holds_a_sign_a_pair_or_more_than_a_heading(text):
    signs = ("--", ": - ", ": * ", ":- ", ":* ", ": – ")  # noqa: RUF001
    pairs = ((" 2. ", "1. "), (" 2) ", "1) "), ("(2)", "(1)"), ("b) ", "a) "), ("B) ", "A) "))
    headings = text.lower().count("clusion criteri")
    assert criteria_marks.may_hold_several(text) == (
        any(sign in text for sign in signs)
        or any(second in text and first in text for second, first in pairs)
        or criteria_marks._ALWAYS.search(text) is not None
        or (headings > 0 and headings != len(criteria_marks._HEADED.findall(text)))
    )


_FIRST = st.sampled_from(["Adults", "Gout", "Women", "HER2", "No", "ECOG", "Children", "Prior"])
_NEXT = st.sampled_from(
    ["with", "of", "18", "years", "a", "history", ">", "1.5", "mg/dl", "(any)", "II,", "E.", "coli"]
)
_CRITERION = st.tuples(_FIRST, st.lists(_NEXT, min_size=1, max_size=40)).map(
    lambda words: " ".join([words[0], *words[1]])
)
_CRITERIA = st.lists(_CRITERION, min_size=1, max_size=8)
_MARK = st.sampled_from(["-", "*", "•", "·", "–", "o", "#.", "#)", "(#)"])  # noqa: RUF001


def normal_of(*sides: list[str]) -> str:
    lines = []
    for name, side in zip(("Inclusion", "Exclusion"), sides, strict=True):
        lines += [f"{name} Criteria:", *(f"- {criterion}" for criterion in side)]
    return "\n".join(lines)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, str]:
    """The normal form of some criteria, and the same words in another layout."""
    sides = [draw(_CRITERIA), draw(_CRITERIA)]
    mark = draw(_MARK | st.none())
    width = draw(st.none() | st.integers(60, 100)) if mark else None
    indent = draw(st.sampled_from(["", " ", "    ", "\t"]))
    gap = draw(st.sampled_from(["\n", "\n\n", "\n \n\n"]))
    heading = draw(st.sampled_from(["{} Criteria:", "{} criteria", "{}:", "{} CRITERIA -"]))
    lines = []
    for name, side in zip(("Inclusion", "Exclusion"), sides, strict=True):
        lines.append(indent + heading.format(name))
        for number, criterion in enumerate(side, start=1):
            head = f"{indent}{mark.replace('#', str(number))} " if mark else indent
            hang = draw(st.sampled_from(["", " " * len(head.expandtabs())]))
            lines.append(
                textwrap.fill(
                    criterion,
                    width,
                    initial_indent=head.expandtabs(),
                    subsequent_indent=hang,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                if width
                else head + criterion
            )
    text = gap.join(lines)
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return normal_of(*sides), text


@examples(300)
@given(layouts())
def test_a_layout_that_keeps_the_words_keeps_the_normal_form(case):
    normal, text = case
    assert normal_criteria(text) == normal


@examples(50)
@given(layouts())
def test_all_formats_and_trials_made_by_hand_have_one_normal_form(case):
    normal, text = case
    data = xml(
        "<eligibility><criteria><textblock>"
        + text.replace("&", "&amp;").replace(">", "&gt;").replace("\r", "&#xD;")
        + "</textblock></criteria></eligibility>"
    )
    (row,) = read_rows(BytesIO((TOP_HEADER + top_row(criteria=text)).encode()), "a", None, Limits())
    module = study(eligibilityModule={"eligibilityCriteria": text.replace(">", r"\>")})
    trials = [
        read_xml(data, "a", None, Limits()).trial,
        read_study(module, dump(module), "a", None).trial,
        row.trial,
        Trial(criteria=text),
        Trial.from_dict({"criteria": text}),
        replace(Trial(phase="Phase 2"), criteria=text),
    ]
    assert [trial.criteria for trial in trials] == [normal] * len(trials)


# -------------------------------------------------------------------------------------- real data


def test_no_word_of_the_sample_is_lost_or_moved(test_data):
    texts = []
    with zipfile.ZipFile(test_data / "registry" / "AllPublicXML-sample.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".xml"):
                texts.append(
                    etree.fromstring(archive.read(name)).findtext("eligibility/criteria/textblock")
                )
    for file in sorted((test_data / "top").glob("phase_*.csv")):
        with file.open(newline="") as lines:
            texts += [row["criteria"] for row in csv.DictReader(lines)]
    texts = [text for text in texts if text]
    assert len(texts) > 9000
    for text in texts:
        normal = normal_criteria(text) or ""
        assert criteria_words(normal) == criteria_words(text)
        assert (normal_criteria(str(normal + " ")) or "") == normal


_WORD = st.text(st.sampled_from("abcdeghoprtuwxyz"), max_size=9).map(lambda text: "w" + text)
_BREAK = st.sampled_from(["<br>", "<br  />", "</p>", "<h1 class=x y>", "<div>", "<li>", "</ul>"])


_WORDS = st.lists(_WORD, min_size=8, max_size=40).map(" ".join)


@given(_WORDS, st.lists(st.tuples(_BREAK, _WORDS), min_size=1, max_size=3))
def test_a_break_of_a_web_page_does_not_hide_how_a_line_was_wrapped(first, more):
    text = " ".join([first, *(f"{mark} {words}" for mark, words in more)])
    typed = textwrap.fill(
        text,
        90,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
    assert normal_criteria(plain(typed, wrapped=True)) == normal_criteria(plain(text))
