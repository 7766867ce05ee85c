"""What backends know of a guest type besides its methods: facts, packed form, and the code that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Facts:
    """What a backend decides by, before it loads or stores a value of a guest type."""

    known: bool = False
    """Whether backends have code for it; they call `load_value` and `store_value` of every other."""
    memory: bool = True
    """Whether loading or storing a value takes the calling guest's `Memory`."""
    in_place: bool = False
    """Whether a parameter is a range of bytes, a pointer and a number of elements, that is read or shown in place."""
    view: bool = False
    """Whether a parameter shows guest memory: the view ends with its call."""
    reference: bool = False
    """Whether it is an externref: raw references are rooted first and made last."""
    caller: bool = False
    """Whether a parameter is the `Caller`: it ends with its call."""


class Packed(NamedTuple):
    """A guest type as the native backend packs it."""

    opcode: str = "CODEC"
    """The name of the operation in `_native.c`; CODEC calls the guest type's own methods."""
    base: str = "CODEC"
    """The operation of the integer that an enumeration is stored as."""
    step: int = 0
    """Bytes of an element."""
    format: str = "B"
    """The `struct` character of a view's elements."""
    errors: str = ""
    """The policy of `codecs` for text; empty for "strict"."""
    element: Any = None
    """The guest type that a pointer or list is of."""
    extra: object = None
    """A class or dict that C makes or looks values up by."""
    cls: object = None
    """The class of an enumeration's members."""


class Code(Protocol):
    """The place of one value in the pure backend's generated code, where a guest type writes its lines."""

    value: str
    """The variable that holds the Python value."""
    memory: str
    """The variable that holds the calling guest's `Memory`; None in text if there is none."""
    in_place: bool
    """Whether bytes of the guest's memory can be read in place: `range` and `view` may be used."""

    def core(self, index: int, format: str) -> str:
        """Return the place of a core value, as an expression of one `struct` format, to read or to assign to."""
        ...

    def core_values(self) -> str:
        """Return a tuple of all core values, as an expression: what `load_value` takes."""
        ...

    def slots(self) -> str:
        """Return the arguments of a `pack_into` that stores the first core value: a buffer and an offset."""
        ...

    def name(self, prefix: str, value: object) -> str:
        """Return a name for an object that the code refers to."""
        ...

    def add(self, *lines: str) -> None:
        """Add lines."""
        ...

    def guarded(self, *lines: str) -> None:
        """Add lines whose errors are about this value."""
        ...

    def range(self, step: int) -> str:
        """Add lines that check a pointer and a number of elements of `step` bytes; return the bytes as an expression.

        In what follows, `o` is the offset and `n` the number of bytes.
        """
        ...

    def view(self, format: str) -> None:
        """Add lines that make the value a view of the range that was checked last."""
        ...

    def store_by(self, function: str) -> None:
        """Add lines that call a function of memory and value, and put the core values that it returns in place."""
        ...

    def defer(self) -> None:
        """Leave the value to the caller of this code: references are made last and together."""
        ...
