"""What a guest imports that is no typed function: memories, tables, globals, and what other guests export."""

from __future__ import annotations

import operator
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod.checks import check_merged, core_signature, mismatches, name_of, spell_type
from hostmod.declaration import Function
from hostmod.errors import LinkError, Mismatch, escape_controls, show_value
from hostmod.guest.exports import Exports
from hostmod.guest.interface import Interface
from hostmod.link import FunctionModule, HostModule, link_host
from hostmod.memory import NewMemory
from hostmod.untyped import has_form, untyped

Provider = Mapping[str, Any] | Exports | wasmtime.Instance | Any
"""What imports of one module name come from: values by name, or another guest (`Guest`, its exports, an instance)."""

_EXTERNS = (
    wasmtime.Func,
    wasmtime.Memory,
    wasmtime.Table,
    wasmtime.Global,
)


class Imports:
    """What a guest is given for its imports, in one linker: what hosts, `imports=` and the linker itself have.

    What a host serves twice, or a host and `imports=` both, is an error. What nothing has is made if it is a memory or
    a table, traps when it is called if that was asked for, and is an error else.
    """

    def __init__(
        self,
        module: wasmtime.Module,
        interface: Interface,
        store: wasmtime.Store,
        linker: wasmtime.Linker,
        hosts: Sequence[HostModule | FunctionModule],
        given: Mapping[str, Provider],
        missing: str,
    ) -> None:
        self.memory: wasmtime.Memory | None = None
        """The first memory that it imports."""
        self._module = module
        self._interface = interface
        self._store = store
        self._linker = linker
        self._hosts = hosts
        self._given = given
        self._missing = missing
        self._wrong: list[Mismatch] = []
        self._plain: dict[str, dict[str, Function]] = {}

    def define(self, linker_has: bool) -> None:
        """Define all that no host module has; `linker_has` says that the linker may hold something already.

        Raises LinkError for what cannot work, with every import on which the guest and what it is given disagree.
        """
        check_merged("instantiate", self._hosts)
        interface = self._interface
        names = {name_of(host) for host in self._hosts}
        wrong = mismatches(self._module, self._hosts)
        if not self._given and interface.only_functions and interface.sources <= names and not wrong:
            return  # as nearly every guest
        unserved = {(each.module, each.name) for each in wrong if each.found is None}
        self._wrong = [each for each in wrong if each.found is not None]
        known: dict[tuple[str, str], Any] = {}
        by_name = {(each.module, each.name): each for each in wrong}
        for each in interface.imports:
            key = each.module, each.name
            if key in known:
                continue
            given = self._look_up(each)
            known[key] = given
            served = each.module in names and key not in unserved and (each.kind == "func" or key in by_name)
            if given is not None:
                if served:
                    raise LinkError(
                        f"instantiate: imports= has {_spell(each)}, and so has the host module {each.module!r}, "
                        "expected one of them; leave it out of imports="
                    )
                self._provide(each, given)
            elif not served and not (linker_has and self._linker_has(each)):
                self._make(each, by_name.get(key), names)
        if self._wrong:
            count = len(self._wrong)
            places = "1 place" if count == 1 else f"{count} places"
            raise LinkError(f"the guest's imports and what it is given disagree in {places}:", self._wrong)
        for name, functions in self._plain.items():
            module = FunctionModule(name).with_functions(functions)
            link_host(module, self._linker, keep=None)

    def _look_up(self, each: _wasmtime.Import) -> Any:
        """Find what `imports=` has for an import, or None."""
        provider = self._given.get(each.module)
        if provider is None:
            return None
        exports = getattr(provider, "exports", None)
        if isinstance(exports, Exports):
            provider = exports
        if isinstance(provider, Exports):
            if provider._store is not self._store:
                raise LinkError(
                    f"instantiate: imports[{each.module!r}] is a guest of another store, expected one store for both; "
                    "leave store= out, or write store=guest.store"
                )
            if each.name not in provider:
                return None
            return _wasmtime.export_of(self._store, provider._instance, each.name)
        if isinstance(provider, wasmtime.Instance):
            if not _wasmtime.owns(self._store, provider._instance):
                raise _other_store(f"imports[{each.module!r}]")
            return _wasmtime.export_of(self._store, provider, each.name)
        if isinstance(provider, Mapping):
            return provider.get(each.name)
        raise LinkError(
            f"instantiate: imports[{each.module!r}] is {show_value(provider)}, expected a dict of names and values, "
            f'or another guest; write imports={{{each.module!r}: {{"name": value}}}}'
        )

    def _linker_has(self, each: _wasmtime.Import) -> bool:
        try:
            found = self._linker.get(self._store, each.module, each.name)
        except wasmtime.WasmtimeError:
            return False
        self._note(found)
        return True

    def _note(self, found: object) -> None:
        if self.memory is None and isinstance(found, wasmtime.Memory):
            self.memory = found

    def _provide(self, each: _wasmtime.Import, given: Any) -> None:
        """Define what `imports=` has for an import."""
        kind = each.kind
        if isinstance(given, wasmtime.SharedMemory):
            raise _shared(each)
        if isinstance(given, _EXTERNS):
            item = next(getattr(given, name) for name in _HANDLES if hasattr(given, name))
            if not _wasmtime.owns(self._store, item):
                raise _other_store(f"imports[{each.module!r}][{each.name!r}]")
            has = type(given).__name__.lower()
            if isinstance(given, wasmtime.Func) and kind == "func":
                found = core_signature(given.type(self._store))
                if found != spell_type(each):
                    self._wrong.append(
                        Mismatch(each.module, each.name, spell_type(each), found, "in imports=")
                    )
                    return
            elif has != kind:
                self._wrong.append(
                    Mismatch(each.module, each.name, spell_type(each), f"a {has}", "in imports=")
                )
                return
            self._define(each, given)
        elif kind == "memory" and isinstance(given, NewMemory):
            self._define(each, self._new_memory(each, given))
        elif kind == "global":
            self._define(each, self._global(each, given))
        elif kind == "func" and callable(given):
            self._plain.setdefault(each.module, {})[each.name] = untyped(
                each.module, each.name, each.core_types, given
            )
        else:
            advice = f"in imports=; write {_write(each)}"
            self._wrong.append(Mismatch(each.module, each.name, spell_type(each), show_value(given), advice))

    def _make(self, each: _wasmtime.Import, problem: Mismatch | None, names: set[str]) -> None:
        """Make what nothing has, or note that it is missing."""
        kind = each.kind
        if kind == "memory":
            self._define(each, self._new_memory(each, NewMemory()))
        elif kind == "table" and _wasmtime.core_name(each.type.element) in _NULLS:
            self._define(each, self._new_table(each))
        elif kind == "func" and self._missing == "trap":
            if not has_form(each.core_types):
                self._wrong.append(
                    Mismatch(each.module, each.name, spell_type(each), None, f"write {_write(each)}")
                )
                return
            self._plain.setdefault(each.module, {})[each.name] = untyped(
                each.module, each.name, each.core_types, partial(_trap, _spell(each), spell_type(each))
            )
        elif problem is not None:
            self._wrong.append(problem)
        elif kind == "func":
            have = ", ".join(sorted(names))
            advice = f"no host module named {each.module!r} was given" + (f" (given: {have})" if have else "")
            self._wrong.append(Mismatch(each.module, each.name, spell_type(each), None, advice))
        else:
            self._wrong.append(
                Mismatch(each.module, each.name, spell_type(each), None, f"write {_write(each)}")
            )

    def _define(self, each: _wasmtime.Import, item: Any) -> None:
        try:
            self._linker.define(self._store, each.module, each.name, item)
        except wasmtime.WasmtimeError as error:
            raise LinkError(
                f"instantiate: the linker did not take {_spell(each)} ({error}), expected a name that is free"
            ) from error
        self._note(item)

    def _new_memory(self, each: _wasmtime.Import, wanted: NewMemory) -> wasmtime.Memory:
        if each.type.is_shared:
            raise _shared(each)
        limits = each.type.limits
        least, most = max(wanted.pages, limits.min), limits.max
        if wanted.maximum is not None and (most is None or wanted.maximum < most):
            most = max(wanted.maximum, least)
        if most is not None and least > most:
            raise LinkError(
                f"instantiate: imports= has {wanted} for {_spell(each)}, "
                f"expected at most {most} pages, which the guest says"
            )
        type_ = wasmtime.MemoryType(wasmtime.Limits(least, most), each.type.is_64)
        return wasmtime.Memory(self._store, type_)

    def _new_table(self, each: _wasmtime.Import) -> wasmtime.Table:
        return wasmtime.Table(self._store, each.type, _NULLS[_wasmtime.core_name(each.type.element)])

    def _global(self, each: _wasmtime.Import, value: Any) -> wasmtime.Global:
        core = _wasmtime.core_name(each.type.content)
        try:
            return wasmtime.Global(self._store, each.type, _value(core, value))
        except (TypeError, OverflowError, struct.error):
            raise LinkError(
                f"instantiate: imports= has {show_value(value)} for {_spell(each)}, expected a value of {core}; "
                f"write {_write(each)}"
            ) from None


