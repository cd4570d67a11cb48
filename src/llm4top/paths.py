"""Where LLM4TOP keeps what it keeps: one folder, ``LLM4TOP_HOME``."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_dir

HOME_VARIABLE = "LLM4TOP_HOME"


def home_folder() -> Path:
    """``$LLM4TOP_HOME``, or the user's data folder for ``llm4top``. It need not exist yet."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(user_data_dir("llm4top"))


def models_folder() -> Path:
    """Where downloaded base models lie: ``models`` in the home folder."""
    return home_folder() / "models"
