"""`Guest` and `instantiate`: one call from a file to a guest that is linked and instantiated."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping, Sequence
from typing import Self

import wasmtime

from hostmod import _wasmtime
from hostmod.checks import mismatches, spell_type
from hostmod.errors import (
    Exit,
    LinkError,
    Mismatch,
    StoreBusyError,
    Trap,
    escape_controls,
    join_names,
    store_closed,
)
from hostmod.guest.exports import Exports
from hostmod.guest.guest_memory import GuestMemory
from hostmod.guest.interface import Interface, interface_of
from hostmod.guest.loading import Source, for_engine, load, new_engine
from hostmod.link import FunctionModule, Host, HostModule, close, link_host


class Guest:
    """A guest that is instantiated in a store of its own, by `hostmod.instantiate`."""

    def __init__(
        self,
        store: wasmtime.Store,
        module: wasmtime.Module,
        instance: wasmtime.Instance,
        owned: Sequence[HostModule],
        memory: str | wasmtime.Memory,
        hold_gil: bool = False,
    ) -> None:
        self.store = store
        self.module = module
        self.instance = instance
        self._interface = interface_of(module)
        self.exports = Exports(store, instance, self._interface, hold_gil)
        self._owned = owned
        self._memory_spec = memory
        self._memory: GuestMemory | None = None
        self._closed = False

    @property
    def memory(self) -> GuestMemory:
        """Its memory; LinkError if it has none that it exports or imports."""
        if self._memory is None:
            found = self._memory_spec
            if isinstance(found, str):
                try:
                    found = _wasmtime.export_of(self.store, self.instance, found)
                except ValueError:
                    raise store_closed() from None
            if not isinstance(found, wasmtime.Memory):
                raise no_memory(self._interface)
            self._memory = GuestMemory(self.store, found)
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
            if self._interface.exports_function(name):
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
            except StoreBusyError:
                self._closed = False
                raise
            if self._owned:
                _close_all(self._owned)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<guest that exports {join_names(self.exports) or 'nothing'}>"


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
    _wasmtime.verify()
    if store is not None or linker is not None:
        check_engines(engine, store, linker)
    own_engine = engine is None and store is None and linker is None
    if engine is None:
        given = linker if store is None else store
        engine = None if given is None else given.engine
        if isinstance(source, wasmtime.Module):
            source, engine = for_engine(source, engine)
        elif engine is None:
            engine = new_engine()
    _wasmtime.check_handlers(own_engine)
    module = load(source, engine)
    interface = interface_of(module)
    owned: list[HostModule] = []
    own_store = None
    try:
        made = _made(hosts, owned)
        own_linker = linker is None
        if own_linker:
            check_unshared(interface)
        linker = linker or wasmtime.Linker(engine)
        if store is None:
            store = own_store = _wasmtime.new_store(engine)
        spec, provided = _memory_of(interface, memory, store, linker if own_linker else None, made)
        keep = _wasmtime.keep_of(store) if own_linker else None  # nobody else has that linker
        for host in made.values():
            if provided is None:
                link_host(host, linker, spec, keep=keep)
            else:
                link_host(host, linker, provided, store, keep)
        _check_all(module, interface, made, linker, store)
        try:
            instance = _wasmtime.instantiate(linker, store, module)
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
        if provided is not None and not isinstance(
            _wasmtime.export_of(store, instance, spec), wasmtime.Memory
        ):
            return Guest(store, module, instance, owned, provided, hold_gil)
        return Guest(store, module, instance, owned, spec, hold_gil)
    except BaseException:
        with contextlib.ExitStack() as undo:
            undo.callback(_close_all, owned)
            if own_store is not None:
                undo.callback(own_store.close)
        raise


def _made(hosts: Sequence[Host], owned: list[HostModule]) -> dict[str, HostModule | FunctionModule]:
    """Return host modules by name. What is made here of a class is `owned`."""
    found: dict[str, HostModule | FunctionModule] = {}
    for host in hosts:
        if isinstance(host, HostModule | FunctionModule):
            each = host
        elif isinstance(host, type) and issubclass(host, HostModule):
            each = host()
            owned.append(each)
        else:
            raise LinkError(
                f"instantiate: {host!r}, expected a HostModule, its class, or hostmod.module(...)"
            )
        name = each.name if isinstance(each, FunctionModule) else type(each).name
        if name in found:
            raise LinkError(f"instantiate: two host modules are named {name!r}, expected one of each name")
        found[name] = each
    return found


def _close_all(modules: Sequence[HostModule]) -> None:
    """Close host modules, the last one first; what one raises keeps no other from being closed."""
    with contextlib.ExitStack() as stack:
        for each in modules:
            stack.callback(close, each)


def _memory_of(
    interface: Interface,
    wanted: str | None,
    store: wasmtime.Store,
    linker: wasmtime.Linker | None,
    hosts: Container[str],
) -> tuple[str, wasmtime.Memory | None]:
    """Find which memory a guest's host functions see; make the one that it imports, if nothing else will."""
    if wanted is not None:
        if wanted not in interface.exported_memories:
            known = interface.exported_memories
            raise LinkError(
                f"instantiate: memory={wanted!r}, expected one of the guest's: "
                f"{join_names(known) or 'it exports none'}"
            )
        return wanted, None
    provided: wasmtime.Memory | None = None
    if linker is not None:
        for each in interface.memories:
            if each.module not in hosts:
                made = wasmtime.Memory(store, each.type)
                linker.define(store, each.module, each.name, made)
                provided = provided or made
    exported = interface.exported_memories
    if "memory" in exported:
        return "memory", None
    if len(exported) == 1 and provided is None:
        return exported[0], None
    return "memory", provided


