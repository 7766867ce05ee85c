"""Modules: the imports and exports of one, read from wasmtime once and kept with it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import wasmtime

from hostmod._wasmtime.signatures import core_name

CoreTypes = tuple[tuple[str, ...], tuple[str, ...]]
"""The core types of a function's parameters, and of its results."""


_one_at_a_time = threading.RLock()
"""wasmtime works a function type's parameters out when they are first asked for: two threads must not do so at once."""


class Extern:
    """An import or export of a module: its name, and its kind and type, which are asked for when they are needed."""

    __slots__ = ("_core_types", "_raw", "_type", "name")

    def __init__(self, raw: Any) -> None:
        self.name: str = raw.name or ""
        self._raw = raw
        self._type: Any = None
        self._core_types: CoreTypes | None = None

    @property
    def type(self) -> Any:
        """wasmtime-py's type of it."""
        found = self._type
        if found is None:
            with _one_at_a_time:
                found = self._type = self._raw.type
        return found

    @property
    def kind(self) -> str:
        """The text format's word: func, memory, table, global or tag."""
        return type(self.type).__name__.removesuffix("Type").lower()

    @property
    def core_types(self) -> CoreTypes:
        """The core types of a function."""
        found = self._core_types
        if found is None:
            with _one_at_a_time:
                found = self._core_types = core_names(self.type.params), core_names(self.type.results)
        return found


class Import(Extern):
    """An import: `module` is the name of the module that it is to come from."""

    __slots__ = ("module",)

    def __init__(self, raw: wasmtime.ImportType) -> None:
        super().__init__(raw)
        self.module = raw.module


def core_names(types: Iterable[wasmtime.ValType]) -> tuple[str, ...]:
    """Spell value types as the text format does."""
    return tuple(core_name(each) for each in types)


def imports_of(module: wasmtime.Module) -> tuple[Import, ...]:
    """Return the imports of a module, in its order; some may have the same name."""
    state = vars(module)
    found: tuple[Import, ...] | None = state.get("_hostmod_imports")
    if found is None:
        found = state["_hostmod_imports"] = tuple(map(Import, module.imports))
    return found


def exports_of(module: wasmtime.Module) -> Mapping[str, Extern]:
    """Return the exports of a module by name, in its order."""
    state = vars(module)
    found: dict[str, Extern] | None = state.get("_hostmod_exports")
    if found is None:
        found = state["_hostmod_exports"] = {each.name: each for each in map(Extern, module.exports)}
    return found
