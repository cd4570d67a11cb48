"""Precedents for the Studio and its API, found by the process that holds the models."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.precedents.precedents import Precedents
from llm4top.forecasters.precedents.store import CARD_FILE
from llm4top.registry.trial import Record

_loaded: dict[Path, tuple[str, Precedents]] = {}
"""The index of a folder, with the hash of its card: one that was built again is loaded again."""


def precedents_of(
    forecaster: Forecaster, record: Record, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """``Found.to_dict`` of a record.

    Args:
        forecaster: The model that is loaded; it reads the record where the index was built with it.
        record: The record.
        arguments: ``folder`` of the index, and perhaps ``k`` and ``before``.

    Raises:
        BundleError: There is no index, or it is damaged.
        DatasetError: ``before`` is no date.
    """
    index = _index(Path(str(arguments["folder"])))
    found = index.find(
        record,
        int(arguments.get("k") or 10),
        before=arguments.get("before"),
        forecaster=forecaster if index.goes_with(forecaster) else None,
    )
    return found.to_dict()


def _index(folder: Path) -> Precedents:
    card = folder / CARD_FILE
    digest = sha256(card.read_bytes()).hexdigest() if card.is_file() else ""
    known = _loaded.get(folder)
    if known is None or known[0] != digest:
        _loaded.clear()
        _loaded[folder] = known = (digest, Precedents.load(folder))
    return known[1]
