"""How an export returns what it returns: as several results, packed in one i64, or through pointers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from hostmod.errors import DeclarationError
from hostmod.guest.arguments import Arguments
from hostmod.memory import Memory
from hostmod.plan import Plan, Slot
from hostmod.types.base import CoreType, CoreValue, GuestType
from hostmod.types.buffers import BytesType
from hostmod.types.code import Facts
from hostmod.types.directions import OwnedType

Results = Literal["multi", "packed", "packed-low", "pointers"]
"""How results are returned:

- ``"multi"``: as WebAssembly's own results, one for each core value.
- ``"packed"``: a pointer and a length in one i64, the pointer in its upper half; ``"packed-low"`` in its lower half.
- ``"pointers"``: through pointers, which follow the parameters, as C does. One for each value; for a pointer with a
  length (String, Bytes, Array, List, Json) one for each of the two.

An errno, of `Optional` or `Error`, is a result of its own, the last one, in any case.
"""

KINDS = ("multi", "packed", "packed-low", "pointers")


class CopyType(BytesType):
    """`Bytes` as a result of an export: a copy, as bytes."""

    facts = Facts()

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        return memory.read(core_values[0], core_values[1])


class PackedType(GuestType[Any]):
    """A pointer and a length in one i64."""

    core = ("i64",)

    def __init__(self, element: GuestType[Any], shift: int) -> None:
        self.element = element
        self.shift = shift
        """By how many bits the pointer is shifted: 32 or 0."""
        self.name = f"{element} in one i64"

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        value = core_values[0]
        pointer, length = (value >> self.shift) & 0xFFFFFFFF, (value >> (32 - self.shift)) & 0xFFFFFFFF
        return self.element.load_value(memory, (pointer, length))


class RoomType(GuestType[Any]):
    """Room for results in the guest, and a pointer to each of them."""

    def __init__(self, types: tuple[GuestType[Any], ...], is_tuple: bool) -> None:
        self.types = types
        self.is_tuple = is_tuple
        self.name = f"pointers to {', '.join(map(str, types))}"
        self.offsets: list[int] = []
        end = widest = 0
        for each in types:
            for size, align in _parts(each):
                end = -(-end // align) * align
                self.offsets.append(end)
                end += size
                widest = max(widest, align)
        self.bytes = end
        self.widest = widest
        pointer: CoreType = "i32"
        self.core = (pointer,) * len(self.offsets)

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        assert isinstance(memory, Arguments)  # exports only
        start = memory.allocate(self.bytes, self.widest)
        memory.write(start, bytes(self.bytes))
        memory.room = lambda: self._load(memory, start)
        return tuple(start + each for each in self.offsets)

    def _load(self, memory: Memory, start: int) -> Any:
        values: list[Any] = []
        offsets = iter(self.offsets)
        for each in self.types:
            parts = [start + next(offsets) for _ in _parts(each)]
            if len(parts) == 1 and each.size > 0:
                values.append(each.load_object(memory, parts[0]))
            else:
                values.append(each.load_value(memory, tuple(map(memory.read_uint32, parts))))
        return tuple(values) if self.is_tuple else values[0]


class LoadedType(GuestType[Any]):
    """The results that were stored in a room. It takes no core value."""

    name = "results through pointers"

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        assert isinstance(memory, Arguments)  # exports only
        assert memory.room is not None  # its RoomType is a parameter
        return memory.room()


def _parts(type_: GuestType[Any]) -> list[tuple[int, int]]:
    """The sizes and alignments of what a result's pointers point to."""
    if len(type_.core) == 1 and type_.size > 0:
        return [(type_.size, type_.align)]
    return [(4, 4)] * len(type_.core)


def shaped(plan: Plan, results: str) -> Plan:
    """Return the plan of an export that returns its results in one of the ways of `Results`.

    Raises:
        DeclarationError: its results cannot be returned so.
    """
    slots = tuple(_copied(slot) for slot in plan.results)
    plan = dataclasses.replace(plan, results=slots)
    if results == "multi" or not slots:
        return plan
    if results == "pointers":
        types = tuple(slot.type for slot in slots)
        for slot in slots:
            if any(core != "i32" for core in slot.type.core) and slot.type.size <= 0:
                raise DeclarationError(
                    f"{plan.where} {slot.name}", f"annotated {slot.type}", "a type with a place in memory"
                )
        room = Slot("results", RoomType(types, plan.is_tuple), len(plan.param_types))
        return dataclasses.replace(
            plan,
            params=(*plan.params, room),
            results=(Slot("result", LoadedType(), 0),),
            is_tuple=False,
        )
    if len(slots) != 1 or slots[0].type.core != ("i32", "i32"):
        raise DeclarationError(
            f"{plan.where} result",
            f"results={results!r} with {', '.join(str(slot.type) for slot in slots)}",
            "one value that is a pointer and a length: String, Bytes, Array, List or Json",
            'leave results= out, or write results="pointers"',
        )
    shift = 32 if results == "packed" else 0
    return dataclasses.replace(
        plan, results=(Slot("result", PackedType(slots[0].type, shift), 0),), is_tuple=False
    )


def _copied(slot: Slot) -> Slot:
    type_ = slot.type
    if type(type_) is BytesType:
        return dataclasses.replace(slot, type=CopyType())
    if type(type_) is OwnedType and type(type_.element) is BytesType:
        return dataclasses.replace(slot, type=OwnedType(CopyType()))
    return slot
