"""A trial without the names by which a model could recall it: drugs, sponsors, identifiers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import count
from string import ascii_uppercase
from typing import Any, Literal, get_args

from llm4top.evaluation.probes import masking_words
from llm4top.registry.trial import Intervention, Trial

Mask = Literal["identifiers", "drugs", "sponsors"]
MASKS: tuple[Mask, ...] = get_args(Mask)

SHORT = 4
"""Names shorter than this are masked in free text only where they are in capitals."""

_LINES = (
    "brief_title",
    "official_title",
    "criteria",
    "brief_summary",
    "detailed_description",
)
_LISTS = ("conditions", "condition_mesh", "keywords")
_NAMES = ("intervention_mesh",)
_PARTS = {
    "arms": ("label", "description"),
    "primary_outcomes": ("measure", "time_frame", "description"),
    "secondary_outcomes": ("measure", "time_frame", "description"),
}
_DRUG_TYPES = (None, "Drug", "Biological", "Genetic", "Dietary Supplement", "Combination Product")
_ALIAS = re.compile(
    r"(?<=\s)[(\[]([^()\[\]]*[^\W\d_][^()\[\]]*)[)\]]|(?<=\w)\(([A-Z][a-z]{3}[\w-]*)\)"
)
_ALIAS_IN_TEXT = re.compile(r"[®™]?,?\s?\(((?:[\w-]*[A-Z\d][\w®™-]*[,;/]?\s?){1,3})\)")
_BETWEEN = re.compile(
    r"\s*(?:\([^\w]*\)|[;+&/]|,(?!\d)|:\s)\s*|\s+(?:and|or|plus|with|then|versus|vs\.?|in|for|by|at"
    r"|via|to|of|combined|matching|following|followed|alone|as|before|after|during|on)\s+",
    re.IGNORECASE,
)
_UNIT = r"(?:m?m|c?m|[mk]?g|mcg|[u\u00b5\u03bc]g|m?l|i?u|units?|gy|mci|h|hrs?|d|st|nd|rd|th)"
_QUANTITY = re.compile(
    rf"\W*(?:\d[\d.,%\u2013-]*\W?{_UNIT}?(?:/{_UNIT}2?)*|{_UNIT}/{_UNIT}2?|\w?)\W*"
)
_JOINT = re.compile(r"[\s\u2013-]+")
_TRADE_MARK = re.compile(r"([^\W\d_][\w-]{2,})\s?[®™]")
_EDGES = " \t-\u2013.,:;'\"®™*"


def mask_names(trial: Trial, what: Collection[Mask] = MASKS) -> Trial:
    """The trial with its names masked, in every field that a prompt shows.

    "drugs": the names of interventions, with the parts, salts and aliases that they are made of,
    MeSH terms and trade marks become "Drug A", "Drug B", ... ("Intervention A" for what is no
    drug), the same letter for the same name everywhere; SMILES are dropped. Names of
    ordinary words alone ("Placebo", "Usual care") stay. "sponsors": collaborators, and what has
    the form of an organisation's name, become "Sponsor A", ... "identifiers": protocol and
    registration codes, and the trial's acronym where a title gives it, become "[identifier]" and
    "[acronym]" (NCT ids never reach a trial).

    Names are found in any case, as whole words (and plurals), whether their words are joined by
    blanks or hyphens; names of fewer than four letters in free text only in capitals. Synonyms
    that the trial does not list, and misspelt names, stay: masking makes recall harder, it
    cannot exclude it.
    """
    drugs = _drug_names(trial) if "drugs" in what or "identifiers" in what else _Names()
    sponsors = _sponsor_names(trial) if "sponsors" in what else _Names()
    masked = _Names()
    for names, kind in ((drugs, "drugs"), (sponsors, "sponsors")):
        if kind in what:
            masked.update(names)
    steps: list[Callable[[str], str]] = []
    if "sponsors" in what:
        steps.append(sponsors.organisations)
    if "identifiers" in what:
        steps.append(_identifier_mask(trial, drugs))

    def text(value: str) -> str:
        return reduce(lambda done, step: step(done), steps, masked.in_text(value))

    def name(value: str) -> str:
        return reduce(lambda done, step: step(done), steps, masked.in_name(value))

    return _rewritten(trial, text, name, keep_smiles="drugs" not in what)


def is_ordinary(name: str) -> bool:
    """Whether an intervention's name is made of ordinary words and quantities alone."""
    return all(_ordinary(word) for word in re.split(r"[\s/,;:+&()\[\]]+", name) if word)


