"""Guest types of text: `String` (pointer and length) and `CString` (ends with a NUL byte)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from struct import Struct
from typing import Annotated

from hostmod.errors import ConversionError, InvalidStringError, show_value
from hostmod.memory import Memory
from hostmod.types.base import CoreValue, CoreValuesType
from hostmod.types.code import Code, Facts, Packed

MAX_SHOWN = 64
"""Characters of a string, or bytes of a buffer, that a log line shows."""


def show_text(value: str) -> str:
    """Show text in double quotes, cut where it is long."""
    if len(value) > MAX_SHOWN:
        return f'{json.dumps(value[:MAX_SHOWN], ensure_ascii=False)[:-1]}... ({len(value)} characters)"'
    return json.dumps(value, ensure_ascii=False)


def decode(data: bytes | memoryview, offset: int, errors: str) -> str:
    """Decode UTF-8 by a policy of `codecs`; InvalidStringError if it says no."""
    try:
        return str(data, "utf-8", errors)
    except UnicodeDecodeError as error:
        raise InvalidStringError(offset, bytes(data), f"{error.reason} at byte {error.start}") from None


class _TextType(CoreValuesType[str]):
    """What `String` and `CString` share."""

    result = "take an out: Bytes parameter, write into it and return the length: the guest owns its memory"
    refers = True

    def __init__(self, errors: str = "strict") -> None:
        self.errors = errors
        self.name = type(self).__name__.removesuffix("Type") + ("" if errors == "strict" else f"[{errors}]")
        self.size = self.layout.size

    def encode(self, value: str) -> bytes:
        """Encode by the policy; ConversionError if it is no str, or holds what UTF-8 cannot."""
        if not isinstance(value, str):
            raise ConversionError("", show_value(value), str(self))
        try:
            return value.encode("utf-8", "strict" if self.errors == "replace" else self.errors)
        except UnicodeEncodeError as error:
            raise ConversionError("", show_value(value, error.reason), "text that UTF-8 can encode") from None

    def show(self, value: str) -> str:
        return show_text(value)


class StringType(_TextType):
    """Text as a pointer and a length in bytes.

    `errors` is a policy of `codecs` for bytes that are no UTF-8: ``"strict"`` traps the guest, ``"replace"``,
    ``"surrogateescape"``, ``"ignore"`` and the others do as they do in `bytes.decode`.
    """

    core = ("i32", "i32")
    layout = Struct("<II")
    align = 4
    facts = Facts(known=True, memory=False, in_place=True)

    def packed(self) -> Packed:
        return Packed("STRING", errors="" if self.errors == "strict" else self.errors)

    def write_load(self, code: Code) -> None:
        if not code.in_place:
            super().write_load(code)
            return
        data = code.range(1)
        policy = "" if self.errors == "strict" else f", {self.errors!r}"
        code.add(
            "try:",
            f"    {code.value} = str({data}, 'utf-8'{policy})",
            "except UnicodeDecodeError as error:",
            f"    raise invalid_string(o, {data}, error) from None",
            "except (TypeError, ValueError):",  # the memory has moved just now, and what showed it has ended
            f"    {code.value} = moved_text({self.errors!r}, o, n, f)",
        )

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> str:
        offset, length = core_values
        return decode(memory.read(offset, length), offset, self.errors)

    def store_value(self, memory: Memory, value: str) -> Sequence[CoreValue]:
        data = self.encode(value)
        offset = memory.allocate(len(data))
        memory.write(offset, data)
        return offset, len(data)


class CStringType(_TextType):
    """Text as a pointer to bytes that end with a NUL, which is not part of it."""

    core = ("i32",)
    layout = Struct("<I")
    align = 4
    facts = Facts(known=True)

    def packed(self) -> Packed:
        return Packed("CSTRING", errors="" if self.errors == "strict" else self.errors)

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> str:
        offset = core_values[0]
        return decode(memory.read(offset, memory.find(0, offset) - offset), offset, self.errors)

    def store_value(self, memory: Memory, value: str) -> Sequence[CoreValue]:
        data = self.encode(value)
        if b"\0" in data:
            raise ConversionError(
                "", show_value(value, "holds a NUL"), "text without NUL characters", "String can hold them"
            )
        offset = memory.allocate(len(data) + 1)
        memory.write(offset, data + b"\0")
        return (offset,)


STRING = StringType()
CSTRING = CStringType()

String = Annotated[str, STRING]
"""Text in UTF-8: two i32, a pointer and a length in bytes."""
CString = Annotated[str, CSTRING]
"""Text in UTF-8: one i32, a pointer to bytes that end with a NUL."""
