"""Guest types of enumerations: `IntEnum` and `IntFlag` classes stored as an integer guest type."""

from __future__ import annotations

import enum as _enum
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from hostmod.errors import ConversionError, DeclarationError, show_value
from hostmod.memory import Memory
from hostmod.types import base
from hostmod.types.base import CoreValue, GuestType, Inline, describe, resolve
from hostmod.types.code import Code, Facts, Packed
from hostmod.types.scalar import WIDENED, IntegerType

E = TypeVar("E", bound=type[_enum.IntEnum | _enum.IntFlag])

Unknown = Literal["refuse", "int"]

MAX_COMBINATIONS = 4096
"""Members of an IntFlag that are remembered, those of several bits included."""


class EnumType(GuestType[Any]):
    """An enumeration, as the integer of its guest type.

    A number that is no member (for an IntFlag: has bits that are no member) is refused, or given as a plain int where
    `unknown` is ``"int"``.
    """

    facts = Facts(known=True, memory=False)
    _derived = GuestType._derived | {"members"}  # with the combinations that were met

    def __init__(
        self, cls: type[_enum.IntEnum | _enum.IntFlag], base: IntegerType, unknown: Unknown = "refuse"
    ) -> None:
        self.cls = cls
        self.base = base
        self.unknown = unknown
        self.name = cls.__name__
        self.core = base.core
        self.size = base.size
        self.align = base.align
        self.is_flag = issubclass(cls, _enum.IntFlag)
        self.mask = 0
        self.members: dict[int, Any] = {}
        for member in cls.__members__.values():
            self.members[int(member)] = member
            self.mask |= int(member)

    @classmethod
    def of(
        cls,
        enumeration: type[_enum.IntEnum | _enum.IntFlag],
        base: GuestType[Any],
        where: str,
        unknown: Unknown = "refuse",
    ) -> EnumType:
        """Check that every member fits the guest type."""
        if not isinstance(base, IntegerType):
            raise DeclarationError(
                where,
                f"{enumeration.__name__} as {base}",
                "an integer guest type",
                "write Uint8, for example",
            )
        for member in enumeration.__members__.values():
            if not base.low <= int(member) <= base.high:
                raise DeclarationError(
                    where,
                    f"{enumeration.__name__}.{member.name} = {int(member)}",
                    base.expected,
                    "choose a wider guest type",
                )
        return cls(enumeration, base, unknown)

    def member(self, number: int) -> Any:
        """Return the member of a number.

        Raises:
            ConversionError: it is the number of none, and `unknown` is not ``"int"``.
        """
        found = self.members.get(number)
        if found is not None:
            return found
        if self.is_flag and number & ~self.mask == 0:
            return self._combination(number)
        if self.unknown == "int":
            return number
        raise ConversionError(
            "",
            f"{number}",
            f"a {self.name} ({self._choices()})",
            f'write @enum({self.base}, unknown="int") to accept any number',
        )

    def _combination(self, number: int) -> Any:
        """Make a member of several bits. A guest can ask for ever new ones: past a number of them none is kept."""
        known: dict[int, Any] = self.cls._value2member_map_
        kept = number in known
        found = self.cls(number)
        if len(self.members) < MAX_COMBINATIONS:
            self.members[number] = found
        elif not kept:
            known.pop(number, None)  # where enum keeps each that was ever made
        return found

    def _choices(self) -> str:
        members = self.cls.__members__.items()
        names = [f"{name}={int(member)}" for name, member in members if member.name == name]  # no aliases
        return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")

    def number(self, value: Any) -> int:
        """Return the number to store for a value.

        Raises:
            ConversionError: it is no member, nor an int that fits where `unknown` is ``"int"``.
        """
        if isinstance(value, self.cls) or (self.unknown == "int" and isinstance(value, int)):
            return self.base.check(value)
        raise ConversionError("", show_value(value), f"a {self.name} ({self._choices()})")

    def packed(self) -> Packed:
        return Packed("ENUM", base=self.base.packed().opcode, extra=self.members, cls=self.cls)

    def packed_field(self) -> Packed | None:
        if self.unknown != "refuse":
            return None
        return Packed(self.base.packed().opcode, extra=self.members, cls=self.cls)

    def write_load(self, code: Code) -> None:
        code.guarded(f"{code.value} = {code.name('member', self.member)}({code.core(0, self.base.format)})")

    def write_store(self, code: Code) -> None:
        place = code.core(0, WIDENED.get(self.base.format, self.base.format))
        code.guarded(f"{place} = {code.name('number', self.number)}({code.value})")

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        return self.member(self.base.load_value(memory, core_values))

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        return (self.number(value),)

    def load_object(self, memory: Memory, offset: int) -> Any:
        return self.member(self.base.load_object(memory, offset))

    def store_object(self, memory: Memory, offset: int, value: Any) -> None:
        self.base.store_object(memory, offset, self.number(value))

    def inline(self) -> Inline:
        member, number = f"member_{id(self)}", f"number_{id(self)}"
        return Inline(
            self.base.format,
            lambda names: f"{member}({names[0]})",
            lambda value: [f"{number}({value})"],
            {member: self.member, number: self.number},
        )

    def show(self, value: Any) -> str:
        if isinstance(value, self.cls) and value.name is not None:
            return value.name
        return str(int(value)) if not self.is_flag or value == 0 else f"0x{int(value):x}"


base.enumeration = EnumType.of


def enum(guest_type: object, *, unknown: Unknown = "refuse") -> Callable[[E], E]:
    """Say as which integer guest type an IntEnum or IntFlag class is passed, so that it can stand in signatures.

    >>> from enum import IntEnum
    >>> from hostmod.types import Uint8
    >>> @enum(Uint8)
    ... class Color(IntEnum):
    ...     RED = 1

    Raises:
        DeclarationError: it is no such class, the guest type no integer's, or a member does not fit it.
    """

    def decorate(cls: E) -> E:
        if not isinstance(cls, type) or not issubclass(cls, _enum.IntEnum | _enum.IntFlag):
            raise DeclarationError("@enum", describe(cls), "an IntEnum or IntFlag class")
        found = EnumType.of(
            cls, resolve(guest_type, f"@enum of {cls.__name__}"), f"@enum of {cls.__name__}", unknown
        )

        def guest_type_of(arguments: tuple[object, ...], where: str) -> GuestType[Any]:
            return found

        type.__setattr__(cls, "__guest_type__", staticmethod(guest_type_of))
        return cls

    return decorate
