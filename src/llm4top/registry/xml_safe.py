"""Parse one XML record without trusting it."""

import re
from typing import Any, NamedTuple

from lxml import etree

from llm4top.errors import (
    LimitError,
    MalformedRecordError,
    RegistryError,
    UnknownFormatError,
    UnsafeRecordError,
)
from llm4top.registry.limits import PARSER_DEPTH, Limits, beyond
from llm4top.text import thousands


class _Part(NamedTuple):
    tag: str
    first: bytes
    last: bytes
    between: bytes
    name: bytes


_PARTS = tuple(
    _Part(
        tag,
        f"\n  <{tag}>".encode(),
        f"\n  </{tag}>".encode(),
        f"\n  </{tag}>\n  <{tag}>".encode(),
        f"{tag}>".encode(),
    )
    for tag in ("location", "reference", "results_reference", "clinical_results")
)
"""In the order in which the registry writes them."""


_BEFORE = b"\n  </eligibility>"  # nothing needs to be looked for earlier


class Skipped(NamedTuple):
    """What was taken out: elements alike, side by side, how many they are, and their bytes."""

    tag: str
    number: int
    data: bytes


def skip(data: bytes) -> tuple[bytes, list[Skipped]]:
    """``data`` with line breaks in the place of what was taken out, and what that was.

    Results, locations and references are over half of a record's bytes and none of them reaches a
    trial, so taking them out before parsing halves the time. It is done on bytes, and only where
    that is certain to be what a parser would do: the registry's own layout (two blanks of indent,
    elements of one kind side by side). Any other layout is left to the parser.
    """
    skipped: list[Skipped] = []
    begin = data.find(_BEFORE)
    if begin < 0:
        return data, skipped
    for part in _PARTS:
        found = data.find(part.first, begin)
        if found < 0:
            continue
        begin = found
        # From the first start tag to the last end tag of the kind. A start tag inside a comment
        # or a CDATA section is text: nothing is taken out then.
        end = data.rfind(part.last, begin) + len(part.last)
        if end <= begin or _may_hide(data, begin):
            continue
        block = data[begin:end]
        # n elements side by side have n - 1 seams between them and 2 n tags in all. Any other
        # count means that something else stands between them, or one within the other.
        count = block.count(part.between) + 1
        if block.count(part.name) != 2 * count:
            continue
        # As many line breaks as before, so that errors name the right line.
        data = data[:begin] + b"\n" * block.count(b"\n") + data[end:]
        skipped.append(Skipped(part.tag, count, block))
    return data, skipped


def _may_hide(data: bytes, begin: int) -> bool:
    """Whether a comment or CDATA section may be open at ``begin``."""
    mark = data.rfind(b"!", 0, begin)  # a single byte is found ten times as fast as two
    while mark >= 0:
        if data.startswith(b"<!", mark - 1):
            return not data.startswith(b"--", mark + 1) or data.find(b"-->", mark, begin) < 0
        mark = data.rfind(b"!", 0, mark)
    return False


ROOT = "clinical_study"

