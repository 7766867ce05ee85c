"""Copies the arguments of an export into the guest's memory with the guest's own allocator, and brings them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostmod.errors import ConversionError, LinkError
from hostmod.guest.allocator import Allocator
from hostmod.guest.guest_memory import GuestMemory
from hostmod.types.directions import ExportMemory


class Arguments(ExportMemory):
    """The guest's memory while one of its exports is called: arguments are allocated in it, and freed after the call.

    Views of results are copies, since nothing says how long the guest leaves them alone.
    """

    __slots__ = ("_allocator", "_back", "_made", "_memory", "_where", "failed", "room")

    def __init__(self, memory: GuestMemory | None, allocator: Allocator | None, where: str) -> None:
        self._memory = memory
        self._allocator = allocator
        self._where = where
        self._made: list[tuple[int, int, int]] = []
        self._back: list[Callable[[], None]] = []
        self.room: Callable[[], Any] | None = None
        """What reads the results that the guest has stored through pointers."""
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
        if self._allocator is None or not self._allocator.allocates:
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
        self._made.append((offset, size, align))
        self.end(offset, size)
        return offset

    def bring_back(self, after: Callable[[], None]) -> None:
        self._back.append(after)

    def returned(self) -> None:
        """Bring back what the guest has written into arguments: it has returned, with an errno or without."""
        for each in self._back:
            each()

    def own(self, offset: int, size: int, align: int, where: str) -> None:
        if self._allocator is None or not self._allocator.frees:
            raise LinkError(
                f"{self._where}: {where} has to be freed in the guest, expected an export that frees; export free "
                "from it, or name its own: class Guest(GuestModule, free='dealloc')"
            )
        # What the guest gives back may be an argument of this very call: each is freed once.
        if offset and all(offset != known for known, _, _ in self._made):
            self._made.append((offset, size, align))

    def free(self, raised: BaseException | None = None) -> None:
        """Free what was allocated. What the guest's `free` raises is not raised in the place of what the call has."""
        failed: Exception | None = None
        while self._allocator is not None and self._made:
            try:
                self._allocator.free(*self._made.pop())
            except Exception as error:
                failed = failed or error
        if failed is not None and raised is None:
            raise failed

    def __eq__(self, other: object) -> bool:
        return self is other or (self._memory is not None and self._memory == other)

    __hash__ = None  # type: ignore[assignment]  # equal to the memory it stands for
