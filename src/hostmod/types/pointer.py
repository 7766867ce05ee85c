"""Guest types that refer to objects in guest memory: `Pointer` and `List`."""

from __future__ import annotations

import builtins  # inside Pointer, type is its field
import typing
from collections.abc import Iterable, Iterator, Sequence
from operator import index as exact
from struct import Struct
from typing import Any, Generic, TypeVar, overload

from hostmod.errors import ConversionError, DeclarationError, HostmodError, InvalidStringError, show_value
from hostmod.memory import FixedSizeMemory, Memory
from hostmod.types.base import CoreValue, CoreValuesType, GuestType, describe, resolve_object
from hostmod.types.code import Code, Facts, Packed

T = TypeVar("T")
U = TypeVar("U")  # of methods that are called on the bare class, which has no T

MAX_SHOWN_ITEMS = 8
"""Elements of a list that a log line shows."""


class _Untyped(GuestType[Any]):
    """The type of a pointer that was made without one: every use of it says so."""

    name = "?"

    @property
    def size(self) -> int:  # type: ignore[override]  # an attribute elsewhere
        raise DeclarationError(
            "Pointer", "no element type", "one", "write Pointer[Uint32](memory, offset), for example"
        )

    def load_object(self, memory: Memory, offset: int) -> Any:
        return self.size

    def store_object(self, memory: Memory, offset: int, value: Any) -> None:
        self.load_object(memory, offset)


_UNTYPED = _Untyped()


