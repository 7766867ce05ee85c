"""Copies the arguments of an export into the guest's memory, with the guest's own allocator."""

from __future__ import annotations

from typing import Any

import wasmtime

from hostmod.errors import ConversionError, LinkError
from hostmod.guest.exports import export_caller
from hostmod.guest.guest_memory import GuestMemory
from hostmod.memory import Memory


class Allocator:
    """A guest's own allocator: ``malloc(size)`` or ``alloc(size, align)``, ``free(pointer)`` or with the size too."""

    def __init__(self, name: str, store: Any, allocate: wasmtime.Func, free: wasmtime.Func | None) -> None:
        self.name = name
        self._allocate = export_caller("allocate", store, allocate)
        self._free = None if free is None else export_caller("free", store, free)
        self._takes_align = len(allocate.type(store).params) == 2
        self._takes_size = free is not None and len(free.type(store).params) == 2

    def allocate(self, size: int, align: int) -> int:
        offset = self._allocate(size, align) if self._takes_align else self._allocate(size)
        return int(offset) & 0xFFFFFFFF

    def free(self, offset: int, size: int) -> None:
        if self._free is not None:
            if self._takes_size:
                self._free(offset, size)
            else:
                self._free(offset)


class Arguments(Memory):
    """The guest's memory while one of its exports is called: arguments are allocated in it, and freed after the call.

    Views of results are copies, since nothing says how long the guest leaves them alone.
    """

    __slots__ = ("_allocator", "_made", "_memory", "_where", "failed")

    def __init__(self, memory: GuestMemory | None, allocator: Allocator | None, where: str) -> None:
        self._memory = memory
        self._allocator = allocator
        self._where = where
        self._made: list[tuple[int, int]] = []
        self.failed: BaseException | None = None
        """What the guest's allocator, or a host function that it called, has raised: no fault of the argument's."""

    def _window(self) -> memoryview:
        if self._memory is None:
            raise LinkError(
                f"{self._where}: the guest exports no memory, expected one; export it as 'memory'"
            )
        return self._memory._window()

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(bytearray(self.read(offset, length)))

    def allocate(self, size: int, align: int = 1) -> int:
        if self._allocator is None:
            raise LinkError(
                f"{self._where}: an argument of {size} bytes needs room in the guest, expected an allocator; export "
                "malloc and free from it, or name its own: class Guest(GuestModule, allocate='alloc', free='dealloc')"
            )
        try:
            offset = self._allocator.allocate(size, align)
        except BaseException as error:
            self.failed = error
            raise
        if offset == 0 and size > 0 and self._memory is not None:
            self.failed = ConversionError(
                self._where,
                f"{self._allocator.name}({size}) returned 0",
                "the address of room in the guest",
                "give the guest more memory, or pass less at once",
            )
            raise self.failed
        self._made.append((offset, size))
        self.end(offset, size)
        return offset

    def free(self, raised: BaseException | None = None) -> None:
        """Free what was allocated. What the guest's `free` raises is not raised in the place of what the call has."""
        if self._allocator is not None:
            while self._made:
                try:
                    self._allocator.free(*self._made.pop())
                except Exception:
                    if raised is None:
                        raise

    def __eq__(self, other: object) -> bool:
        return self is other or (self._memory is not None and self._memory == other)

    __hash__ = None  # type: ignore[assignment]  # equal to the memory it stands for