_HANDLES = ("_func", "_memory", "_table", "_global")
"""Where wasmtime-py's objects keep their structures."""

_NULLS: dict[str, Any] = {"funcref": None, "externref": None}
"""What a new table is full of, by the core type of its elements."""


def _value(core: str, value: Any) -> wasmtime.Val:
    """Return a core value of a number; integers may be signed or unsigned. Errors: TypeError, OverflowError."""
    if core == "externref":
        return wasmtime.Val.externref(value)
    if core in ("f32", "f64") and isinstance(value, int | float):
        if core == "f64":
            return wasmtime.Val.f64(float(value))
        struct.pack("<f", value)
        return wasmtime.Val.f32(float(value))
    if core not in ("i32", "i64") or isinstance(value, float):
        raise TypeError(core)
    bits = 32 if core == "i32" else 64
    number = operator.index(value)
    if not -(1 << (bits - 1)) <= number < 1 << bits:
        raise OverflowError(number)
    number -= (number >> (bits - 1) << bits) if number > 0 else 0
    return wasmtime.Val.i32(number) if bits == 32 else wasmtime.Val.i64(number)


def _trap(name: str, type_: str, *arguments: object) -> None:
    raise LinkError(
        f"{name}: called, but nothing serves it, expected a host function {type_}; "
        'give one to instantiate, or leave missing="trap" out to be told before anything runs'
    )


