import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import (
    LimitError,
    MalformedRecordError,
    RegistryError,
    UnknownFormatError,
    UnsafeRecordError,
)
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from tests.profiles import examples
from tests.registry.builders import xml

BODY = b"<clinical_study><brief_title>&a;</brief_title></clinical_study>"
LAUGHS = (
    b'<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
    + BODY.replace(b"&a;", b"&j;")
)
XI = b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'

HOSTILE = {
    "billion laughs": (LAUGHS, UnsafeRecordError, "document type"),
    "quadratic blow-up": (
        b'<!DOCTYPE x [<!ENTITY a "'
        + b"a" * 100_000
        + b'">]>'
        + BODY.replace(b"&a;", b"&a;" * 1000),
        UnsafeRecordError,
        "document type",
    ),
    "external entity": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + BODY,
        UnsafeRecordError,
        "document type",
    ),
    "external dtd": (
        b'<?xml version="1.0"?><!DOCTYPE clinical_study SYSTEM "http://127.0.0.1:9/x.dtd">'
        + BODY.replace(b"&a;", b"a"),
        UnsafeRecordError,
        "document type",
    ),
    "parameter entity": (
        b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>' + BODY,
        UnsafeRecordError,
        "document type",
    ),
    "undeclared entity": (BODY, MalformedRecordError, "broken"),
    "xinclude": (
        b"<clinical_study>" + XI + b"<brief_title>a</brief_title></clinical_study>",
        UnsafeRecordError,
        "XInclude",
    ),
    "xinclude in criteria": (
        xml(f"<eligibility><criteria>{XI.decode()}</criteria></eligibility>"),
        UnsafeRecordError,
        "XInclude",
    ),
    "foreign namespace": (
        xml('<x:script xmlns:x="urn:x">a</x:script>'),
        UnsafeRecordError,
        "foreign namespace",
    ),
    "utf-16": (xml().decode().encode("utf-16"), UnsafeRecordError, "UTF-16"),
    "utf-16 without mark": (xml().decode().encode("utf-16-be"), UnsafeRecordError, "UTF-16"),
    "utf-32": (xml().decode().encode("utf-32"), UnsafeRecordError, "UTF-32"),
    "utf-7 by declaration": (
        b'<?xml version="1.0" encoding="UTF-7"?>+ADw-' + xml(),
        UnsafeRecordError,
        "declares the encoding",
    ),
    "utf-7 by mark": (b"+/v8-" + xml(), UnsafeRecordError, "UTF-7"),
    "utf-16 by declaration": (
        b"<?xml version='1.0' encoding='utf-16'?>" + xml(),
        UnsafeRecordError,
        "declares the encoding",
    ),
    "ebcdic by declaration": (
        b'<?xml version="1.0" encoding="cp037"?>' + xml(),
        UnsafeRecordError,
        "declares the encoding",
    ),
    "deep nesting": (xml("<a>" * 100_000), LimitError, "deeper"),
    "huge text": (xml("<a>" + "x" * 11_000_000 + "</a>"), LimitError, "characters|longer"),
    "huge attribute": (xml('<a b="' + "x" * 11_000_000 + '"/>'), LimitError, "characters|longer"),
    "too large": (xml("<a>" + "x" * 20_000_001 + "</a>"), LimitError, "bytes"),
    "too many elements": (xml("<a/>" * 2_000_001), LimitError, "elements"),
    "cut off": (xml()[:-12], MalformedRecordError, "broken"),
    "two roots": (xml() + xml(), MalformedRecordError, "several records, one after"),
    "not a study": (b"<note><body/></note>", UnknownFormatError, "root element"),
    "raw control character": (xml("<a>\x01</a>"), MalformedRecordError, "broken"),
    "invalid utf-8": (xml("<a>@</a>").replace(b"@", b"\xff"), MalformedRecordError, "broken"),
}


def refusal(path, data: bytes, limits: Limits | None = None) -> RegistryError:
    file = path / "record.xml"
    file.write_bytes(data)
    seen: list[RegistryError] = []
    reader = read_records(file, limits=limits, on_refusal=seen.append)
    assert list(reader) == []
    assert reader.summary.skipped == 1
    return seen[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_refused_by_name(name, tmp_path):
    data, kind, words = HOSTILE[name]
    error = refusal(tmp_path, data)
    assert type(error) is kind
    assert re.search(words, str(error))
    assert str(tmp_path / "record.xml") in str(error)
    assert error.hint


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-8", "US-ASCII", "ISO-8859-1"])
def test_the_three_encodings_are_read(encoding, tmp_path):
    file = tmp_path / "record.xml"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + xml().decode()
    file.write_bytes(text.encode(encoding))
    (record,) = read_records(file)
    assert record.trial.brief_title == "An invented trial"


def test_a_byte_order_mark_is_tolerated(tmp_path):
    file = tmp_path / "record.xml"
    file.write_bytes(b"\xef\xbb\xbf" + xml())
    assert len(list(read_records(file))) == 1


def test_the_doctype_error_names_the_line(tmp_path):
    error = refusal(tmp_path, b'<?xml version="1.0"?>\n\n<!DOCTYPE x>\n' + xml())
    assert error.line == 3
    assert "Download the record again" in str(error)


@pytest.mark.parametrize(
    ("limits", "body", "words"),
    [
        (Limits(depth=5), "<a><b><c><d><e/></d></c></b></a>", "deeper than 5"),
        (Limits(values=3), "<a/><b/><c/>", "more than 3 elements"),
        (Limits(text_length=40), "<a>" + "x" * 50 + "</a>", "50 characters"),
        (Limits(text_length=40), '<a b="' + "x" * 50 + '"/>', "50 characters"),
        (Limits(record_bytes=100), "<a>" + "x" * 50 + "</a>", "the limit is 100"),
    ],
)
def test_each_limit_can_be_lowered(limits, body, words, tmp_path):
    error = refusal(tmp_path, xml(body), limits)
    assert isinstance(error, LimitError)
    assert words in str(error)
    assert "check the file. If you trust it, raise Limits." in str(error)


def test_broken_xml_names_the_line(tmp_path):
    error = refusal(tmp_path, xml("  <phase>Phase 1</phas>\n"))
    assert error.line == 7
    assert "the XML is broken" in str(error)


@examples(100)
@given(st.data())
def test_a_record_that_is_cut_off_or_appended_to_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any")
    whole = xml("<eligibility><criteria><textblock>a\n\nb</textblock></criteria></eligibility>")
    cut_off = whole[: data.draw(st.integers(1, len(whole.rstrip()) - 1))]
    assert refusal(path, cut_off).hint
    garbage = data.draw(st.binary(min_size=1, max_size=9).filter(lambda b: b.strip(b" \t\r\n")))
    assert refusal(path, whole + garbage).hint
