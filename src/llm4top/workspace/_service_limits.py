"""What the forecast service takes on at a time, and how it says that it is doing."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm4top.workspace._parsing import ParsingLimits


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What the service takes on at a time.

    ``records`` and ``bytes`` bound one request, ``waiting`` all requests that wait and
    ``waiting_of_a_client`` those of one client. ``held_bytes`` bounds what has been read and waits
    to be forecast. A batch has up to ``batch`` records, fewer where they take longer than
    ``batch_seconds``: so soon comes the next client's turn. ``readers`` processes read uploads.
    ``parsing`` bounds the reading of a file; its ``max_records`` is set from ``records``.
    """

    records: int = 100
    bytes: int = 16_000_000
    waiting: int = 256
    waiting_of_a_client: int = 128
    held_bytes: int = 128_000_000
    batch: int = 32
    batch_seconds: float = 0.5
    readers: int = 1
    parsing: ParsingLimits = field(default_factory=ParsingLimits)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How the service is doing: requests and records that wait, bundles loaded, starts so far."""

    waiting: int
    records: int
    loaded: tuple[str, ...]
    starts: int
    busy: bool
