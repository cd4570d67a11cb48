"""What must hold of the container recipes: who they run as, what they open, and no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
OURS = ("studio", "worker")


@pytest.fixture
def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(COMPOSE)
    return made


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of the last stage, with their arguments on one line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    pairs = [(name, rest.strip()) for name, _, rest in found]
    last = max(n for n, (name, _) in enumerate(pairs) if name == "FROM")
    return pairs[last:]


def test_the_image_runs_as_an_ordinary_user_and_is_checked() -> None:
    last = instructions(DOCKERFILE)
    (user,) = (value for name, value in last if name == "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    # Nothing is done as root behind it.
    after = [name for name, _ in last[last.index(("USER", user)) :]]
    assert not {"RUN", "COPY", "ADD"} & set(after)
    (check,) = (value for name, value in last if name == "HEALTHCHECK")
    assert "http://127.0.0.1:8642/healthz" in check
    assert ("ENTRYPOINT", '["llm4top"]') in last


def test_packages_are_installed_by_hash_and_no_secret_is_built_in() -> None:
    assert "--no-deps --require-hashes" in DOCKERFILE
    assert "--requirement /locks/requirements.lock" in DOCKERFILE
    assert not re.search(r"(?i)password|secret|token=|api_key", DOCKERFILE)
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for names in copied for name in names.split()} == {name[1:] for name in kept}


def test_only_the_studio_is_published_and_on_this_machine_alone(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports == {"studio": ["127.0.0.1:8642:8642"], "worker": [], "database": []}
    assert compose["networks"]["inside"]["internal"] is True
    assert compose["services"]["worker"]["networks"] == ["inside"]
    assert compose["services"]["database"]["networks"] == ["inside"]


def test_the_password_is_in_a_file_and_nowhere_else(compose: dict[str, Any]) -> None:
    assert compose["secrets"] == {"database_password": {"file": "./secrets/database_password"}}
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    for service in compose["services"].values():
        assert service["secrets"] == ["database_password"]
        given = {k: v for k, v in service["environment"].items() if "PASSWORD" in k}
        assert given
        assert all(name.endswith("_FILE") for name in given)
        assert set(given.values()) == {"/run/secrets/database_password"}
    for name in OURS:
        url = compose["services"][name]["environment"]["LLM4TOP_DATABASE_URL"]
        assert url == "postgresql://llm4top@database/llm4top"


def test_our_services_have_no_more_rights_than_they_need(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert service["volumes"] == ["workspace:/workspace"]
        # Longer than a run gets to stop by itself.
        assert int(service["stop_grace_period"].rstrip("s")) > 120
        assert service["depends_on"]["database"]["condition"] == "service_healthy"
    assert "test" in compose["services"]["database"]["healthcheck"]
