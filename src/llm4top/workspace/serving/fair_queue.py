"""A waiting line in which clients take turns: one with a hundred requests does not block one."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from llm4top.workspace.serving.parsing import ParsingLimits


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


T = TypeVar("T")


class FairQueue(Generic[T]):
    """First come, first served within a client; round robin over clients.

    Not locked: its owner holds a lock around every call.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line

    def waiting(self, client: str) -> int:
        """How many of this client are waiting."""
        return len(self._lines.get(client, ()))

    def add(self, client: str, item: T) -> None:
        """To the end of the client's line; a new client comes after the others."""
        self._lines.setdefault(client, deque()).append(item)

    def take(self, accept: Callable[[T], bool] = lambda _: True) -> T | None:
        """The first item of the first client whose first item is accepted; None if there is none.

        That client then comes after the others; those passed over keep their turn.
        """
        for client, line in self._lines.items():
            if accept(line[0]):
                item = line.popleft()
                self._lines.move_to_end(client)
                if not line:
                    del self._lines[client]
                return item
        return None

    def remove(self, unwanted: Callable[[T], bool]) -> int:
        """Take every unwanted item out of the lines; returns how many there were."""
        before = len(self)
        for client, line in list(self._lines.items()):
            kept = deque(item for item in line if not unwanted(item))
            if kept:
                self._lines[client] = kept
            else:
                del self._lines[client]
        return before - len(self)
