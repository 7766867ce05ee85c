"""The public protocol: guest types of one's own, and how an annotation becomes a guest type."""

from __future__ import annotations

import struct as _struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Any, TypeVar

import pytest
from guards import GUARD, START, content, guarded

from hostmod.errors import ConversionError, DeclarationError
from hostmod.memory import FixedSizeMemory, Memory
from hostmod.types.base import CoreType, CoreValuesType, GuestType, resolve, resolve_object
from hostmod.types.code import Facts, Packed
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import ExternRef
from hostmod.types.results import Error, Optional
from hostmod.types.scalar import FloatType, Int16, Int32, IntegerType, Uint8, Uint32
from hostmod.types.structs import Length, struct

NO_MEMORY = Memory()
T = TypeVar("T")


class Celsius(float):
    """Degrees."""


class CelsiusType(GuestType[Celsius]):
    """Tenths of a degree, as a signed 16-bit integer."""

    name = "Celsius"
    core: tuple[CoreType, ...] = ("i32",)
    size = 2
    align = 2

    def load_value(self, memory: Memory, words: Sequence[Any]) -> Celsius:
        return Celsius((words[0] & 0x7FFF) / 10)

    def store_value(self, memory: Memory, value: Celsius) -> Sequence[Any]:
        if value >= 3276.8:
            raise ConversionError("", f"{value}", "Celsius (0 to 3276.7)")
        return (round(value * 10),)

    def load_object(self, memory: Memory, offset: int) -> Celsius:
        return self.load_value(memory, memory.unpack(Struct("<H"), offset))

    def store_object(self, memory: Memory, offset: int, value: Celsius) -> None:
        memory.pack(Struct("<H"), offset, *self.store_value(memory, value))

    def show(self, value: Celsius) -> str:
        return f"{float(value)} °C"


with pytest.raises(_struct.error) as caught_here:
    Struct("<I").pack(-5)
OUT_OF_RANGE = str(caught_here.value)  # in the words of this Python's struct

Temperature = Annotated[Celsius, CelsiusType()]


class SpanType(CoreValuesType[range]):
    """First and last, in one i32 each."""

    name = "Span"
    core: tuple[CoreType, ...] = ("i32", "i32")
    layout = Struct("<II")
    size = 8
    align = 4

    def load_value(self, memory: Memory, words: Sequence[Any]) -> range:
        return range(words[0], words[1] + 1)

    def store_value(self, memory: Memory, value: range) -> Sequence[Any]:
        return value.start, value.stop - 1


@struct
class Reading:
    id: Uint8
    value: Temperature
    span: Annotated[range, SpanType]
    history: Annotated[list[Temperature], Length(2)]


def test_a_guest_type_of_ones_own_crosses_by_its_own_methods() -> None:
    found = resolve(Temperature, "test")
    assert found.store_value(NO_MEMORY, Celsius(21.5)) == (215,)
    assert found.load_value(NO_MEMORY, (215,)) == Celsius(21.5)
    assert (str(found), found.show(Celsius(21.5))) == ("Celsius", "21.5 °C")


def test_a_guest_type_of_ones_own_works_in_pointers_lists_structs_and_arrays() -> None:
    memory = guarded(2)
    Pointer[Temperature](memory, START).store(Celsius(1.5))
    assert content(memory) == GUARD + b"\x0f\0" + GUARD
    assert list(List.new(Temperature, [Celsius(1), Celsius(2)])) == [1.0, 2.0]
    value = Reading(7, Celsius(21.5), range(3, 9), [Celsius(1), Celsius(2)])
    pointer = Pointer.new(Reading, value)
    assert pointer.load() == value
    assert pointer.memory.read(pointer.offset, 16) == (
        b"\x07\0" + b"\xd7\0" + b"\3\0\0\0\x08\0\0\0" + b"\x0a\0\x14\0"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            Reading(7, Celsius(4000), range(1), [Celsius(0), Celsius(0)]),
            "Reading.value: 4000.0, expected Celsius (0 to 3276.7)",
            id="a field",
        ),
        pytest.param(
            Reading(7, Celsius(0), range(1), [Celsius(0), Celsius(4000)]),
            "Reading.history[1]: 4000.0, expected Celsius (0 to 3276.7)",
            id="an element of a field",
        ),
        pytest.param(
            Reading(7, Celsius(0), range(-5, 1), [Celsius(0), Celsius(0)]),
            f"Reading.span: {OUT_OF_RANGE}, expected a value that fits",
            id="words that do not fit",
        ),
    ],
)
def test_a_value_that_its_type_refuses_leaves_the_struct_in_memory_as_it_was(
    value: Reading, message: str
) -> None:
    memory = guarded(b"\x11" * 16)
    with pytest.raises(ConversionError) as caught:
        Pointer[Reading](memory, START).store(value)
    assert str(caught.value) == message
    assert content(memory) == GUARD + b"\x11" * 16 + GUARD


