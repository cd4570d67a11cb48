"""How long a training takes, from a few of its own steps: what ``--dry-run`` says last."""

from dataclasses import dataclass

from llm4top.data.dataset import Dataset
from llm4top.forecasters.finetuning.finetune import finetune
from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.scoring import TrialScorer
from llm4top.text import about, thousands
from llm4top.training.config import TrainingConfig, prompt_spec
from llm4top.training.memory import SHARE_OF_TIME, sample_rows
from llm4top.training.selection.candidates import whole_steps

_STEPS = 3
"""The first warms up; the pace is that of the last."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Prompt tokens a second, and the seconds of all steps, evaluations included, at most."""

    tokens_per_second: float
    steps: int
    seconds: float

    def __str__(self) -> str:
        """For a person: "about 3 minutes for 42 steps, judging by ..."."""
        return (
            f"{about(self.seconds)} for at most {thousands(self.steps)} steps and their "
            f"evaluations, judging by {_STEPS} steps here: "
            f"{thousands(round(self.tokens_per_second))} tokens a second."
        )


def measured_pace(config: TrainingConfig, data: Dataset) -> Pace:
    """Train for a few steps on some trials, and throw the result away.

    Loads the base model. One training is meant: ``final_fit: all`` makes more of them. Raises what
    ``load_base`` and ``finetune`` raise; not for tuning "probe", which has no steps.
    """
    rows = data.select(config.train_split)
    effective = config.batch_size * config.accumulation
    trials = rows.take(sample_rows(len(rows), _STEPS * effective, config.seed)).trials
    base = load_base(
        config.base, device=config.device, dtype=config.dtype, quantize=config.quantize
    )
    scorer = TrialScorer(base, data.task, prompt_spec(config, trials, data.task))
    prompts = [prompt.token_ids for prompt in scorer.prompts(trials)]
    values = {name: getattr(config, name) for name in FinetuneSettings.model_fields}
    few = {"max_steps": _STEPS, "epochs": _STEPS, "log_steps": 1, "class_weights": None}
    settings = FinetuneSettings(**{**values, **few, "section_dropout": 0.0})
    # What the answers are makes no difference to the time.
    done = finetune(base, prompts, [0] * len(prompts), scorer.answer_ids, settings)
    pace = [line["tokens_per_second"] for line in done.history if "tokens_per_second" in line][-1]
    steps = whole_steps(config, len(rows))
    tokens = steps * effective * sum(map(len, prompts)) / len(prompts)
    return Pace(pace, steps, tokens / pace * (1 + SHARE_OF_TIME))