# No recovery, no network, no DTD, no entity but XML's own five, and libxml2's caps left on.
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    recover=False,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
    collect_ids=False,
)
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_RECORDS = re.compile(rb"<" + ROOT.encode() + rb"[\s>]")
_ENCODINGS = frozenset({b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1"})
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00", b"+/v", b"\x4c\x6f\xa7\x94")
_XINCLUDE = "{http://www.w3.org/2001/XInclude}"
_AGAIN = "Download the record again from ClinicalTrials.gov."
_OVER = ("Excessive depth", "limit exceeded", "too long", "XML_PARSE_HUGE")


def parse(data: bytes, name: str, limits: Limits) -> etree._Element:
    """The root element of a legacy record whose bytes have been checked."""
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        if len(_RECORDS.findall(data)) > 1:
            raise MalformedRecordError(
                "the file holds several records, one after the other.",
                file=name,
                line=error.lineno or None,
                hint="Give each a file of its own, or export the studies as JSON.",
            ) from None
        raise _syntax_error(error, name) from None
    if root.tag != ROOT:
        raise UnknownFormatError(
            f"the root element is <{str(root.tag)[:60]}>, not <{ROOT}>.",
            file=name,
            line=line_of(root),
            hint="LLM4TOP reads the legacy XML of ClinicalTrials.gov, one study a file.",
        )
    if limits.depth < PARSER_DEPTH:
        _check_depth(root, name, limits.depth)
    if len(data) > limits.text_length:
        _check_texts(root, name, limits.text_length)
    return root


def line_of(element: etree._Element) -> int | None:
    """The 1-based line on which ``element`` starts, where the parser kept it."""
    line: Any = element.sourceline
    return line if isinstance(line, int) else None


def check_bytes(data: bytes, name: str, limits: Limits) -> None:
    """Refuse, before any parsing, what no registry record holds."""
    if len(data) > limits.record_bytes:
        raise LimitError(
            f"the record has {thousands(len(data))} bytes, the limit is "
            f"{thousands(limits.record_bytes)}.",
            file=name,
            hint=beyond("record_bytes"),
        )
    head = data[:200]
    if is_wide(head):
        raise UnsafeRecordError(
            "the XML is not in UTF-8, ASCII or ISO-8859-1.", file=name, hint=_AGAIN
        )
    declared = _ENCODING.search(head)
    if declared and declared[1].lower() not in _ENCODINGS:
        encoding = declared[1].decode("ascii", "replace")[:40]
        raise UnsafeRecordError(
            f"the XML declares the encoding “{encoding}”.",
            file=name,
            line=1,
            hint="Only UTF-8, ASCII and ISO-8859-1 are read. " + _AGAIN,
        )
    # A document type can only stand before the root element.
    start = data.find(b"<" + ROOT.encode())
    doctype = data.find(b"<!DOCTYPE", 0, start if start >= 0 else len(data))
    if doctype >= 0:
        raise UnsafeRecordError(
            "the XML declares a document type (<!DOCTYPE>), which may hold entities.",
            file=name,
            line=data.count(b"\n", 0, doctype) + 1,
            hint="No registry record has one. " + _AGAIN,
        )
    # The shortest element has four bytes, so only a large file can hold too many.
    if len(data) > 4 * limits.values and data.count(b"<") > limits.values:
        raise LimitError(
            f"the record has more than {thousands(limits.values)} elements.",
            file=name,
            hint=beyond("values"),
        )


def check_namespace(element: etree._Element, name: str) -> None:
    """Refuse an element from another vocabulary, such as an inclusion."""
    tag = str(element.tag)
    if not tag.startswith("{"):
        return
    included = tag.startswith(_XINCLUDE)
    raise UnsafeRecordError(
        "the XML includes other files (XInclude)."
        if included
        else "the XML holds an element of a foreign namespace.",
        file=name,
        line=line_of(element),
        element=tag.rpartition("}")[2][:60],
        hint="No registry record does. " + _AGAIN,
    )


def is_wide(head: bytes) -> bool:
    """Whether a file starts in UTF-16, UTF-32, UTF-7 or EBCDIC, which hide what is looked for."""
    return head.startswith(_WIDE) or b"\x00" in head


def _syntax_error(error: etree.XMLSyntaxError, name: str) -> RegistryError:
    message = " ".join((error.msg or "no element found").partition(", line ")[0].split())
    line = error.lineno or None
    if any(word in message for word in _OVER):
        return LimitError(
            f"the XML is deeper or longer than its parser allows: {message}.",
            file=name,
            line=line,
            hint="No registry record is. " + _AGAIN,
        )
    return MalformedRecordError(f"the XML is broken: {message}.", file=name, line=line, hint=_AGAIN)


def _check_depth(root: etree._Element, name: str, depth: int) -> None:
    level = [root]
    for _ in range(depth):
        level = [child for element in level for child in element]
        if not level:
            return
    raise LimitError(
        f"the XML is nested deeper than {depth} elements.",
        file=name,
        line=line_of(level[0]),
        hint=beyond("depth"),
    )


def _check_texts(root: etree._Element, name: str, length: int) -> None:
    for element in root.iter(etree.Element):
        longest = max(
            len(element.text or ""), len(element.tail or ""), *map(len, element.attrib.values()), 0
        )
        if longest > length:
            raise LimitError(
                f"a text has {thousands(longest)} characters, the limit is {thousands(length)}.",
                file=name,
                line=line_of(element),
                element=str(element.tag)[:60],
                hint=beyond("text_length"),
            )
