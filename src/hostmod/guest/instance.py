"""Guests that are linked and instantiated: one call from a file to its exports."""

from __future__ import annotations

import contextlib
from typing import Self

import wasmtime

from hostmod import _wasmtime
from hostmod.errors import Exit, LinkError, Mismatch, StoreBusyError, ViewEscapedError, listed
from hostmod.guest.agreement import check_engines, check_unshared, mixed, no_memory, own_trap
from hostmod.guest.engines import new_engine
from hostmod.guest.exports import Exports
from hostmod.guest.memory import GuestMemory
from hostmod.guest.source import Source, load
from hostmod.link import (
    FunctionModule,
    Host,
    HostModule,
    close,
    core_signature,
    link_host,
    mismatches,
    name_of,
)


class Guest:
    """A guest that is instantiated in a store of its own, by `hostmod.instantiate`."""

    def __init__(
        self,
        store: wasmtime.Store,
        module: wasmtime.Module,
        instance: wasmtime.Instance,
        stack: contextlib.ExitStack,
        memory: wasmtime.Memory | None,
        hold_gil: bool = False,
    ) -> None:
        self.store = store
        self.module = module
        self.instance = instance
        self.exports = Exports(store, instance, hold_gil)
        self._stack = stack
        self._raw_memory = memory
        self._memory: GuestMemory | None = None
        self._closed = False

    @property
    def memory(self) -> GuestMemory:
        """Its memory; LinkError if it has none that it exports or imports."""
        if self._memory is None:
            if self._raw_memory is None:
                raise no_memory(self.module)
            self._memory = GuestMemory(self.store, self._raw_memory)
        return self._memory

    def run(self) -> int:
        """Run a program: the `_start` of a command, or the `_initialize` of a reactor, to call its exports after it.

        Returns:
            The exit code: 0 where it returned, else what it gave to the function that ended it.

        Raises:
            LinkError: it exports neither.
            Whatever else ended it: Trap, or what a host function raised.
        """
        for name in ("_start", "_initialize"):
            if isinstance(self.instance.exports(self.store).get(name), wasmtime.Func):
                try:
                    self.exports[name]()
                except Exit as exit:
                    return exit.code
                return 0
        raise LinkError(
            "Guest.run: the guest exports neither _start nor _initialize, expected a program; compile it as one, or "
            "call its functions through Guest.exports"
        )

    def close(self) -> None:
        """Close its store, and the host modules that were made for it (given as classes), once."""
        if not self._closed:
            self._closed = True
            try:
                self.store.close()
            except (ViewEscapedError, StoreBusyError):
                self._closed = False
                raise
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<guest that exports {listed(self.exports) or 'nothing'}>"


