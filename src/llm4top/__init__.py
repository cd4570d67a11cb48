"""LLM4TOP: the chance of success of a clinical trial, from its registry record, on this machine.

From a file to a forecast::

    from llm4top import NotApplicable, forecast_records, load_forecaster, read_records

    forecaster = load_forecaster("embedded")
    for forecast in forecast_records(forecaster, read_records("NCT01234567.json")):
        if isinstance(forecast, NotApplicable):
            print(forecast.nct_id, forecast.reason)
        else:
            print(forecast.nct_id, forecast.probability, forecast.lower, forecast.upper)

docs/python.md shows the rest. The names in ``__all__`` are the public interface. They are imported
when first used, so importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.data import Dataset, ingest, load_dataset, make_dataset
    from llm4top.errors import LLM4TOPError
    from llm4top.forecasters import (
        Forecast,
        LanguageForecaster,
        NotApplicable,
        TfidfForecaster,
        export_bundle,
        forecast_records,
        import_bundle,
        list_bundles,
        load_forecaster,
        verify_bundle,
    )
    from llm4top.prompts import PromptSpec, PromptWriter
    from llm4top.registry import Record, Trial, read_records, trials_from_frame
    from llm4top.tasks import Task, get_task, load_task, task_from_labels
    from llm4top.training import TrainingConfig, make_config, preflight, train

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "data",
    "Forecast": "forecasters",
    "LLM4TOPError": "errors",
    "LanguageForecaster": "forecasters",
    "NotApplicable": "forecasters",
    "PromptSpec": "prompts",
    "PromptWriter": "prompts",
    "Record": "registry",
    "Task": "tasks",
    "TfidfForecaster": "forecasters",
    "TrainingConfig": "training",
    "Trial": "registry",
    "export_bundle": "forecasters",
    "forecast_records": "forecasters",
    "get_task": "tasks",
    "import_bundle": "forecasters",
    "ingest": "data",
    "list_bundles": "forecasters",
    "load_dataset": "data",
    "load_forecaster": "forecasters",
    "load_task": "tasks",
    "make_config": "training",
    "make_dataset": "data",
    "preflight": "training",
    "read_records": "registry",
    "task_from_labels": "tasks",
    "train": "training",
    "trials_from_frame": "registry",
    "verify_bundle": "forecasters",
}
"""The room that each public name comes from."""

__all__ = [
    "Dataset",
    "Forecast",
    "LLM4TOPError",
    "LanguageForecaster",
    "NotApplicable",
    "PromptSpec",
    "PromptWriter",
    "Record",
    "Task",
    "TfidfForecaster",
    "TrainingConfig",
    "Trial",
    "__version__",
    "export_bundle",
    "forecast_records",
    "get_task",
    "import_bundle",
    "ingest",
    "list_bundles",
    "load_dataset",
    "load_forecaster",
    "load_task",
    "make_config",
    "make_dataset",
    "preflight",
    "read_records",
    "task_from_labels",
    "train",
    "trials_from_frame",
    "verify_bundle",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
