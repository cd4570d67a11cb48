"""Published results on the TOP benchmark, each with its protocol, its grade and its source."""

from functools import cache
from importlib.resources import files

import yaml

from llm4top.evaluation.reports.report import PublishedRow

_NOT_PUBLISHED, _NOT_FOUND = "-", "?"


@cache
def published_results() -> tuple[PublishedRow, ...]:
    """Every published result known for TOP, by protocol; for reports on TOP only.

    They are read from ``data/published.yaml``, which says what a grade is. A figure of "not found"
    is one that the source has and the file does not.
    """
    file = files("llm4top.evaluation.reports") / "data/published.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    return tuple(
        PublishedRow(
            system=system,
            phase=phase,
            figures={
                column: "not found" if value == _NOT_FOUND else value
                for column, value in zip(group["columns"], values, strict=True)
                if value != _NOT_PUBLISHED
            },
            protocol=content["protocols"][group["protocol"]],
            grade=group["grade"] if isinstance(group["grade"], str) else group["grade"][phase],
            source=group["source"],
        )
        for group in content["groups"]
        for system, phases in group["results"].items()
        for phase, values in phases.items()
    )
