"""Sharing a token budget between sections."""

from __future__ import annotations

from collections.abc import Sequence


def fair_share(needs: Sequence[int], room: int) -> list[int]:
    """Max-min fair shares of ``room``: nobody gets more than it needs, the rest share equally.

    Short sections stay whole and the longest are cut to a common length. ``sum(shares)`` is
    ``min(sum(needs), room)``. (Progressive filling: Bertsekas & Gallager, Data Networks, 6.5.2.)
    """
    shares = [0] * len(needs)
    left = max(room, 0)
    order = sorted(range(len(needs)), key=lambda i: needs[i])
    for position, index in enumerate(order):
        shares[index] = min(needs[index], left // (len(order) - position))
        left -= shares[index]
    return shares
