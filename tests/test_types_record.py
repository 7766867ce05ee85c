"""`@struct`: C layout, checked against C's own, and stores that happen whole or not at all."""

from __future__ import annotations

import ctypes
import dataclasses
import inspect
import linecache
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from guards import GUARD, START, content, guarded
from hypothesis import given, settings
from hypothesis import strategies as st

from hostmod.errors import ConversionError, DeclarationError, SegmentationFault
from hostmod.memory import FixedSizeMemory, Memory
from hostmod.types.base import resolve
from hostmod.types.buffers import Bytes
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import ExternRef
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
    FixedArrayType,
    FixedBytesType,
    Length,
    StructType,
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
class Point:
    x: Float32
    y: Float32


@struct
class Sample:
    kind: Uint8
    at: Float64
    ok: Bool
    point: Point
    tags: Annotated[list[Uint16], Length(3)]


@struct
class Named:
    id: Uint16
    name: String
    raw: Annotated[bytes, Length(3)]
    points: Annotated[list[Point], Length(2)]


@struct
class Grid:
    rows: Annotated[list[Annotated[list[Int8], Length(2)]], Length(2)]


def struct_type(cls: type) -> StructType:
    found = resolve(cls, "test")
    assert isinstance(found, StructType)
    return found


# -------------------------------------------------------------------------------------------------------------- layout

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


# ---------------------------------------------------------------------------------------------------- loads and stores


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


@struct
class Wide:
    """More values than generated code unpacks one by one."""

    numbers: Annotated[list[Uint32], Length(100)]


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


# --------------------------------------------------------------------------------------------------- classes of records


def test_a_struct_is_a_dataclass_with_slots() -> None:
    point = Point(1, y=2)
    assert repr(point) == "Point(x=1, y=2)"
    assert point == Point(1, 2)
    point.x = 3
    assert point == Point(3, 2)
    assert not hasattr(point, "__dict__")


def test_a_frozen_struct_cannot_be_changed() -> None:
    @struct(frozen=True)
    class Key:
        id: Uint32

    key = Pointer.new(Key, Key(5)).load()
    assert {key: 1}[Key(5)] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.id = 6  # type: ignore[misc]  # what is refused


def test_fields_can_have_defaults_and_be_inherited() -> None:
    @struct
    class Base:
        kind: Uint8
        flags: Uint16 = 3

    @struct
    class Derived(Base):
        value: Uint32 = 7

    assert [(field.name, field.offset) for field in fields(Derived)] == [
        ("kind", 0),
        ("flags", 2),
        ("value", 4),
    ]
    assert Pointer.new(Derived, Derived(1)).load() == Derived(1, 3, 7)


def test_annotations_name_what_is_local() -> None:
    Small = Uint8

    @struct
    class Inner:
        value: Small  # type: ignore[valid-type]  # an alias that only exists at run time

    @struct
    class Outer:
        inner: Inner

    assert sizeof(Outer) == 1


def test_a_struct_is_shown_with_its_fields_names() -> None:
    value = Sample(1, 1.5, True, Point(1.0, -2.0), [7, 8, 9])
    assert struct_type(Sample).show(value) == (
        "{kind: 1, at: 1.5, ok: true, point: {x: 1.0, y: -2.0}, tags: [7, 8, 9]}"
    )
    assert struct_type(Named).show(Named(1, "a", b"b", [])) == '{id: 1, name: "a", raw: b"b", points: []}'


def declare(annotations: dict[str, object]) -> Callable[[], object]:
    return lambda: struct(type("Bad", (), {"__annotations__": annotations}))


