"""Which way a value of a guest's export goes, and who frees it: `Out`, `InOut` and `Owned`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from hostmod.errors import ConversionError, DeclarationError, show_value
from hostmod.memory import Memory
from hostmod.types.base import CoreValue, GuestType
from hostmod.types.buffers import BytesType
from hostmod.types.code import Facts
from hostmod.types.pointer import List, ListType, Pointer, PointerType, holds_addresses
from hostmod.types.text import CStringType, StringType

T = TypeVar("T")


class ExportMemory(Memory):
    """What an argument is stored in while an export is called: it can bring values back, and free what it is given."""

    __slots__ = ()

    def bring_back(self, after: Callable[[], None]) -> None:
        """Have something done once the guest has returned, before what was allocated is freed."""
        raise TypeError(f"{type(self).__name__} does not implement bring_back()")

    def own(self, offset: int, size: int, align: int, where: str) -> None:
        """Take over `size` bytes that the guest has allocated: they are freed at the end of the call, once."""
        raise TypeError(f"{type(self).__name__} does not implement own()")


class _Wrapped(GuestType[Any]):
    """A guest type around another one, of the same core values. Exports of guests only."""

    facts = Facts()
    prefix: ClassVar[str] = ""
    result = parameter = "Out, InOut and Owned are for the exports of a GuestModule"

    def __init__(self, element: GuestType[Any]) -> None:
        self.element = element
        self.core = element.core
        self.name = f"{self.prefix}[{element}]"

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        return self.element.load_value(memory, core_values)

    def show(self, value: Any) -> str:
        return self.element.show(value)


class InOutType(_Wrapped):
    """What the caller passes is copied in, and what the guest has made of it back into the caller's own object."""

    prefix = "InOut"
    copies_in: ClassVar[bool] = True

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        if not isinstance(memory, ExportMemory):
            raise ConversionError("", str(self), "an export's parameter", self.result)
        element = self.element
        if isinstance(element, PointerType):
            return self._store_pointer(memory, element, value)
        if isinstance(element, BytesType):
            return self._store_buffer(memory, element, value)
        return self._store_items(memory, element, value)

    def _store_pointer(self, memory: ExportMemory, element: PointerType, value: Any) -> Sequence[CoreValue]:
        if not isinstance(value, Pointer) or value.type != element.element or _same(value.memory, memory):
            return element.store_value(memory, value)
        size = element.element.size
        if self.copies_in:
            (offset,) = element.store_value(memory, value)
        else:
            offset = memory.allocate(size, element.element.align)
            memory.write(offset, bytes(size))
            memory.bring_back(lambda: value.memory.write(value.offset, memory.read(offset, size)))
        return (offset,)

    def _store_buffer(self, memory: ExportMemory, element: BytesType, value: Any) -> Sequence[CoreValue]:
        with element.buffer(value) as source:
            if source.readonly:
                raise ConversionError(
                    "",
                    f"{show_value(value)}, which cannot be written",
                    f"{self}: a writable buffer",
                    "pass a bytearray, a writable memoryview or a numpy array: the result is written into it",
                )
            size = source.nbytes
            if self.copies_in:
                offset, count = element.store_value(memory, value)
            else:
                offset, count = memory.allocate(size, element.step), size // element.step
                memory.write(offset, bytes(size))

        def back() -> None:
            with memoryview(value) as target:
                target.cast("B")[:] = memory.read(offset, size)

        memory.bring_back(back)
        return offset, count

    def _store_items(self, memory: ExportMemory, element: GuestType[Any], value: Any) -> Sequence[CoreValue]:
        assert isinstance(element, ListType)  # as `_direction` says
        if not isinstance(value, List | list):
            raise ConversionError(
                "",
                show_value(value),
                f"{self}: a list or a List",
                "pass one that can be written: the result goes in",
            )
        if isinstance(value, List) and _same(value.pointer.memory, memory):
            return element.store_value(memory, value)
        count, step = len(value), element.element.size
        if self.copies_in:
            offset, _ = element.store_value(memory, value)
        else:
            offset = memory.allocate(count * step, element.element.align)
            memory.write(offset, bytes(count * step))

        def back() -> None:
            load = element.element.load_object
            for index in range(min(count, len(value))):
                value[index] = load(memory, offset + index * step)

        memory.bring_back(back)
        return offset, count


class OutType(InOutType):
    """What the guest writes comes back into the caller's own object; nothing is copied in, the guest finds zeros."""

    prefix = "Out"
    copies_in = False


class OwnedType(_Wrapped):
    """A result that the guest has allocated for its caller: it is read, and then freed by the guest's own `free`."""

    prefix = "Owned"

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        if not isinstance(memory, ExportMemory):
            raise ConversionError("", str(self), "an export's result", self.result)
        element, offset = self.element, core_values[0]
        if isinstance(element, CStringType):
            if offset:
                memory.own(offset, memory.find(0, offset) + 1 - offset, 1, self.name)
            return element.load_value(memory, core_values)
        step = align = element.step if isinstance(element, BytesType) else 1
        if isinstance(element, ListType):
            step, align = element.element.size, element.element.align
        memory.own(offset, core_values[1] * step, align, self.name)
        value = element.load_value(memory, core_values)
        return list(value) if isinstance(element, ListType) else value


def _same(one: Memory, other: Memory) -> bool:
    return one is other or one == other


class Direction:
    """Metadata of `Out`, `InOut` and `Owned`."""

    def __init__(self, name: str, make: Callable[[GuestType[Any]], GuestType[Any]], *takes: type) -> None:
        self._name = name
        self._make = make
        self._takes = takes

    def __wrap_guest_type__(self, element: GuestType[Any], where: str) -> GuestType[Any]:
        """Return the guest type around another one; DeclarationError for one that it is not for."""
        from_type = next(
            (
                each
                for each in self._takes
                if isinstance(element, each) or getattr(element, "owned_as", None) is each
            ),
            None,
        )
        if from_type is None:
            known = ", ".join(each.__name__.removesuffix("Type") for each in self._takes)
            raise DeclarationError(
                where,
                f"annotated {self._name}[{element}]",
                f"one of {known} in the brackets",
                _WRITE[self._name],
            )
        if isinstance(element, ListType) and holds_addresses(element.element):
            # Each of a million items could be the same sixteen megabytes; and nobody would free what they refer to.
            raise DeclarationError(
                where,
                f"annotated {self._name}[{element}]",
                "a list of numbers, or of structs of numbers",
                f"{element.element} lies elsewhere in the guest; write Owned[Json[...]] for a result of more",
            )
        return self._make(element)

    def __repr__(self) -> str:
        return self._name


_WRITE = {
    "Out": "a number goes in as it is, and a str cannot be written",
    "InOut": "a number goes in as it is, and a str cannot be written",
    "Owned": "what has no bytes of its own in the guest is nothing to free",
}

OUT = Direction("Out", OutType, PointerType, BytesType, ListType)
INOUT = Direction("InOut", InOutType, PointerType, BytesType, ListType)
OWNED = Direction("Owned", OwnedType, StringType, CStringType, BytesType, ListType)

Out = Annotated[T, OUT]
"""``Out[T]``: an argument that the guest writes; it comes back into the caller's object, and nothing is copied in."""
InOut = Annotated[T, INOUT]
"""``InOut[T]``: an argument that is copied into the guest, and back into the caller's object, which can be written."""
Owned = Annotated[T, OWNED]
"""``Owned[T]``: a result that the guest has allocated for the caller; it is read, and then freed in the guest."""
