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

from llm4top.lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset, load_dataset, make_dataset
    from llm4top.data.ingest import ingest
    from llm4top.errors import LLM4TOPError
    from llm4top.evaluation.evaluate import compare, evaluate
    from llm4top.forecasters.baselines.catalog import make_baseline
    from llm4top.forecasters.baselines.simple import TfidfForecaster
    from llm4top.forecasters.blend import Blend
    from llm4top.forecasters.bundles.store import export_bundle, import_bundle, list_bundles
    from llm4top.forecasters.bundles.verify import verify_bundle
    from llm4top.forecasters.forecast import forecast_records
    from llm4top.forecasters.forecast_format import Forecast, NotApplicable
    from llm4top.forecasters.forecaster import Forecaster
    from llm4top.forecasters.language import LanguageForecaster
    from llm4top.forecasters.load import load_forecaster
    from llm4top.forecasters.precedents.precedents import Precedents
    from llm4top.forecasters.reasons.explain import explain
    from llm4top.forecasters.what_if import sweep, what_if
    from llm4top.prompts.prompt import PromptSpec, PromptWriter
    from llm4top.registry.data_frames import trials_from_frame
    from llm4top.registry.draft import Draft
    from llm4top.registry.reader import read_records
    from llm4top.registry.trial import Record, Trial
    from llm4top.tasks.builtin import get_task
    from llm4top.tasks.task import Task
    from llm4top.tasks.task_file import load_task, task_from_labels
    from llm4top.training.config import TrainingConfig, make_config
    from llm4top.training.preflight import preflight
    from llm4top.training.run import train

__version__ = "0.2.0"

_HOMES = {
    "Blend": "forecasters.blend",
    "Dataset": "data.dataset",
    "Draft": "registry.draft",
    "Forecast": "forecasters.forecast_format",
    "Forecaster": "forecasters.forecaster",
    "LLM4TOPError": "errors",
    "LanguageForecaster": "forecasters.language",
    "NotApplicable": "forecasters.forecast_format",
    "Precedents": "forecasters.precedents.precedents",
    "PromptSpec": "prompts.prompt",
    "PromptWriter": "prompts.prompt",
    "Record": "registry.trial",
    "Task": "tasks.task",
    "TfidfForecaster": "forecasters.baselines.simple",
    "TrainingConfig": "training.config",
    "Trial": "registry.trial",
    "compare": "evaluation.evaluate",
    "evaluate": "evaluation.evaluate",
    "explain": "forecasters.reasons.explain",
    "export_bundle": "forecasters.bundles.store",
    "forecast_records": "forecasters.forecast",
    "get_task": "tasks.builtin",
    "import_bundle": "forecasters.bundles.store",
    "ingest": "data.ingest",
    "list_bundles": "forecasters.bundles.store",
    "load_dataset": "data.dataset",
    "load_forecaster": "forecasters.load",
    "load_task": "tasks.task_file",
    "make_baseline": "forecasters.baselines.catalog",
    "make_config": "training.config",
    "make_dataset": "data.dataset",
    "preflight": "training.preflight",
    "read_records": "registry.reader",
    "sweep": "forecasters.what_if",
    "task_from_labels": "tasks.task_file",
    "train": "training.run",
    "trials_from_frame": "registry.data_frames",
    "verify_bundle": "forecasters.bundles.verify",
    "what_if": "forecasters.what_if",
}
"""The room that each public name comes from."""

__all__ = [
    "Blend",
    "Dataset",
    "Draft",
    "Forecast",
    "Forecaster",
    "LLM4TOPError",
    "LanguageForecaster",
    "NotApplicable",
    "Precedents",
    "PromptSpec",
    "PromptWriter",
    "Record",
    "Task",
    "TfidfForecaster",
    "TrainingConfig",
    "Trial",
    "__version__",
    "compare",
    "evaluate",
    "explain",
    "export_bundle",
    "forecast_records",
    "get_task",
    "import_bundle",
    "ingest",
    "list_bundles",
    "load_dataset",
    "load_forecaster",
    "load_task",
    "make_baseline",
    "make_config",
    "make_dataset",
    "preflight",
    "read_records",
    "sweep",
    "task_from_labels",
    "train",
    "trials_from_frame",
    "verify_bundle",
    "what_if",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
