"""Checks core values that guest types make, and the errors for values that do not fit."""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from typing import Any

from hostmod.errors import ConversionError, InvalidStringError, show_value
from hostmod.plan import Slot, bad_none, bad_tuple, bad_value, plain_tuple

__all__ = [
    "StructError",
    "bad_none",
    "bad_tuple",
    "bad_value",
    "checked_core_values",
    "invalid_string",
    "plain_tuple",
    "unpack_core_values",
]

StructError = struct.error


def unpack_core_values(where: str, slot: Slot, core_values: object) -> Sequence[Any]:
    """Check that a guest type of the user's made a sequence of as many core values as it says."""
    count = len(slot.type.core)
    if not isinstance(core_values, Sequence) or isinstance(core_values, str | bytes | bytearray | memoryview):
        raise ConversionError(
            slot.at(where),
            f"{show_value(core_values)} from {slot.type}.store_value",
            f"a tuple of core values ({', '.join(slot.type.core)})",
        )
    found = tuple(core_values)
    if len(found) != count:
        raise ConversionError(
            slot.at(where), f"{len(found)} core values from {slot.type}.store_value", f"{count}"
        )
    return found


def checked_core_values(where: str, slot: Slot, core_values: Sequence[Any]) -> list[Any]:
    """Check the core values that a guest type made; integers may be signed or unsigned, and become unsigned."""
    found: list[Any] = []
    for core, word in zip(slot.type.core, unpack_core_values(where, slot, core_values), strict=True):
        try:
            if core in ("i32", "i64"):
                bits = 32 if core == "i32" else 64
                number = operator.index(word)
                if not -(1 << (bits - 1)) <= number < 1 << bits:
                    raise OverflowError(f"{number} does not fit {core}")
                found.append(number & ((1 << bits) - 1))
            else:
                # What struct refuses as a float, or as a float of 32 bits, is refused.
                _CORE_FLOATS[core].pack(word)
                found.append(float(word))
        except (TypeError, ValueError, OverflowError, StructError) as error:
            raise ConversionError(
                slot.at(where), f"{show_value(word, '')} from {slot.type}.store_value", core
            ) from error
    return found


_CORE_FLOATS = {"f32": struct.Struct("<f"), "f64": struct.Struct("<d")}


def invalid_string(offset: int, data: Any, error: UnicodeDecodeError) -> InvalidStringError:
    """Return the error for bytes that are no UTF-8."""
    return InvalidStringError(offset, bytes(data), f"{error.reason} at byte {error.start}")
