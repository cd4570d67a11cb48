"""Hostile files on the Forecast page: each refused by name, and their neighbour is forecast."""

from __future__ import annotations

import io
import re
import zipfile
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

WAIT = 120_000
LAUGHS = '<!DOCTYPE lolz [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">'
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
SECRET = "root:x:"


def given(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def record(title: str) -> bytes:
    text = (files("llm4top") / "examples" / "example.xml").read_text("utf-8")
    return re.sub(
        "<brief_title>.*?</brief_title>", f"<brief_title>{title}</brief_title>", text
    ).encode()


HOSTILE = {
    "laughs.xml": f"{LAUGHS}]><clinical_study><brief_title>&i;</brief_title>".encode(),
    "passwd.xml": b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b"<clinical_study><brief_title>&e;</brief_title></clinical_study>",
    "fetch.xml": b'<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><clinical_study/>',
    "bomb.zip": zipped({"bomb.xml": b"0" * 30_000_000}),
    "nested.zip": zipped({"inner.zip": zipped({"a.xml": b"<clinical_study/>"})}),
    "deep.json": b'{"protocolSection": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "wide.xml": b"<clinical_study>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</clinical_study>",
    "half.xml": record("Half")[:900],
    "noise.zip": b"PK\x03\x04" + bytes(range(256)) * 8,
    "empty.xml": b"",
}


@pytest.mark.browser
def test_hostile_files_are_refused_by_name_beside_their_neighbour(
    page: Page, server: Server
) -> None:
    page.goto("/")
    page.get_by_role("button", name="Try an example").wait_for()
    climbing = zipped(
        {"../../../escaped.xml": record("Climbing"), "/etc/rooted.xml": record("Rooted")}
    )
    page.set_input_files(
        "input[type=file]",
        [
            *(given(name, content) for name, content in HOSTILE.items()),
            given("good.xml", record("A good neighbour")),
            given("climbing.zip", climbing),
        ],
    )
    page.get_by_role("article").filter(has_text="A good neighbour").wait_for(timeout=WAIT)
    refused = page.get_by_role("region", name="Refused")
    refused.locator("summary").first.click()
    for name in HOSTILE:
        expect(refused).to_contain_text(name)
    assert SECRET not in page.locator("body").inner_text()
    assert not list(server.home.parent.rglob("escaped.xml"))
    # Only what was forecast is kept.
    with Workspace.open(server.home) as workspace:
        assert {upload.name for upload in workspace.uploads.list()} <= {"good.xml", "climbing.zip"}
    page.get_by_role("button", name="New forecast").click()
    page.get_by_role("button", name="Try an example").click()
    page.get_by_role("article").filter(has_text="Exemplamab").wait_for(timeout=WAIT)
