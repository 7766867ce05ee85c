"""Reads and writes of guest memory: every range that is not wholly inside it faults, and leaves it as it was."""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import Struct
from typing import Any

import numpy
import pytest
from guards import GUARD, START, content, guarded
from hypothesis import given
from hypothesis import strategies as st

from hostmod.errors import ConversionError, SegmentationFault
from hostmod.memory import PAGE_SIZE, FixedSizeMemory, Memory

LAYOUT = Struct("<IH")

OUTSIDE = [
    pytest.param(START + 16 + len(GUARD), 1, id="one byte past the end"),
    pytest.param(START + 16 + len(GUARD) - 1, 2, id="the last byte and one past it"),
    pytest.param(START + 16 + len(GUARD) + 1, 0, id="nothing, past the end"),
    pytest.param(0, 25, id="one byte more than there is"),
    pytest.param(-1, 1, id="one byte before the start"),
    pytest.param(-1, 2, id="from before the start into it"),
    pytest.param(-24, 4, id="a negative offset that indexing would wrap"),
    pytest.param(-1, 0, id="nothing, before the start"),
    pytest.param(2**32 - 1, 1, id="the last 32-bit offset"),
    pytest.param(2**32 - 1, 2, id="a sum that wraps to 1"),
    pytest.param(2**32 - 4, 8, id="a sum that wraps to 4"),
    pytest.param(4, 2**32 - 1, id="the greatest length"),
    pytest.param(2**32 - 1, 2**32 - 1, id="the greatest offset and length"),
    pytest.param(2**32, 1, id="an offset of 33 bits"),
    pytest.param(2**64 - 1, 2, id="a sum that wraps at 64 bits"),
]


@pytest.mark.parametrize(("offset", "length"), OUTSIDE)
@pytest.mark.parametrize(
    "access",
    [
        pytest.param(Memory.read, id="read"),
        pytest.param(Memory.view, id="view"),
        pytest.param(Memory.end, id="end"),
    ],
)
def test_a_range_outside_faults_and_says_where(
    access: Callable[[Memory, int, int], object], offset: int, length: int
) -> None:
    memory = guarded(16)
    with pytest.raises(SegmentationFault) as caught:
        access(memory, offset, length)
    assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, length, 24)
    assert content(memory) == GUARD + bytes(16) + GUARD


@pytest.mark.parametrize("length", [-1, -4, -(2**32)])
@pytest.mark.parametrize("access", [Memory.read, Memory.view, Memory.end])
def test_a_negative_length_faults(access: Callable[[Memory, int, int], object], length: int) -> None:
    with pytest.raises(SegmentationFault):
        access(guarded(16), 8, length)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        pytest.param(24, 1, id="one byte past the end"),
        pytest.param(23, 2, id="the last byte and one past it"),
        pytest.param(25, 0, id="nothing, past the end"),
        pytest.param(0, 25, id="one byte more than there is"),
        pytest.param(-1, 1, id="one byte before the start"),
        pytest.param(-1, 2, id="from before the start into it"),
        pytest.param(-24, 4, id="a negative offset that indexing would wrap"),
        pytest.param(2**32 - 1, 2, id="a sum that wraps to 1"),
        pytest.param(2**32 - 1, 1, id="the last 32-bit offset"),
        pytest.param(2**64 - 1, 2, id="a sum that wraps at 64 bits"),
    ],
)
def test_a_write_outside_faults_and_leaves_memory_as_it_was(offset: int, length: int) -> None:
    memory = guarded(16)
    with pytest.raises(SegmentationFault) as caught:
        memory.write(offset, b"\xff" * length)
    assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, length, 24)
    assert content(memory) == GUARD + bytes(16) + GUARD


@pytest.mark.parametrize(
    "offset",
    [
        pytest.param(19, id="the last byte outside"),
        pytest.param(24, id="the end"),
        pytest.param(-1, id="before the start"),
        pytest.param(-6, id="a negative offset that indexing would wrap"),
        pytest.param(2**32 - 6, id="just below 2**32"),
        pytest.param(2**32 - 1, id="a sum that wraps"),
        pytest.param(2**63 - 1, id="the last address of 64 bits"),
        pytest.param(2**63, id="past any address"),
        pytest.param(-(2**70), id="far before the start"),
    ],
)
def test_a_layout_outside_faults_and_leaves_memory_as_it_was(offset: int) -> None:
    memory = guarded(16)
    with pytest.raises(SegmentationFault) as caught:
        memory.unpack(LAYOUT, offset)
    assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, 6, 24)
    with pytest.raises(SegmentationFault) as caught:
        memory.pack(LAYOUT, offset, 1, 2)
    assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, 6, 24)
    assert content(memory) == GUARD + bytes(16) + GUARD


