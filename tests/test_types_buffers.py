"""`Bytes` and `Array`: the guest's memory itself, of the right element type, and only what is inside."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from guards import GUARD, START, content, guarded

from hostmod.errors import ConversionError, DeclarationError, SegmentationFault
from hostmod.memory import FixedSizeMemory
from hostmod.types.base import resolve
from hostmod.types.buffers import Array, Bytes, show_bytes
from hostmod.types.scalar import (
    Bool,
    Duration,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
)
from hostmod.types.text import String

BYTES = resolve(Bytes, "test")

ELEMENTS: list[Any] = [
    pytest.param(Array[Int8], "b", 1, id="Int8"),
    pytest.param(Array[Uint8], "B", 1, id="Uint8"),
    pytest.param(Array[Int16], "h", 2, id="Int16"),
    pytest.param(Array[Uint16], "H", 2, id="Uint16"),
    pytest.param(Array[Int32], "i", 4, id="Int32"),
    pytest.param(Array[Uint32], "I", 4, id="Uint32"),
    pytest.param(Array[Int64], "q", 8, id="Int64"),
    pytest.param(Array[Uint64], "Q", 8, id="Uint64"),
    pytest.param(Array[Float32], "f", 4, id="Float32"),
    pytest.param(Array[Float64], "d", 8, id="Float64"),
]


def test_bytes_are_the_memory_itself() -> None:
    memory = guarded(b"wasm")
    view = BYTES.load_value(memory, (START, 4))
    assert (bytes(view), view.readonly, view.format) == (b"wasm", False, "B")
    view[0] = ord("W")
    assert content(memory) == GUARD + b"Wasm" + GUARD
    assert (BYTES.core, BYTES.size, BYTES.align) == (("i32", "i32"), 8, 4)


@pytest.mark.parametrize(("annotation", "format_", "size"), ELEMENTS)
def test_an_array_is_the_memory_itself_in_elements(annotation: object, format_: str, size: int) -> None:
    found = resolve(annotation, "test")
    memory = guarded(bytes(3 * size))
    view = found.load_value(memory, (START, 3))
    assert (view.format, len(view), view.nbytes, view.readonly) == (format_, 3, 3 * size, False)
    view[1] = 1
    one = numpy.ones(1, format_).tobytes()
    assert content(memory) == GUARD + bytes(size) + one + bytes(size) + GUARD
    assert numpy.frombuffer(view, dtype=format_).tolist() == [0, 1, 0]
    assert (found.core, found.size, found.align) == (("i32", "i32"), 8, 4)


@pytest.mark.parametrize(("annotation", "format_", "size"), ELEMENTS)
def test_a_number_of_elements_whose_product_wraps_faults(annotation: object, format_: str, size: int) -> None:
    found = resolve(annotation, "test")
    memory = guarded(16)
    lengths = [2**32 // size, 2**32 // size + 1, 2**31, 2**32 - 1, 24 // size + 1]
    for length in lengths:
        with pytest.raises(SegmentationFault) as caught:
            found.load_value(memory, (0, length))
        assert (caught.value.offset, caught.value.length, caught.value.size) == (0, length * size, 24)
    for offset in (24 - size + 1, 24, 2**32 - size, 2**32 - 1):
        with pytest.raises(SegmentationFault) as caught:
            found.load_value(memory, (offset, 1))
        assert (caught.value.offset, caught.value.length) == (offset, size)
    assert content(memory) == GUARD + bytes(16) + GUARD


def test_a_view_of_nothing_is_fine_inside_and_faults_outside() -> None:
    memory = guarded(4)
    assert len(BYTES.load_value(memory, (12, 0))) == 0
    assert len(resolve(Array[Uint32], "test").load_value(memory, (12, 0))) == 0
    with pytest.raises(SegmentationFault):
        BYTES.load_value(memory, (13, 0))


def test_a_view_in_memory_is_an_offset_and_a_number_of_elements() -> None:
    memory = FixedSizeMemory.exactly(bytes([8, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0]))
    assert resolve(Array[Uint16], "test").load_object(memory, 0).tolist() == [1, 2]
    assert bytes(BYTES.load_object(memory, 0)) == b"\1\0"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"\1\0\2\0", id="bytes"),
        pytest.param(bytearray(b"\1\0\2\0"), id="a bytearray"),
        pytest.param(memoryview(b"\1\0\2\0").cast("H"), id="a typed view"),
        pytest.param(numpy.array([1, 2], numpy.uint16), id="a numpy array"),
    ],
)
def test_any_buffer_is_stored_with_the_number_of_its_elements(value: Any) -> None:
    memory = FixedSizeMemory.exactly(GUARD * 3)
    memory._next = START
    assert resolve(Array[Uint16], "test").store_value(memory, value) == (START, 2)
    assert content(memory) == GUARD + b"\1\0\2\0" + GUARD


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        pytest.param(
            Bytes, "text", "'text' (str), expected Bytes (bytes, bytearray or memoryview)", id="text as Bytes"
        ),
        pytest.param(
            Bytes, 4, "4 (int), expected Bytes (bytes, bytearray or memoryview)", id="a number as Bytes"
        ),
        pytest.param(
            Array[Uint32],
            b"12345",
            "5 bytes, expected Array[Uint32] (whole elements of 4 bytes, contiguous)",
            id="half an element",
        ),
        pytest.param(
            Bytes,
            memoryview(b"1234")[::2],
            "2 bytes, expected Bytes (whole elements of 1 bytes, contiguous)",
            id="every second byte",
        ),
    ],
)
def test_what_is_no_such_buffer_is_refused(annotation: object, value: object, message: str) -> None:
    memory = FixedSizeMemory.exactly(GUARD * 4)
    with pytest.raises(ConversionError) as caught:
        resolve(annotation, "test").store_value(memory, value)
    assert str(caught.value) == message
    assert content(memory) == GUARD * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: Array[int],
            "Array[int]: annotated int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
            id="a bare int",
        ),
        pytest.param(
            lambda: Array[Bool],
            "Array[Bool]: Bool, expected an integer or float type; write List[Bool]",
            id="truth values",
        ),
        pytest.param(
            lambda: Array[Duration],
            "Array[Duration]: Duration, expected an integer or float type; write List[Duration]",
            id="durations",
        ),
        pytest.param(
            lambda: Array[String],
            "Array[String]: String, expected an integer or float type; write List[String]",
            id="strings",
        ),
        pytest.param(
            lambda: resolve(Array, "kv.sum(values)"),
            "kv.sum(values): annotated Array, expected an element type; write Array[Uint32], for example",
            id="no element type",
        ),
    ],
)
def test_an_array_of_what_has_no_fixed_form_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        pytest.param(b"", 'b""', id="nothing"),
        pytest.param(b"\x00", 'b"\\x00"', id="one zero"),
        pytest.param(b'a"\\\xff\n', 'b"a\\"\\\\\\xff\\x0a"', id="bytes that need an escape"),
        pytest.param(b"a" * 32, 'b"' + "a" * 32 + '"', id="as many as it may be"),
        pytest.param(b"a" * 33, 'b"' + "a" * 32 + '... (33 bytes)"', id="one too many"),
        pytest.param(bytes(32), 'b"' + "\\x00" * 32 + '"', id="zeros, not cut"),
        pytest.param(bytes(64), 'b"\\x00\\x00... (64 bytes)"', id="zeros, cut"),
        pytest.param(b"hi" + bytes(62), 'b"hi\\x00\\x00... (64 bytes)"', id="zeros after some bytes, cut"),
        pytest.param(bytes(31) + b"ab", 'b"' + "\\x00" * 31 + 'a... (33 bytes)"', id="zeros before a byte"),
    ],
)
def test_bytes_are_shown_in_quotes_and_cut_where_they_are_many(data: bytes, shown: str) -> None:
    assert show_bytes(data) == shown
    assert BYTES.show(memoryview(data)) == shown
    assert BYTES.show(bytearray(data)) == shown


def test_an_array_shows_its_first_elements() -> None:
    found = resolve(Array[Float32], "test")
    assert found.show(numpy.arange(3, dtype="f").data) == "[0.0, 1.0, 2.0]"
    assert found.show(numpy.arange(9, dtype="f").data) == (
        "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, ...] (9 items)"
    )


def test_arrays_are_equal_by_their_elements() -> None:
    assert resolve(Array[Int8], "test") == resolve(Array[Int8], "test")
    assert resolve(Array[Int8], "test") != resolve(Array[Uint8], "test")
    assert resolve(Array[Uint8], "test") != BYTES
