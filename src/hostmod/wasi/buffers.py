"""Bytes in a guest's memory: buffers of reads and writes, arguments and environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from struct import Struct, unpack

from hostmod.types import Pointer, Uint8, Uint32, Uint64
from hostmod.wasi.abi import Errno, WasiError

IoVec = Pointer[Uint64]
"""The first of the guest's buffers: an address in the low half of the word, a length in bytes in the high half.

Source: "iovec: Record" and "ciovec: Record", of which this is the little-endian form. A pointer costs less than an
array, and most calls have one buffer.
"""

_LOW = 0xFFFF_FFFF


class Buffers:
    """How much one call transfers at most: the number of its buffers (INVAL past it), and of its bytes (cut)."""

    __slots__ = ("most", "most_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.most_bytes = most_bytes

    def _words(self, buffers: IoVec, count: int) -> Sequence[int]:
        """Read where the guest's buffers are."""
        if count > self.most:
            raise WasiError(Errno.INVAL)
        return unpack(f"<{count}Q", buffers.memory.read(buffers.offset, 8 * count))

    def gather(self, buffers: IoVec, count: int) -> bytes:
        """Copy what the guest has in its buffers."""
        memory = buffers.memory
        room = self.most_bytes
        if count == 1:
            word = buffers.load()
            size = word >> 32
            if size > room:  # min() would take as long as reading does
                size = room
            return memory.read(word & _LOW, size)
        pieces = []
        for word in self._words(buffers, count):
            size = min(word >> 32, room)
            pieces.append(memory.read(word & _LOW, size))
            room -= size
        return b"".join(pieces)

    def fill(self, buffers: IoVec, count: int, read: Callable[[int], bytes]) -> int:
        """Read into the guest's buffers, and return how many bytes that were.

        Every buffer has to be inside the guest's memory before anything is read, for what was read would be lost.
        """
        memory = buffers.memory
        if count == 1:
            word = buffers.load()
            size = word >> 32
            view = memory.view(word & _LOW, size)
            if size > self.most_bytes:
                size = self.most_bytes
            data = read(size)
            size = len(data)
            view[:size] = data
            return size
        words = self._words(buffers, count)
        for word in words:
            memory.end(word & _LOW, word >> 32)
        data = read(min(sum(word >> 32 for word in words), self.most_bytes))
        at = 0
        for word in words:
            size = min(word >> 32, len(data) - at)
            if size:
                memory.view(word & _LOW, size)[:] = data[at : at + size]
                at += size
        return at


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
