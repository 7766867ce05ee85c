"""Memory that moves, under the views that calls under way have lent.

Wasmtime moves a memory that grows past what was reserved for it (for a 32-bit memory, only with a Config that
reserves less than 4 GiB). Such views are ended before Python code gets to see them again: when the guest comes back to
it, by returning or by a host call.
"""

from __future__ import annotations

from typing import Any

lent: dict[int, Any] = {}
"""The pure-Python trampoline's calls under way that have lent views: a `Frame` by the address of its slots."""

watched: list[int] = []
"""Contexts of stores that run again while a call has lent views of their memory."""


class _Nobody:
    """In the place of the C trampoline, where it is not."""

    lends = bool

    def moved(self, context: int) -> None: ...


native: Any = _Nobody()
"""The C trampoline: whether calls under way have lent views, and `moved` for those; set by it."""


def lends(context: int) -> bool:
    """Whether calls under way have lent views of a store's memory: if it runs, its context is to be `watched`."""
    return any(frame.context == context for frame in list(lent.values()))


def moved(context: int) -> None:
    """End the views of a store's memory if it has moved. Raises ViewEscapedError if one cannot be ended."""
    for frame in list(lent.values()):
        if frame.context == context:
            frame.check_moved()
    if native.lends():
        native.moved(context)
