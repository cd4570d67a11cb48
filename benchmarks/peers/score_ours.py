"""Scoring as LLM4TOP does it."""

from work import load, read_plan, serve

from llm4top.forecasters.model.device import choose_device
from llm4top.forecasters.model.packing import use_packing
from llm4top.forecasters.model.scoring import default_budget, score_prompts

plan = read_plan()
model = load(plan)
assert use_packing(model)
budget = default_budget(model, choose_device("cpu"))


def score(prompts: list[list[int]]) -> list[list[float]]:
    logits: list[list[float]] = score_prompts(
        model, prompts, plan["answers"], budget=budget
    ).tolist()
    return logits


serve(lambda: score(plan["prompts"]), lambda: score(plan["prompts"]))
