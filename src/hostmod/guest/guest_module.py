"""`GuestModule`: the exports of a guest as a class declares them, with guest types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, overload

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.checks import core_signature
from hostmod.errors import DeclarationError, ExportMismatch, LinkError, Mismatch
from hostmod.guest.arguments import Allocator, Arguments
from hostmod.guest.guest_memory import GuestMemory
from hostmod.plan import Plan, caller_frame, plan_of
from hostmod.types.references import CallerType

F = TypeVar("F", bound=Callable[..., Any])

_EXPORT = "__hostmod_export__"

SHOWN = 20
"""How many exports are looked at for a message: a guest decides how many there are."""


@overload
def export(method: F, /) -> F: ...
@overload
def export(name: str, /) -> Callable[[F], F]: ...
def export(name: Any, /) -> Any:
    """Declare a method of a `GuestModule` that stands for an export, of its name or another; its body never runs."""
    if isinstance(name, str):
        return lambda method: _mark(method, name)
    return _mark(name, name.__name__)


def _mark(method: F, name: str) -> F:
    setattr(method, _EXPORT, name)
    return method


class GuestModule:
    """The exports of a guest, declared with guest types: the mirror image of a host module.

    ::

        class Calculator(GuestModule):
            @export
            def add(self, a: Int32, b: Int32) -> Int32: ...

        calculator = Calculator(store, instance)

    Names and signatures are checked when it is made, all at once. Strings, bytes, lists and structs as arguments are
    copied into the guest for the call, with the guest's own allocator: `allocate` and `free` name the exports that do
    it (``malloc`` and ``free`` unless said otherwise). `memory` names the export that pointers point into.
    """

    exports: ClassVar[Mapping[str, Plan]] = MappingProxyType({})
    """The plans by method name."""

    _names: ClassVar[tuple[str, str, str]] = ("memory", "malloc", "free")

    def __init_subclass__(
        cls,
        *,
        memory: str | None = None,
        allocate: str | None = None,
        free: str | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        old = cls._names
        cls._names = (memory or old[0], allocate or old[1], free or old[2])
        found = dict(cls.exports)
        frame = caller_frame(1)
        for attribute, method in vars(cls).items():
            name = getattr(method, _EXPORT, None)
            if name is not None:
                plan = plan_of(method, cls.__name__, name, method=True, frame=frame)
                for slot in plan.params:
                    if isinstance(slot.type, CallerType):
                        raise DeclarationError(
                            f"{plan.where}({slot.name})",
                            "annotated Caller",
                            "a value",
                            "only host functions have a caller",
                        )
                found[attribute] = plan
        cls.exports = MappingProxyType(found)

    def __init__(self, store: wasmtime.Store, instance: wasmtime.Instance, *, hold_gil: bool = False) -> None:
        """Check the guest, and make the methods call it.

        Raises:
            LinkError: the instance is of another store. Or with every export that is missing or has another signature,
                and both signatures of each.
        """
        _wasmtime.verify()
        if not _wasmtime.owns(store, instance._instance):
            raise LinkError(
                f"{type(self).__name__}: an instance of another store, expected the store that it was made in; "
                f"write {type(self).__name__}(guest.store, guest.instance)"
            )
        look_up = partial(_wasmtime.export_of, store, instance)
        functions = {attribute: look_up(plan.name) for attribute, plan in type(self).exports.items()}
        self._check(store, instance, functions)
        memory_name, allocate_name, free_name = type(self)._names
        raw_memory = look_up(memory_name)
        memory = GuestMemory(store, raw_memory) if isinstance(raw_memory, wasmtime.Memory) else None
        allocate, free = look_up(allocate_name), look_up(free_name)
        allocator = (
            Allocator(allocate_name, store, allocate, free if isinstance(free, wasmtime.Func) else None)
            if isinstance(allocate, wasmtime.Func)
            else None
        )
        for attribute, plan in type(self).exports.items():
            where = plan.where

            def new_memory(where: str = where) -> Arguments:
                return Arguments(memory, allocator, where)

            self.__dict__[attribute] = backend.active.GuestThunk(plan).caller(
                store, functions[attribute], new_memory, hold_gil
            )

    @classmethod
    def _check(cls, store: Any, instance: wasmtime.Instance, functions: Mapping[str, Any]) -> None:
        found: list[Mismatch] = []
        known = ""
        for attribute, plan in cls.exports.items():
            function = functions[attribute]
            if isinstance(function, wasmtime.Func):
                has = core_signature(function.type(store))
                if has != plan.signature:
                    found.append(ExportMismatch(cls.__name__, attribute, plan.signature, has))
            else:
                wanted = f"{plan.name}{plan.signature}"
                known = known or _known(store, instance)
                found.append(ExportMismatch(cls.__name__, attribute, wanted, None, f"it exports {known}"))
        if found:
            raise LinkError(f"the guest and {cls.__name__} disagree about {len(found)} exports:", found)


def _known(store: Any, instance: wasmtime.Instance) -> str:
    """List the functions among the first exports of an instance."""
    first = list(islice(_wasmtime.exports_in_order(store, instance), SHOWN + 1))
    more = ", ..." if len(first) > SHOWN else ""
    names = [name for name, each in first[:SHOWN] if isinstance(each, wasmtime.Func)]
    return (", ".join(names) or "no functions") + more
