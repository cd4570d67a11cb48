"""Invented records for the tests, written out in either registry format."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import escape

NCT = "NCT90000001"


def xml(body: str = "", *, nct_id: str = NCT, title: str = "An invented trial") -> bytes:
    """A small legacy record with ``body`` inside."""
    return (
        "<clinical_study>\n"
        f"  <id_info>\n    <nct_id>{nct_id}</nct_id>\n  </id_info>\n"
        f"  <brief_title>{escape(title)}</brief_title>\n"
        f"  <condition>Gout</condition>\n{body}</clinical_study>\n"
    ).encode()


def study(nct_id: str = NCT, title: str = "An invented trial", **modules: Any) -> dict[str, Any]:
    """A small v2 study with ``modules`` in its protocol section."""
    identification = {"nctId": nct_id, "briefTitle": title}
    conditions = {"conditions": ["Gout"], **modules.pop("conditionsModule", {})}
    return {
        "protocolSection": {
            "identificationModule": identification,
            "conditionsModule": conditions,
            **modules,
        }
    }


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


TOP_HEADER = "nctid,status,why_stop,label,phase,diseases,icdcodes,drugs,smiless,criteria\n"


def top_row(**cells: str) -> str:
    """A row of TOP's CSV with ``cells`` in place of the usual ones."""
    usual = {
        "nctid": NCT,
        "status": "terminated",
        "why_stop": "slow accrual",
        "label": "0",
        "phase": "phase 1/phase 2",
        "diseases": "['gout', 'arthritis']",
        "icdcodes": "[\"['M10.9', 'M1A']\", \"['M10.9']\"]",
        "drugs": "['inventumab']",
        "smiless": "['CCO', 'S1SSSSSSS1', 'CCN']",
        "criteria": "\n    Inclusion Criteria:\n\n      -  Gout for at\n         least a year",
    }
    usual.update(cells)
    return ",".join('"' + text.replace('"', '""') + '"' for text in usual.values()) + "\n"


_WORD = re.compile(r"[^\W\d_]{2,}|\d{3,}")
_NUMBERING = re.compile(r"\(?\b[ivx]{2,4}[.)]|\d+(?:\.\d+)+", re.IGNORECASE)


def criteria_words(text: str) -> list[str]:
    """The words of criteria in their order, but for the marks and how headings are spelled."""
    words = [word.lower() for word in _WORD.findall(_NUMBERING.sub(" ", text))]
    return [
        word.removesuffix("s") if word in ("inclusions", "exclusions") else word
        for word in words
        if word not in ("criteria", "criterion")
    ]
