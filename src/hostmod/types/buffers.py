"""Guest types that show guest memory in place: `Bytes` and `Array`."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812  # as a class
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from hostmod.errors import ConversionError, DeclarationError, show_value
from hostmod.memory import Memory
from hostmod.types.base import CoreValue, CoreValuesType, describe, resolve
from hostmod.types.code import Code, Facts, Packed
from hostmod.types.scalar import OPCODES, FloatType, IntegerType, ScalarType

T = TypeVar("T")

MAX_SHOWN_BYTES = 32
"""Bytes of a buffer that a log line shows."""


def show_bytes(value: Any) -> str:
    """Show bytes in double quotes, cut where they are many; of zeros before the cut, two are shown."""
    flat = memoryview(value).cast("B")
    data = bytes(flat[:MAX_SHOWN_BYTES])
    if len(data) < len(flat):
        data = data[: len(data.rstrip(b"\0")) + 2]  # a buffer to write into is mostly zeros
    body = "".join(_escaped(byte) for byte in data)
    return f'b"{body}"' if len(flat) == len(data) else f'b"{body}... ({len(flat)} bytes)"'


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"


class BytesType(CoreValuesType[memoryview]):
    """Guest memory as a writable memoryview: a pointer and a length in bytes; nothing is copied."""

    name = "Bytes"
    core = ("i32", "i32")
    layout = Struct("<II")
    size = 8
    align = 4
    facts = Facts(known=True, memory=False, in_place=True, view=True)
    format = "B"
    step = 1
    refers = True
    result = "take an out: Bytes parameter, write into it and return the length: the guest owns its memory"

    def packed(self) -> Packed:
        return Packed("VIEW", step=self.step, format=self.format)

    def write_load(self, code: Code) -> None:
        if code.in_place:
            code.range(self.step)
            code.view(self.format)
        else:
            super().write_load(code)

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> memoryview:
        offset, length = core_values
        return memory._elements(offset, length * self.step, self.format)

    def buffer(self, value: Any) -> memoryview:
        """Return the bytes of a value as a view of elements of this type; ConversionError for those of another one."""
        try:
            source = memoryview(value)
        except TypeError:
            raise ConversionError("", show_value(value), f"{self} ({self.takes})") from None
        if source.nbytes % self.step or not source.c_contiguous:
            raise ConversionError(
                "", f"{source.nbytes} bytes", f"{self} (whole elements of {self.step} bytes, contiguous)"
            )
        return source

    takes = "bytes, bytearray or memoryview"

    def store_value(self, memory: Memory, value: memoryview | bytes | bytearray) -> Sequence[CoreValue]:
        with self.buffer(value) as source:
            offset = memory.allocate(source.nbytes, self.step)
            memory.write(offset, source)
            return offset, source.nbytes // self.step

    def show(self, value: memoryview) -> str:
        return show_bytes(value)


_KINDS = (
    dict.fromkeys("bhilqn", "signed") | dict.fromkeys("BHILQN", "unsigned") | {"f": "float", "d": "float"}
)
"""What elements of a `struct` format are; with their size, that is all that tells two formats apart."""


class ArrayType(BytesType):
    """Guest memory as a memoryview of primitive elements: a pointer and a number of elements; nothing is copied."""

    def __init__(self, element: ScalarType) -> None:
        self.element = element
        self.name = f"Array[{element}]"
        self.format = element.format
        self.step = element.size

    takes = "a buffer of such elements, or a sequence of numbers"

    def buffer(self, value: Any) -> memoryview:
        try:
            source = memoryview(value)
        except TypeError:
            return self._of_numbers(value)
        # Bytes without a type of their own are taken as they are; elements have to be of this one.
        format = source.format.lstrip("@=<") or "B"
        if format not in ("B", "b", "c") or self.step == 1:
            kinds = ("B", "c") if self.format == "B" else (self.format,)
            same = source.itemsize == self.step and (
                format in kinds
                or (_KINDS.get(format) == _KINDS[self.format] and not source.format.startswith((">", "!")))
            )
            if not same:
                raise ConversionError(
                    "",
                    f"a buffer of {source.format!r} elements of {source.itemsize} bytes",
                    f"{self} ({self.format!r}, {self.step} bytes)",
                    "convert it first: array.astype(...)",
                )
        source.release()
        return super().buffer(value)

    def _of_numbers(self, value: Any) -> memoryview:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ConversionError("", show_value(value), f"{self} ({self.takes})")
        data = bytearray(len(value) * self.step)
        layout = Struct(f"<{self.format}")
        for index, item in enumerate(value):
            try:
                layout.pack_into(data, index * self.step, item)
            except (TypeError, ValueError, OverflowError, StructError):
                raise ConversionError(f"[{index}]", show_value(item), str(self.element)) from None
        return memoryview(data)

    def show(self, value: memoryview) -> str:
        items = [self.element.show(item) for item in memoryview(value)[:8]]
        return (
            f"[{', '.join(items)}]"
            if len(items) == len(value)
            else f"[{', '.join(items)}, ...] ({len(value)} items)"
        )


BYTES = BytesType()
Bytes = Annotated[memoryview, BYTES]
"""Guest memory as a writable memoryview: two i32, a pointer and a length in bytes."""

if TYPE_CHECKING:
    Array = Annotated[memoryview[T], BYTES]
else:

    class Array:
        """``Array[T]``, T an integer or float: a typed memoryview of guest memory; `numpy.frombuffer` works on it."""

        def __class_getitem__(cls, element: object) -> object:
            if isinstance(element, TypeVar):
                return GenericAlias(cls, (element,))  # of an alias: type Row[T] = Array[T]
            found = resolve(element, f"Array[{describe(element).removeprefix('annotated ')}]")
            if (
                not isinstance(found, IntegerType | FloatType)
                or found.packed().opcode not in OPCODES.values()
            ):
                raise DeclarationError(
                    f"Array[{found}]", str(found), "an integer or float type", f"write List[{found}]"
                )
            return Annotated[memoryview, ArrayType(found)]

        @classmethod
        def __guest_type__(cls, arguments: tuple[object, ...], where: str) -> object:
            for element in arguments:
                return resolve(cls[resolve(element, where)], where)
            raise DeclarationError(
                where, "annotated Array", "an element type", "write Array[Uint32], for example"
            )
