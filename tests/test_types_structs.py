"""`@struct`: C layout, checked against C's own, and stores that happen whole or not at all."""

from __future__ import annotations

import ctypes
import dataclasses
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from guards import GUARD, START, content, guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from records import Named, Point, Sample, Wide, struct_type

from hostmod.errors import ConversionError, DeclarationError, SegmentationFault
from hostmod.memory import FixedSizeMemory, Memory
from hostmod.types.buffers import Bytes
from hostmod.types.pointer import List, Pointer
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
from hostmod.types.structs import (
    Length,
    fields,
    offsetof,
    sizeof,
    struct,
)
from hostmod.types.text import CString, String


class PointerAndLength(ctypes.LittleEndianStructure):
    """What C has in place of a String, Bytes or List."""

    _fields_ = [("pointer", ctypes.c_uint32), ("length", ctypes.c_uint32)]


@struct
class Grid:
    rows: Annotated[list[Annotated[list[Int8], Length(2)]], Length(2)]


LEAVES: list[tuple[Any, Any]] = [
    (Int8, ctypes.c_int8),
    (Uint8, ctypes.c_uint8),
    (Int16, ctypes.c_int16),
    (Uint16, ctypes.c_uint16),
    (Int32, ctypes.c_int32),
    (Uint32, ctypes.c_uint32),
    (Int64, ctypes.c_int64),
    (Uint64, ctypes.c_uint64),
    (Float32, ctypes.c_float),
    (Float64, ctypes.c_double),
    (Bool, ctypes.c_bool),
    (Duration, ctypes.c_int64),
    (Pointer[Uint64], ctypes.c_uint32),
    (CString, ctypes.c_uint32),
    (String, PointerAndLength),
    (Bytes, PointerAndLength),
    (List[Uint8], PointerAndLength),
]


