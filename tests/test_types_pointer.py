"""`Pointer` and `List`: arithmetic in elements, every access checked, and lists read as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
from guards import GUARD, START, content, guarded
from hypothesis import given
from hypothesis import strategies as st

from hostmod.errors import ConversionError, DeclarationError, InvalidStringError, SegmentationFault
from hostmod.memory import FixedSizeMemory, Memory
from hostmod.types.base import resolve
from hostmod.types.pointer import List, NullablePointerType, Pointer
from hostmod.types.references import ExternRef
from hostmod.types.scalar import Float32, Int16, Uint8, Uint16, Uint32, Uint64
from hostmod.types.structs import struct
from hostmod.types.text import String

NO_MEMORY = Memory()


@struct
class Pair:
    low: Uint8
    high: Uint32


# ------------------------------------------------------------------------------------------------------------ pointers


def test_a_pointer_reads_and_writes_just_its_object() -> None:
    memory = guarded(2)
    pointer = Pointer[Uint16](memory, START)
    pointer.store(0x1234)
    assert content(memory) == GUARD + b"\x34\x12" + GUARD
    assert pointer.load() == pointer[0] == 0x1234


@pytest.mark.parametrize(
    "pointer",
    [
        pytest.param(Pointer[Uint16](guarded(2), START), id="subscripted"),
        pytest.param(Pointer(guarded(2), START, Uint16), id="with the type as an argument"),
        pytest.param(Pointer(guarded(2), START, resolve(Uint16, "test")), id="with a guest type"),
        pytest.param(Pointer.new(Uint16), id="new"),
        pytest.param(Pointer[Uint32](guarded(2), START, Uint16), id="an argument comes first"),
    ],
)
def test_a_pointer_knows_its_element_type(pointer: Pointer[int]) -> None:
    assert pointer.type == resolve(Uint16, "test")
    assert pointer.load() == 0


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Pointer(guarded(2), START).load(), id="no type"),
        pytest.param(lambda: Pointer[str](guarded(2), START).load(), id="a type of no guest"),
    ],
)
def test_a_pointer_without_an_element_type_says_what_to_write(make: Callable[[], object]) -> None:
    with pytest.raises(DeclarationError, match="Pointer"):
        make()


def test_a_pointer_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="'Pointer' object has no attribute 'size'"):
        Pointer.new(Uint16).size  # type: ignore[attr-defined]  # noqa: B018  # what is refused


def test_arithmetic_counts_elements() -> None:
    memory = guarded(12)
    first = Pointer[Uint32](memory, START)
    third = first + 2
    assert third.offset == START + 8
    assert third - 2 == first
    assert third - first == 2
    assert first - third == -2
    first[1] = 7
    third[-2] = 5
    assert (first.load(), third[-1]) == (5, 7)
    assert content(memory) == GUARD + b"\5\0\0\0\7\0\0\0\0\0\0\0" + GUARD


def test_arithmetic_may_leave_the_memory_but_an_access_there_faults() -> None:
    memory = guarded(4)
    pointer = Pointer[Uint32](memory, START)
    for wild in (pointer + 2, pointer - 2, pointer + 2**30, pointer - 2**30, pointer + 2**62):
        with pytest.raises(SegmentationFault) as caught:
            wild.load()
        assert (caught.value.offset, caught.value.length) == (wild.offset, 4)
        with pytest.raises(SegmentationFault):
            wild.store(1)
    for index in (2, -2, 2**30 - 1, 2**62):
        with pytest.raises(SegmentationFault):
            pointer[index]
        with pytest.raises(SegmentationFault):
            pointer[index] = 1
    assert content(memory) == GUARD + bytes(4) + GUARD


def test_an_index_whose_product_wraps_at_32_bits_faults() -> None:
    pointer = Pointer[Uint64](guarded(8), START)
    with pytest.raises(SegmentationFault) as caught:
        pointer[2**29]
    assert caught.value.offset == START + 2**32


def test_a_value_that_does_not_fit_is_refused_and_nothing_is_written() -> None:
    memory = guarded(2)
    with pytest.raises(ConversionError, match="65536, expected Uint16"):
        Pointer[Uint16](memory, START).store(65536)
    assert content(memory) == GUARD + bytes(2) + GUARD


def test_pointers_are_equal_by_memory_offset_and_type() -> None:
    memory = guarded(8)
    pointer = Pointer[Uint16](memory, START)
    assert pointer == Pointer[Uint16](memory, START)
    assert hash(pointer) == hash(Pointer[Uint16](memory, START))
    assert pointer != Pointer[Uint16](memory, START + 2)
    assert pointer != Pointer[Int16](memory, START)
    assert pointer != Pointer[Uint16](guarded(8), START)
    assert pointer != START


def test_a_pointer_cannot_be_iterated_without_end() -> None:
    with pytest.raises(TypeError):
        iter(Pointer.new(Uint16))


def test_a_pointer_shows_its_address_and_its_guest_type_shows_what_is_there() -> None:
    pointer = Pointer.new(Uint16, 7)
    assert repr(Pointer[Uint16](guarded(2), 0x1F)) == "Pointer[Uint16](0x1f)"
    found = resolve(Pointer[Uint16], "test")
    assert found.show(pointer) == "&7"
    assert found.show(Pointer[Uint16](guarded(2), 0xFFFF)) == "0xffff (unreadable)"
    assert resolve(Pointer[Uint16] | None, "test").show(None) == "null"


# --------------------------------------------------------------------------------------------- pointers as guest types


def test_a_pointer_crosses_as_one_i32() -> None:
    memory = guarded(4)
    found = resolve(Pointer[Uint16], "test")
    assert (found.core, found.size, found.align) == (("i32",), 4, 4)
    pointer = found.load_value(memory, (0xFFFFFFFE,))
    assert pointer == Pointer[Uint16](memory, 0xFFFFFFFE)
    assert found.store_value(memory, pointer) == (0xFFFFFFFE,)
    found.store_object(memory, START, pointer)
    assert content(memory) == GUARD + b"\xfe\xff\xff\xff" + GUARD
    assert found.load_object(memory, START) == pointer


def test_zero_is_none_only_where_none_is_annotated() -> None:
    memory = guarded(4)
    plain, nullable = resolve(Pointer[Uint16], "test"), resolve(Pointer[Uint16] | None, "test")
    assert isinstance(nullable, NullablePointerType)
    assert (str(plain), str(nullable)) == ("Pointer[Uint16]", "Pointer[Uint16] | None")
    assert plain != nullable
    assert plain.load_value(memory, (0,)) == Pointer[Uint16](memory, 0)
    assert nullable.load_value(memory, (0,)) is None
    assert nullable.load_value(memory, (4,)) == Pointer[Uint16](memory, 4)
    assert nullable.store_value(memory, None) == (0,)
    with pytest.raises(ConversionError) as caught:
        plain.store_value(memory, None)
    assert str(caught.value) == "None (NoneType), expected Pointer[Uint16]; write Pointer(memory, offset)"


@pytest.mark.parametrize("offset", [-1, 2**32, 2**40])
def test_a_pointer_that_is_no_32_bit_address_does_not_cross(offset: int) -> None:
    memory = guarded(4)
    with pytest.raises(ConversionError, match="expected an unsigned 32-bit offset"):
        resolve(Pointer[Uint16], "test").store_value(memory, Pointer[Uint16](memory, offset))


def test_a_pointer_to_another_type_does_not_cross() -> None:
    memory = guarded(4)
    with pytest.raises(ConversionError) as caught:
        resolve(Pointer[Uint16], "test").store_value(memory, Pointer[Int16](memory, 4))
    assert str(caught.value) == "Pointer[Int16](0x4), expected Pointer[Uint16]"


def test_a_pointer_into_another_memory_is_copied_with_what_it_points_to() -> None:
    memory = FixedSizeMemory.exactly(GUARD * 3)
    memory._next = 4
    found = resolve(Pointer[Uint32], "test")
    assert found.store_value(memory, Pointer.new(Uint32, 9)) == (4,)
    assert content(memory) == GUARD + b"\x09\0\0\0" + GUARD
    with pytest.raises(SegmentationFault):
        found.store_value(memory, Pointer.new(Uint32, 9) + 100_000)


# --------------------------------------------------------------------------------------------------------------- lists


def test_a_list_is_read_and_written_in_place() -> None:
    memory = guarded(6)
    numbers: List[int] = List(Pointer[Uint16](memory, START), 3)
    numbers[0] = 1
    numbers[-1] = 3
    assert content(memory) == GUARD + b"\1\0\0\0\3\0" + GUARD
    assert list(numbers) == [1, 0, 3]
    assert (len(numbers), numbers[1], numbers[-3]) == (3, 0, 1)
    assert 3 in numbers
    assert repr(numbers) == "List[Uint16](0x4, 3)"


@pytest.mark.parametrize("index", [3, -4, 2**31, -(2**31)])
def test_an_index_outside_a_list_is_an_index_error_although_memory_goes_on(index: int) -> None:
    memory = guarded(6)
    numbers: List[int] = List(Pointer[Uint16](memory, START), 3)
    with pytest.raises(IndexError, match=f"list index {index} out of range for 3 objects"):
        numbers[index]
    with pytest.raises(IndexError):
        numbers[index] = 1
    assert content(memory) == GUARD + bytes(6) + GUARD


@given(
    values=st.lists(st.integers(0, 65535), max_size=8),
    start=st.none() | st.integers(-10, 10),
    stop=st.none() | st.integers(-10, 10),
)
def test_a_slice_is_the_list_of_the_same_elements(
    values: list[int], start: int | None, stop: int | None
) -> None:
    part = List.new(Uint16, values)[start:stop]
    assert isinstance(part, List)
    assert list(part) == values[start:stop]


def test_a_slice_is_the_same_memory() -> None:
    numbers = List.new(Uint16, [1, 2, 3, 4])
    numbers[1:3][0] = 9
    assert list(numbers) == [1, 9, 3, 4]
    with pytest.raises(ValueError, match=r"slices of step 1, not 2; write list\(objects\)\[::2\]"):
        numbers[::2]


def test_a_pointer_slices_into_a_list_that_is_checked_as_a_whole() -> None:
    memory = guarded(6)
    pointer = Pointer[Uint16](memory, START)
    assert list(pointer.slice(3)) == [0, 0, 0]
    with pytest.raises(SegmentationFault) as caught:
        pointer.slice(6)
    assert (caught.value.offset, caught.value.length) == (START, 12)
    with pytest.raises(SegmentationFault):
        pointer.slice(-1)


def test_pointers_into_a_list_write_in_place() -> None:
    pairs = List.new(Pair, [Pair(1, 2), Pair(3, 4)])
    for pointer in pairs.pointers():
        pair = pointer.load()
        pointer.store(Pair(pair.low + 10, pair.high))
    assert list(pairs) == [Pair(11, 2), Pair(13, 4)]
    assert [pointer.offset - pairs.pointer.offset for pointer in pairs.pointers()] == [0, 8]


@pytest.mark.parametrize(
    "annotation", [List[Uint8], List[Uint16], List[Pair], List[Float32], List[Uint64]], ids=str
)
def test_a_list_whose_product_wraps_or_that_leaves_the_memory_faults(annotation: object) -> None:
    found: Any = resolve(annotation, "test")
    size = found.element.size
    memory = guarded(16)
    for offset, length in (
        (0, 24 // size + 1),
        (24, 1),
        (24 - size + 1, 1),
        (2**32 - 1, 1),
        (2**32 - size, 1),
        (0, 2**32 // size),
        (0, 2**32 // size + 1),
        (8, 2**32 - 1),
        (2**32 - 1, 2**32 - 1),
        (25, 0),
    ):
        with pytest.raises(SegmentationFault) as caught:
            found.load_value(memory, (offset, length))
        assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, length * size, 24)
    assert content(memory) == GUARD + bytes(16) + GUARD


def test_a_list_crosses_as_a_pointer_and_a_number_of_objects() -> None:
    memory = guarded(b"\1\0\2\0" + b"\4\0\0\0\2\0\0\0")
    found = resolve(List[Uint16], "test")
    assert (found.core, found.size, found.align) == (("i32", "i32"), 8, 4)
    numbers = found.load_value(memory, (START, 2))
    assert list(numbers) == list(found.load_object(memory, START + 4)) == [1, 2]
    assert found.store_value(memory, numbers) == (START, 2)
    assert len(found.load_value(memory, (24 - 4, 0))) == 0


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1, 2], id="a list"),
        pytest.param((1, 2), id="a tuple"),
        pytest.param(range(1, 3), id="a range"),
    ],
)
def test_a_sequence_is_stored_as_a_list_of_its_own(values: object) -> None:
    memory = FixedSizeMemory.exactly(GUARD * 3)
    memory._next = 4
    assert resolve(List[Uint16], "test").store_value(memory, values) == (4, 2)
    assert content(memory) == GUARD + b"\1\0\2\0" + GUARD


def test_a_list_of_another_memory_is_copied() -> None:
    memory = FixedSizeMemory.exactly(GUARD * 3)
    memory._next = 4
    assert resolve(List[Uint16], "test").store_value(memory, List.new(Uint16, [3, 4])) == (4, 2)
    assert content(memory) == GUARD + b"\3\0\4\0" + GUARD


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("12", "'12' (str), expected List[Uint16] (a List or a sequence)", id="text"),
        pytest.param(b"12", "b'12' (bytes), expected List[Uint16] (a List or a sequence)", id="bytes"),
        pytest.param(5, "5 (int), expected List[Uint16] (a List or a sequence)", id="a number"),
        pytest.param([65536], "65536, expected Uint16 (0 to 65535)", id="an element that does not fit"),
    ],
)
def test_what_is_no_such_list_is_refused(value: object, message: str) -> None:
    memory = FixedSizeMemory.exactly(bytes(16))
    with pytest.raises(ConversionError) as caught:
        resolve(List[Uint16], "test").store_value(memory, value)
    assert str(caught.value) == message


def test_a_list_of_another_type_does_not_cross() -> None:
    with pytest.raises(ConversionError, match=r"expected List\[Uint16\]"):
        resolve(List[Uint16], "test").store_value(guarded(16), List.new(Int16, [1]))


def test_a_list_is_shown_by_its_first_elements() -> None:
    found = resolve(List[Uint16], "test")
    assert found.show(List.new(Uint16, [1, 2])) == "[1, 2]"
    assert found.show([]) == "[]"
    assert found.show(list(range(9))) == "[0, 1, 2, 3, 4, 5, 6, 7, ...] (9 items)"


def test_new_holds_values_in_a_memory_of_its_own() -> None:
    assert Pointer.new(Pair, Pair(1, 2)).load() == Pair(1, 2)
    assert Pointer.new(Pair).load() == Pair(0, 0)
    assert Pointer.new(String, "text").load() == "text"
    assert list(List.new(String, ["a", "b"])) == ["a", "b"]
    assert list(List.new(Uint8, [])) == []
    with pytest.raises(ConversionError):
        List.new(Uint8, [1, 256])


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param(
            Pointer,
            "annotated Pointer, expected an element type; write Pointer[Uint32], for example",
            id="a bare pointer",
        ),
        pytest.param(
            List,
            "annotated List, expected an element type; write List[Uint32], for example",
            id="a bare list",
        ),
        pytest.param(
            Pointer[int],
            "annotated Pointer[int], expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
            id="a pointer to a bare int",
        ),
        pytest.param(
            List[str],
            "annotated List[str], expected a guest type; "
            "write String (pointer and length) or CString (NUL-terminated)",
            id="a list of bare texts",
        ),
        pytest.param(
            List[Any],
            "annotated List[Any], expected a guest type; write ExternRef for a host object that the guest holds",
            id="a list of anything",
        ),
    ],
)
def test_a_pointer_or_list_of_what_has_no_place_in_memory_is_refused(
    annotation: object, message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve(annotation, "kv.f(x)")
    assert str(caught.value) == f"kv.f(x): {message}"


def test_a_reference_has_no_address() -> None:
    with pytest.raises(
        DeclarationError, match="expected a type with a place in memory; a reference has no bytes"
    ):
        resolve(Pointer[ExternRef], "kv.f(x)")


def test_pointers_and_lists_nest() -> None:
    memory = guarded(b"\x08\0\0\0" + b"\x0c\0\0\0\1\0\0\0" + b"\7\0\0\0")
    pointer = Pointer[Pointer[Uint8]](memory, START)
    assert str(pointer.type) == "Pointer[Uint8]"
    assert pointer.load().offset == 8
    lists = List(Pointer[List[Uint8]](memory, 8), 1)
    assert list(lists[0]) == [1]


# --------------------------------------------------------------------------------------- numbers that are no plain ints


@pytest.mark.parametrize(
    ("index", "number"),
    [
        pytest.param(numpy.uint8(33), 33, id="whose product with the size wraps"),
        pytest.param(numpy.uint32(2**29 + 1), 2**29 + 1, id="whose product wraps at 32 bits"),
        pytest.param(numpy.int64(2**60 + 1), 2**60 + 1, id="whose product wraps at 63 bits"),
    ],
)
def test_an_index_of_numpys_counts_as_what_it_is(index: Any, number: int) -> None:
    pointer = List.new(Uint64, [11, 22, 33]).pointer
    size = len(pointer.memory)
    if number * 8 + 8 <= size:
        pointer[number] = 7
        assert pointer[index] == (pointer + index).load() == 7
        assert (pointer + index - index).offset == pointer.offset
        assert len(pointer.slice(index)) == number
        assert type(len(pointer.slice(index))) is int
        pointer[index] = 8
        assert pointer[number] == 8
    else:
        for access in (
            lambda: pointer[index],
            lambda: pointer.__setitem__(index, 1),
        ):
            with pytest.raises(SegmentationFault) as caught:
                access()
            assert (caught.value.offset, caught.value.length) == (pointer.offset + number * 8, 8)
        assert (pointer + index).offset == pointer.offset + number * 8
        with pytest.raises(SegmentationFault) as caught:
            pointer.slice(index)
        assert (caught.value.offset, caught.value.length) == (pointer.offset, number * 8)


def test_an_offset_of_numpys_counts_as_what_it_is() -> None:
    memory = FixedSizeMemory(1)
    memory.write(250, bytes(range(16)))
    offset: Any = numpy.uint8(250)
    last: Any = numpy.int8(-1)
    kind: Any
    for kind in (Uint64, Pair):
        pointer: Pointer[Any] = Pointer(memory, offset, kind)
        assert pointer.offset == 250
        assert type(pointer.offset) is int
        assert (pointer + 1).offset == 258
        pointer.offset = offset  # what arithmetic of the author's may leave there
        assert pointer[1] == Pointer(memory, 258, kind).load()
        assert pointer.load() == Pointer(memory, 250, kind).load()
        before = pointer.load()
        pointer.store(before)
        assert Pointer(memory, 250, kind).load() == before
        assert list(List(pointer, 2)) == list(List(Pointer(memory, 250, kind), 2))
        assert List(pointer, 2)[last] == pointer[1]


@pytest.mark.parametrize("index", [1.0, "1", None], ids=repr)
def test_what_is_no_index_is_refused_before_anything_is_read(index: Any) -> None:
    pointer = Pointer.new(Uint64)
    for access in (
        lambda: pointer[index],
        lambda: pointer.__setitem__(index, 1),
        lambda: pointer + index,
        lambda: pointer.slice(index),
        lambda: List(pointer, 1)[index],
        lambda: Pointer(pointer.memory, index, Uint64),
    ):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            access()


def test_an_index_of_thousands_of_digits_is_out_of_range() -> None:
    items = List.new(Uint64, [1])
    with pytest.raises(IndexError, match="list index an int of 16610 bits out of range for 1 objects"):
        items[10**5000]
    with pytest.raises(
        SegmentationFault, match="segmentation fault: an int of 16613 bits bytes at offset 0x0"
    ):
        items.pointer.slice(10**5000)


def test_bytes_and_text_are_read_and_written_at_a_pointer() -> None:
    memory = FixedSizeMemory(1)
    pointer = Pointer[Uint8](memory, 16)
    pointer.write("grüß\0dich".encode())
    assert pointer.read(3) == b"gr\xc3"
    assert (pointer.text(), pointer.text(2), (pointer + 7).text(4)) == ("grüß", "gr", "dich")
    with pytest.raises(InvalidStringError, match="offset 0x10"):
        pointer.text(3)
    end = Pointer[Uint8](memory, len(memory))
    for use in (lambda: end.read(1), lambda: end.write(b"x"), lambda: end.text(1), end.text):
        with pytest.raises(SegmentationFault):
            use()
