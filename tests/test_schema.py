"""JSON and settings become models, or errors in plain sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from llm4top.errors import BundleError, ConfigError, TaskError
from llm4top.schema import did_you_mean, read_model, setting_faults, validate_settings


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


def test_settings_name_every_fault_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        validate_settings(
            Settings, {"epochs": "x", "rows": 0}, message="they are wrong.", hint="Look."
        )
    assert str(caught.value) == (
        "they are wrong.\n  - epochs: must be a number, not 'x'\n"
        "  - rows: must be 1 or more, not 0\n  - base: must be given (the base model)\nLook."
    )
    assert validate_settings(Settings, {"base": "b"}, message="").epochs == 1


class Card(BaseModel):
    """A file's content."""

    model_config = ConfigDict(extra="forbid", strict=True)

    schema_version: int
    sizes: tuple[int, ...] = ()
    name: str = ""

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name == "nowhere":
            raise TaskError("there is no such task.")
        return name


def read(content: Any, **more: Any) -> Card:
    source = content if isinstance(content, str | bytes | Path) else json.dumps(content)
    more = {"where": "card.json", "version": 2, **more}
    return read_model(Card, source, what="the card", error=BundleError, hint="Get it.", **more)


def test_a_file_becomes_a_model(tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    file.write_text('{"schema_version": 1, "sizes": [1, 2]}')
    assert read(file) == read(file.read_bytes()) == Card(schema_version=1, sizes=(1, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "the card is not JSON (Expecting property name"),
        (b"\xff", "the card is not JSON ("),
        ("[" * 100_000, "the card is not JSON ("),
        ([], "the card is not a JSON object."),
        ({}, "the card has no schema version."),
        ({"schema_version": True}, "the card has no schema version."),
        (
            {"schema_version": 3},
            "the card has schema version 3; this LLM4TOP reads versions 1 to 2. Upgrade LLM4TOP",
        ),
        (
            {"schema_version": 0},
            "the card has schema version 0; this LLM4TOP reads versions 1 to 2. Get it.",
        ),
        (
            {"schema_version": 1, "sizes": [1, "x"]},
            "the card is wrong in 'sizes.1': Input should be a valid integer. Get it.",
        ),
        ({"schema_version": 1, "name": "nowhere"}, "there is no such task. Get it."),
    ],
)
def test_an_error_names_file_fault_and_remedy(content: Any, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        read(content)
    assert str(caught.value).startswith(f"card.json: {message}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        read(tmp_path / "none", where=None)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: the card cannot be read: No such file or directory. Get it."
    )


def test_a_file_without_versions() -> None:
    assert read({"schema_version": 9}, version=None).schema_version == 9


def test_an_older_version_is_converted_first() -> None:
    def newer(values: dict[str, Any]) -> dict[str, Any]:
        return {"schema_version": 2, "name": values["title"]}

    assert read({"schema_version": 1, "title": "a"}, prepare=newer).name == "a"
