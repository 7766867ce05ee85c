"""What instantiating a module and calling its exports needs to know, worked out once per module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.errors import LinkError, escape_controls
from hostmod.plan import Plan, Slot, signature
from hostmod.types.base import GuestType
from hostmod.types.references import EXTERNREF
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


class Interface:
    """The imports and exports of a module. It refers to no store, instance or host, and the module keeps it."""

    __slots__ = ("_memories", "_signatures", "exports", "imports", "memories", "only_functions", "sources")

    def __init__(self, module: wasmtime.Module) -> None:
        self.imports = _wasmtime.imports_of(module)
        self.exports = _wasmtime.exports_of(module)
        self.sources = frozenset(each.module for each in self.imports)
        """The names of the modules that it imports from."""
        self.memories = tuple(each for each in self.imports if each.kind == "memory")
        """The memories that it imports."""
        self.only_functions = all(each.kind == "func" for each in self.imports)
        """Whether all that it imports is functions."""
        self._memories: tuple[str, ...] | None = None
        self._signatures: dict[str, Signature] = {}

    @property
    def exported_memories(self) -> tuple[str, ...]:
        """The names of the memories that it exports."""
        found = self._memories
        if found is None:
            found = tuple(name for name, each in self.exports.items() if each.kind == "memory")
            self._memories = found
        return found

    def exports_function(self, name: str) -> bool:
        """Whether it exports a function of this name."""
        found = self.exports.get(name)
        return found is not None and found.kind == "func"

    def signature(self, name: str) -> Signature:
        """Return the signature of a function that it exports; LinkError if it has no form in Python."""
        found = self._signatures.get(name)
        if found is None or found.backend is not backend.active:
            found = self._signatures[name] = Signature(escape_controls(name), self.exports[name].core_types)
        return found


def interface_of(module: wasmtime.Module) -> Interface:
    """Return the interface of a module, which is kept with it."""
    state = vars(module)
    found: Interface | None = state.get("_hostmod_interface")
    if found is None:
        found = state["_hostmod_interface"] = Interface(module)
    return found
