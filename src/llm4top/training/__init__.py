"""Training runs: settings, checks beforehand, the run itself, and pre-training from nothing."""

from llm4top.training._config import TrainingConfig, make_config
from llm4top.training._preflight import Check, PreflightReport, preflight
from llm4top.training._presets import PRESETS
from llm4top.training._pretrain import PretrainSettings, pretrain
from llm4top.training._progress import Progress, TrainingProgress
from llm4top.training._run import TrainingResult, train
from llm4top.training._run_folder import RunFolder
from llm4top.training._tokenizer import train_tokenizer

__all__ = [
    "PRESETS",
    "Check",
    "PreflightReport",
    "PretrainSettings",
    "Progress",
    "RunFolder",
    "TrainingConfig",
    "TrainingProgress",
    "TrainingResult",
    "make_config",
    "preflight",
    "pretrain",
    "train",
    "train_tokenizer",
]