def test_what_is_written_is_read_and_nothing_beside_it_changes() -> None:
    memory = guarded(4)
    memory.write(START, b"wasm")
    assert content(memory) == GUARD + b"wasm" + GUARD
    assert memory.read(START, 4) == b"wasm"
    assert memory.read(START + 4, 0) == b""
    memory.pack(Struct("<H"), START + 1, 0x0201)
    assert content(memory) == GUARD + b"w\x01\x02m" + GUARD
    assert memory.unpack(Struct("<BH"), START) == (ord("w"), 0x0201)


def test_the_whole_memory_and_the_empty_range_at_its_end_are_inside() -> None:
    memory = guarded(4)
    assert memory.read(0, 12) == GUARD + bytes(4) + GUARD
    assert memory.read(12, 0) == b""
    assert memory.end(12, 0) == 12
    assert memory.view(12, 0).nbytes == 0
    memory.write(12, b"")
    memory.write(0, b"\x01" * 12)
    assert content(memory) == b"\x01" * 12


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x01\x00\x02\x00", id="bytes"),
        pytest.param(bytearray(b"\x01\x00\x02\x00"), id="a bytearray"),
        pytest.param(memoryview(b"\x01\x00\x02\x00"), id="a memoryview"),
        pytest.param(memoryview(b"\x01\x00\x02\x00").cast("H"), id="a view of wider elements"),
        pytest.param(memoryview(b"\x01\x00\x02\x00").cast("B", (2, 2)), id="a view of two dimensions"),
    ],
)
def test_any_buffer_can_be_written(data: bytes | bytearray | memoryview) -> None:
    memory = guarded(4)
    memory.write(START, data)
    assert content(memory) == GUARD + b"\x01\x00\x02\x00" + GUARD


def test_a_view_of_wider_elements_counts_its_bytes_at_the_end() -> None:
    memory = guarded(4)
    with pytest.raises(SegmentationFault) as caught:
        memory.write(9, memoryview(bytes(4)).cast("I"))
    assert caught.value.length == 4


def test_a_read_is_a_copy_and_a_view_is_the_memory_itself() -> None:
    memory = guarded(4)
    copy, view = memory.read(START, 4), memory.view(START, 4)
    view[:2] = b"hi"
    assert copy == bytes(4)
    assert content(memory) == GUARD + b"hi\0\0" + GUARD
    assert (view.readonly, view.format, view.nbytes) == (False, "B", 4)


@pytest.mark.parametrize(
    ("read", "write", "low", "high", "length"),
    [
        pytest.param(Memory.read_uint8, Memory.write_uint8, 0, 2**8 - 1, 1, id="uint8"),
        pytest.param(Memory.read_int32, Memory.write_int32, -(2**31), 2**31 - 1, 4, id="int32"),
        pytest.param(Memory.read_uint32, Memory.write_uint32, 0, 2**32 - 1, 4, id="uint32"),
        pytest.param(Memory.read_uint64, Memory.write_uint64, 0, 2**64 - 1, 8, id="uint64"),
    ],
)
def test_integers_are_little_endian_and_refused_out_of_range(
    read: Callable[[Memory, int], int],
    write: Callable[[Memory, int, int], None],
    low: int,
    high: int,
    length: int,
) -> None:
    memory = guarded(length)
    for value in (low, high, 1):
        write(memory, START, value)
        assert content(memory) == GUARD + value.to_bytes(length, "little", signed=low < 0) + GUARD
        assert read(memory, START) == value
    before = content(memory)
    for value in (low - 1, high + 1):
        with pytest.raises(struct.error):
            write(memory, START, value)
    end = len(memory)
    for offset in (end - length + 1, end, -1, 2**32 - 1):
        with pytest.raises(SegmentationFault):
            read(memory, offset)
        with pytest.raises(SegmentationFault):
            write(memory, offset, 1)
    assert content(memory) == before


