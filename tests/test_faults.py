"""Faults of settings in plain sentences, one a setting."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm4top._faults import did_you_mean, setting_faults


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    epochs: float = 1
    rows: Annotated[int, Field(ge=1)] | None = None
    names: list[str] = []
    name: str = Field("a", min_length=1, max_length=5)
    on: bool = False
    rate: float = Field(0.5, ge=0, lt=1, description="how fast it goes")
    kind: Literal["a", "b"] = "a"
    base: str = Field(description="the base model.")


def faults(**given: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"base": "b", **given})
    return setting_faults(caught.value, Settings.model_fields)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"epochs": "banana"}, "epochs: must be a number, not 'banana'"),
        ({"epochs": None}, "epochs: must be a number, not None"),
        ({"rows": 1.5}, "rows: must be a whole number, not 1.5"),
        ({"rows": 0}, "rows: must be 1 or more, not 0"),
        ({"names": "x"}, "names: must be a list, not 'x'"),
        ({"names": ["x", False]}, 'names.1: must be text, not False (put it in quotes: "no")'),
        ({"names": [7]}, 'names.0: must be text, not 7 (put it in quotes: "7")'),
        ({"name": ""}, "name: must be text that is not empty, not ''"),
        ({"name": "abcdef"}, "name: must be 5 characters or shorter, not 'abcdef'"),
        ({"on": "perhaps"}, "on: must be true or false, not 'perhaps'"),
        ({"rate": 1}, "rate: must be less than 1, not 1"),
        ({"kind": "c"}, "kind: must be 'a' or 'b', not 'c'"),
        ({"ephocs": 1}, "ephocs: no such setting (did you mean epochs?)"),
        ({"zzz": 1}, "zzz: no such setting"),
    ],
)
def test_a_fault_says_what_the_setting_must_be(given: dict[str, object], fault: str) -> None:
    assert faults(**given) == [fault]


def test_a_missing_setting_is_described() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"rate": "x"})
    assert setting_faults(caught.value, Settings.model_fields) == [
        "rate: must be a number, not 'x'",
        "base: must be given (the base model)",
    ]


def test_long_values_are_shortened() -> None:
    (fault,) = faults(epochs="x" * 500)
    assert fault.endswith("...")
    assert len(fault) < 120


def test_only_near_names_are_suggested() -> None:
    assert did_you_mean("lora-rnak", ["lora_rank", "seed"]) == " (did you mean lora_rank?)"
    assert did_you_mean("colour", ["lora_rank", "seed"]) == ""
