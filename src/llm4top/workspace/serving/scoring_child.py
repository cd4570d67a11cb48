"""The process that holds the models and forecasts small batches: the service starts it."""

from __future__ import annotations

import gc
import logging
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from llm4top.errors import LLM4TOPError, TaskError
from llm4top.registry.trial import Record
from llm4top.workspace.serving import ipc
from llm4top.workspace.serving.parsing import NOT_APPLICABLE

if TYPE_CHECKING:
    from llm4top.forecasters.base_rate_shift import TargetRates
    from llm4top.forecasters.forecaster import Forecaster


def main(arguments: list[str]) -> None:
    """Answer one batch after the other until the parent is gone."""
    pipe = ipc.own_pipe(arguments[0])
    logging.disable(logging.WARNING)
    cache = ModelCache(int(arguments[1]), arguments[2])
    while (request := ipc.receive(pipe)) is not None:
        try:
            ipc.send(pipe, answer(cache, request))
        except LLM4TOPError as error:
            ipc.send(pipe, {"error": ipc.error_to_wire(error)})
        except Exception as error:
            ipc.send(pipe, {"fault": type(error).__name__, "trace": traceback.format_exc()})


class ModelCache:
    """The loaded bundles, least recently used first; together within ``budget`` bytes.

    One bundle is always kept, however large it is.
    """

    def __init__(self, budget: int, device: str):
        self._budget = budget
        self._device = device
        self._loaded: OrderedDict[str, tuple[Forecaster, dict[int, int]]] = OrderedDict()

    def load(self, bundle: str) -> Forecaster:
        """The bundle of that name or folder, loaded now if it is not; raises what loading does."""
        if bundle in self._loaded:
            self._loaded.move_to_end(bundle)
            return self._loaded[bundle][0]
        from llm4top.forecasters.load import load_forecaster

        loaded = load_forecaster(bundle, device=self._device)
        self._loaded[bundle] = (loaded, loaded.memory)
        while len(self._loaded) > 1 and self.bytes > self._budget:
            self._loaded.popitem(last=False)
            gc.collect()
        return loaded

    @property
    def bytes(self) -> int:
        """Memory that the weights take together; a base that several share counts once."""
        held: dict[int, int] = {}
        for _, memory in self._loaded.values():
            held |= memory
        return sum(held.values())

    @property
    def names(self) -> list[str]:
        """The loaded bundles."""
        return list(self._loaded)


def answer(cache: ModelCache, request: ipc.Message) -> ipc.Message:
    """Items and refusals of the batch, each with its position in it; none: the bundle is warm.

    Where the request is for work on its one record, ``result`` is what the work gives.
    """
    loaded = cache.load(str(request["bundle"]))
    begun = time.perf_counter()
    records = [ipc.record_from_wire(values) for values in request["records"]]
    if (work := request.get("work")) is not None:
        module, _, name = str(work["function"]).partition(":")
        result = getattr(import_module(module), name)(loaded, records[0], work["arguments"])
        return {"result": result, "bundle": loaded.identity, "loaded": cache.names}
    items, refusals = _forecast(loaded, records, request.get("base_rate"))
    return {
        "seconds": time.perf_counter() - begun,
        "items": items,
        "refusals": refusals,
        "bundle": loaded.identity,
        "loaded": cache.names,
    }


def _forecast(
    loaded: Forecaster, records: Sequence[Record], base_rate: str | None
) -> tuple[list[tuple[int, ipc.Message]], list[tuple[int, ipc.Message]]]:
    """Forecasts of the records; where the batch fails, record by record, so one costs itself."""
    from llm4top.forecasters.base_rate_shift import target_rates

    if not records:
        return [], []
    rates = None if base_rate is None else target_rates(base_rate, loaded.task, files=False)
    try:
        return _items(loaded, records, rates)
    except LLM4TOPError:
        if len(records) == 1 or (rates is not None and not loaded.base_rates):
            raise
    items: list[tuple[int, ipc.Message]] = []
    refusals: list[tuple[int, ipc.Message]] = []
    for n, record in enumerate(records):
        try:
            found, not_applicable = _items(loaded, [record], rates)
        except LLM4TOPError as error:
            refusals.append((n, ipc.error_to_wire(error)))
        else:
            items += [(n, values) for _, values in found]
            refusals += [(n, values) for _, values in not_applicable]
    return items, refusals


def _items(
    loaded: Forecaster, records: Sequence[Record], rates: TargetRates | None
) -> tuple[list[tuple[int, ipc.Message]], list[tuple[int, ipc.Message]]]:
    """Forecasts, and the records that the question does not apply to, each with its position."""
    from llm4top.forecasters.forecast import forecast_records
    from llm4top.forecasters.forecast_format import NotApplicable

    items: list[tuple[int, ipc.Message]] = []
    others: list[tuple[int, ipc.Message]] = []
    for n, forecast in enumerate(forecast_records(loaded, records, base_rate=rates)):
        if isinstance(forecast, NotApplicable):
            reason = ipc.error_to_wire(TaskError(forecast.reason, where=forecast.record))
            subject = forecast.subject()
            others.append((n, {**reason, "code": NOT_APPLICABLE, "subject": subject}))
        else:
            items.append((n, forecast.to_dict()))
    return items, others


if __name__ == "__main__":
    main(sys.argv[1:])
