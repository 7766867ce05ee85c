"""Classes of structs: how they are declared, made and compared, and what is refused"""

from __future__ import annotations

import dataclasses
import inspect
import linecache
import sys
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from guards import GUARD, START, content, guarded
from records import Named, Point, Sample, struct_type

from hostmod.errors import ConversionError, DeclarationError
from hostmod.memory import FixedSizeMemory
from hostmod.types.base import resolve
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import ExternRef
from hostmod.types.scalar import (
    Int32,
    Uint8,
    Uint16,
    Uint32,
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