class _Names:
    """Names, each with its mask."""

    def __init__(self) -> None:
        self.masks: dict[str, str] = {}
        self._letters: dict[str, Iterator[str]] = {}
        self._patterns: dict[bool, re.Pattern[str]] = {}
        self._keys: dict[str, str] = {}

    def update(self, other: _Names) -> None:
        """Take over all names of another."""
        self.masks |= other.masks
        self._patterns.clear()

    def add(self, name: str, noun: str, mask: str | None = None) -> str:
        """The name's mask: the one it has, ``mask``, or the next letter."""
        key = " ".join(name.lower().split())
        if key not in self.masks:
            if mask is None:
                letters = self._letters.setdefault(noun, _letters())
                mask = f"{noun} {next(letters)}"
            self.masks[key] = mask
            self._patterns.clear()
        return self.masks[key]

    def ensure(self, name: str, noun: str) -> None:
        """See that the whole name is masked.

        Where all its parts are too short to be found in small letters, it is a name itself.
        """
        lower = name.lower()
        if self.in_text(lower) == lower and len(name) > 1:
            core = name.strip(_EDGES)
            self.add(core if len(core) >= SHORT else name, noun, self.find(name))

    def find(self, name: str) -> str | None:
        """The mask of a known name that is, or is part of, ``name``."""
        flat = _flat(name)
        for known, mask in self.masks.items():
            inner = _flat(known)
            if inner == flat or (len(known) >= SHORT and inner in flat):
                return mask
        return None

    def in_text(self, text: str) -> str:
        """Free text with the names masked."""
        pattern = self._pattern(strict=True)
        return pattern.sub(self.mask_of, text) if pattern else text

    def in_name(self, text: str) -> str:
        """A name, or a list of names, with the names masked, short ones in any case."""
        pattern = self._pattern(strict=False)
        return pattern.sub(self.mask_of, text) if pattern else text

    def organisations(self, text: str) -> str:
        """Free text with what looks like an organisation masked."""
        return masking_words.ORGANISATION.sub(
            lambda m: m[0] if m[0].startswith("Sponsor ") else self.add(m[0], "Sponsor"), text
        )

    def places(self, text: str) -> Iterator[re.Match[str]]:
        """The places of names in a free text."""
        pattern = self._pattern(strict=True)
        return pattern.finditer(text) if pattern and "(" in text else iter(())

    def mask_of(self, match: re.Match[str]) -> str:
        """The mask of a name that was found."""
        return self.masks[self._keys[match.lastgroup or ""]]

    def _pattern(self, *, strict: bool) -> re.Pattern[str] | None:
        if not self.masks:
            return None
        if strict not in self._patterns:
            # The longest name first: at one place the first that fits is taken.
            names = sorted(self.masks, key=lambda name: (-len(name), name))
            kind = "strict" if strict else "loose"
            if strict:
                names = [name for name in names if len(name) > 1]
            self._keys |= {f"{kind}{i}": name for i, name in enumerate(names)}
            parts = [f"(?P<{kind}{i}>{_spelled(name, strict)})" for i, name in enumerate(names)]
            self._patterns[strict] = re.compile("|".join(parts) or r"(?!)")
        return self._patterns[strict]


def _flat(name: str) -> str:
    """The name's words between blanks, so that one is looked for as whole words in another."""
    return f" {' '.join(_JOINT.split(name.lower()))} "


def _letters() -> Iterator[str]:
    """A, B, ..., Z, AA, AB, ..."""
    for number in count():
        first, last = divmod(number, 26)
        yield (ascii_uppercase[first - 1] if first else "") + ascii_uppercase[last]


def _spelled(name: str, strict: bool) -> str:
    """The ways to write a name, as a pattern."""
    short = strict and len(name) < SHORT
    words = [re.escape(word) for word in _JOINT.split(name.upper() if short else name)]
    joints = _JOINT.findall(name)
    body = words[0]
    for joint, word in zip(joints, words[1:], strict=True):
        body += _JOINT.pattern.replace("+", "+" if joint.isspace() else "*") + word
    before = r"(?<!\w)" if re.match(r"\w", name) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", name) else ""
    if after and len(name) > SHORT:
        after = r"(?:['\u2019]?s)?" + after
    return f"{before}{body}{after}" if short else f"(?i:{before}{body}{after})"


def _drug_names(trial: Trial) -> _Names:
    names = _Names()
    for item in trial.interventions:
        _add_intervention(names, item)
    # The index lists a salt's metal as a separate term.
    terms = [
        t
        for t in trial.intervention_mesh
        if not is_ordinary(t) and t.lower() not in masking_words.SALTS
    ]
    for term in terms:
        _add_drug(names, term, "Drug")
    for text in _texts(trial):
        for match in _TRADE_MARK.finditer(text):
            if not _ordinary(match[1]):
                _add_drug(names, match[1], "Drug")
    for text in _texts(trial):
        _add_aliases(names, text)
    for name in (*(item.name for item in trial.interventions), *terms):
        if not is_ordinary(name):
            names.ensure(name, "Drug")
    return names


def _add_intervention(names: _Names, item: Intervention) -> None:
    """The names that an intervention's name is made of, those in brackets as aliases."""
    is_drug = item.type in _DRUG_TYPES
    noun = "Drug" if is_drug else "Intervention"
    mask = None
    for alias, part in _parts(item.name):
        for core in map(_core, _BETWEEN.split(part)) if is_drug or alias else [part.strip(_EDGES)]:
            if core and not is_ordinary(core):
                mask = _add_drug(names, core, noun, mask if alias else None)