def test_an_array_whose_second_element_does_not_fit_keeps_the_first_as_it_was() -> None:
    memory = guarded(b"\x11" * 4)
    found = resolve(Annotated[list[Temperature], Length(2)], "test")
    with pytest.raises(ConversionError, match=r"^\[1\]: 4000\.0, expected Celsius"):
        found.store_object(memory, START, [Celsius(1), Celsius(4000)])
    assert content(memory) == GUARD + b"\x11" * 4 + GUARD


class Boom(Exception):
    """Not an error of hostmod's."""


class BoomType(CoreValuesType[int]):
    """Cannot be stored."""

    core: tuple[CoreType, ...] = ("i32",)
    size = 4
    align = 4

    def store_value(self, memory: Memory, value: int) -> Sequence[Any]:
        raise Boom


@struct
class Explosive:
    first: Uint32
    second: Annotated[int, BoomType()]
    third: Annotated[list[Annotated[int, BoomType()]], Length(2)]


def test_an_exception_of_a_types_own_passes_through_and_memory_stays_as_it_was() -> None:
    memory = guarded(b"\x11" * 16)
    with pytest.raises(Boom):
        Pointer[Explosive](memory, START).store(Explosive(1, 2, [3, 4]))
    with pytest.raises(Boom):
        resolve(Annotated[list[Annotated[int, BoomType()]], Length(2)], "test").store_object(
            memory, START, [3, 4]
        )
    assert content(memory) == GUARD + b"\x11" * 16 + GUARD


class EvenType(IntegerType):
    """A built-in type, changed: stores half of the number."""

    def __init__(self) -> None:
        super().__init__("Even", "i32", "H")

    def load_value(self, memory: Memory, words: Sequence[Any]) -> int:
        return 2 * super().load_value(memory, words)

    def store_value(self, memory: Memory, value: Any) -> Sequence[Any]:
        return (self.check(value) // 2,)

    def load_object(self, memory: Memory, offset: int) -> int:
        return 2 * int(super().load_object(memory, offset))

    def store_object(self, memory: Memory, offset: int, value: Any) -> None:
        super().store_object(memory, offset, self.check(value) // 2)


class NamedType(FloatType):
    """A built-in type, of another name only."""

    def show(self, value: float) -> str:
        return f"{value} units"


@struct
class Evens:
    value: Annotated[int, EvenType()]


def test_a_type_that_changes_what_a_built_in_one_does_is_asked_and_not_passed_by() -> None:
    assert (EvenType().facts, EvenType().packed(), EvenType().packed_field()) == (Facts(), Packed(), None)
    pointer = Pointer.new(Evens, Evens(6))
    assert pointer.memory.read(pointer.offset, 2) == b"\3\0"
    assert pointer.load() == Evens(6)
    assert NamedType("Unit", "f32", "f").packed() == Packed("F32")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("load_value", (NO_MEMORY, ())),
        ("store_value", (NO_MEMORY, 1)),
        ("load_object", (NO_MEMORY, 0)),
        ("store_object", (NO_MEMORY, 0, 1)),
    ],
)
def test_a_type_that_lacks_a_method_says_which(name: str, arguments: tuple[Any, ...]) -> None:
    class Empty(GuestType[int]):
        pass

    with pytest.raises(TypeError, match=f"Empty does not implement {name}"):
        getattr(Empty(), name)(*arguments)


