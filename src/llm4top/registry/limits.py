"""How large, deep and many a registry file may be before it is refused."""

from dataclasses import dataclass

PARSER_DEPTH = 256
"""libxml2 itself refuses XML nested deeper than this."""

CSV_FIELD = 131_072
"""Python's csv module itself refuses a longer field."""


def beyond(limit: str) -> str:
    """What to do about a file beyond a limit, on the command line, in the Studio or in Python."""
    return (
        "No registry record is so large: check the file. If you trust it, raise "
        f"Limits.{limit} in Python."
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps on what is read. The defaults leave every real registry record well inside.

    A file beyond a cap is refused with ``LimitError``; nothing is cut silently.
    """

    record_bytes: int = 20_000_000
    """Bytes of one record, unpacked (the largest real ones hold some ten million)."""

    depth: int = PARSER_DEPTH
    """Nesting of XML elements or JSON values; at most 256 for XML."""

    values: int = 2_000_000
    """Elements of one XML record, or values of one JSON record."""

    text_length: int = 5_000_000
    """Characters in one text value or attribute (at most 10 million for XML)."""

    csv_field: int = CSV_FIELD
    """Characters in one CSV field; at most 131 072."""

    zip_members: int = 2_000_000
    """Members of one archive (the registry's own has over half a million)."""

    zip_ratio: int = 200
    """Times a member over 1 MB may grow when unpacked (records grow 4 to 30 times)."""

    zip_member_bytes: int = 4_000_000_000
    """Bytes of one member, unpacked (a JSON export or CSV holds many records)."""

    zip_total_bytes: int = 100_000_000_000
    """Bytes of all members of one archive together, unpacked."""