def _parts(name: str) -> Iterator[tuple[bool, str]]:
    """The pieces of a name, those in brackets marked as aliases."""
    end = 0
    for match in _ALIAS.finditer(name):
        yield False, name[end : match.start()]
        yield True, match[1] or match[2]
        end = match.end()
    yield False, name[end:]


def _add_aliases(names: _Names, text: str) -> None:
    """What follows a drug's name in brackets is another name of it: "Aspirin (ASA)"."""
    for match in tuple(names.places(text)):
        behind = _ALIAS_IN_TEXT.match(text, match.end())
        for alias in re.split(r"[,;/]\s?|\s", behind[1]) if behind else ():
            if len(alias) > 1 and not is_ordinary(alias):
                _add_drug(names, alias, "Drug", names.mask_of(match))


def _add_drug(names: _Names, core: str, noun: str, mask: str | None = None) -> str:
    """Add a drug's name, without its salt too, and each word of it that is a drug's alone."""
    if (known := names.find(core)) is not None:
        return known
    words = core.split()
    while len(words) > 1 and words[-1].lower() in masking_words.SALTS and len(words[-2]) > SHORT:
        words.pop()
    if words[-1].lower() in masking_words.SALTS or is_ordinary(" ".join(words)):
        words = core.split()
    mask = names.add(" ".join(words), noun, mask)
    if len(words) > 1:
        for word in words:
            if masking_words.DRUG_STEM.fullmatch(word):
                names.add(word, noun, mask)
    return mask


def _core(part: str) -> str:
    """A name without the ordinary words and quantities around it."""
    words = part.split()
    while words and _ordinary(words[0]):
        words.pop(0)
    while words and _ordinary(words[-1]):
        words.pop()
    return " ".join(words).strip(_EDGES)


def _ordinary(word: str) -> bool:
    bare = word.strip(_EDGES).lower()
    return bare in masking_words.COMMON or bool(_QUANTITY.fullmatch(bare)) or not bare


def _sponsor_names(trial: Trial) -> _Names:
    names = _Names()
    for collaborator in trial.collaborators:
        parts = [(alias, part.strip(_EDGES)) for alias, part in _parts(collaborator.name)]
        whole = next((part for alias, part in parts if part and not alias), "")
        mask = names.add(whole or collaborator.name, "Sponsor")
        for alias, part in parts:
            if alias and len(part) > 1:
                names.add(part, "Sponsor", mask)
        words = re.split(r"[\s,]+", whole)
        while words and words[-1].strip(".()").lower() in masking_words.ORGANISATION_WORDS:
            words.pop()
        distinct = [
            w for w in words if w.strip(".()").lower() not in masking_words.ORGANISATION_WORDS
        ]
        if distinct and len(" ".join(words)) >= SHORT:
            names.add(" ".join(words), "Sponsor", mask)
        names.ensure(collaborator.name, "Sponsor")
    return names


def _identifier_mask(trial: Trial, drugs: _Names) -> Callable[[str], str]:
    acronyms = [name for name in masking_words.trial_acronyms(trial) if drugs.find(name) is None]
    pattern = re.compile(
        "|".join(rf"(?<!\w){re.escape(a)}(?!\w)" for a in sorted(acronyms, key=len, reverse=True))
        or r"(?!)"
    )

    def mask(text: str) -> str:
        # A drug's own code is a drug's name, whether those are masked or not.
        text = masking_words.CODE.sub(lambda m: m[0] if drugs.find(m[0]) else "[identifier]", text)
        return pattern.sub("[acronym]", text)

    return mask


def _texts(trial: Trial) -> Iterable[str]:
    for field in _LINES:
        if value := getattr(trial, field):
            yield value
    for field in _LISTS:
        yield from getattr(trial, field)
    for field, parts in (("interventions", ("name", "description")), *_PARTS.items()):
        for item in getattr(trial, field):
            yield from (value for part in parts if (value := getattr(item, part)))


def _rewritten(
    trial: Trial, text: Callable[[str], str], name: Callable[[str], str], *, keep_smiles: bool
) -> Trial:
    """The trial with ``text`` over its free text and ``name`` over its names."""

    def parts(item: Any, names: Iterable[str]) -> Any:
        return replace(item, **{p: text(v) for p in names if (v := getattr(item, p))})

    changed: dict[str, Any] = {f: text(v) for f in _LINES if (v := getattr(trial, f))}
    changed |= {f: tuple(map(text, getattr(trial, f))) for f in _LISTS}
    changed |= {f: tuple(map(name, getattr(trial, f))) for f in _NAMES}
    changed |= {f: tuple(parts(i, names) for i in getattr(trial, f)) for f, names in _PARTS.items()}
    changed["interventions"] = tuple(
        replace(parts(item, ("description",)), name=name(item.name)) for item in trial.interventions
    )
    changed["collaborators"] = tuple(
        replace(item, name=name(item.name)) for item in trial.collaborators
    )
    if not keep_smiles:
        changed["smiles"] = ()
    return replace(trial, **changed)
