"""The exports of a guest, as callables typed by their own signatures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod.errors import LinkError, join_names, store_closed
from hostmod.guest.interface import Interface

_METHODS = frozenset({"get", "keys", "items", "values"})
"""The methods of mappings that a guest's export of the same name hides."""


class Exports(Mapping[str, Any]):
    """What a guest exports: functions as callables, by attribute or by name; everything else as wasmtime objects.

    Each is looked up when it is first asked for. Names, their order and types are the module's. An export that is
    named as a method of mappings (get, keys, items, values) is what the attribute is: ``exports["get"]`` either way.
    """

    def __init__(
        self, store: Any, instance: wasmtime.Instance, interface: Interface, hold_gil: bool = False
    ) -> None:
        self._store = store
        self._instance = instance
        self._interface = interface
        self._hold_gil = hold_gil
        self._made: dict[str, Any] = {}
        for name in _METHODS & interface.exports.keys():
            with contextlib.suppress(
                LinkError
            ):  # one without a form in Python says so where it is asked for by name
                self.__dict__[name] = self[name]

    def __getitem__(self, name: str) -> Any:
        found = self._made.get(name)
        if found is None:
            found = self._made.setdefault(name, self._look_up(name))  # one for all threads
        return found

    def _look_up(self, name: str) -> Any:
        interface = self._interface
        if name not in interface.exports:
            known = join_names(interface.exports) or "nothing"
            raise KeyError(f"the guest does not export {name!r}, it exports {known}")
        try:
            found = _wasmtime.export_of(self._store, self._instance, name)
        except ValueError:
            raise store_closed(name) from None
        if isinstance(found, wasmtime.Func):
            return interface.signature(name).caller(self._store, found, self._hold_gil)
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

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __contains__(self, name: object) -> bool:
        return name in self._interface.exports

    def __iter__(self) -> Iterator[str]:
        return iter(self._interface.exports)

    def __len__(self) -> int:
        return len(self._interface.exports)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._interface.exports})
