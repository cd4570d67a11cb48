"""Scoring with llama.cpp: one prefill a prompt, the last position's logits at the answers."""

import llama_cpp
from work import read_plan, serve

plan = read_plan()
# A whole prompt in one piece: smaller pieces are slower.
model = llama_cpp.Llama(
    plan["gguf"],
    n_ctx=plan["longest"],
    n_batch=plan["longest"],
    n_ubatch=plan["longest"],
    n_threads=plan["threads"],
    n_threads_batch=plan["threads"],
    verbose=False,
)


def score(prompts: list[list[int]]) -> list[list[float]]:
    found = []
    for prompt in prompts:
        model.reset()
        model._ctx.kv_cache_clear()
        model.eval(prompt)
        logits = llama_cpp.llama_get_logits_ith(model._ctx.ctx, -1)
        found.append([float(logits[i]) for i in plan["answers"]])
    return found


serve(lambda: score(plan["prompts"]), lambda: score(plan["prompts"]))
