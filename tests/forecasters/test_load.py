import pytest

from llm4top.errors import ModelError
from llm4top.forecasters.load import load_forecaster


@pytest.mark.parametrize("model", ["embedded", "nothing", "http://127.0.0.1:9/v1#tiny"])
@pytest.mark.parametrize("tokens", [0, -1])
def test_a_batch_has_a_token_at_least(model, tokens):
    with pytest.raises(ModelError) as refusal:
        load_forecaster(model, batch_tokens=tokens)
    assert str(refusal.value) == (
        f"batch_tokens: a batch cannot have {tokens} tokens. Give 1 or more, or None to fit the "
        "free memory."
    )
