"""Scoring with transformers alone, in the ways that are usual: the second argument says which.

plain     one prompt at a time, logits of the whole vocabulary at every position
kept      batches of eight of like length, padded on the left, logits of the last position
sequence  the same batches through AutoModelForSequenceClassification
generate  one prompt at a time, a text of so many tokens, which would be parsed for its answer
"""

import sys

import torch
from work import load, read_plan, serve

plan = read_plan()
way = sys.argv[2]
answers = plan["answers"]
BATCH = 8


def batches() -> list[list[int]]:
    order = sorted(range(len(plan["prompts"])), key=lambda i: -len(plan["prompts"][i]))
    return [order[i : i + BATCH] for i in range(0, len(order), BATCH)]


def padded_left(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    longest = max(map(len, rows))
    ids = [[0] * (longest - len(row)) + row for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def plain(rows: list[list[int]]) -> list[list[float]]:
    logits = [model(input_ids=torch.tensor([row])).logits[0, -1, answers] for row in rows]
    return torch.stack(logits).tolist()


def kept(rows: list[list[int]]) -> list[list[float]]:
    logits = model(**padded_left(rows), use_cache=False, logits_to_keep=1).logits
    return logits[:, -1, answers].tolist()


def sequence(rows: list[list[int]]) -> list[list[float]]:
    return model(**padded_left(rows), use_cache=False).logits.tolist()


def generate(rows: list[list[int]]) -> list[list[float]]:
    length = plan["new_tokens"]
    for row in rows:
        ids = torch.tensor([row])
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=length,
            min_new_tokens=length,
            do_sample=False,
            pad_token_id=0,
        )
    return []


@torch.inference_mode()
def work() -> list[list[float]]:
    rows = plan["prompts"]
    if way == "plain":
        return plain(rows)
    if way == "generate":
        return generate(rows[: plan["generated"]])
    logits: list[list[float]] = [[]] * len(rows)
    for batch in batches():
        scored = (kept if way == "kept" else sequence)([rows[i] for i in batch])
        for i, row in zip(batch, scored, strict=True):
            logits[i] = row
    return logits


@torch.inference_mode()
def warm_up() -> None:
    if way in ("kept", "sequence"):
        work()
    else:
        plain(plan["prompts"][:2])


if way == "sequence":
    model = load(plan, "AutoModelForSequenceClassification", num_labels=2, pad_token_id=0)
else:
    model = load(plan)
serve(warm_up, work)
