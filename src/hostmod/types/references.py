"""Guest types without bytes in memory: `ExternRef` and `Caller`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from hostmod.errors import StaleMemoryError
from hostmod.memory import Memory
from hostmod.types.base import CoreValue, GuestType
from hostmod.types.code import Code, Facts, Packed

if TYPE_CHECKING:
    from collections.abc import Callable

    G = TypeVar("G")

exports_of: Callable[[Caller], Any] = NotImplemented
"""Makes what `Caller.exports` is. `hostmod.exported` sets it."""


class ExternRefType(GuestType[Any]):
    """Any Python object, which the guest can hold and pass back but not look into; None is the null reference."""

    name = "ExternRef"
    core = ("externref",)
    facts = Facts(known=True, memory=False, reference=True)

    def packed(self) -> Packed:
        return Packed("EXTERNREF")

    def write_load(self, code: Code) -> None:
        code.add(f"{code.value} = rooted.pop()")

    def write_store(self, code: Code) -> None:
        code.defer()

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        return core_values[0]

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        return (value,)

    def show(self, value: Any) -> str:
        text = repr(value)
        return text if len(text) <= 80 else text[:77] + "..."


EXTERNREF = ExternRefType()
ExternRef = Annotated[Any, EXTERNREF]
"""Any Python object that the guest holds: one externref."""


class Caller:
    """The guest that is calling: a parameter that takes no core value, anywhere in a signature.

    `memory` is its memory, `exports` what it exports, typed; `guest` makes a `GuestModule` of it; `get` and ``[]`` are
    its exports as wasmtime's, `raw` wasmtime-py's own `wasmtime.Caller`. All of them end with the call.
    """

    __slots__ = ("_made", "_make", "memory")

    memory: Memory

    def __init__(self, memory: Memory, make: Callable[[], Any]) -> None:
        self.memory = memory
        self._make: Callable[[], Any] | None = make
        self._made: Any = None

    @property
    def raw(self) -> Any:
        """The `wasmtime.Caller` of this call; StaleMemoryError after it."""
        if self._make is None:
            raise StaleMemoryError("a Caller was used after its call", "use it during the call only")
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def exports(self) -> Any:
        """What the calling guest exports, as `Guest.exports`: ``caller.exports.malloc(16)``. Also in start functions.

        A name that it does not export is an AttributeError; StaleMemoryError after the call.
        """
        return exports_of(self)

    def guest(self, module: type[G]) -> G:
        """Return a `GuestModule` of the calling guest, made once for each class and guest. Errors as of the class."""
        found: G = module._of_caller(self)  # type: ignore[attr-defined]  # of GuestModule
        return found

    def get(self, name: str) -> Any:
        """Return what the calling guest exports as `name`, as a wasmtime object, or None."""
        return self.raw.get(name)

    def __getitem__(self, name: str) -> Any:
        """Return what the calling guest exports as `name`; KeyError if it exports no such thing."""
        return self.raw[name]

    def _end(self) -> None:
        self._make = None
        if self._made is not None:
            self._made._invalidate()

    def __repr__(self) -> str:
        return "<Caller, ended>" if self._make is None else "<Caller>"

    @classmethod
    def __guest_type__(cls, arguments: tuple[object, ...], where: str) -> GuestType[Any]:
        return CALLER


class CallerType(GuestType[Caller]):
    """The `Caller` parameter."""

    name = "Caller"
    facts = Facts(known=True, caller=True)
    result = "a Caller is a parameter only"

    def packed(self) -> Packed:
        return Packed("CALLER")

    def write_load(self, code: Code) -> None:
        code.add(
            f"{code.value} = {code.name('Caller', Caller)}({code.memory}, partial(raw_caller, {code.memory}))"
        )

    def show(self, value: Caller) -> str:
        return "caller"


CALLER = CallerType()
