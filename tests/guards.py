"""Memory for tests: bytes of interest with guard bytes on both sides."""

from __future__ import annotations

from hostmod.memory import FixedSizeMemory

GUARD = b"\xa5" * 4
"""What stands before and after the bytes of a test; expected bytes are written with it on both sides."""

START = len(GUARD)
"""The offset of the first byte after the guard."""


def guarded(data: bytes | int) -> FixedSizeMemory:
    """Make a memory of just these bytes (or as many zeros) between two guards."""
    return FixedSizeMemory.exactly(GUARD + (bytes(data) if isinstance(data, int) else data) + GUARD)


def content(memory: FixedSizeMemory) -> bytes:
    """Copy all of a memory, guards included."""
    return memory.read(0, len(memory))
