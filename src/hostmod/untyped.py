"""Functions with a guest's own signature: core values in, core values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hostmod.declaration import Function
from hostmod.errors import LinkError, escape_controls
from hostmod.memory import Memory
from hostmod.plan import Plan, Slot, signature
from hostmod.types.base import CoreType, CoreValue, GuestType
from hostmod.types.code import Facts
from hostmod.types.references import EXTERNREF


class CoreValueType(GuestType[Any]):
    """One core value as it is: a signed int, a float. What is returned may be an unsigned int too."""

    facts = Facts(memory=False)

    def __init__(self, core: CoreType) -> None:
        self.core = (core,)
        self.name = core

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        value = core_values[0]
        if not isinstance(value, int):
            return value
        bits = 32 if self.core[0] == "i32" else 64
        return value - (1 << bits) if value >> (bits - 1) else value

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        return (value,)


_TYPES: dict[str, GuestType[Any]] = {
    "i32": CoreValueType("i32"),
    "i64": CoreValueType("i64"),
    "f32": CoreValueType("f32"),
    "f64": CoreValueType("f64"),
    "externref": EXTERNREF,
}


def has_form(core_types: tuple[Sequence[str], Sequence[str]]) -> bool:
    """Tell if all core types of a function have a form in Python."""
    return _TYPES.keys() >= {*core_types[0], *core_types[1]}


def untyped(
    module: str, name: str, core_types: tuple[Sequence[str], Sequence[str]], serve: Callable[..., Any]
) -> Function:
    """Make a function of core types that a guest imports; `serve` gets core values and returns one, a tuple or None.

    Raises:
        LinkError: one of the types has no form in Python: v128 and funcref have none.
    """
    params, results = core_types
    for core in (*params, *results):
        if core not in _TYPES:
            raise LinkError(
                f"{escape_controls(module)}::{escape_controls(name)}: the guest has {signature(params, results)}, "
                f"expected i32, i64, f32, f64 and externref; {core} has no form in Python, "
                "give a wasmtime.Func in imports="
            )
    several = len(results) > 1
    plan = Plan(
        module,
        name,
        tuple(Slot(f"argument {at}", _TYPES[core], at) for at, core in enumerate(params)),
        tuple(
            Slot(f"result[{at}]" if several else "result", _TYPES[core], at)
            for at, core in enumerate(results)
        ),
        optional=False,
        is_tuple=several,
    )
    return Function(plan, serve, has_self=False)
