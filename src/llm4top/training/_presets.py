"""Three dials for a training run; every single setting can still be set on top of them."""

from __future__ import annotations

from typing import Any, Literal

PresetName = Literal["quick", "standard", "thorough"]

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"max_tokens": 1024, "lora_rank": 8, "lora_alpha": 16, "epochs": 1.0, "patience": 2},
    "standard": {},
    "thorough": {
        "max_tokens": 4096,
        "lora_rank": 32,
        "lora_alpha": 64,
        "learning_rate": 1e-4,
        "epochs": 5.0,
        "batch_size": 2,
        "accumulation": 8,
        "evals_per_epoch": 4,
        "patience": 6,
    },
}
"""What each preset changes of the settings' defaults, which are *standard*. For Qwen3-8B with LoRA:

============  ==========  ============  ============  ==========================================
setting       quick       standard      thorough      what it moves
============  ==========  ============  ============  ==========================================
max_tokens    1024        2048          4096          how much of a record is read; time and memory
lora_rank     8           16            32            what the adapter can hold
learning_rate 2e-4        2e-4          1e-4          a tenth of it where every weight is trained
epochs        1           3             5             passes at most; early stopping may end sooner
batch x acc.  4 x 4       4 x 4         2 x 8         16 rows a step; memory goes with the batch
evaluations   2           2             4             looks at validation in each epoch
patience      2           3             6             looks without a gain before stopping
============  ==========  ============  ============  ==========================================

*quick* shows within minutes whether data and machine work. *standard* is the one to use: it fits
one GPU of 24 GB with ``quantize: 4bit`` and one of 40 GB or more without. *thorough* reads long
records whole and is worth its several times longer run once *standard* has shown a gain.
Gradient checkpointing is on in all three.
"""