def test_types_are_equal_by_class_and_key() -> None:
    assert CelsiusType() == CelsiusType()
    assert hash(CelsiusType()) == hash(CelsiusType())
    assert CelsiusType() != SpanType()
    assert CelsiusType() != "Celsius"
    assert repr(CelsiusType()) == "<guest type Celsius>"


@dataclass
class Record:
    """A dataclass of no guest."""

    x: int


class NeedsArgument(GuestType[int]):
    def __init__(self, scale: int) -> None:
        self.scale = scale


class BadHook:
    @classmethod
    def __guest_type__(cls, arguments: object, where: str) -> object:
        return "no guest type"


INTS = "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)"

REFUSED: list[Any] = [
    pytest.param(int, f"annotated int, expected a guest type; {INTS}", id="a bare int"),
    pytest.param(
        float, "annotated float, expected a guest type; write Float32 or Float64", id="a bare float"
    ),
    pytest.param(bool, "annotated bool, expected a guest type; write Bool", id="a bare bool"),
    pytest.param(
        str,
        "annotated str, expected a guest type; write String (pointer and length) or CString (NUL-terminated)",
        id="a bare str",
    ),
    pytest.param(
        bytes,
        "annotated bytes, expected a guest type; write Bytes (a writable memoryview of guest memory)",
        id="bare bytes",
    ),
    pytest.param(
        bytearray,
        "annotated bytearray, expected a guest type; write Bytes (a writable memoryview of guest memory)",
        id="a bare bytearray",
    ),
    pytest.param(
        memoryview,
        "annotated memoryview, expected a guest type; write Bytes, or Array[T] for elements wider than a byte",
        id="a bare memoryview",
    ),
    pytest.param(
        list,
        "annotated list, expected a guest type; write List[T], or Array[T] for primitive elements",
        id="a bare list",
    ),
    pytest.param(
        list[int],
        "annotated list[int], expected a guest type; write List[T], or Array[T] for primitive elements",
        id="a list of ints",
    ),
    pytest.param(
        dict[str, int],
        "annotated dict[str, int], expected a guest type; "
        "write a @struct class for a record, or ExternRef for a host object",
        id="a dict",
    ),
    pytest.param(
        tuple[int, int],
        "annotated tuple[int, int], expected a guest type; "
        "write @struct for a record; tuple[A, B] works as a result only",
        id="a tuple",
    ),
    pytest.param(
        complex,
        "annotated complex, expected a guest type; write two Float64 parameters, or a @struct",
        id="complex",
    ),
    pytest.param(
        object,
        "annotated object, expected a guest type; write ExternRef for a host object that the guest holds",
        id="object",
    ),
    pytest.param(
        Any,
        "annotated Any, expected a guest type; write ExternRef for a host object that the guest holds",
        id="Any",
    ),
    pytest.param(
        Record,
        "annotated Record, expected a guest type; decorate Record with @struct from hostmod.types",
        id="a dataclass",
    ),
    pytest.param(
        CelsiusType,
        "annotated CelsiusType, expected a value's type; write Annotated[..., CelsiusType()]",
        id="a guest type's class",
    ),
    pytest.param(
        T,
        "annotated ~T, expected a guest type; a signature cannot be generic; name the type",
        id="a type variable",
    ),
    pytest.param(
        5,
        "annotated 5, expected a guest type; "
        "see hostmod.types for the names, or write Annotated[T, a GuestType of your own]",
        id="a number",
    ),
    pytest.param(
        Callable,
        "annotated Callable, expected a guest type; "
        "see hostmod.types for the names, or write Annotated[T, a GuestType of your own]",
        id="a callable",
    ),
    pytest.param(
        [],
        "annotated [], expected a guest type; "
        "see hostmod.types for the names, or write Annotated[T, a GuestType of your own]",
        id="an object without a hash",
    ),
    pytest.param(
        Annotated[int, "bytes"],
        f"annotated int, expected a guest type; {INTS}",
        id="metadata that says nothing",
    ),
    pytest.param(
        Annotated[int, NeedsArgument],
        "NeedsArgument() failed: NeedsArgument.__init__() missing 1 required positional argument: 'scale', "
        "expected an instance of it in Annotated",
        id="a guest type's class that takes arguments",
    ),
    pytest.param(
        BadHook,
        "__guest_type__ returned 'no guest type' (str), expected a GuestType instance",
        id="a bad hook",
    ),
    pytest.param(
        Error,
        "annotated Optional or Error, expected a type that carries a value; Optional and Error are for results only",
        id="Error",
    ),
    pytest.param(
        Optional[Int32],
        "annotated Optional or Error, expected a type that carries a value; Optional and Error are for results only",
        id="Optional",
    ),
]


