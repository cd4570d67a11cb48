"""Forecasters: the language model behind its answer head, calibration and bundles.

Names are imported when first used: what needs no model (a download, a list of bundles) does not
wait for torch.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.forecasters._adapter import load_adapter
    from llm4top.forecasters._base_model import BaseModel, load_base
    from llm4top.forecasters._baseline_base import BaselineForecaster
    from llm4top.forecasters._baseline_list import BASELINES, Baseline, make_baseline
    from llm4top.forecasters._baseline_manifest import BaselineFacts, BaselineManifest
    from llm4top.forecasters._baseline_store import (
        LoadedBaseline,
        is_baseline,
        load_baseline,
        save_baseline,
    )
    from llm4top.forecasters._baselines import (
        AlwaysForecaster,
        BaseRateForecaster,
        TfidfForecaster,
    )
    from llm4top.forecasters._batching import OnProgress, Progress
    from llm4top.forecasters._bundle import (
        AS_TRAINED,
        LoadedForecaster,
        confirm_reload,
        load_bundle,
    )
    from llm4top.forecasters._bundle_paths import (
        EMBEDDED_NAME,
        bundle_name,
        bundles_folder,
        embedded_folder,
        is_bundle,
        resolve_bundle,
    )
    from llm4top.forecasters._bundle_write import round_weights, save_bundle
    from llm4top.forecasters._calibrated import Calibrated, Calibrator
    from llm4top.forecasters._calibration import (
        CALIBRATORS,
        NoCalibration,
        cross_calibrate,
        make_calibrator,
    )
    from llm4top.forecasters._card import render_card
    from llm4top.forecasters._classical import ClassicalForecaster
    from llm4top.forecasters._device import (
        Device,
        NumberType,
        available_devices,
        choose_device,
        choose_dtype,
        free_memory,
    )
    from llm4top.forecasters._encoder import TextEncoder, load_encoder
    from llm4top.forecasters._few_shot import few_shot
    from llm4top.forecasters._forecast import ForecastSource, forecast_records
    from llm4top.forecasters._language import LanguageForecaster
    from llm4top.forecasters._loading import load_forecaster
    from llm4top.forecasters._manifest import (
        BaseRate,
        BundleFacts,
        DataEntry,
        Evaluation,
        Manifest,
        TuningEntry,
        measure_base_rates,
        plain_settings,
    )
    from llm4top.forecasters._model_files import BaseIdentity, resolve_base
    from llm4top.forecasters._platt import PlattCalibrator
    from llm4top.forecasters._pool import LogPool, cross_pool, fit_pool, log_probabilities
    from llm4top.forecasters._scoring import score_prompts
    from llm4top.forecasters._sentence import SentenceForecaster
    from llm4top.forecasters._stack import LoadedStack, stack_bundle
    from llm4top.forecasters._store import StoredBundle, export_bundle, import_bundle, list_bundles
    from llm4top.forecasters._venn_abers import VennAbersCalibrator
    from llm4top.forecasters._verify import FileCheck, VerifyReport, read_manifest, verify_bundle
    from llm4top.forecasters._warnings import WARNING_RULES, WarningRule

_HOMES = {
    "AS_TRAINED": "_bundle",
    "BASELINES": "_baseline_list",
    "CALIBRATORS": "_calibration",
    "EMBEDDED_NAME": "_bundle_paths",
    "WARNING_RULES": "_warnings",
    "AlwaysForecaster": "_baselines",
    "BaseIdentity": "_model_files",
    "BaseModel": "_base_model",
    "BaseRate": "_manifest",
    "BaseRateForecaster": "_baselines",
    "Baseline": "_baseline_list",
    "BaselineFacts": "_baseline_manifest",
    "BaselineForecaster": "_baseline_base",
    "BaselineManifest": "_baseline_manifest",
    "BundleFacts": "_manifest",
    "Calibrated": "_calibrated",
    "Calibrator": "_calibrated",
    "ClassicalForecaster": "_classical",
    "DataEntry": "_manifest",
    "Device": "_device",
    "Evaluation": "_manifest",
    "FileCheck": "_verify",
    "Forecast": "forecast_format",
    "ForecastSource": "_forecast",
    "LanguageForecaster": "_language",
    "LoadedBaseline": "_baseline_store",
    "LoadedForecaster": "_bundle",
    "LoadedStack": "_stack",
    "LogPool": "_pool",
    "Manifest": "_manifest",
    "NoCalibration": "_calibration",
    "NotApplicable": "forecast_format",
    "NumberType": "_device",
    "OnProgress": "_batching",
    "PlattCalibrator": "_platt",
    "Progress": "_batching",
    "SentenceForecaster": "_sentence",
    "StoredBundle": "_store",
    "TextEncoder": "_encoder",
    "TfidfForecaster": "_baselines",
    "TuningEntry": "_manifest",
    "VennAbersCalibrator": "_venn_abers",
    "VerifyReport": "_verify",
    "WarningRule": "_warnings",
    "available_devices": "_device",
    "bundle_name": "_bundle_paths",
    "bundles_folder": "_bundle_paths",
    "choose_device": "_device",
    "choose_dtype": "_device",
    "confirm_reload": "_bundle",
    "cross_calibrate": "_calibration",
    "cross_pool": "_pool",
    "embedded_folder": "_bundle_paths",
    "export_bundle": "_store",
    "few_shot": "_few_shot",
    "fit_pool": "_pool",
    "forecast_records": "_forecast",
    "free_memory": "_device",
    "import_bundle": "_store",
    "is_baseline": "_baseline_store",
    "is_bundle": "_bundle_paths",
    "list_bundles": "_store",
    "load_adapter": "_adapter",
    "load_base": "_base_model",
    "load_baseline": "_baseline_store",
    "load_bundle": "_bundle",
    "load_encoder": "_encoder",
    "load_forecaster": "_loading",
    "log_probabilities": "_pool",
    "make_baseline": "_baseline_list",
    "make_calibrator": "_calibration",
    "measure_base_rates": "_manifest",
    "plain_settings": "_manifest",
    "read_manifest": "_verify",
    "render_card": "_card",
    "resolve_base": "_model_files",
    "resolve_bundle": "_bundle_paths",
    "round_weights": "_bundle_write",
    "save_baseline": "_baseline_store",
    "save_bundle": "_bundle_write",
    "score_prompts": "_scoring",
    "stack_bundle": "_stack",
    "verify_bundle": "_verify",
}
"""The file that each name comes from."""

__all__ = [
    "AS_TRAINED",
    "BASELINES",
    "CALIBRATORS",
    "EMBEDDED_NAME",
    "WARNING_RULES",
    "AlwaysForecaster",
    "BaseIdentity",
    "BaseModel",
    "BaseRate",
    "BaseRateForecaster",
    "Baseline",
    "BaselineFacts",
    "BaselineForecaster",
    "BaselineManifest",
    "BundleFacts",
    "Calibrated",
    "Calibrator",
    "ClassicalForecaster",
    "DataEntry",
    "Device",
    "Evaluation",
    "FileCheck",
    "Forecast",
    "ForecastSource",
    "LanguageForecaster",
    "LoadedBaseline",
    "LoadedForecaster",
    "LoadedStack",
    "LogPool",
    "Manifest",
    "NoCalibration",
    "NotApplicable",
    "NumberType",
    "OnProgress",
    "PlattCalibrator",
    "Progress",
    "SentenceForecaster",
    "StoredBundle",
    "TextEncoder",
    "TfidfForecaster",
    "TuningEntry",
    "VennAbersCalibrator",
    "VerifyReport",
    "WarningRule",
    "available_devices",
    "bundle_name",
    "bundles_folder",
    "choose_device",
    "choose_dtype",
    "confirm_reload",
    "cross_calibrate",
    "cross_pool",
    "embedded_folder",
    "export_bundle",
    "few_shot",
    "fit_pool",
    "forecast_records",
    "free_memory",
    "import_bundle",
    "is_baseline",
    "is_bundle",
    "list_bundles",
    "load_adapter",
    "load_base",
    "load_baseline",
    "load_bundle",
    "load_encoder",
    "load_forecaster",
    "log_probabilities",
    "make_baseline",
    "make_calibrator",
    "measure_base_rates",
    "plain_settings",
    "read_manifest",
    "render_card",
    "resolve_base",
    "resolve_bundle",
    "round_weights",
    "save_baseline",
    "save_bundle",
    "score_prompts",
    "stack_bundle",
    "verify_bundle",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
