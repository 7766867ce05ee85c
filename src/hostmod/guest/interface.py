"""What instantiating a module and calling its exports needs to know, worked out once per module."""

from __future__ import annotations

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.errors import escape_controls
from hostmod.exported import Signature


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