def test_a_value_that_does_not_fit_a_layout_leaves_memory_as_it_was() -> None:
    memory = guarded(6)
    with pytest.raises(struct.error):
        memory.pack(LAYOUT, START, 1, 65536)
    assert content(memory) == GUARD + bytes(6) + GUARD


@pytest.mark.parametrize("at", [0, 1, 63, 64, 65, 319, 320, 321, 5000])
def test_find_gives_the_first_of_a_byte_however_far_it_is(at: int) -> None:
    memory = FixedSizeMemory.exactly(b"a" * (3 + at) + b"\0" + b"a" * 7 + b"\0")
    assert memory.find(0, 3) == 3 + at


def test_find_gives_up_at_the_end_or_the_limit() -> None:
    memory = FixedSizeMemory.exactly(b"a" * 100 + b"\0")
    assert memory.find(0, 0) == 100
    assert memory.find(0, 100) == 100
    assert memory.find(0, 0, 101) == 100
    with pytest.raises(SegmentationFault) as caught:
        memory.find(0, 0, 100)
    assert caught.value.offset == 0
    with pytest.raises(SegmentationFault) as caught:
        memory.find(ord("b"), 90)
    assert (caught.value.offset, caught.value.length) == (90, 12)


@pytest.mark.parametrize("offset", [-1, 101, 102, 2**32 - 1])
def test_find_faults_where_there_is_no_byte_to_look_at(offset: int) -> None:
    memory = FixedSizeMemory.exactly(b"a" * 100 + b"\0")
    with pytest.raises(SegmentationFault) as caught:
        memory.find(0, offset)
    assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, 1, 101)


def test_a_fixed_memory_has_whole_pages() -> None:
    assert PAGE_SIZE == 65536
    assert [FixedSizeMemory(size).size for size in (0, 1, PAGE_SIZE, PAGE_SIZE + 1)] == [
        0,
        65536,
        65536,
        131072,
    ]
    assert len(FixedSizeMemory(1)) == 65536


def test_a_memory_of_exactly_a_bytearray_shares_it_and_bytes_are_copied() -> None:
    shared, copied = bytearray(4), bytes(4)
    FixedSizeMemory.exactly(shared).write(0, b"abcd")
    FixedSizeMemory.exactly(copied).write(0, b"abcd")
    assert bytes(shared) == b"abcd"
    assert copied == bytes(4)


def test_allocate_rounds_up_to_the_alignment_and_faults_when_full() -> None:
    memory = FixedSizeMemory(PAGE_SIZE, base=5)
    assert memory.allocate(3) == 5
    assert memory.allocate(4, 4) == 8
    assert memory.allocate(0, 8) == 16
    assert memory.allocate(PAGE_SIZE - 16, 8) == 16
    with pytest.raises(SegmentationFault):
        memory.allocate(1)
    assert memory.allocate(0) == PAGE_SIZE


def test_a_memory_without_an_allocator_says_what_to_take_instead() -> None:
    with pytest.raises(ConversionError) as caught:
        Memory().allocate(16)
    assert str(caught.value) == (
        "guest memory: a value that needs 16 bytes of its own, expected a place for it; "
        "take a Bytes, Pointer or List parameter and write into what the guest provides"
    )


def test_a_memory_that_does_not_say_where_its_bytes_are_cannot_be_read() -> None:
    with pytest.raises(TypeError, match=r"Memory does not implement _window\(\)"):
        Memory().read(0, 1)


AROUND = st.one_of(
    st.integers(-20, 60),
    st.integers(2**32 - 20, 2**32 + 20),
    st.integers(2**31 - 20, 2**31 + 20),
    st.integers(),
)


@given(offset=AROUND, length=AROUND)
def test_any_range_is_read_whole_or_faults(offset: int, length: int) -> None:
    data = bytes(range(40))
    memory = FixedSizeMemory.exactly(data)
    if offset >= 0 and length >= 0 and offset + length <= 40:
        assert memory.read(offset, length) == data[offset : offset + length]
        assert bytes(memory.view(offset, length)) == data[offset : offset + length]
    else:
        with pytest.raises(SegmentationFault):
            memory.read(offset, length)
        with pytest.raises(SegmentationFault):
            memory.view(offset, length)