class Pointer(Generic[T]):
    """The address of a `T` in a memory.

    Every access is checked against the memory's size at that moment. Arithmetic counts elements, as in C.

    >>> from hostmod.types import Uint16
    >>> pointer = Pointer.new(Uint16, 7)
    >>> pointer.load()
    7
    >>> pointer.store(65535)
    >>> Pointer[Uint16](pointer.memory, pointer.offset)[0]
    65535
    """

    __slots__ = ("memory", "offset", "type")

    memory: Memory
    offset: int
    type: GuestType[Any]

    @overload
    def __init__(self, memory: Memory, offset: int, type: builtins.type[T] | GuestType[T]) -> None: ...
    @overload
    def __init__(self, memory: Memory, offset: int, type: object = None) -> None: ...
    def __init__(self, memory: Memory, offset: int, type: object = None) -> None:
        """Point to `offset` (in bytes, unsigned) in `memory`; `type` is T, unless ``Pointer[T](...)`` names it."""
        self.memory = memory
        self.offset = offset if builtins.type(offset) is int else exact(offset)
        if type is None:
            self.type = _UNTYPED
        else:
            self.type = type if isinstance(type, GuestType) else resolve_object(type, "Pointer")

    @property
    def __orig_class__(self) -> object:
        raise AttributeError("__orig_class__")

    @__orig_class__.setter
    def __orig_class__(self, alias: object) -> None:
        # typing sets this after the call of a subscripted class: it is how Pointer[T](...) learns T.
        found = resolve_object(typing.get_args(alias)[0], "Pointer[T]")
        if self.type is _UNTYPED:
            self.type = found

    @overload
    @classmethod
    def new(cls, type: builtins.type[U], value: U | None = None) -> Pointer[U]: ...
    @overload
    @classmethod
    def new(cls, type: object, value: U) -> Pointer[U]: ...
    @overload
    @classmethod
    def new(cls, type: object) -> Pointer[Any]: ...
    @classmethod
    def new(cls, type: object, value: Any = None) -> Pointer[Any]:
        """Make room for one `type` in a memory of the host's own, holding `value` or zeros."""
        guest_type = resolve_object(type, "Pointer.new")
        memory = FixedSizeMemory(guest_type.size + 65536)
        pointer: Pointer[Any] = cls(memory, memory.allocate(guest_type.size, guest_type.align), guest_type)
        if value is not None:
            pointer.store(value)
        return pointer

    def load(self) -> T:
        """Read the object; SegmentationFault if it is not wholly inside the memory."""
        return self.type.load_object(self.memory, self.offset)  # type: ignore[no-any-return]  # T is what type loads

    def store(self, value: T) -> None:
        """Write the object; on SegmentationFault or ConversionError nothing was written."""
        self.type.store_object(self.memory, self.offset, value)

    def read(self, length: int) -> bytes:
        """Copy `length` bytes from here on; SegmentationFault if they are not wholly inside the memory."""
        return self.memory.read(self.offset, length)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` from here on, or nothing; SegmentationFault as in `read`."""
        self.memory.write(self.offset, data)

    def text(self, length: int | None = None) -> str:
        """Read text in UTF-8 from here on: `length` bytes, or all before the next NUL byte.

        Raises:
            SegmentationFault: it is not wholly inside the memory, or there is no NUL.
            InvalidStringError: it is no UTF-8.
        """
        if length is None:
            length = self.memory.find(0, self.offset) - self.offset
        data = self.memory.read(self.offset, length)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise InvalidStringError(self.offset, data, f"{error.reason} at byte {error.start}") from None

    def __getitem__(self, index: int) -> T:
        """Read the `index`-th object after this one; SegmentationFault as in `load`."""
        return self.type.load_object(self.memory, self._at(index))  # type: ignore[no-any-return]  # as in load

    def __setitem__(self, index: int, value: T) -> None:
        self.type.store_object(self.memory, self._at(index), value)

    def _at(self, index: int) -> int:
        # numpy's integers wrap: what is counted with is an int of Python's.
        offset = self.offset
        if type(offset) is not int:
            offset = exact(offset)
        if type(index) is not int:
            index = exact(index)
        return offset + index * self.type.size

    def slice(self, length: int) -> List[T]:
        """View this object and those after it as a list of `length`; SegmentationFault as in `List`."""
        return List(self, length)

    def __add__(self, count: int) -> Pointer[T]:
        return Pointer(self.memory, self._at(count), self.type)

    @overload
    def __sub__(self, other: int) -> Pointer[T]: ...
    @overload
    def __sub__(self, other: Pointer[T]) -> int: ...
    def __sub__(self, other: int | Pointer[T]) -> Pointer[T] | int:
        if isinstance(other, Pointer):
            return (self.offset - other.offset) // self.type.size
        return self + -exact(other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pointer):
            return NotImplemented
        return self.offset == other.offset and self.memory is other.memory and self.type == other.type

    def __hash__(self) -> int:
        return hash((self.offset, id(self.memory)))

    # Iterating would never end by itself: an index error is what stops the old protocol.
    __iter__ = None

    def __repr__(self) -> str:
        return f"Pointer[{self.type}](0x{self.offset:x})"

    @classmethod
    def __guest_type__(cls, arguments: tuple[object, ...], where: str) -> GuestType[Any]:
        return PointerType(_element("Pointer", arguments, where))

    @classmethod
    def __nullable_guest_type__(cls, arguments: tuple[object, ...], where: str) -> GuestType[Any]:
        return NullablePointerType(_element("Pointer", arguments, where))


class List(Generic[T]):
    """`length` objects of one type, one after the other in a memory; read and written as they are asked for.

    >>> from hostmod.types import Int16
    >>> numbers = List.new(Int16, [3, -1, 2])
    >>> len(numbers), numbers[1], sorted(numbers)
    (3, -1, [-1, 2, 3])
    >>> numbers[0] = 9
    >>> [pointer.load() for pointer in numbers.pointers()]
    [9, -1, 2]
    """

    __slots__ = ("length", "pointer")

    def __init__(self, pointer: Pointer[T], length: int) -> None:
        """View `length` objects from `pointer` on; SegmentationFault if they are not wholly inside the memory."""
        if type(length) is not int:
            length = exact(length)
        pointer.memory.end(pointer.offset, length * pointer.type.size)
        self.pointer = pointer
        self.length = length

    @overload
    @classmethod
    def new(cls, type: builtins.type[U], values: Iterable[U]) -> List[U]: ...
    @overload
    @classmethod
    def new(cls, type: object, values: Iterable[U]) -> List[U]: ...
    @classmethod
    def new(cls, type: object, values: Iterable[Any]) -> List[Any]:
        """Store `values` in a memory of the host's own."""
        guest_type = resolve_object(type, "List.new")
        items = list(values)
        memory = FixedSizeMemory(len(items) * guest_type.size + 65536)
        pointer: Pointer[Any] = Pointer(
            memory, memory.allocate(len(items) * guest_type.size, guest_type.align), guest_type
        )
        for index, item in enumerate(items):
            pointer[index] = item
        return cls(pointer, len(items))

    def _offset(self, index: int) -> int:
        if type(index) is not int:
            index = exact(index)
        position = index + self.length if index < 0 else index
        if not 0 <= position < self.length:
            raise IndexError(f"list index {show_value(index, '')} out of range for {self.length} objects")
        pointer = self.pointer
        offset = pointer.offset
        if type(offset) is not int:
            offset = exact(offset)
        return offset + position * pointer.type.size

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> List[T]: ...
    def __getitem__(self, index: int | slice) -> T | List[T]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self.length)
            if step != 1:
                raise ValueError(f"a List takes slices of step 1, not {step}; write list(objects)[::{step}]")
            return List(self.pointer + start, max(0, stop - start))
        return self.pointer.type.load_object(self.pointer.memory, self._offset(index))  # type: ignore[no-any-return]  # T

    def __setitem__(self, index: int, value: T) -> None:
        self.pointer.type.store_object(self.pointer.memory, self._offset(index), value)

    def __iter__(self) -> Iterator[T]:
        memory, offset, step = self.pointer.memory, self.pointer._at(0), self.pointer.type.size
        load = self.pointer.type.load_object
        for _ in range(self.length):
            yield load(memory, offset)
            offset += step

    def pointers(self) -> Iterator[Pointer[T]]:
        """Iterate over pointers to the objects, for reading and writing in place."""
        guest_type, memory, offset = self.pointer.type, self.pointer.memory, self.pointer._at(0)
        for position in range(self.length):
            yield Pointer(memory, offset + position * guest_type.size, guest_type)

    def __repr__(self) -> str:
        return f"List[{self.pointer.type}](0x{self.pointer.offset:x}, {self.length})"

    @classmethod
    def __guest_type__(cls, arguments: tuple[object, ...], where: str) -> GuestType[Any]:
        return ListType(_element("List", arguments, where))


def _element(name: str, arguments: tuple[object, ...], where: str) -> GuestType[Any]:
    if not arguments:
        raise DeclarationError(
            where, f"annotated {name}", "an element type", f"write {name}[Uint32], for example"
        )
    try:
        return resolve_object(arguments[0], where)
    except DeclarationError as error:
        found = describe(arguments[0]).removeprefix("annotated ")
        raise DeclarationError(where, f"annotated {name}[{found}]", error.expected, error.write) from None


class PointerType(CoreValuesType[Any]):
    """A `Pointer`: one i32, any value, checked when it is used."""

    core = ("i32",)
    layout = Struct("<I")
    size = 4
    align = 4
    facts = Facts(known=True)
    refers = True

    def __init__(self, element: GuestType[Any]) -> None:
        self.element = element
        self.name = f"Pointer[{element}]"

    def packed(self) -> Packed:
        return Packed("POINTER", step=self.element.size, element=self.element)

    def write_load(self, code: Code) -> None:
        # What Pointer(memory, offset, type) does, without the cost of its call.
        code.add(
            f"{code.value} = new({code.name('Pointer', Pointer)})",
            f"{code.value}.memory = {code.memory}",
            f"{code.value}.offset = {code.core(0, 'I')}",
            f"{code.value}.type = {code.name('type', self.element)}",
        )

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        return Pointer(memory, core_values[0], self.element)

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        return (self.offset_of(memory, value),)

    def offset_of(self, memory: Memory, value: Any) -> int:
        """Return the pointer's offset; a pointer into another memory is copied into this one, if it can be."""
        if not isinstance(value, Pointer):
            raise ConversionError("", show_value(value), str(self), "write Pointer(memory, offset)")
        if value.type != self.element:
            raise ConversionError("", repr(value), str(self))
        if value.memory is memory or value.memory == memory:
            if not 0 <= value.offset < 2**32:
                raise ConversionError("", repr(value), "an unsigned 32-bit offset")
            return value.offset
        if holds_addresses(self.element):
            raise ConversionError(
                "",
                f"{value!r} into another memory, of a type that holds addresses",
                f"{self} into the guest's memory",
                "an address means nothing in another memory: use numbers for them, or Pointer(guest.memory, offset)",
            )
        size = self.element.size
        offset = memory.allocate(size, self.element.align)
        memory.write(offset, value.memory.read(value.offset, size))
        bring_back = getattr(memory, "bring_back", None)
        if bring_back is not None:  # an export's argument: what the guest writes there is the caller's
            bring_back(lambda: value.memory.write(value.offset, memory.read(offset, size)))
        return offset

    def show(self, value: Any) -> str:
        try:
            return f"&{self.element.show(value.load())}"
        except HostmodError:
            return f"0x{value.offset:x} (unreadable)"


def holds_addresses(type_: GuestType[Any]) -> bool:
    """Tell if an object of a type refers to others by their addresses, itself or in a field."""
    fields = getattr(type_, "fields", None)
    if fields is not None:
        return any(holds_addresses(field.type) for field in fields)
    element = getattr(type_, "element", None)
    if isinstance(element, GuestType) and not type_.core:  # a fixed array
        return holds_addresses(element)
    return type_.refers


class NullablePointerType(PointerType):
    """A `Pointer`, or None for the offset 0."""

    facts = Facts(known=True)

    def __init__(self, element: GuestType[Any]) -> None:
        super().__init__(element)
        self.name += " | None"

    def packed(self) -> Packed:
        return super().packed()._replace(opcode="NULLABLE")

    write_load = GuestType.write_load

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        return None if core_values[0] == 0 else super().load_value(memory, core_values)

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        return (0,) if value is None else super().store_value(memory, value)

    def show(self, value: Any) -> str:
        return "null" if value is None else super().show(value)


class ListType(CoreValuesType[Any]):
    """A `List`: a pointer and a number of objects, checked as a whole when it is loaded."""

    core = ("i32", "i32")
    layout = Struct("<II")
    size = 8
    align = 4
    facts = Facts(known=True)
    refers = True

    def __init__(self, element: GuestType[Any]) -> None:
        self.element = element
        self.name = f"List[{element}]"

    def packed(self) -> Packed:
        return Packed("LIST", step=self.element.size, element=self.element)

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        offset, length = core_values
        return List(Pointer(memory, offset, self.element), length)

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        if isinstance(value, List):
            pointer = value.pointer
            if pointer.type != self.element:
                raise ConversionError("", repr(value), str(self))
            if pointer.memory is memory or pointer.memory == memory:
                return pointer.offset, value.length
        elif not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise ConversionError("", show_value(value), f"{self} (a List or a sequence)")
        step = self.element.size
        offset = memory.allocate(len(value) * step, self.element.align)
        for index, item in enumerate(value):
            self.element.store_object(memory, offset + index * step, item)
        return offset, len(value)

    def show(self, value: Any) -> str:
        shown: list[str] = []
        try:
            for index in range(min(len(value), MAX_SHOWN_ITEMS)):
                shown.append(self.element.show(value[index]))  # noqa: PERF401  # keeps those before one that is unreadable
        except HostmodError:
            shown.append("(unreadable)")
        more = f", ...] ({len(value)} items)" if len(value) > MAX_SHOWN_ITEMS else "]"
        return f"[{', '.join(shown)}{more}"