def _spell(each: _wasmtime.Import) -> str:
    return escape_controls(f"{each.module}::{each.name}")


def _write(each: _wasmtime.Import) -> str:
    """Say what to write for an import that is no function, or that has a type without a form in Python."""
    kind = each.kind
    if kind == "global":
        core = _wasmtime.core_name(each.type.content)
        value = "0.0" if core in ("f32", "f64") else "0" if core in ("i32", "i64") else "a wasmtime.Global"
    elif kind == "memory":
        value = f"Memory(pages={each.type.limits.min})"
    else:
        value = f"a wasmtime.{kind.capitalize()}"
    return f"imports={{{each.module!r}: {{{each.name!r}: {value}}}}}"


def _other_store(what: str) -> LinkError:
    return LinkError(
        f"instantiate: {what} is of another store, expected the one that the guest is instantiated in; "
        "write store=, the store that it was made in"
    )


def _shared(each: _wasmtime.Import) -> LinkError:
    return LinkError(
        f"instantiate: the guest imports a shared memory ({_spell(each)}), expected an unshared one; "
        "compile the guest without threads, or pass linker= with an instance that exports it"
    )


def store_of(given: Mapping[str, Provider]) -> wasmtime.Store | None:
    """Return the store of the first guest among what imports come from; None if there is none."""
    for provider in given.values():
        for each in (provider, getattr(provider, "exports", None)):
            if isinstance(each, Exports) and isinstance(each._store, wasmtime.Store):
                return each._store
    return None
