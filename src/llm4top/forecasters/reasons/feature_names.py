"""What the features of the linear and tree parts are called, and their values, in plain words.

A feature is a word of the text, a coded value written as one word (``code_word``), or a number by
its name in ``structured_features``.
"""

import math
import re
from collections.abc import Callable

from llm4top.forecasters.baselines.features import code_word
from llm4top.registry.areas import CHAPTERS
from llm4top.registry.codes import PHASES
from llm4top.text import percent, thousands

_PHASES_OR_TWO = (*PHASES.values(), "Phase 1/Phase 2", "Phase 2/Phase 3")
_CODED = {
    **{code_word("phase", phase): phase for phase in _PHASES_OR_TWO},
    code_word("phase", "none"): "no phase stated",
    **{code_word("chapter", name): f"condition group: {name}" for name in CHAPTERS},
}
_ICD = re.compile(r"(icd|category)_([a-z]\w\w)(?:_(\w+))?")


def word_name(term: str) -> str:
    """A word or a pair of words: "“two weeks”", "ICD code E11.21", "“placebo” before Phase 2"."""
    words = term.split(" ")
    named = [_coded(word) for word in words]
    if not any(named):
        return f"“{term}”"
    return " before ".join(name or f"“{word}”" for name, word in zip(named, words, strict=True))


def _coded(word: str) -> str | None:
    """What a word stands for that is a coded value; None for a word of the text."""
    if word in _CODED:
        return _CODED[word]
    found = _ICD.fullmatch(word)
    if found is None:
        return None
    kind, category, rest = found.groups()
    code = category.upper() + (f".{rest.upper()}" if rest else "")
    return f"ICD code {code}" if kind == "icd" else f"ICD category {code}"


_NAMES = {
    "phase, lowest": "lowest phase",
    "phase, highest": "highest phase",
    "phase is mixed": "two phases at once",
    "phase does not apply": "a study without a phase",
    "conditions": "number of conditions",
    "ICD codes": "number of ICD codes",
    "ICD categories": "number of ICD categories",
    "interventions": "number of interventions",
    "placebo among interventions": "a placebo among the interventions",
    "parties masked": "masking",
    "arms": "number of arms",
    "primary outcomes": "number of primary endpoints",
    "secondary outcomes": "number of secondary endpoints",
    "collaborators": "number of collaborators",
    "collaborator from industry": "a collaborator from industry",
    "criteria, comparisons": "comparisons (<, >) in the criteria",
    "criteria, no exclusion": "criteria without an exclusion part",
    "criteria, share of distinct words": "share of different words in the criteria",
    "criteria, length of words": "mean length of a word in the criteria",
    "criteria, ages": "ages named in the criteria",
    "youngest age": "youngest age named",
    "oldest age": "oldest age named",
    "drugs mention: antibody": "an antibody (-mab) among the interventions",
    "drugs mention: kinase inhibitor": "a kinase inhibitor (-nib) among the interventions",
    "drugs mention: vaccine": "a vaccine among the interventions",
    "drugs mention: code name": "a code name (AB-1234) among the interventions",
    "names of conditions, length": "characters in the conditions' names",
    "names of drugs, length": "characters in the interventions' names",
}
_GROUPS = (
    ("criteria mention: ", "the criteria mention {}"),
    ("conditions mention: ", "the conditions mention {}"),
    ("chapter: ", "condition group: {}"),
    ("ICD chapter: ", "ICD chapter: {}"),
    ("criteria, ", "{} in the criteria"),
    ("interventions: ", "interventions of the type {}"),
    ("arms: ", "arms of the role {}"),
    ("model: ", "design: {}"),
)


def number_name(name: str) -> str:
    """A number of ``structured_features`` in words: "the criteria mention placebo"."""
    if name in _NAMES:
        return _NAMES[name]
    for start, words in _GROUPS:
        if name.startswith(start):
            return words.format(name.removeprefix(start))
    return name


_PHASES = {0.5: "Early Phase 1", 1: "Phase 1", 2: "Phase 2", 3: "Phase 3", 4: "Phase 4"}
_MASKINGS = ("none", "single", "double", "triple", "quadruple")
_FLAGS = re.compile(
    r"(?:criteria|conditions|drugs) mention: |(?:ICD )?chapter: |study type: |model: |purpose: "
    r"|sponsor: |sex: |phase (?:is|does)|placebo among|randomised|data monitoring"
    r"|collaborator from|criteria, no exclusion|healthy volunteers"
)
_VALUES: dict[str, Callable[[float], str]] = {
    "phase, lowest": lambda value: _PHASES.get(value, f"{value:g}"),
    "phase, highest": lambda value: _PHASES.get(value, f"{value:g}"),
    "parties masked": lambda value: _MASKINGS[int(value)],
    "youngest age": lambda value: f"{value:.3g} years",
    "oldest age": lambda value: f"{value:.3g} years",
    "criteria, share of distinct words": percent,
    "criteria, length of words": lambda value: f"{value:.1f} letters",
}
NOT_STATED = "not stated, counts as the average"


def number_value(name: str, value: float) -> str:
    """The value of a number of ``structured_features`` in words: "yes", "Phase 2", "312"."""
    if math.isnan(value):
        return NOT_STATED
    if name in _VALUES:
        return _VALUES[name](value)
    if _FLAGS.match(name):
        return "yes" if value else "no"
    return thousands(round(math.expm1(value)))  # all others are logarithms of counts
