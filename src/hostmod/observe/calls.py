"""Shows a call on one line: its arguments, and its result or errno."""

from __future__ import annotations

import enum
import errno
from typing import Any

from hostmod.declaration import Function
from hostmod.errors import as_errno, escape_controls
from hostmod.types.base import GuestType


class Watched:
    """How a function's calls are shown: what `log`, `trace` and the others share.

    `limit` is how many characters one value may take (None: as many as it has).
    """

    __slots__ = ("errors", "function", "limit", "name", "optional", "skip", "slots")

    def __init__(self, module: str, function: Function, limit: int | None = None) -> None:
        self.function = function
        self.name = f"{module}::{function.name}"
        self.limit = limit
        self.skip = 1 if function.has_self else 0
        self.slots = tuple(enumerate(function.params, self.skip))
        self.optional = function.plan.optional
        self.errors = function.plan.errors

    def show_arguments(self, arguments: tuple[Any, ...]) -> str:
        """Show a call's arguments, in order and separated by commas. `arguments` are all of the Python callable's."""
        return ", ".join(cut(show(slot.type, arguments[at]), self.limit) for at, slot in self.slots)

    def plain(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """Return the arguments by name, as what JSON can hold: numbers and strings as they are, all else shown."""
        return {slot.name: plain(slot.type, arguments[at], self.limit) for at, slot in self.slots}

    def result(self, result: Any) -> str:
        """Show what the function returned."""
        return cut(show_result(self.function, result), self.limit)

    def plain_result(self, result: Any) -> Any:
        """Return what the function returned, as what JSON can hold; None for nothing."""
        slots = self.function.results
        if not slots:
            return None
        if self.function.plan.is_tuple and isinstance(result, tuple):
            return [plain(slot.type, value, self.limit) for slot, value in zip(slots, result, strict=False)]
        return plain(slots[0].type, result, self.limit)

    def errno(self, error: BaseException) -> int | None:
        """Return the errno that the guest gets for an exception, or None if it traps."""
        return as_errno(error, self.errors) if self.optional else None


def show_result(function: Function, result: Any) -> str:
    """Show what a function returned."""
    slots = function.results
    if not slots:
        return "OK" if function.plan.optional else "none"
    if function.plan.is_tuple and isinstance(result, tuple):
        return f"({', '.join(show(slot.type, value) for slot, value in zip(slots, result, strict=False))})"
    return show(slots[0].type, result)


def show(type_: GuestType[Any], value: Any) -> str:
    """Show a value; watching a call never changes how it ends."""
    try:
        return escape_controls(str(type_.show(value)))
    except Exception:  # whatever a __repr__ or a show of the author's raises
        return f"{type(value).__name__}?"


def errno_name(error: BaseException, number: int) -> str:
    """Name the errno that a guest gets for an exception: by the module's own enum if it has one, else by the host's."""
    own = getattr(error, "errno", None)
    for each in (number, own):
        if isinstance(each, enum.IntEnum) and each == number:
            return each.name
    return errno.errorcode.get(number, f"errno {number}")


def message(error: BaseException) -> str:
    """Say what an exception says, on one line; watching a call never changes how it ends."""
    try:
        return escape_controls(str(error))
    except Exception:  # whatever a __str__ of the author's raises
        return "?"


def cut(text: str, limit: int | None) -> str:
    """Cut text that is longer than `limit` characters, and say how long it was."""
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text)} characters)"


def plain(type_: GuestType[Any], value: Any, limit: int | None) -> Any:
    """Return a number, truth value or string as it is, and anything else as its guest type shows it."""
    if type(value) is str:
        return cut(value, limit)
    if value is None or type(value) in (bool, int, float):
        return value
    return cut(show(type_, value), limit)
