"""How the elements of the legacy XML become fields of a trial."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from lxml import etree

from llm4top.registry import codes
from llm4top.registry.normalize_text import from_lines, from_textblock, instead_of, one_line, plain
from llm4top.registry.record_builder import KEPT, RecordBuilder, checked_count
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome
from llm4top.registry.withheld_reasons import REASONS
from llm4top.registry.xml_safe import check_namespace, line_of

_NAMED = re.compile(r"(?:^|,)\s*([A-Z][A-Za-z /-]{2,30}):\s*")
_COMMAS = re.compile(r",(?![^(]*\))")
_FIELDS = {
    "allocation": ("allocation", codes.ALLOCATIONS),
    "intervention model": ("intervention_model", codes.MODELS),
    "masking": ("masking", {}),
    "primary purpose": ("primary_purpose", codes.PURPOSES),
}
_BLIND = re.compile(r"blind|open[ -]?label|mask", re.IGNORECASE)


def parse_design(text: str) -> tuple[dict[str, str], str]:
    """The fields of a trial that a line about its design holds, and what else it says."""
    words = " ".join(text.split())
    names = list(_NAMED.finditer(words))
    if not names:
        return _unnamed(words)
    fields: dict[str, str] = {}
    rest = [words[: names[0].start()]]
    ends = [found.start() for found in names[1:]] + [len(words)]
    for found, end in zip(names, ends, strict=True):
        value = words[found.end() : end].strip(" ,")
        known = _FIELDS.get(found[1].lower())
        if known is None:
            rest.append(f"{found[1]}: {value}")
            continue
        field, table = known
        spelled = codes.masking(value) if field == "masking" else codes.design(table, value)
        if spelled:
            fields[field] = spelled
    return fields, ", ".join(part for part in rest if part)


def _unnamed(words: str) -> tuple[dict[str, str], str]:
    fields: dict[str, str] = {}
    rest = []
    for part in (part.strip() for part in _COMMAS.split(words)):
        spelled = None
        for field, table in _FIELDS.values():
            if field == "masking":
                spelled = codes.masking(part) if _BLIND.search(part) else None
            else:
                spelled = codes.design(table, part)
                spelled = spelled if spelled in table.values() and part != "Other" else None
            if spelled and field not in fields:
                fields[field] = spelled
                break
        else:
            rest.append(part)
    return fields, ", ".join(part for part in rest if part)


Element = etree._Element
Handler = Callable[[RecordBuilder, Element], None]

_KEY = 100  # characters


def text_of(draft: RecordBuilder, element: Element) -> str | None:
    """All text of ``element``, that of markup inside it included."""
    if len(element):
        return _marked_up(draft, element)
    text: str | None = element.text
    if text is not None and ("<" in text or not text.isascii()):
        return plain(text, wrapped=True)
    return text


def _marked_up(draft: RecordBuilder, element: Element) -> str:
    parts: list[str] = []
    for event, node in etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            if node is not element:
                check_namespace(node, draft.file)
                parts.append(instead_of(node.tag.lower()))
            parts.append(node.text or "")
        elif node is not element:
            parts.append(instead_of(node.tag.lower(), ends=True))
            # The parser drops a blank that stands alone between two elements.
            parts.append(node.tail or ("" if node.getnext() is None else " "))
    return plain("".join(parts))


def withhold(draft: RecordBuilder, path: str, element: Element) -> None:
    """Keep an element out of the trial."""
    account = draft.account
    if path in account.first:
        account.more[path] = account.more.get(path, 0) + 1
        return
    if path not in REASONS:
        check_namespace(element, draft.file)
    text = element.text
    while text is None and len(element):
        element = element[0]
        text = element.text
    account.first[path] = text[:KEPT] if text else ""


def set_once(draft: RecordBuilder, field: str, value: Any, element: Element) -> None:
    """Give ``field`` its ``value``; a record that gives it twice must mean the same."""
    old = draft.trial.setdefault(field, value)
    if old is not value and old != value:
        raise twice(draft, element)


def twice(draft: RecordBuilder, element: Element) -> Exception:
    """An error for an element that stands twice where a record has one."""
    return draft.malformed(
        f"<{element.tag}> stands twice and says two things.",
        element.tag,
        line=line_of(element),
        hint="Keep the one that is right.",
    )


# ------------------------------------------------------------------------------- simple fields


def value(field: str, convert: Callable[[str], object] = one_line) -> Handler:
    """A field that is the text of one element."""

    def read(draft: RecordBuilder, element: Element) -> None:
        text = text_of(draft, element)
        if text:
            found = convert(text)
            if found is not None:
                set_once(draft, field, found, element)

    return read


def coded(field: str, convert: Callable[[str], object] = one_line) -> Handler:
    """A field with few different texts, so that each is converted once; no long one is kept."""
    known = lru_cache(maxsize=4096)(convert)

    def read(draft: RecordBuilder, element: Element) -> None:
        text = text_of(draft, element)
        if text:
            found = known(text) if len(text) < _KEY else convert(text)
            if found is not None:
                set_once(draft, field, found, element)

    return read


def item(field: str) -> Handler:
    """A field that lists the texts of elements alike."""

    def read(draft: RecordBuilder, element: Element) -> None:
        text = text_of(draft, element)
        if text:
            found = one_line(text)
            if found is not None:
                draft.append(field, found)

    return read


def inside(tag: str, handlers: dict[str, Handler]) -> Handler:
    """An element of which only the children in ``handlers`` are on the allow-list."""

    def read(draft: RecordBuilder, element: Element) -> None:
        for child in element:
            name = child.tag
            handler = handlers.get(name)
            if handler is not None:
                handler(draft, child)
            else:
                withhold(draft, f"{tag}/{name}", child)

    return read


def textblock(
    path: str, field: str, convert: Callable[[str], str | None] = from_textblock
) -> Handler:
    """A long text, in a ``textblock`` or without one; what stands in several is put together."""

    def read(draft: RecordBuilder, element: Element) -> None:
        blocks = element.findall("textblock")
        if blocks:
            for child in element:
                if child.tag != "textblock":
                    withhold(draft, f"{path}/{child.tag}", child)
        for block in blocks or (element,):
            text = text_of(draft, block)
            found = convert(text) if text else None
            if found is not None:
                old = draft.trial.get(field)
                draft.trial[field] = found if old in (None, found) else f"{old}\n{found}"

    return read


def phase(draft: RecordBuilder, element: Element) -> None:
    """A phase; of several elements all phases are meant."""
    text = text_of(draft, element)
    found = codes.phase(text) if text else None
    if found is not None:
        old = draft.trial.get("phase")
        draft.trial["phase"] = found if old is None else codes.phase(f"{old}/{found}")


def count(draft: RecordBuilder, element: Element) -> None:
    """The number of arms or groups."""
    text = text_of(draft, element)
    if text and not text.isspace():
        number = checked_count(draft, text, element.tag, line_of(element))
        set_once(draft, "number_of_arms", number, element)


def design(draft: RecordBuilder, element: Element) -> None:
    """The design as one line, before 2017."""
    text = text_of(draft, element)
    if text and not text.isspace():
        fields, rest = parse_design(text)
        for field, found in fields.items():
            set_once(draft, field, found, element)
        if rest:
            draft.withhold(element.tag, rest)


def age(text: str) -> str | None:
    """An age limit; the registry writes N/A where there is none."""
    found = one_line(text)
    return None if found is None or found.casefold() in ("n/a", "none") else found


def yes(text: str) -> bool | None:
    """A yes or no."""
    return {"yes": True, "accepts healthy volunteers": True, "no": False}.get(text.strip().lower())


def sex(text: str) -> str | None:
    """Who may take part; "Both" before 2017."""
    found = (one_line(text) or "").capitalize()
    return "All" if found == "Both" else found or None


# --------------------------------------------------------------------------- composite fields


def _parts(
    draft: RecordBuilder, element: Iterable[Element], tags: dict[str, str], path: str
) -> dict[str, str]:
    """The texts of an element's children by name; of ``tags``, which names them, each once."""
    parts: dict[str, str] = {}
    for child in element:
        name = tags.get(child.tag)
        if name is None:
            withhold(draft, f"{path}/{child.tag}", child)
            continue
        text = text_of(draft, child)
        found = text and (from_lines(text) if name == "description" else one_line(text))
        if found:
            old = parts.setdefault(name, found)
            if old is not found and old != found:
                if name != "description":
                    raise twice(draft, child)
                parts[name] = f"{old}\n{found}"
    return parts