def _check_all(
    module: wasmtime.Module,
    interface: Interface,
    hosts: Mapping[str, HostModule | FunctionModule],
    linker: wasmtime.Linker,
    store: wasmtime.Store,
) -> None:
    found = mismatches(module, hosts.values())
    if interface.sources <= hosts.keys() and not found:
        return
    for each in interface.imports:
        if each.module in hosts:
            continue
        try:
            linker.get(store, each.module, each.name)
        except wasmtime.WasmtimeError:
            have = ", ".join(sorted(hosts))
            advice = f"no host module named {each.module!r} was given" + (f" (given: {have})" if have else "")
            found.append(Mismatch(each.module, each.name, spell_type(each), None, advice))
    if found:
        places = "1 place" if len(found) == 1 else f"{len(found)} places"
        raise LinkError(f"the guest's imports and what it is given disagree in {places}:", found)


def check_engines(
    engine: wasmtime.Engine | None, store: wasmtime.Store | None, linker: wasmtime.Linker | None
) -> None:
    """Compare the engines of what `instantiate` is given; LinkError if they are several."""
    if store is not None and linker is not None and store.engine is not linker.engine:
        raise LinkError(
            "instantiate: store= is of another engine than linker=, expected one engine for both; "
            "write wasmtime.Linker(store.engine)"
        )
    for name, given in (("store", store), ("linker", linker)):
        if engine is not None and given is not None and given.engine is not engine:
            raise LinkError(
                f"instantiate: {name}= is of another engine than engine=, expected one engine for both; "
                f"leave engine= out: it is {name}.engine"
            )


def mixed(error: wasmtime.WasmtimeError) -> LinkError | None:
    """Return the error for a module of another engine than its store, or None if wasmtime's error is another one.

    wasmtime-py's modules do not say which engine is theirs, so wasmtime has to be asked.
    """
    if not str(error).startswith("cross-`Engine`"):
        return None
    return LinkError(
        "instantiate: a wasmtime.Module of another engine than the one it is to run in, expected one of the same; "
        "leave engine= out, or compile it for that engine: hostmod.load(source, engine)"
    )


def own_trap(error: wasmtime.Trap) -> Trap | None:
    """Return the `hostmod.Trap` of a guest whose start function trapped by itself; None for what a host has raised."""
    try:
        by_guest = error.trap_code is not None
    except ValueError:
        by_guest = True  # of a code that this wasmtime-py has no name for
    return Trap.of(error) if by_guest and not isinstance(error, Trap) else None


def check_unshared(interface: Interface) -> None:
    """Refuse a guest that imports a memory which threads share: hostmod neither makes such a one nor shows it."""
    for each in interface.memories:
        if each.type.is_shared:
            name = escape_controls(f"{each.module}::{each.name}")
            raise LinkError(
                f"instantiate: the guest imports a shared memory ({name}), expected "
                "an unshared one; compile the guest without threads, or pass linker= with an instance that exports it"
            )


def no_memory(interface: Interface) -> LinkError:
    """Return the error for a guest without a memory that hostmod can show."""
    if any(interface.exports[name].type.is_shared for name in interface.exported_memories):
        return LinkError(
            "Guest.memory: the guest's memory is shared, expected an unshared one; compile the guest without threads, "
            "or use its wasmtime.SharedMemory: guest.exports['memory']"
        )
    return LinkError("Guest.memory: the guest has no memory, expected one; export it as 'memory'")
