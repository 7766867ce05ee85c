"""Values that a guest type does not take, and core values that it made."""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from typing import Any

from hostmod import _ffi
from hostmod._trampoline_py.frames import Slots
from hostmod._trampoline_py.source import WORD
from hostmod.errors import ConversionError, InvalidStringError
from hostmod.plan import Slot

StructError = struct.error


def bad_value(where: str, slot: Slot, value: object, cause: BaseException) -> ConversionError:
    """Return the error for a value that its guest type does not take."""
    at = f"{where} {slot.name}" if slot.name.startswith("result") else f"{where}({slot.name})"
    if isinstance(cause, ConversionError):
        return ConversionError(at + cause.where, cause.found, cause.expected, cause.write)
    refuse = getattr(slot.type, "refuse", None)
    if refuse is not None:
        return refuse(value, at)  # type: ignore[no-any-return]  # ScalarType.refuse
    return ConversionError(at, f"{value!r} ({cause})", str(slot.type))


def bad_none(where: str, value: object) -> ConversionError:
    """Return the error for a function without results that returned one."""
    return ConversionError(
        f"{where} result", f"{value!r} ({type(value).__name__})", "None", "annotate what it returns"
    )


def bad_tuple(where: str, value: object, length: int) -> ConversionError:
    """Return the error for a function of several results that returned something else."""
    return ConversionError(
        f"{where} result", f"{value!r} ({type(value).__name__})", f"a tuple of {length} values"
    )


def unpack_words(where: str, slot: Slot, words: Sequence[Any]) -> Sequence[Any]:
    """Check that a guest type of the user's made as many core values as it says."""
    if len(words) != len(slot.type.core):
        raise ConversionError(
            f"{where} {slot.name}",
            f"{len(words)} core values from {slot.type}.store_value",
            f"{len(slot.type.core)}",
        )
    return words


def checked_words(where: str, slot: Slot, words: Sequence[Any]) -> list[Any]:
    """Check the core values that a guest type made; integers may be signed or unsigned, and become unsigned."""
    found: list[Any] = []
    for core, word in zip(slot.type.core, unpack_words(where, slot, words), strict=True):
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
                f"{where} {slot.name}", f"{word!r} from {slot.type}.store_value", core
            ) from error
    return found


_CORE_FLOATS = {"f32": struct.Struct("<f"), "f64": struct.Struct("<d")}


def put_words(slots: Slots, where: str, slot: Slot, words: Sequence[Any]) -> None:
    """Store the core values that a guest type made."""
    for index, (core, word) in enumerate(
        zip(slot.type.core, checked_words(where, slot, words), strict=True), slot.index
    ):
        view = getattr(slots, WORD[core])
        view[index * _ffi.RAW_SIZE // (4 if core in ("i32", "f32") else 8)] = word


def invalid_string(offset: int, data: Any, error: UnicodeDecodeError) -> InvalidStringError:
    """Return the error for bytes that are no UTF-8."""
    return InvalidStringError(offset, bytes(data), f"{error.reason} at byte {error.start}")