def instantiate(
    source: Source,
    *hosts: Host,
    engine: wasmtime.Engine | None = None,
    store: wasmtime.Store | None = None,
    linker: wasmtime.Linker | None = None,
    memory: str | None = None,
    hold_gil: bool = False,
) -> Guest:
    """Load a guest, link it with host modules, and instantiate it, in a store of its own unless one is given.

    A host module given as an instance belongs to the caller; one given as a class is made here and closed with the
    guest.

    Args:
        source: a path, bytes, text that starts with ``(module``, or a `wasmtime.Module`.
        hosts: instances or classes of `HostModule`, and modules of functions.
        engine: what to compile for; that of the store, linker or module if one is given.
        store: the store to instantiate in; the guest closes it.
        linker: a linker that already has what other imports need.
        memory: the export that pointers point into; "memory", or the guest's only one, unless said otherwise.
        hold_gil: keep other Python threads from running while the guest's exports do. For short, chatty calls.

    Raises:
        FileNotFoundError, GuestFileError: as `load`.
        LinkError: with every import that nothing serves, or that is served with another signature. Or engine, store,
            linker and module are of several engines, or the guest imports a memory that threads share.
        Trap: the guest's start function trapped.
    """
    check_engines(engine, store, linker)
    own_engine = engine is None and store is None and linker is None
    if engine is None:
        engine = store.engine if store is not None else linker.engine if linker is not None else new_engine()
        if isinstance(source, wasmtime.Module):
            source = _for_engine(source, engine)
    _wasmtime.check_handlers(own_engine)
    module = load(source, engine)
    stack = contextlib.ExitStack()
    with contextlib.ExitStack() as undo:
        undo.push(stack)
        made: list[HostModule | FunctionModule] = []
        for host in hosts:
            if isinstance(host, type) and issubclass(host, HostModule):
                instance = host()
                stack.callback(close, instance)
                made.append(instance)
            elif isinstance(host, HostModule | FunctionModule):
                made.append(host)
            else:
                raise LinkError(
                    f"instantiate: {host!r}, expected a HostModule, its class, or hostmod.module(...)"
                )
        names = [name_of(host) for host in made]
        for name in names:
            if names.count(name) > 1:
                raise LinkError(
                    f"instantiate: two host modules are named {name!r}, expected one of each name"
                )
        own_linker = linker is None
        if own_linker:
            check_unshared(module)
        linker = linker or wasmtime.Linker(engine)
        if store is None:
            store = wasmtime.Store(engine)
            undo.callback(store.close)
        spec, provided = _memory_of(module, memory, store, linker if own_linker else None, names)
        for host in made:
            if provided is None:
                link_host(host, linker, spec)
            else:
                link_host(host, linker, provided, store)
        _check_all(module, made, linker, store, own_linker)
        try:
            wasm = linker.instantiate(store, module)
        except wasmtime.Trap as error:
            found = own_trap(error)
            if found is None:
                raise
            raise found from None
        except wasmtime.WasmtimeError as error:
            refused = mixed(error)
            if refused is None:
                raise
            raise refused from error
        exports = wasm.exports(store)
        raw = exports.get(spec)
        guest = Guest(
            store, module, wasm, stack, raw if isinstance(raw, wasmtime.Memory) else provided, hold_gil
        )
        undo.pop_all()
        return guest
    raise AssertionError("unreachable: the block above returns or raises")


def _for_engine(module: wasmtime.Module, engine: wasmtime.Engine) -> wasmtime.Module:
    """Copy a compiled module to another engine: wasmtime-py's modules do not say which is theirs."""
    try:
        return wasmtime.Module.deserialize(engine, module.serialize())
    except wasmtime.WasmtimeError as error:
        raise LinkError(
            f"instantiate: a wasmtime.Module of an engine with other settings ({error}), expected its engine too; "
            "write instantiate(module, ..., engine=engine)"
        ) from error


def _memory_of(
    module: wasmtime.Module,
    wanted: str | None,
    store: wasmtime.Store,
    linker: wasmtime.Linker | None,
    hosts: list[str],
) -> tuple[str, wasmtime.Memory | None]:
    """Find which memory a guest's host functions see; make the one that it imports, if nothing else will."""
    exported = [each.name for each in module.exports if isinstance(each.type, wasmtime.MemoryType)]
    if wanted is not None:
        if wanted not in exported:
            raise LinkError(
                f"instantiate: memory={wanted!r}, expected one of the guest's: "
                f"{listed(exported) or 'it exports none'}"
            )
        return wanted, None
    provided: wasmtime.Memory | None = None
    for each in module.imports:
        if isinstance(each.type, wasmtime.MemoryType) and linker is not None and each.module not in hosts:
            made = wasmtime.Memory(store, each.type)
            linker.define(store, each.module, each.name or "", made)
            provided = provided or made
    if "memory" in exported:
        return "memory", None
    if len(exported) == 1 and provided is None:
        return exported[0], None
    return "memory", provided


def _check_all(
    module: wasmtime.Module,
    hosts: list[HostModule | FunctionModule],
    linker: wasmtime.Linker,
    store: wasmtime.Store,
    own: bool,
) -> None:
    found = mismatches(module, hosts)
    known = {name_of(host) for host in hosts}
    for each in module.imports:
        if each.module in known:
            continue
        name = each.name or ""
        try:
            linker.get(store, each.module, name)
        except wasmtime.WasmtimeError:
            wanted = (
                core_signature(each.type)
                if isinstance(each.type, wasmtime.FuncType)
                else f"a {type(each.type).__name__.removesuffix('Type').lower()}"
            )
            have = ", ".join(sorted(known))
            advice = f"no host module named {each.module!r} was given" + (f" (given: {have})" if have else "")
            found.append(Mismatch(each.module, name, wanted, None, advice))
    if found:
        places = "1 place" if len(found) == 1 else f"{len(found)} places"
        raise LinkError(f"the guest's imports and what it is given disagree in {places}:", found)
