"""Earlier trials like one as pages and reports tell them: sentences, and rows of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm4top.forecasters.precedents.differences import Difference
from llm4top.forecasters.precedents.found import in_words
from llm4top.text import counted, interval, percent, thousands

Answer = Mapping[str, Any]
"""What was found for a trial, as ``Found.to_dict`` writes it."""

_COLUMNS = ("Trial", "Phase", "Outcome", "Completed", "Alike by words", "Alike by the model")


def considered(found: Answer) -> str:
    """How many trials of the index were looked at, and why no others."""
    what = {"given": "that day", "today": "today"}.get(found["before_is"], found["before_is"])
    earlier = counted(found["earlier"], "trial of the index was", "trials of the index were")
    return (
        f"{earlier} completed before {found['before']} ({what}); {thousands(found['later'])} later "
        "ones were not considered."
    )


def share_sentences(found: Answer) -> list[str]:
    """How many of the neighbours had each label, beside its base rate.

    Of a yes-no question only the yes; of others every label.
    """
    shares: Sequence[Answer] = found["shares"]
    return [_sentence(one, found) for one in (shares[1:] if len(shares) == 2 else shares)]


def _sentence(share: Answer, found: Answer) -> str:
    phase = "all phases" if found["base_phase"] in (None, "all") else found["base_phase"]
    return (
        f"{share['count']} of the {found['n']} most alike ended with {share['label']}: "
        f"{percent(share['share'])} (95\u00a0% interval {interval(share['lower'], share['upper'])})"
        f". Base rate: {percent(share['base_rate'])} of "
        f"{counted(found['base_n'], 'earlier trial')}, {phase}."
    )


def columns_of(found: Answer) -> tuple[str, ...]:
    """The headings of the table; the model's view has none where the index was built without it."""
    views = any(one["model"] is not None for one in found["neighbours"])
    return _COLUMNS if views else _COLUMNS[:-1]


def cells_of(neighbour: Answer, columns: Sequence[str]) -> tuple[str, ...]:
    """The cells of a neighbour behind its name, for these ``columns``."""
    cells = (
        neighbour["phase"] or "not stated",
        neighbour["outcome"],
        neighbour["completion_date"],
        f"{neighbour['words']:.2f}",
        "" if neighbour["model"] is None else f"{neighbour['model']:.2f}",
    )
    return cells[: len(columns) - 1]


def differences_of(neighbour: Answer) -> list[str]:
    """The fields in which a neighbour differs from the trial, each in a line."""
    return [
        in_words(
            Difference(
                one["field"],
                one["heading"],
                *(tuple(one[side]) for side in ("here", "there", "shared")),
            )
        )
        for one in neighbour["differences"]
    ]


def no_cause(found: Answer) -> str:
    """What the list does not say, and which index it is from."""
    return (
        "Similarity is no cause: this is what became of similar trials, not what will become of "
        f"this one. Index {found['index']}, question {found['task']}."
    )