def uninitialised() -> object:
    @struct
    class Bad:
        x: Uint8 = dataclasses.field(init=False)

    return Bad


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            declare({"x": int}),
            "Bad.x: annotated int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
            id="a bare int",
        ),
        pytest.param(
            declare({"x": list[Uint8]}),
            "Bad.x: annotated list[Uint8], expected a guest type; "
            "write List[T], or Array[T] for primitive elements".replace("typing.", ""),
            id="a list of no length",
        ),
        pytest.param(
            declare({"x": ExternRef}),
            "Bad.x: annotated ExternRef, expected a type with a place in memory; a reference has no bytes",
            id="a reference",
        ),
        pytest.param(
            declare({"x": Annotated[dict[str, int], Length(2)]}),
            "Bad.x: annotated dict[str, int], expected a list or bytes; "
            "write Annotated[list[Uint32], Length(2)] or Annotated[bytes, Length(2)]",
            id="a length of what is no list",
        ),
        pytest.param(
            declare({"x": Annotated[list[int], Length(2)]}),
            "Bad.x: annotated int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
            id="an array of bare ints",
        ),
        pytest.param(
            declare({"x": "Missing"}),
            "Bad: an annotation that cannot be read: name 'Missing' is not defined, expected names that are defined; "
            "define or import it above the class",
            id="an unknown name",
        ),
        pytest.param(
            declare({}),
            "Bad: a struct without fields, expected at least one; write x: Float32, for example",
            id="no fields",
        ),
        pytest.param(
            uninitialised, "Bad.x: field(init=False), expected a plain field", id="a field outside init"
        ),
        pytest.param(
            lambda: Length(0), "Length: 0, expected a number of elements, 1 or more", id="a length of 0"
        ),
        pytest.param(
            lambda: Length(True),
            "Length: True, expected a number of elements, 1 or more",
            id="a length of True",
        ),
        pytest.param(
            lambda: Length("3"),  # type: ignore[arg-type]  # what is refused
            "Length: '3', expected a number of elements, 1 or more",
            id="a length in words",
        ),
    ],
)
def test_a_struct_that_cannot_work_is_refused_where_it_is_declared(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert str(caught.value) == message


def test_fixed_types_are_equal_by_what_they_hold() -> None:
    element = resolve(Uint8, "test")
    assert FixedArrayType(element, 2) == FixedArrayType(element, 2)
    assert FixedArrayType(element, 2) != FixedArrayType(element, 3)
    assert FixedBytesType(2) != FixedBytesType(3)
    assert (Length(2), hash(Length(2))) == (Length(2), hash(Length(2)))
    assert Length(2) != Length(3)
    assert struct_type(Point) == resolve(Point, "elsewhere")
    assert struct_type(Point) != struct_type(Sample)


def test_a_struct_can_point_to_its_own_kind() -> None:
    @struct
    class Node:
        value: Int32
        next: Pointer[Node] | None

    memory = FixedSizeMemory(1, base=16)
    first, second = (Pointer[Node](memory, memory.allocate(8, 4)) for _ in range(2))
    first.store(Node(1, second))
    second.store(Node(2, None))

    found = first.load().next
    assert found is not None
    assert found.load() == Node(2, None)
    assert (sizeof(Node), offsetof(Node, "next")) == (8, 4)


def test_records_that_refer_in_circles_are_shown_on_one_line() -> None:
    @struct
    class Ring:
        rest: List[Ring]
        next: Pointer[Ring] | None

    memory = FixedSizeMemory(1, base=16)
    pointer = Pointer[Ring](memory, memory.allocate(12, 4))
    pointer.store(Ring(List(pointer, 1), pointer))

    assert resolve(Pointer[Ring], "pointer").show(pointer) == "&{rest: 1 items at 0x10, next: 0x10}"


def test_a_struct_cannot_hold_itself() -> None:
    with pytest.raises(
        DeclarationError, match=r'Snake.tail: Snake inside itself, .* write "Pointer\[Snake\] \| None"'
    ):

        @struct
        class Snake:
            tail: Snake


# ------------------------------------------------------------------------- records that cannot be made of their fields


def keyword_only() -> object:
    @struct
    class Record:
        x: Int32
        _: dataclasses.KW_ONLY
        y: Int32 = 0

    return Record


def one_keyword_only() -> object:
    @struct
    class Record:
        y: Int32
        x: Int32 = dataclasses.field(kw_only=True)

    return Record


def init_only() -> object:
    @struct
    class Record:
        x: Int32
        z: dataclasses.InitVar[int]

    return Record


def divided() -> object:
    @struct
    class Record:
        x: "1 / 0"  # type: ignore[valid-type]  # noqa: UP037  # what is refused  # pyright: ignore[reportInvalidTypeForm]

    return Record


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        pytest.param(
            keyword_only,
            "Record.y: a keyword-only field, expected a plain field; "
            "remove KW_ONLY or kw_only=True: a record is made of its fields in order",
            id="KW_ONLY",
        ),
        pytest.param(
            one_keyword_only,
            "Record.x: a keyword-only field, expected a plain field; "
            "remove KW_ONLY or kw_only=True: a record is made of its fields in order",
            id="field(kw_only=True)",
        ),
        pytest.param(
            init_only,
            "Record.z: an InitVar, expected a plain field; what is in guest memory is all that a record is made of",
            id="InitVar",
        ),
        pytest.param(
            divided,
            "Record: an annotation that cannot be read: ZeroDivisionError: division by zero, expected names that are "
            "defined; define or import it above the class",
            id="an annotation that raises",
        ),
    ],
)
def test_a_record_that_cannot_be_made_of_its_fields_is_refused(
    declare: Callable[[], object], message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare()
    assert str(caught.value) == message


def test_records_inside_records_by_the_hundred_are_read_and_written() -> None:
    found: Any = Uint32
    for _ in range(200):
        found = struct(type("Nest", (), {"__annotations__": {"inner": found, "tail": Uint8}}))
    data = bytes((1, 2, 3, 4)) + bytes((7, 0, 0, 0)) * 200
    memory = guarded(data)
    pointer: Pointer[Any] = Pointer(memory, START, found)
    value = pointer.load()
    memory.write(START, bytes(len(data)))
    pointer.store(value)
    assert content(memory) == GUARD + data + GUARD


def wide(count: int, **options: Any) -> Any:
    names = [f"field{index}" for index in range(count)]
    namespace = {
        "__annotations__": dict.fromkeys(names, Int32),
        "__qualname__": "Wide",
        "__module__": __name__,
    }
    return struct(**options)(type("Wide", (), {**namespace, **options.pop("namespace", {})}))


@pytest.mark.parametrize("frozen", [False, True], ids=["plain", "frozen"])
def test_a_struct_of_many_fields_is_as_one_of_few(frozen: bool) -> None:
    for count in (250, 251):
        cls = wide(count, frozen=frozen)
        one, same, other = cls(*range(count)), cls(*range(count)), cls(*range(1, count + 1))
        assert one == same
        assert one != other
        assert one != tuple(range(count))
        assert repr(one).startswith("Wide(field0=0, field1=1, ")
        assert repr(one).endswith(f"field{count - 1}={count - 1})")
        assert list(inspect.signature(cls).parameters)[-1] == f"field{count - 1}"
        assert cls.__init__.__annotations__["field0"] is Int32
        assert cls.__doc__.startswith("Wide(field0: ")
        assert cls.__match_args__[0] == "field0"
        assert not hasattr(one, "__dict__")
        place = Pointer.new(cls)
        place.store(one)
        assert place.load() == one
        assert dataclasses.replace(one, field0=7).field0 == 7
        if frozen:
            assert hash(one) == hash(same)
            with pytest.raises(dataclasses.FrozenInstanceError):
                one.field0 = 1
        else:
            with pytest.raises(TypeError, match="unhashable"):
                hash(one)
        with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument"):
            cls(*range(count - 1))
        with pytest.raises(ConversionError, match=r"Wide\.field3: 'x' \(str\), expected Int32"):
            Pointer.new(cls).store(cls(0, 1, 2, "x", *range(4, count)))


def test_defaults_and_methods_of_a_struct_of_many_fields_are_its_author_s() -> None:
    count = 300
    annotations = {f"field{index}": Int32 for index in range(count)}
    names: dict[str, Any] = {
        "__annotations__": {"self": Int32, **annotations, "items": Annotated[list[Int32], Length(2)]},
        "__module__": __name__,
        "field299": 7,
        "items": dataclasses.field(default_factory=lambda: [1, 2]),
        "__post_init__": lambda self: object.__setattr__(self, "field0", self.field0 + 1),
        "__repr__": lambda self: "mine",
        "__doc__": "Its author's.",
    }
    cls: Any = struct(type("Wide", (), names))
    made = cls(5, *range(299))
    assert (made.self, made.field0, made.field298, made.field299, made.items) == (5, 1, 298, 7, [1, 2])
    assert made.items is not cls(5, *range(299)).items
    assert cls(5, *range(299), 8, [3, 4]).items == [3, 4]
    assert (repr(made), cls.__doc__) == ("mine", "Its author's.")
    names = {"__annotations__": annotations, "__module__": __name__, "field1": 3}
    with pytest.raises(TypeError, match="non-default argument 'field2' follows default argument"):
        struct(type("Wide", (), names))


def test_making_a_struct_takes_a_time_that_is_linear_in_its_fields() -> None:
    def calls(count: int) -> int:
        """How many lines of Python run: the same on every machine; and no line of source is long, which Python's
        parser would take its square for."""
        seen = 0

        def trace(*_: object) -> Any:
            nonlocal seen
            seen += 1

        sys.setprofile(trace)
        try:
            wide(count)
        finally:
            sys.setprofile(None)
        return seen

    few, many = calls(1_000), calls(4_000)
    assert many < 4.2 * few
    compiled = [
        line
        for name, entry in linecache.cache.items()
        if name.startswith("<hostmod struct Wide") and len(entry) == 4
        for line in entry[2]
    ]
    assert compiled
    assert max(map(len, compiled)) < 4_000


def test_a_struct_of_structs_asks_each_once_how_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = StructType._find_inline

    def find(self: StructType) -> Any:
        asked.append(self.name)
        return real(self)

    monkeypatch.setattr(StructType, "_find_inline", find)
    found: Any = Int32
    for depth in range(10):
        names = {"__annotations__": {"one": found, "two": found}, "__module__": __name__}
        found = struct(type(f"Level{depth}", (), names))
    assert asked == [f"Level{depth}" for depth in range(10)]