@pytest.mark.parametrize(("annotation", "message"), REFUSED)
def test_an_annotation_of_no_guest_type_says_what_to_write(annotation: object, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve(annotation, "kv.get(key)")
    assert str(caught.value) == f"kv.get(key): {message}"


@pytest.mark.parametrize(
    ("annotation", "advice"),
    [
        pytest.param(Uint8 | Int16, "a union has no form in a guest's signature", id="two guest types"),
        pytest.param(
            Pointer[Uint8] | Pointer[Int16] | None,
            "a union has no form in a guest's signature",
            id="two pointers or None",
        ),
        pytest.param(
            Uint8 | None,
            "write Pointer[T] | None for a pointer that may be 0; "
            "for a result that may fail, hostmod.types.Optional[T]",
            id="a number or None",
        ),
    ],
)
def test_a_union_is_refused_but_for_a_pointer_or_none(annotation: object, advice: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve(annotation, "kv.get(key)")
    assert caught.value.write == advice


def test_a_guest_type_stands_for_itself_and_annotations_may_be_nested() -> None:
    assert resolve(CelsiusType(), "test") == CelsiusType()
    assert resolve(Annotated[Temperature, "outside"], "test") == CelsiusType()
    assert resolve(Annotated[Celsius, "before", CelsiusType()], "test") == CelsiusType()
    assert resolve_object(Temperature, "test") == CelsiusType()


def test_a_number_has_a_place_in_memory_and_a_reference_has_none() -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve_object(ExternRef, "kv.f(x)")
    assert str(caught.value) == (
        "kv.f(x): annotated ExternRef, expected a type with a place in memory; a reference has no bytes"
    )


def test_values_that_need_room_of_their_own_get_it_from_the_memory() -> None:
    @struct
    class Holder:
        pointer: Pointer[Uint32]
        items: List[Uint8]

    memory = FixedSizeMemory(1, base=64)
    Pointer(memory, 0, Holder).store(Holder(Pointer.new(Uint32, 7), List.new(Uint8, [1, 2])))
    loaded: Any = Pointer(memory, 0, Holder).load()
    assert (loaded.pointer.offset, loaded.pointer.load()) == (64, 7)
    assert (loaded.items.pointer.offset, list(loaded.items)) == (68, [1, 2])
    assert memory.read(0, 12) == b"\x40\0\0\0" + b"\x44\0\0\0\2\0\0\0"


class Fixed(GuestType[float]):
    """A fixed-point number in units of 1 / scale."""

    size = 4

    def __init__(self, scale: object, core: CoreType = "i32") -> None:
        self.scale = scale
        self.core = (core,)


def test_guest_types_of_one_class_differ_by_their_attributes() -> None:
    cents: Any = Annotated[float, Fixed(100)]
    mills: Any = Annotated[float, Fixed(1000)]
    micros: Any = Annotated[float, Fixed(100, "i64")]
    found = [resolve(each, "test") for each in (cents, mills, micros)]
    assert [(each.scale, each.core) for each in found if isinstance(each, Fixed)] == [
        (100, ("i32",)),
        (1000, ("i32",)),
        (100, ("i64",)),
    ]
    assert Fixed(100) == Fixed(100)
    assert hash(Fixed(100)) == hash(Fixed(100))
    pointer: Any = Pointer
    assert resolve(pointer[cents], "test") == resolve(pointer[Annotated[float, Fixed(100)]], "test")
    assert resolve(pointer[cents], "test") != resolve(pointer[mills], "test")


class Uncomparable:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = None  # type: ignore[assignment]  # as numpy's arrays


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, 1.0, id="an int and a float"),
        pytest.param(1, True, id="an int and a bool"),
        pytest.param([1], [2], id="lists"),
        pytest.param(float("nan"), float("nan"), id="what equals not even itself"),
        pytest.param(Uncomparable(), Uncomparable(), id="what cannot be compared"),
    ],
)
def test_guest_types_whose_attributes_are_not_known_to_be_equal_differ(one: object, other: object) -> None:
    assert Fixed(one) != Fixed(other)
    same = Fixed(one)
    assert same == same
    assert {same: 1}[same] == 1


