"""`format`: shows values on one line, as log lines do."""

from __future__ import annotations

from typing import Any

from hostmod.types.base import GuestType, resolve
from hostmod.types.buffers import show_bytes
from hostmod.types.pointer import List, Pointer
from hostmod.types.scalar import Duration
from hostmod.types.text import show_text


def format(value: Any, type: object = None) -> str:
    """Show a value on one line, by its guest type `type` (an annotation) or by what it is.

    >>> from hostmod.types import Errno
    >>> format("Ada"), format(b"ab" * 50), format(0, Errno), format(None)
    ('"Ada"', 'b"abababababababababababababababab... (100 bytes)"', 'OK', 'none')
    """
    if type is not None:
        return resolve(type, "format").show(value)
    if value is None:
        return "none"
    if isinstance(value, str):
        return show_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return show_bytes(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, Pointer):
        return f"&{value.type.show(value.load())}"
    if isinstance(value, List):
        return f"[{', '.join(value.pointer.type.show(item) for item in value)}]"
    found = getattr(value, "__struct__", None)
    if isinstance(found, GuestType):
        return found.show(value)
    if isinstance(value, tuple):
        return f"({', '.join(format(item) for item in value)})"
    return repr(value)
