"""Forecasters: the language model behind its answer head, calibration and bundles.

Names are imported when first used: what needs no model (a download, a list of bundles) does not
wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm4top.forecasters._adapter import load_adapter
    from llm4top.forecasters._base_model import BaseModel, load_base
    from llm4top.forecasters._baselines import BaseRateForecaster, TfidfForecaster
    from llm4top.forecasters._batching import OnProgress, Progress
    from llm4top.forecasters._device import (
        Device,
        NumberType,
        available_devices,
        choose_device,
        choose_dtype,
        free_memory,
    )
    from llm4top.forecasters._forecast import Forecast, ForecastSource, forecast_records
    from llm4top.forecasters._language import LanguageForecaster
    from llm4top.forecasters._model_files import BaseIdentity, resolve_base
    from llm4top.forecasters._scoring import score_prompts
    from llm4top.forecasters._warnings import WARNING_RULES, WarningRule

_HOMES = {
    "WARNING_RULES": "_warnings",
    "BaseIdentity": "_model_files",
    "BaseModel": "_base_model",
    "BaseRateForecaster": "_baselines",
    "Device": "_device",
    "Forecast": "_forecast",
    "ForecastSource": "_forecast",
    "LanguageForecaster": "_language",
    "NumberType": "_device",
    "OnProgress": "_batching",
    "Progress": "_batching",
    "TfidfForecaster": "_baselines",
    "WarningRule": "_warnings",
    "available_devices": "_device",
    "choose_device": "_device",
    "choose_dtype": "_device",
    "forecast_records": "_forecast",
    "free_memory": "_device",
    "load_adapter": "_adapter",
    "load_base": "_base_model",
    "resolve_base": "_model_files",
    "score_prompts": "_scoring",
}
"""The file that each name comes from."""

__all__ = [
    "WARNING_RULES",
    "BaseIdentity",
    "BaseModel",
    "BaseRateForecaster",
    "Device",
    "Forecast",
    "ForecastSource",
    "LanguageForecaster",
    "NumberType",
    "OnProgress",
    "Progress",
    "TfidfForecaster",
    "WarningRule",
    "available_devices",
    "choose_device",
    "choose_dtype",
    "forecast_records",
    "free_memory",
    "load_adapter",
    "load_base",
    "resolve_base",
    "score_prompts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