def test_attributes_in_slots_count_too() -> None:
    class Slotted(GuestType[float]):
        __slots__ = ("__scale",)

        def __init__(self, scale: int) -> None:
            self.__scale = scale

    assert Slotted(1) == Slotted(1)
    assert Slotted(1) != Slotted(2)


def test_a_type_derived_from_one_of_hostmods_differs_by_its_own_attributes() -> None:
    class Scaled(IntegerType):
        def __init__(self, scale: int) -> None:
            super().__init__("Scaled", "i32", "i")
            self.scale = scale

    assert Scaled(1) == Scaled(1)
    assert Scaled(1) != Scaled(2)


def test_a_guest_type_says_itself_what_makes_it_the_same() -> None:
    class Named(GuestType[int]):
        def __init__(self, note: str) -> None:
            self.note = note

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named)

        def __hash__(self) -> int:
            return 1

    assert Named("a") == Named("b")


class Raising:
    """Hooks that fail, each in its own way."""

    @classmethod
    def __guest_type__(cls, arguments: object, where: str) -> object:
        raise RuntimeError("boom")

    @classmethod
    def __nullable_guest_type__(cls, arguments: object, where: str) -> object:
        raise KeyError("gone")


class Meta(type):
    def __getattr__(cls, name: str) -> object:
        raise RuntimeError(name)


class Unreadable(metaclass=Meta):
    pass


class OfFive:
    def __guest_type_of__(self, inner: object, where: str) -> object:
        return 5


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("repr")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param(
            Raising,
            "__guest_type__ raised RuntimeError: boom, expected a GuestType instance",
            id="a hook raises",
        ),
        pytest.param(
            Raising | None,
            "__nullable_guest_type__ raised KeyError: 'gone', expected a GuestType instance",
            id="a hook for None raises",
        ),
        pytest.param(
            Unreadable,
            "__guest_type__ raised RuntimeError: __guest_type__, expected a GuestType instance",
            id="looking for a hook raises",
        ),
        pytest.param(
            Annotated[int, OfFive()],
            "__guest_type_of__ returned 5 (int), expected a GuestType instance",
            id="a hook of metadata returns a number",
        ),
        pytest.param(
            Annotated[int, Uncomparable()],
            f"annotated int, expected a guest type; {INTS}",
            id="metadata without ==",
        ),
        pytest.param(
            Annotated[int, NeedsArgument],
            "NeedsArgument() failed: NeedsArgument.__init__() missing 1 required positional argument: 'scale', "
            "expected an instance of it in Annotated",
            id="a class that needs an argument",
        ),
    ],
)
def test_an_annotation_whose_code_fails_is_named(annotation: object, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve(annotation, "kv.get(key)")
    assert (
        str(caught.value)
        == f"kv.get(key): {message.replace('NeedsArgument.__init__', NeedsArgument.__qualname__ + '.__init__')}"
    )


def test_an_annotation_that_cannot_be_shown_is_refused_by_its_class() -> None:
    with pytest.raises(
        DeclarationError, match=r"^kv.get\(key\): annotated with a Unshowable, expected a guest type"
    ):
        resolve(Unshowable(), "kv.get(key)")


def test_an_object_larger_than_an_address_reaches_is_refused() -> None:
    with pytest.raises(
        DeclarationError,
        match=r"bytes of length 4294967297 of 4294967297 bytes, expected at most 4294967296, which is what a pointer",
    ):
        resolve_object(Annotated[bytes, Length(2**32 + 1)], "test")
    assert resolve_object(Annotated[bytes, Length(2**32)], "test").size == 2**32
