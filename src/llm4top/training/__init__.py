"""Training runs: settings, checks beforehand, the run itself, and pre-training from nothing.

Names are imported when first used: settings and checks do not wait for the training loop.
"""

from typing import TYPE_CHECKING

from llm4top._lazy import lazy_names

if TYPE_CHECKING:
    from llm4top.training._candidates import SelectSettings, make_select_settings
    from llm4top.training._config import TrainingConfig, make_config
    from llm4top.training._describe_settings import SettingInfo, describe_settings
    from llm4top.training._preflight import Check, PreflightReport, preflight
    from llm4top.training._presets import PRESETS
    from llm4top.training._pretrain import PretrainSettings, pretrain
    from llm4top.training._recalibrate import recalibrate
    from llm4top.training._run import TrainingResult, train
    from llm4top.training._run_folder import RunFolder
    from llm4top.training._select import select
    from llm4top.training._select_plan import SelectionPlan, plan_selection
    from llm4top.training._selection import Selection, read_selection
    from llm4top.training._tokenizer import train_tokenizer

_HOMES = {
    "PRESETS": "_presets",
    "Check": "_preflight",
    "PreflightReport": "_preflight",
    "PretrainSettings": "_pretrain",
    "RunFolder": "_run_folder",
    "SelectSettings": "_candidates",
    "Selection": "_selection",
    "SelectionPlan": "_select_plan",
    "SettingInfo": "_describe_settings",
    "TrainingConfig": "_config",
    "TrainingResult": "_run",
    "describe_settings": "_describe_settings",
    "make_config": "_config",
    "make_select_settings": "_candidates",
    "plan_selection": "_select_plan",
    "preflight": "_preflight",
    "pretrain": "_pretrain",
    "read_selection": "_selection",
    "recalibrate": "_recalibrate",
    "select": "_select",
    "train": "_run",
    "train_tokenizer": "_tokenizer",
}
"""The file that each name comes from."""

__all__ = [
    "PRESETS",
    "Check",
    "PreflightReport",
    "PretrainSettings",
    "RunFolder",
    "SelectSettings",
    "Selection",
    "SelectionPlan",
    "SettingInfo",
    "TrainingConfig",
    "TrainingResult",
    "describe_settings",
    "make_config",
    "make_select_settings",
    "plan_selection",
    "preflight",
    "pretrain",
    "read_selection",
    "recalibrate",
    "select",
    "train",
    "train_tokenizer",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
