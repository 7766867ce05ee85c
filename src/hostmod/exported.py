"""Functions that guests export, as callables typed by their own core types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.errors import LinkError, escape_controls, store_closed
from hostmod.plan import Plan, Slot, signature
from hostmod.types.base import GuestType
from hostmod.types.references import EXTERNREF, Caller
from hostmod.types.scalar import FLOAT32, FLOAT64, INT32, INT64

_GUEST_TYPES: dict[str, GuestType[Any]] = {
    "i32": INT32,
    "i64": INT64,
    "f32": FLOAT32,
    "f64": FLOAT64,
    "externref": EXTERNREF,
}


class Signature:
    """A function that a guest exports, by name and core types: made ready for calls in any store."""

    __slots__ = ("backend", "name", "text", "thunk")

    def __init__(self, name: str, core_types: _wasmtime.CoreTypes) -> None:
        """Make a plan of the core types; LinkError for those that have no form in Python."""
        params, results = core_types
        text = f"{name}{signature(params, results)}"
        for core in (*params, *results):
            if core not in _GUEST_TYPES:
                raise LinkError(
                    f"{name}: the guest has {signature(params, results)}, expected i32, i64, f32, f64 and externref; "
                    f"{core} has no form in Python, export a function that does without"
                )
        plan = Plan(
            "guest",
            name,
            tuple(Slot(f"argument {index}", _GUEST_TYPES[core], index) for index, core in enumerate(params)),
            tuple(
                Slot(f"result[{index}]" if len(results) > 1 else "result", _GUEST_TYPES[core], index)
                for index, core in enumerate(results)
            ),
            optional=False,
            is_tuple=len(results) > 1,
        )
        self.name = name
        self.text = text
        self.backend = backend.active
        self.thunk = self.backend.GuestThunk(plan, _lenient(text, params))

    def caller(self, store: Any, function: wasmtime.Func, hold_gil: bool = False) -> Callable[..., Any]:
        """Make a callable of a function of `store` that has these core types."""
        call: Callable[..., Any] = self.thunk.caller(store, function, None, hold_gil)
        call.__name__ = self.name
        call.__doc__ = self.text
        return call


def _lenient(text: str, params: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say how calls take unsigned integers as well, where the strict ones refuse them before the guest runs."""
    count = len(params)
    limits = [
        (index, 32 if core == "i32" else 64) for index, core in enumerate(params) if core in ("i32", "i64")
    ]

    def lenient(call: Callable[..., Any]) -> Callable[..., Any]:
        def export(*arguments: Any) -> Any:
            if len(arguments) != count:
                raise TypeError(f"{text} takes {count} arguments, {len(arguments)} given")
            found = list(arguments)
            for index, bits in limits:
                value = found[index]
                if isinstance(value, int) and 1 << (bits - 1) <= value < 1 << bits:
                    found[index] = value - (1 << bits)
            return call(*found)

        return export

    return lenient


def export_caller(
    name: str, store: Any, function: wasmtime.Func, hold_gil: bool = False
) -> Callable[..., Any]:
    """Make a callable of a guest's function, typed by its own signature.

    i32 and i64 come back signed; unsigned arguments (addresses) are taken too.
    """
    _wasmtime.verify()
    name = escape_controls(name)  # for messages: it is the guest's choice
    try:
        if not _wasmtime.owns(store, function._func):
            raise LinkError(f"{name}: a function of another store, expected the store that it was made in")
        type_ = function.type(store)
    except ValueError:
        raise store_closed(name) from None
    core_types = _wasmtime.core_names(type_.params), _wasmtime.core_names(type_.results)
    return Signature(name, core_types).caller(store, function, hold_gil)


class CallerExports:
    """What the calling guest exports: functions as callables, by attribute or by name, everything else as wasmtime's.

    A function is made callable once, and kept with its store; it may be called after the host call too.
    """

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __getitem__(self, name: str) -> Any:
        found = self._caller.get(name)
        if found is None:
            raise KeyError(f"the calling guest does not export {name!r}")
        if not isinstance(found, wasmtime.Func):
            return found
        raw = self._caller.raw
        store = _wasmtime.store.store_of(_wasmtime.context_of(raw))
        if store is None:  # one that hostmod has not seen: what is made ends with the call
            return export_caller(name, raw, found)
        known: dict[tuple[str, bytes], Any] = vars(store).setdefault("_hostmod_called", {})
        key = name, bytes(found._func)
        made = known.get(key)
        if made is None:
            made = known[key] = export_caller(name, store, found)
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._caller.get(name) is not None