_INTERVENTION = {
    "intervention_name": "name",
    "intervention_type": "type",
    "description": "description",
}
_ARM = {"arm_group_label": "label", "arm_group_type": "role", "description": "description"}
_OUTCOME = {"measure": "measure", "time_frame": "time_frame", "description": "description"}


def intervention(draft: RecordBuilder, element: Element) -> None:
    """An intervention, with the labels of its arms."""
    labels = []
    rest = []
    for child in element:
        if child.tag == "arm_group_label":
            labels.append(one_line(text_of(draft, child) or "") or "")
        else:
            rest.append(child)
    parts = _parts(draft, rest, _INTERVENTION, "intervention")
    if parts:
        draft.append(
            "interventions",
            Intervention(parts.get("name", ""), parts.get("type"), parts.get("description")),
        )
        draft.arm_labels.append(tuple(labels))


def arm(draft: RecordBuilder, element: Element) -> None:
    """An arm or group."""
    parts = _parts(draft, element, _ARM, "arm_group")
    if parts:
        draft.append(
            "arms", Arm(parts.get("label", ""), parts.get("role"), parts.get("description"))
        )


def outcome(field: str, path: str) -> Handler:
    """An outcome measure."""

    def read(draft: RecordBuilder, element: Element) -> None:
        parts = _parts(draft, element, _OUTCOME, path)
        if parts:
            measure = parts.get("measure", "")
            found = Outcome(measure, parts.get("time_frame"), parts.get("description"))
            draft.append(field, found)

    return read


def collaborator(draft: RecordBuilder, element: Element) -> None:
    """A collaborating organisation."""
    path = "sponsors/collaborator"
    parts = _parts(draft, element, {"agency": "name", "agency_class": "class"}, path)
    if parts:
        kind = parts.get("class")
        draft.append(
            "collaborators",
            Collaborator(parts.get("name", ""), kind and codes.organisation_class(kind)),
        )