@given(offset=AROUND, data=st.binary(max_size=50))
def test_any_write_happens_whole_or_not_at_all(offset: int, data: bytes) -> None:
    before = bytes(range(40))
    memory = FixedSizeMemory.exactly(before)
    if offset >= 0 and offset + len(data) <= 40:
        memory.write(offset, data)
        assert content(memory) == before[:offset] + data + before[offset + len(data) :]
    else:
        with pytest.raises(SegmentationFault):
            memory.write(offset, data)
        assert content(memory) == before


class Index:
    """What Python counts with, and is no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.mark.parametrize("of", [numpy.uint8, Index], ids=["numpy's", "__index__"])
def test_numbers_that_are_no_plain_ints_count_as_what_they_are(of: Callable[[int], Any]) -> None:
    memory = FixedSizeMemory(1)
    memory.write(of(250), b"0123456789")
    assert memory.read(250, 10) == memory.read(of(250), of(10)) == b"0123456789"
    assert bytes(memory.view(of(250), of(10))) == b"0123456789"
    end = memory.end(of(250), of(10))
    assert (end, type(end)) == (260, int)
    assert memory.unpack(LAYOUT, of(250)) == memory.unpack(LAYOUT, 250)
    memory.pack(LAYOUT, of(250), 1, 2)
    assert memory.unpack(LAYOUT, 250) == (1, 2)
    memory.write_uint64(of(252), 2**64 - 1)
    assert memory.read_uint64(of(252)) == 2**64 - 1
    assert memory.find(255, of(250), of(10)) == 252
    assert memory.allocate(of(200)) == 0
    assert memory.allocate(of(200), of(8)) == 200
    assert memory.allocate(1) == 400
    with pytest.raises(SegmentationFault) as caught:
        FixedSizeMemory.exactly(bytes(255)).read(of(250), of(10))
    assert (caught.value.offset, caught.value.length) == (250, 10)


def test_an_int_of_a_class_of_its_own_is_read_as_an_int() -> None:
    class Liar(int):
        def __le__(self, other: object) -> bool:
            return True

        def __ge__(self, other: object) -> bool:
            return True

    with pytest.raises(SegmentationFault):
        FixedSizeMemory.exactly(bytes(8)).read(Liar(9), Liar(1))


@pytest.mark.parametrize("number", [1.0, "1", None], ids=repr)
def test_what_is_no_number_of_bytes_is_refused(number: Any) -> None:
    memory = guarded(16)
    for access in (
        lambda: memory.read(number, 1),
        lambda: memory.read(1, number),
        lambda: memory.view(number, 1),
        lambda: memory.view(1, number),
        lambda: memory.end(number, 1),
        lambda: memory.end(1, number),
        lambda: memory.write(number, b""),
        lambda: memory.read_uint32(number),
        lambda: memory.write_uint32(number, 1),
        lambda: memory.find(0, number),
    ):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            access()


@pytest.mark.parametrize(
    ("name", "size", "values", "outside"),
    [("int8", 1, (-128, 127), 128), ("uint8", 1, (0, 255), -1), ("int16", 2, (-(2**15), 2**15 - 1), 2**15),
     ("uint16", 2, (0, 2**16 - 1), 2**16), ("int32", 4, (-(2**31), 2**31 - 1), 2**31),
     ("uint32", 4, (0, 2**32 - 1), -1),
     ("int64", 8, (-(2**63), 2**63 - 1), 2**63), ("uint64", 8, (0, 2**64 - 1), 2**64),
     ("float32", 4, (0.5, -0.25), 1e39), ("float64", 8, (0.1, -1e300), "1")],
)  # fmt: skip
def test_each_scalar_is_read_as_it_was_written(
    name: str, size: int, values: tuple[Any, ...], outside: Any
) -> None:
    memory = FixedSizeMemory(1)
    read, write = getattr(memory, f"read_{name}"), getattr(memory, f"write_{name}")
    for value in values:
        write(len(memory) - size, value)
        assert read(len(memory) - size) == value
        with pytest.raises(SegmentationFault):
            read(len(memory) - size + 1)
        with pytest.raises(SegmentationFault):
            write(-1, value)
    with pytest.raises((struct.error, OverflowError)):
        write(0, outside)
    assert memory.read(0, 8) == bytes(8)
