"""From a model that was trained as shards to one in one piece, which calibrates and forecasts."""

from dataclasses import replace

from llm4top.forecasters.finetuning import lora
from llm4top.forecasters.finetuning.finetune import FinetuneResult, with_adapter
from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.forecasters.model.base_model import BaseModel, load_base
from llm4top.forecasters.model.device import empty_caches
from llm4top.forecasters.model.sharding import is_sharded, release_shards
from llm4top.processes import is_main_process


def made_whole(
    base: BaseModel, tuned: FinetuneResult, settings: FinetuneSettings
) -> FinetuneResult:
    """The result with its model whole in process 0, as training without shards would have left it.

    All processes call this. Process 0 loads the base model once more, whole, in the base's number
    type: it has to fit on that device by itself, as it has to for forecasting. In the others, and
    where the model is whole already, the result stays as it is. ``base`` is changed along.
    """
    if not is_sharded(tuned.model):
        return tuned
    weights = lora.trained_weights(lora.AnswerScorer(tuned.model, ()))
    if not is_main_process():
        return tuned
    release_shards(tuned.model)
    empty_caches()
    base.model = load_base(base.folder, device=base.device.torch, dtype=base.dtype.name).model
    model = base.model
    if settings.tuning == "full":
        model.requires_grad_(True)
    else:
        model = with_adapter(model, settings)
    lora.put_weights(lora.AnswerScorer(model, ()), weights)
    return replace(tuned, model=model.eval())
