"""A guest's arguments and environment, as `args_get` and `environ_get` store them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from struct import Struct

from hostmod.types import Pointer, Uint8, Uint32


def encoded(what: str, value: str | bytes) -> bytes:
    """Return a string as the guest gets it; ValueError, which says `what` it is, for one that holds a NUL."""
    data = os.fsencode(value)
    if b"\0" in data:
        raise ValueError(f"Wasi({what}=): {value!r}, expected no NUL characters")
    return data


class Strings:
    """Strings that end with a NUL each: some programs ask for their environment at each call."""

    __slots__ = ("_data", "_pack", "_starts", "count", "size")

    def __init__(self, strings: Sequence[bytes]) -> None:
        self._data = b"".join(each + b"\0" for each in strings)
        self._starts = [sum(len(each) + 1 for each in strings[:index]) for index in range(len(strings))]
        self._pack = Struct(f"<{len(strings)}I").pack
        self.count = len(strings)
        self.size = len(self._data)

    def store(self, pointers: Pointer[Uint32], buffer: Pointer[Uint8]) -> None:
        """Store the strings, and where they are."""
        memory, base = pointers.memory, buffer.offset
        data = memory.view(base, self.size)
        memory.view(pointers.offset, 4 * self.count)[:] = self._pack(
            *[base + start for start in self._starts]
        )
        data[:] = self._data
