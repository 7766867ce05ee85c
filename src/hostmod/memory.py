"""Reads and writes guest memory, bounds-checked and little-endian.

Offsets are addresses in bytes, unsigned; a check never wraps, since Python's integers do not. Nothing here knows where
the bytes live: a subclass says so by implementing `Memory._window`. A number that is no plain int (numpy's wrap) is
made one first.

    ┌────────────── size ───────────────┐
    0        offset      offset+length  │
    ├──────────┼───────────────┼────────┤
               └─ length bytes ┘             fine
                              └─ length bytes ┘   SegmentationFault(offset, length), nothing touched
"""

from __future__ import annotations

import struct
from operator import index
from struct import Struct
from typing import TYPE_CHECKING, Any, Self

from hostmod.errors import ConversionError, SegmentationFault, StaleMemoryError

if TYPE_CHECKING:
    from typing import TypeAlias

    ReadableBuffer: TypeAlias = bytes | bytearray | memoryview

OUTSIDE = (struct.error, IndexError, OverflowError)
"""What `struct` raises for an offset, not below 0, at which it finds too few bytes, or that no buffer has."""

PAGE_SIZE = 65536
"""Bytes in a page of linear memory. Source: WebAssembly core specification, 4.2.8 Memory Instances."""


class Memory:
    """Linear memory, or what stands in for it.

    ``Memory(pages=2)`` asks `hostmod.instantiate` to make one for a guest that imports it: see `NewMemory`.

    Subclasses implement `_window`; everything else is built on it. Every method raises `SegmentationFault` for a range
    that is not wholly inside the memory and then has touched nothing, and `StaleMemoryError` once the memory is gone.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __new__(cls, *arguments: Any, **options: Any) -> Self:
            if cls is Memory and (arguments or options):
                return NewMemory(*arguments, **options)
            return super().__new__(cls)

    def __init__(self, pages: int = 0, maximum: int | None = None) -> None:
        """Describe a memory that `hostmod.instantiate` is to make; arguments as of `NewMemory`."""

    def _window(self) -> memoryview:
        """Return the whole memory at its present size, as writable bytes, for use before anything else runs."""
        raise TypeError(f"{type(self).__name__} does not implement _window()")

    def view(self, offset: int, length: int) -> memoryview:
        """Lend `length` bytes at `offset` without a copy.

        Returns exactly `length` writable bytes. A view of a guest's memory ends with the call it was made in; using it
        later raises ValueError.

        Raises:
            SegmentationFault: the range is not wholly inside the memory.
            StaleMemoryError: the memory is gone.
        """
        if type(offset) is not int:
            offset = index(offset)
        if type(length) is not int:
            length = index(length)
        stop = offset + length
        window = self._window()
        if not 0 <= offset <= stop <= len(window):
            raise SegmentationFault(offset, length, len(window))
        return window[offset:stop]

    def _elements(self, offset: int, length: int, format: str, /) -> memoryview:
        """Lend `length` bytes at `offset` as elements of a `struct` format. Errors as of `view`.

        A memory that ends its views does so itself: what is cast from a view does not end with it.
        """
        view = self.view(offset, length)
        return view if format == "B" else view.cast(format)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # a format of memoryview's

    def allocate(self, size: int, align: int = 1) -> int:
        """Find room for `size` bytes at a multiple of `align`, and return its offset.

        Raises ConversionError where the memory has no allocator: a guest's memory belongs to the guest.
        """
        raise ConversionError(
            "guest memory",
            f"a value that needs {size} bytes of its own",
            "a place for it",
            "take a Bytes, Pointer or List parameter and write into what the guest provides",
        )

    @property
    def size(self) -> int:
        """Size in bytes, at this moment."""
        return len(self._window())

    def __len__(self) -> int:
        return len(self._window())

    def end(self, offset: int, length: int) -> int:
        """Return ``offset + length`` if that range lies inside the memory, and raise SegmentationFault if not."""
        if type(offset) is not int:
            offset = index(offset)
        if type(length) is not int:
            length = index(length)
        stop = offset + length
        size = len(self._window())
        if not 0 <= offset <= stop <= size:
            raise SegmentationFault(offset, length, size)
        return stop

    def read(self, offset: int, length: int) -> bytes:
        """Copy exactly `length` bytes, never fewer.

        Raises:
            SegmentationFault: the range is not wholly inside the memory.
            StaleMemoryError: the memory is gone.
        """
        if type(offset) is not int:
            offset = index(offset)
        if type(length) is not int:
            length = index(length)
        stop = offset + length
        window = self._window()
        if not 0 <= offset <= stop <= len(window):
            raise SegmentationFault(offset, length, len(window))
        return bytes(window[offset:stop])

    def write(self, offset: int, data: ReadableBuffer) -> None:
        """Store all of `data`, or nothing.

        Raises:
            SegmentationFault: there is no room for all of it at `offset`; nothing was written.
            StaleMemoryError: the memory is gone.
        """
        if type(offset) is not int:
            offset = index(offset)
        with memoryview(data) as source:
            flat = source.cast("B") if source.format != "B" or source.ndim != 1 else source
            stop = offset + len(flat)
            window = self._window()
            if not 0 <= offset <= stop <= len(window):
                raise SegmentationFault(offset, len(flat), len(window))
            window[offset:stop] = flat

    def unpack(self, layout: Struct, offset: int) -> tuple[Any, ...]:
        """Read the values of a `struct.Struct` at `offset`.

        Raises:
            SegmentationFault: they are not wholly inside the memory.
            StaleMemoryError: the memory is gone.
        """
        if type(offset) is not int:
            offset = index(offset)
        window = self._window()
        if offset < 0:  # struct would count it from the end
            raise SegmentationFault(offset, layout.size, len(window))
        try:
            return layout.unpack_from(window, offset)
        except OUTSIDE:
            raise SegmentationFault(offset, layout.size, len(window)) from None

    def pack(self, layout: Struct, offset: int, *values: object) -> None:
        """Write the values of a `struct.Struct` at `offset`.

        Raises:
            struct.error, OverflowError: a value does not fit; nothing was written.
            SegmentationFault: there is no room for all of them at `offset`; nothing was written.
            StaleMemoryError: the memory is gone.
        """
        if type(offset) is not int:
            offset = index(offset)
        # Packed first: a value that does not fit leaves no half-written record, and packing may run code of the
        # user's that lets the memory grow.
        data = layout.pack(*values)
        window = self._window()
        if not 0 <= offset <= len(window) - layout.size:
            raise SegmentationFault(offset, layout.size, len(window))
        window[offset : offset + layout.size] = data

    def find(self, byte: int, offset: int, limit: int | None = None) -> int:
        """Return the offset of the first `byte` at or after `offset`.

        Looks at `limit` bytes at the most. Raises SegmentationFault for the bytes looked at if there is none.
        """
        if type(offset) is not int:
            offset = index(offset)
        window = self._window()
        size = len(window)
        if offset < 0 or offset >= size:
            raise SegmentationFault(offset, 1, size)
        stop = size if limit is None else min(size, offset + index(limit))
        needle = bytes((byte,))
        at = offset
        step = 64
        while at < stop:
            chunk = bytes(window[at : min(stop, at + step)])
            found = chunk.find(needle)
            if found >= 0:
                return at + found
            at += len(chunk)
            step = min(step * 4, 1 << 20)
        raise SegmentationFault(offset, stop - offset + 1, size)

    def _get(self, layout: Struct, offset: int) -> Any:
        return self.unpack(layout, offset)[0]

    def read_int8(self, offset: int) -> int:
        """Read 1 byte as a signed integer, -128 to 127."""
        return self._get(_INT8, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_uint8(self, offset: int) -> int:
        """Read 1 byte as an unsigned integer, 0 to 255."""
        return self._get(_UINT8, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_int16(self, offset: int) -> int:
        """Read 2 bytes as a signed integer."""
        return self._get(_INT16, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_uint16(self, offset: int) -> int:
        """Read 2 bytes as an unsigned integer."""
        return self._get(_UINT16, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_int32(self, offset: int) -> int:
        """Read 4 bytes as a signed integer."""
        return self._get(_INT32, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_uint32(self, offset: int) -> int:
        """Read 4 bytes as an unsigned integer."""
        return self._get(_UINT32, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_int64(self, offset: int) -> int:
        """Read 8 bytes as a signed integer."""
        return self._get(_INT64, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_uint64(self, offset: int) -> int:
        """Read 8 bytes as an unsigned integer."""
        return self._get(_UINT64, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_float32(self, offset: int) -> float:
        """Read 4 bytes as a float."""
        return self._get(_FLOAT32, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def read_float64(self, offset: int) -> float:
        """Read 8 bytes as a float."""
        return self._get(_FLOAT64, offset)  # type: ignore[no-any-return]  # struct's result is Any

    def write_int8(self, offset: int, value: int) -> None:
        """Write 1 byte as a signed integer, -128 to 127; struct.error if it does not fit."""
        self.pack(_INT8, offset, value)

    def write_uint8(self, offset: int, value: int) -> None:
        """Write 1 byte as an unsigned integer, 0 to 255; struct.error if it does not fit."""
        self.pack(_UINT8, offset, value)

    def write_int16(self, offset: int, value: int) -> None:
        """Write 2 bytes as a signed integer; struct.error if it does not fit."""
        self.pack(_INT16, offset, value)

    def write_uint16(self, offset: int, value: int) -> None:
        """Write 2 bytes as an unsigned integer; struct.error if it does not fit."""
        self.pack(_UINT16, offset, value)

    def write_int32(self, offset: int, value: int) -> None:
        """Write 4 bytes as a signed integer; struct.error if it does not fit."""
        self.pack(_INT32, offset, value)

    def write_uint32(self, offset: int, value: int) -> None:
        """Write 4 bytes as an unsigned integer; struct.error if it does not fit."""
        self.pack(_UINT32, offset, value)

    def write_int64(self, offset: int, value: int) -> None:
        """Write 8 bytes as a signed integer; struct.error if it does not fit."""
        self.pack(_INT64, offset, value)

    def write_uint64(self, offset: int, value: int) -> None:
        """Write 8 bytes as an unsigned integer; struct.error if it does not fit."""
        self.pack(_UINT64, offset, value)

    def write_float32(self, offset: int, value: float) -> None:
        """Write 4 bytes as a float; OverflowError if it is out of range."""
        self.pack(_FLOAT32, offset, value)

    def write_float64(self, offset: int, value: float) -> None:
        """Write 8 bytes as a float; struct.error if it is no number."""
        self.pack(_FLOAT64, offset, value)


_INT8 = Struct("<b")
_UINT8 = Struct("<B")
_INT16 = Struct("<h")
_UINT16 = Struct("<H")
_INT32 = Struct("<i")
_UINT32 = Struct("<I")
_INT64 = Struct("<q")
_UINT64 = Struct("<Q")
_FLOAT32 = Struct("<f")
_FLOAT64 = Struct("<d")


class NewMemory(Memory):
    """A memory that is still to be made, for a guest that imports it: what ``Memory(pages=2)`` gives.

    Each guest that is instantiated with it gets one of its own. `pages` of 64 KiB is its size at first, `maximum` the
    number of pages that it can grow to; each is the guest's own if it is not given, or less than that.
    """

    __slots__ = ("maximum", "pages")

    if not TYPE_CHECKING:

        def __new__(cls, *arguments: Any, **options: Any) -> Self:
            return object.__new__(cls)

    def __init__(self, pages: int = 0, maximum: int | None = None) -> None:
        self.pages = index(pages)
        self.maximum = None if maximum is None else index(maximum)
        if not 0 <= self.pages <= (1 << 48) or (self.maximum is not None and self.maximum < self.pages):
            raise ValueError(f"Memory(pages={pages}, maximum={maximum}): expected 0 <= pages <= maximum")

    def _window(self) -> memoryview:
        raise StaleMemoryError(
            "it is made when a guest is instantiated with it", "use the guest's: guest.memory"
        )

    def __repr__(self) -> str:
        return f"Memory(pages={self.pages}, maximum={self.maximum})"


class FixedSizeMemory(Memory):
    """Memory made of a bytearray: for tests, and for values made by the host (`Pointer.new`, `List.new`).

    `size` is rounded up to whole pages, as a guest's is. `allocate` hands out room from `base` on.

    >>> memory = FixedSizeMemory(1)
    >>> len(memory)
    65536
    """

    __slots__ = ("_buffer", "_next", "_view")

    def __init__(self, size: int, *, base: int = 0) -> None:
        pages = -(-index(size) // PAGE_SIZE)
        self._buffer = bytearray(pages * PAGE_SIZE)
        self._view = memoryview(self._buffer)
        self._next = index(base)

    @classmethod
    def exactly(cls, data: bytes | bytearray) -> FixedSizeMemory:
        """Make a memory of exactly the bytes of `data`: a bytearray is used in place, bytes are copied."""
        self = cls.__new__(cls)
        self._buffer = data if isinstance(data, bytearray) else bytearray(data)
        self._view = memoryview(self._buffer)
        self._next = 0
        return self

    def _window(self) -> memoryview:
        return self._view

    def allocate(self, size: int, align: int = 1) -> int:
        """Find room for `size` bytes; raises SegmentationFault when the memory is used up."""
        size, align = index(size), index(align)
        offset = -(-self._next // align) * align
        self.end(offset, size)
        self._next = offset + size
        return offset
