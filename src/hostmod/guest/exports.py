"""What a guest exports, typed by its own signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import wasmtime

from hostmod import _wasmtime, trampoline
from hostmod.errors import LinkError, StaleMemoryError, listed, visible
from hostmod.link import core_names, core_signature
from hostmod.plan import Plan, Slot
from hostmod.types.base import GuestType
from hostmod.types.reference import EXTERNREF
from hostmod.types.scalar import FLOAT32, FLOAT64, INT32, INT64

_CORE_TYPES: dict[str, GuestType[Any]] = {
    "i32": INT32,
    "i64": INT64,
    "f32": FLOAT32,
    "f64": FLOAT64,
    "externref": EXTERNREF,
}


def closed(name: str) -> StaleMemoryError:
    """Return the error for an export of a guest whose store is closed."""
    return StaleMemoryError(f"{name} was asked for, but its store is closed", "use it before closing")


def export_caller(
    name: str, store: Any, function: wasmtime.Func, hold_gil: bool = False
) -> Callable[..., Any]:
    """Make a callable of a guest's function, typed by its own signature.

    i32 and i64 come back signed; unsigned arguments (addresses) are taken too.
    """
    _wasmtime.verify()
    name = visible(name)  # for messages: it is the guest's choice
    try:
        if not _wasmtime.owns(store, function._func):
            raise LinkError(f"{name}: a function of another store, expected the store that it was made in")
        type_ = function.type(store)
    except ValueError:
        raise closed(name) from None
    params, results = core_names(type_.params), core_names(type_.results)
    for core in (*params, *results):
        if core not in _CORE_TYPES:
            raise LinkError(
                f"{name}: the guest has {core_signature(type_)}, expected i32, i64, f32, f64 and externref; "
                f"{core} has no form in Python, export a function that does without"
            )
    plan = Plan(
        "guest",
        name,
        tuple(Slot(f"argument {index}", _CORE_TYPES[core], index) for index, core in enumerate(params)),
        tuple(
            Slot(f"result[{index}]" if len(results) > 1 else "result", _CORE_TYPES[core], index)
            for index, core in enumerate(results)
        ),
        optional=False,
        is_tuple=len(results) > 1,
    )
    count = len(params)
    limits = [
        (index, 32 if core == "i32" else 64) for index, core in enumerate(params) if core in ("i32", "i64")
    ]

    def lenient(call: Callable[..., Any]) -> Callable[..., Any]:
        """Take unsigned integers as well, where the strict call refuses them; it does so before the guest runs."""

        def export(*arguments: Any) -> Any:
            if len(arguments) != count:
                raise TypeError(
                    f"{name}{core_signature(type_)} takes {count} arguments, {len(arguments)} given"
                )
            found = list(arguments)
            for index, bits in limits:
                value = found[index]
                if isinstance(value, int) and 1 << (bits - 1) <= value < 1 << bits:
                    found[index] = value - (1 << bits)
            return call(*found)

        return export

    call = trampoline.active.guest_caller(plan, store, function, None, hold_gil, lenient)
    call.__name__ = name
    call.__doc__ = f"{name}{core_signature(type_)}"
    return call


class Exports(Mapping[str, Any]):
    """What a guest exports: functions as callables, by attribute or by name; everything else as wasmtime objects."""

    def __init__(self, store: Any, instance: wasmtime.Instance, hold_gil: bool = False) -> None:
        self._store = store
        self._hold_gil = hold_gil
        self._raw = instance.exports(store)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        found = self._made.get(name)
        if found is None:
            try:
                raw = self._raw[name]
            except KeyError:
                known = listed(self._raw) or "nothing"
                raise KeyError(f"the guest does not export {name!r}, it exports {known}") from None
            found = raw
            if isinstance(raw, wasmtime.Func):
                found = export_caller(name, self._store, raw, self._hold_gil)
            self._made[name] = found
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            found = self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None
        self.__dict__[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._raw})
