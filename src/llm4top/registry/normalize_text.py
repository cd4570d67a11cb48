"""One spelling for the text of both registry formats.

The legacy XML hard-wraps and indents its text blocks and separates paragraphs and bullets by blank
lines; the v2 JSON writes markdown. Canonical text has one paragraph or bullet a line, bullets as
"- " whatever their depth, blanks collapsed and markdown escapes removed.
"""

import re

_BULLETS = ("- ", "* ", "• ", "· ")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_BLANK_LINE = re.compile(r"\n\s*\n")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


_C1 = re.compile("[\x80-\x84\x86-\x9f]")  # 0x85 ends a line
_TAG = re.compile(
    r"<(/?)(b|i|u|em|strong|su[bp]|span|font|a|br|p|div|[uo]l|li|h[1-6]|table|t[rdh])"
    r"(?:\s[^<>]*)?\s*/?>",
    re.IGNORECASE,
)
_BLOCKS = frozenset(
    {"br", "p", "div", "ul", "ol", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_INLINE = frozenset({"b", "i", "u", "em", "strong", "sub", "sup", "span", "font", "a"})


def plain(text: str, *, wrapped: bool = False) -> str:
    """``text`` as a person reads it: tags of web pages dropped, Windows' characters spelled out.

    ``<br>``, ``<p>`` and their like end a paragraph, ``<li>`` begins a bullet. The codes 0x80 to
    0x9F, which are controls, mean in practice what Windows-1252 means by them: a dash, a quote.
    In a ``wrapped`` text what follows a tag stays in its column, which tells where the line ended.
    """
    if "<" in text:
        text = _TAG.sub(_untagged_in_place if wrapped else _untagged, text)
    if not text.isascii() and _C1.search(text):
        text = _C1.sub(lambda found: found[0].encode("latin-1").decode("cp1252", "replace"), text)
        text = text.replace("\ufffd", " ")
    return text


def instead_of(tag: str, *, ends: bool = False) -> str:
    """What stands for ``tag`` where it begins or ends."""
    if tag in _INLINE:
        return ""
    if tag == "li":
        return "\n\n" if ends else "\n\n- "
    return "\n\n" if tag in _BLOCKS else " "


def _untagged(found: re.Match[str]) -> str:
    return instead_of(found[2].lower(), ends=bool(found[1]))


def _untagged_in_place(found: re.Match[str]) -> str:
    stands = _untagged(found)
    if stands == "\n\n":
        return stands + " " * (found.end() - 1 - found.string.rfind("\n", 0, found.end()))
    return " " * len(found[0]) if stands == " " else stands


def one_line(text: str) -> str | None:
    """``text`` on one line with blanks collapsed; ``None`` when nothing is left."""
    if text.isprintable() and "  " not in text:  # the only blank in it is the space, and single
        return text.strip() or None
    return " ".join(text.split()) or None


def from_textblock(text: str) -> str | None:
    """Canonical text of a hard-wrapped block: only a blank line ends a paragraph or bullet."""
    if "\t" in text or not text.isascii():
        return _from_parts(_BLANK_LINE.split(text))
    # The common case, in a few passes of C: str.split() by word would cost more than parsing did.
    flat = " ".join([line or "\n" for line in map(str.strip, text.split("\n"))])
    if "\r" in flat:  # one that ends no line is a blank like any other
        return _from_parts(_BLANK_LINE.split(text))
    flat = "\n".join([line for part in flat.split("\n") if (line := part.strip())])
    while "  " in flat:
        flat = flat.replace("  ", " ")
    return (_bullets(flat) if "*" in flat else flat) or None


def from_lines(text: str) -> str | None:
    """Canonical text of a short description, where every line break was meant."""
    if "\n" not in text:
        flat = " ".join(text.split())
        return _bullets(flat) or None if flat[:2] in _BULLETS else flat or None
    return _from_parts(text.split("\n"))


def from_markdown(text: str) -> str | None:
    r"""Canonical text of the v2 JSON's markdown: ``* `` bullets, escapes such as ``\>=``."""
    return from_lines(plain(unescaped(text)))


def unescaped(text: str) -> str:
    r"""``text`` without markdown's escapes: ``\>=`` is ``>=``."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def clean(text: str) -> str:
    """``text`` without the control characters and lone surrogates that XML could not hold."""
    return _CONTROLS.sub(" ", text)


def printable(text: str) -> str:
    """``text`` with every character that does not show written as its number."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def excerpt(text: str, length: int = 80) -> str:
    """The start of ``text`` on one line, at most ``length`` characters."""
    if len(text) <= length and text.isprintable() and "  " not in text:
        return text.strip()
    flat = " ".join(text[: length * 2].split())
    return flat if len(flat) <= length else flat[: length - 1].rstrip() + "…"


def _from_parts(parts: list[str]) -> str | None:
    lines = (" ".join(part.split()) for part in parts)
    return _bullets("\n".join(line for line in lines if line)) or None


def _bullets(text: str) -> str:
    """Give every bullet the mark "- "; a mark with nothing behind it is dropped."""
    for mark in ("* ", "• ", "· "):
        if text.startswith(mark):
            text = "- " + text[2:]
        if "\n" + mark in text:
            text = text.replace("\n" + mark, "\n- ")
    return text
