"""Which of ``torchrun``'s processes this one is: without it, the only one."""

import os
import platform


def process_count() -> int:
    """How many processes train together, over all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_rank() -> int:
    """The number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this is process 0, which alone writes files and speaks to the terminal."""
    return process_rank() == 0


def this_process() -> str:
    """This process for a person: "process 3 of 8 on gpu-node-1"; empty where it is the only one."""
    if process_count() == 1:
        return ""
    return f"process {process_rank()} of {process_count()} on {platform.node()}"


def was_restarted() -> bool:
    """Whether ``torchrun --max-restarts`` started the processes again after one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