def both_structs(members: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Make the same record for hostmod and for ctypes."""
    names = [f"f{index}" for index in range(len(members))]
    ours = type(
        "Random",
        (),
        {"__annotations__": {name: ours for name, (ours, _) in zip(names, members, strict=True)}},
    )
    theirs = type(
        "Random",
        (ctypes.LittleEndianStructure,),
        {"_fields_": [(name, theirs) for name, (_, theirs) in zip(names, members, strict=True)]},
    )
    return struct(ours), theirs


def arrays(member: tuple[Any, Any], length: int) -> tuple[Any, Any]:
    element, ctype = member
    return Annotated[list[element], Length(length)], ctype * length  # type: ignore[valid-type]  # made at run time


MEMBERS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map(both_structs)
        | st.builds(arrays, inner, st.integers(1, 4))
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(MEMBERS, min_size=1, max_size=8))
def test_any_struct_is_laid_out_as_c_does_it(members: list[tuple[Any, Any]]) -> None:
    ours, theirs = both_structs(members)
    assert sizeof(ours) == ctypes.sizeof(theirs)
    assert struct_type(ours).align == ctypes.alignment(theirs)
    for field in fields(ours):
        assert field.offset == getattr(theirs, field.name).offset
        assert field.type.size == getattr(theirs, field.name).size


PLAIN = [(annotation, ctype) for annotation, ctype in LEAVES[:11]]


PLAIN_MEMBERS = st.recursive(
    st.sampled_from(PLAIN),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(both_structs)
        | st.builds(arrays, inner, st.integers(1, 3))
    ),
    max_leaves=5,
)


def as_python(value: Any) -> Any:
    """Turn what ctypes or hostmod loaded into lists of numbers."""
    if isinstance(value, ctypes.Structure):
        return [as_python(getattr(value, name)) for name, *_ in value._fields_]
    if isinstance(value, ctypes.Array):
        return [as_python(item) for item in value]
    if dataclasses.is_dataclass(value):
        return [as_python(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, list):
        return [as_python(item) for item in value]
    return value


@settings(deadline=None)
@given(members=st.lists(PLAIN_MEMBERS, min_size=1, max_size=5), data=st.data())
def test_any_struct_is_read_and_written_as_c_does_it(
    members: list[tuple[Any, Any]], data: st.DataObject
) -> None:
    ours, theirs = both_structs(members)
    size = sizeof(ours)
    raw = data.draw(st.binary(min_size=size, max_size=size))
    memory = guarded(raw)
    found = struct_type(ours)
    value = found.load_object(memory, START)
    # Through repr, since NaN is not equal to itself.
    assert repr(as_python(value)) == repr(as_python(theirs.from_buffer_copy(raw)))
    found.store_object(memory, START, value)
    stored = content(memory)
    assert stored[: len(GUARD)] == stored[-len(GUARD) :] == GUARD
    assert repr(as_python(theirs.from_buffer_copy(stored[START:-START]))) == repr(as_python(value))


def test_offsets_and_sizes_are_told() -> None:
    assert sizeof(Sample) == 40
    assert [(field.name, field.offset, str(field.type)) for field in fields(Sample)] == [
        ("kind", 0, "Uint8"),
        ("at", 8, "Float64"),
        ("ok", 16, "Bool"),
        ("point", 20, "Point"),
        ("tags", 28, "list[Uint16] of length 3"),
    ]
    assert offsetof(Sample, "tags") == 28
    assert repr(next(fields(Point))) == "Field('x', Float32, offset=0)"
    assert sizeof(Uint16) == 2
    with pytest.raises(KeyError):
        offsetof(Sample, "missing")
    number: Any = Uint16
    asks: list[Callable[[], object]] = [lambda: offsetof(number, "x"), lambda: fields(number)]
    for ask in asks:
        with pytest.raises(DeclarationError, match="Uint16, expected a @struct class"):
            ask()


def test_a_struct_is_stored_with_zeros_for_its_padding() -> None:
    memory = guarded(b"\x11" * 40)
    value = Sample(1, 1.5, True, Point(1.0, -2.0), [7, 8, 9])
    struct_type(Sample).store_object(memory, START, value)
    assert content(memory) == (
        GUARD
        + bytes.fromhex("01 00000000000000")
        + bytes.fromhex("000000000000f83f")
        + bytes.fromhex("01 000000")
        + bytes.fromhex("0000803f 000000c0")
        + bytes.fromhex("0700 0800 0900")
        + bytes.fromhex("000000000000")
        + GUARD
    )
    assert struct_type(Sample).load_object(memory, START) == value


def test_a_struct_with_strings_bytes_and_nested_arrays_comes_back() -> None:
    pointer = Pointer.new(Named, Named(1, "größe", b"ab", [Point(1, 2), Point(3, 4)]))
    assert pointer.load() == Named(1, "größe", b"ab\0", [Point(1, 2), Point(3, 4)])
    grid = Pointer.new(Grid, Grid([[1, 2], [3, -4]]))
    assert grid.load() == Grid([[1, 2], [3, -4]])
    assert grid.memory.read(grid.offset, 4) == b"\1\2\3\xfc"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            Sample(256, 0, True, Point(0, 0), [0, 0, 0]),
            "Sample.kind: 256, expected Uint8 (0 to 255)",
            id="the first field",
        ),
        pytest.param(
            Sample(1, "x", True, Point(0, 0), [0, 0, 0]),  # type: ignore[arg-type]  # what is refused
            "Sample.at: 'x' (str), expected Float64 (a float)",
            id="a field of another type",
        ),
        pytest.param(
            Sample(1, 0, 1, Point(0, 0), [0, 0, 0]),  # type: ignore[arg-type]  # what is refused
            "Sample.ok: 1, expected Bool (True or False)",
            id="a number for a truth value",
        ),
        pytest.param(
            Sample(1, 0, True, Point(0, 1e39), [0, 0, 0]),
            "Sample.point.y: 1e+39, expected Float32 (a float of at most 3.4028234663852886e+38)",
            id="a field of a nested struct",
        ),
        pytest.param(
            Sample(1, 0, True, (1, 2), [0, 0, 0]),  # type: ignore[arg-type]  # what is refused
            "Sample.point: (1, 2) (tuple), expected Point",
            id="another class for a nested struct",
        ),
        pytest.param(
            Sample(1, 0, True, Point(0, 0), [0, 65536, 0]),
            "Sample.tags[1]: 65536, expected Uint16 (0 to 65535)",
            id="an element of an array",
        ),
        pytest.param(
            Sample(1, 0, True, Point(0, 0), [0, 0]),
            "Sample.tags: 2 elements, expected list[Uint16] of length 3",
            id="an array too short",
        ),
        pytest.param(
            Sample(1, 0, True, Point(0, 0), [0, 0, 0, 0]),
            "Sample.tags: 4 elements, expected list[Uint16] of length 3",
            id="an array too long",
        ),
        pytest.param(
            Sample(1, 0, True, Point(0, 0), None),  # type: ignore[arg-type]  # what is refused
            "Sample.tags: None (NoneType), expected list[Uint16] of length 3",
            id="no array",
        ),
        pytest.param(
            Named(1, "a", b"abcd", [Point(0, 0), Point(0, 0)]),
            "Named.raw: 4 bytes, expected bytes of length 3",
            id="too many bytes",
        ),
        pytest.param(
            Named(1, "a", "abc", [Point(0, 0), Point(0, 0)]),  # type: ignore[arg-type]  # what is refused
            "Named.raw: 'abc' (str), expected bytes of length 3",
            id="text for bytes",
        ),
        pytest.param(
            Named(1, "a", b"", [Point(0, 0), Point(0, 1e39)]),
            "Named.points[1].y: 1e+39, expected Float32 (a float of at most 3.4028234663852886e+38)",
            id="a field of a struct in an array",
        ),
        pytest.param(
            Named(1, 5, b"", [Point(0, 0), Point(0, 0)]),  # type: ignore[arg-type]  # what is refused
            "Named.name: 5 (int), expected String",
            id="a number for text",
        ),
        pytest.param(
            Grid([[0, 0], [0, 128]]),
            "Grid.rows[1][1]: 128, expected Int8 (-128 to 127)",
            id="an array in an array",
        ),
        pytest.param(Point(0, 0), None, id="another struct"),
    ],
)
def test_a_field_that_does_not_fit_is_named_and_memory_stays_as_it_was(
    value: Any, message: str | None
) -> None:
    cls = Sample if message is None else type(value)
    found = struct_type(cls)
    before = b"\x11" * (found.size + 16)
    memory = guarded(before)
    memory._next = START + found.size
    with pytest.raises(ConversionError) as caught:
        found.store_object(memory, START, value)
    assert str(caught.value) == (message or "Point(x=0, y=0) (Point), expected Sample")
    # Strings of an earlier field may have been given room of their own; the struct's is untouched.
    assert content(memory)[: START + found.size] == GUARD + before[: found.size]


@pytest.mark.parametrize("cls", [Point, Sample, Named, Grid])
def test_a_struct_outside_the_memory_faults_and_memory_stays_as_it_was(cls: type) -> None:
    found = struct_type(cls)
    value: Any = Pointer.new(cls).load()
    memory = guarded(b"\x11" * found.size)
    end = len(memory)
    outside = (
        end - found.size + 1,
        end,
        -1,
        -found.size,
        2**32 - found.size,
        2**32 - 1,
        2**32,
        2**63,
        -(2**70),
    )
    for offset in outside:
        with pytest.raises(SegmentationFault) as caught:
            found.load_object(memory, offset)
        assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, found.size, end)
        with pytest.raises(SegmentationFault) as caught:
            found.store_object(memory, offset, value)
        assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, found.size, end)
    assert content(memory) == GUARD + b"\x11" * found.size + GUARD


def test_a_string_that_the_guest_has_no_room_for_says_so() -> None:
    class Guest(FixedSizeMemory):
        allocate = Memory.allocate  # a guest's memory has no allocator

    memory = Guest(1)
    with pytest.raises(ConversionError) as caught:
        struct_type(Named).store_object(memory, 0, Named(1, "abc", b"", [Point(0, 0), Point(0, 0)]))
    assert str(caught.value) == (
        "Named.name: a value that needs 3 bytes of its own, expected a place for it; "
        "take a Bytes, Pointer or List parameter and write into what the guest provides"
    )
    assert memory.read(0, sizeof(Named)) == bytes(sizeof(Named))


def test_a_long_array_comes_back() -> None:
    value = Wide(list(range(100)))
    pointer = Pointer.new(Wide, value)
    assert pointer.load() == value
    assert sizeof(Wide) == 400
    with pytest.raises(ConversionError, match=r"Wide\.numbers\[99\]: -1, expected Uint32"):
        pointer.store(Wide([*range(99), -1]))
    assert pointer.load() == value


def test_generated_code_can_be_seen_in_a_traceback() -> None:
    with pytest.raises(SegmentationFault) as caught:
        struct_type(Point).load_object(FixedSizeMemory(0), 0)
    text = "".join(traceback.format_exception(caught.value))
    assert "<hostmod struct Point " in text
    assert "raise SegmentationFault(offset, 8, len(window))" in text
