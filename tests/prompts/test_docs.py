from pathlib import Path

from llm4top.prompts.docs import allowed_inputs_page
from llm4top.registry.fields import ALLOWED_FIELDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "allowed-inputs.md"


def test_the_page_of_allowed_inputs_is_up_to_date():
    command = "python -m llm4top.prompts.docs docs/allowed-inputs.md"
    assert PAGE.read_text(encoding="utf-8") == allowed_inputs_page(), f"run: {command}"


def test_every_allowed_field_has_a_row_and_a_section():
    rows = [line for line in allowed_inputs_page().splitlines() if line.startswith("| ")]
    for field in ALLOWED_FIELDS:
        (row,) = [row for row in rows if f"(`{field.name}`)" in row]
        assert row.split("|")[2].strip()
