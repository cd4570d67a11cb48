"""The patterns of a rule are searched as one; nothing that one of them finds may be missed."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from llm4top.registry.leak_rules import RULES
from tests.profiles import examples
from tests.registry.test_leak_guard import INNOCENT, TELLING

_SENTENCES = [sentence.lower() for sentence in [*TELLING, *INNOCENT]]
_WORDS = sorted({word for sentence in _SENTENCES for word in re.findall(r"\w+", sentence)})
_JOINTS = (" ", " ", "; ", ". ", ", ", "-", "(", ") ", ": ", "", "\n")
_TEXTS = st.lists(
    st.sampled_from(_SENTENCES) | st.sampled_from(_WORDS) | st.sampled_from(_JOINTS), max_size=14
).map("".join)


def found(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """Every place at which ``pattern`` matches, those within others too."""
    spans, start = [], 0
    while match := pattern.search(text, start):
        spans.append(match.span())
        start = match.start() + 1
    return spans


PLAIN = {rule: re.compile("|".join(f"(?:{part})" for part in rule.patterns)) for rule in RULES}


@examples(300)
@given(_TEXTS)
@example("completed; status: completed")
@example("x - study status: terminated; status: closed")
def test_patterns_joined_find_what_they_find_apart(text):
    for rule in RULES:
        assert found(rule.pattern, text) == found(PLAIN[rule], text)


def test_each_telling_sentence_is_found_in_any_surroundings():
    for sentence in _SENTENCES:
        for before in ("", "x", "x ", "1", "(", "; ", "é", "-", "<"):
            for rule in RULES:
                text = before + sentence
                assert found(rule.pattern, text) == found(PLAIN[rule], text)
