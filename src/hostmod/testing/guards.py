"""Guard bytes around the arguments of a call, and the memory that has them."""

from __future__ import annotations

import itertools

import wasmtime

from hostmod.errors import HostmodError
from hostmod.guest import GuestMemory
from hostmod.memory import PAGE_SIZE

GUARD = 0xA5
"""What the bytes around arguments hold. Source: wazero's tests draw guards the same way."""

GUARD_LENGTH = 64
"""Guard bytes on each side of an argument."""


class GuardError(HostmodError, AssertionError):
    """A host function wrote outside of what its arguments allow: `offset` is the first such byte's address, `distance`
    how far it lies before the start (negative) or after the end of the argument `near`, which is empty if none lies in
    memory."""

    def __init__(self, where: str, near: str, offset: int, distance: int, found: int) -> None:
        super().__init__(where, near, offset, distance, found)
        self.where = where
        self.near = near
        self.offset = offset
        self.distance = distance
        self.found = found

    def __str__(self) -> str:
        written = f"was written (0x{self.found:02x} at offset 0x{self.offset:x})"
        if not self.near:
            return f"{self.where}: a byte {written}, expected no writes: none of its arguments lies in memory"
        place = (
            f"{-self.distance} before the start"
            if self.distance < 0
            else f"{self.distance + 1} after the end"
        )
        return (
            f"{self.where}: byte {place} of {self.near} {written}, expected writes inside the argument only"
        )


GuardError.__module__ = "hostmod.testing"  # where users find it


class GuardedMemory(GuestMemory):
    """A guest's memory that hands out room with guard bytes on both sides, and can tell if one was written."""

    __slots__ = ("_allocated", "_next", "_what")

    def __init__(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        super().__init__(store, memory)
        self._allocated: list[tuple[int, int, str]] = []
        self._what = "an argument"
        self._next = 0
        self._fill(0, len(self))

    def _fill(self, start: int, stop: int) -> None:
        self.write(start, bytes((GUARD,)) * (stop - start))

    def allocate(self, size: int, align: int = 1) -> int:
        offset = -(-(self._next + GUARD_LENGTH) // align) * align
        self._next = offset + size
        missing = self._next + GUARD_LENGTH - len(self)
        if missing > 0:
            old = len(self)
            self.grow(-(-missing // PAGE_SIZE))
            self._fill(old, len(self))
        self.write(offset, bytes(size))
        self._allocated.append((offset, size, self._what))
        return offset

    def allocations(self) -> list[tuple[int, int, str]]:
        """Offset, size in bytes and name of everything that was allocated."""
        return list(self._allocated)

    def check(self, where: str) -> None:
        """Raise GuardError for the first guard byte that is not as it was."""
        data = self.read(0, len(self))
        edges = [(0, 0, ""), *self._allocated, (len(self), 0, "")]
        for (before, size, near), (after, _, following) in itertools.pairwise(edges):
            gap = data[before + size : after]
            if gap.count(GUARD) != len(gap):
                at = next(index for index, byte in enumerate(gap) if byte != GUARD)
                offset = before + size + at
                if near or not following:
                    raise GuardError(where, near, offset, at, gap[at])
                raise GuardError(where, following, offset, offset - after, gap[at])
