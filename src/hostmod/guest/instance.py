"""`Guest` and `instantiate`: one call from a file to a guest that is linked and instantiated."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import wasmtime

from hostmod import _wasmtime
from hostmod.errors import (
    Exit,
    LinkError,
    StoreBusyError,
    Trap,
    escape_controls,
    join_names,
    show_value,
    store_closed,
)
from hostmod.guest.exports import Exports
from hostmod.guest.guest_memory import GuestMemory
from hostmod.guest.imports import Imports, Provider, store_of
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
        closes: bool = True,
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
        self._closes = closes

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
        """Close its store, and the host modules that were made for it (given as classes), once.

        A guest that is in the store of another one, which it imports from, leaves that open.
        """
        if not self._closed:
            self._closed = True
            try:
                if self._closes:
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
    imports: Mapping[str, Provider] | None = None,
    missing: Literal["error", "trap"] = "error",
    memory: str | None = None,
    hold_gil: bool = False,
) -> Guest:
    """Load a guest, link it with host modules, and instantiate it, in a store of its own unless one is given.

    A host module given as an instance belongs to the caller; one given as a class is made here and closed with the
    guest. Host modules of one name offer their functions together.

    A memory or a table that the guest imports and nothing provides is made, of the size that the guest says. The first
    memory that it imports is the memory of its host functions, unless it exports one.

    Args:
        source: a path, bytes, text that starts with ``(module``, or a `wasmtime.Module`.
        hosts: instances or classes of `HostModule`, and modules of functions.
        engine: what to compile for; that of the store, linker or module if one is given.
        store: the store to instantiate in, which the guest closes; that of a guest in `imports` if there is one, which
            then closes it.
        linker: a linker that already has what other imports need. It is asked before anything is missing, and stays as
            it is.
        imports: what is no typed function, by module name and name: a `wasmtime.Memory`, or ``Memory(pages=2)`` to have
            one made; a number for a global; a `wasmtime.Table`, `wasmtime.Global` or `wasmtime.Func`; any callable
            for a function, which gets core values and returns one. Or by module name: another guest, of which the
            exports are imported. Names that the guest does not import are ignored.
        missing: what to do about a function that nothing serves: ``"error"`` raises LinkError here, ``"trap"`` where
            the guest calls it.
        memory: the export that pointers point into; "memory", or the guest's only one, unless said otherwise.
        hold_gil: keep other Python threads from running while the guest's exports do. For short, chatty calls.

    Raises:
        FileNotFoundError, GuestFileError: as `load`.
        LinkError: with every import that nothing serves, or that is served with another signature. Or two hosts serve
            one function; or engine, store, linker, module and imports are of several engines or stores; or the guest
            imports a memory that threads share.
        Trap: the guest's start function trapped.
    """
    _wasmtime.verify()
    if missing not in ("error", "trap"):
        raise LinkError(f'instantiate: missing={show_value(missing, "")}, expected "error" or "trap"')
    given = _checked_imports(imports)
    joined = None if store is not None or not given else store_of(given)
    store = store or joined
    if store is not None or linker is not None:
        check_engines(engine, store, linker)
    own_engine = engine is None and store is None and linker is None
    if engine is None:
        known = linker if store is None else store
        engine = None if known is None else known.engine
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
        linker_given = linker is not None
        own_linker = True
        if linker is None:
            linker = wasmtime.Linker(engine)
        else:
            copy = _wasmtime.copy_linker(linker)
            own_linker = copy is not None
            linker = copy or linker
        if store is None:
            store = own_store = _wasmtime.new_store(engine)
        wanted = Imports(module, interface, store, linker, made, given, missing)
        wanted.define(linker_has=linker_given)
        spec, provided = _memory_of(interface, memory, wanted.memory)
        keep = _wasmtime.keep_of(store) if own_linker else None  # nobody else has that linker
        for host in made:
            if provided is None:
                link_host(host, linker, spec, keep=keep)
            else:
                link_host(host, linker, provided, store, keep)
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
        seen = spec if provided is None else provided
        return Guest(store, module, instance, owned, seen, hold_gil, closes=joined is None)
    except BaseException:
        with contextlib.ExitStack() as undo:
            undo.callback(_close_all, owned)
            if own_store is not None:
                undo.callback(own_store.close)
        raise


def _checked_imports(imports: Mapping[str, Provider] | None) -> Mapping[str, Provider]:
    if imports is None:
        return {}
    if not isinstance(imports, Mapping):
        raise LinkError(
            f"instantiate: imports={show_value(imports)}, expected a dict by module name; "
            'write imports={"env": {"memory": Memory(pages=2)}}'
        )
    return imports


def _made(hosts: Sequence[Host], owned: list[HostModule]) -> list[HostModule | FunctionModule]:
    """Return host modules. What is made here of a class is `owned`."""
    found: list[HostModule | FunctionModule] = []
    for host in hosts:
        if isinstance(host, HostModule | FunctionModule):
            found.append(host)
        elif isinstance(host, type) and issubclass(host, HostModule):
            each = host()
            owned.append(each)
            found.append(each)
        else:
            raise LinkError(
                f"instantiate: {host!r}, expected a HostModule, its class, or hostmod.module(...)"
            )
    return found


def _close_all(modules: Sequence[HostModule]) -> None:
    """Close host modules, the last one first; what one raises keeps no other from being closed."""
    with contextlib.ExitStack() as stack:
        for each in modules:
            stack.callback(close, each)


def _memory_of(
    interface: Interface, wanted: str | None, imported: wasmtime.Memory | None
) -> tuple[str, wasmtime.Memory | None]:
    """Find which memory a guest's host functions see: an export's name, or the memory that it imports."""
    exported = interface.exported_memories
    if wanted is not None:
        if wanted not in exported:
            raise LinkError(
                f"instantiate: memory={wanted!r}, expected one of the guest's: "
                f"{join_names(exported) or 'it exports none'}"
            )
        return wanted, None
    if "memory" in exported:
        return "memory", None
    if len(exported) == 1 and imported is None:
        return exported[0], None
    return "memory", imported


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
    """Return the error for a module of another engine than its store, or for an import that is of another type than
    what is given (a memory that is too small, say); None if wasmtime's error is another one.

    wasmtime-py's modules do not say which engine is theirs, so wasmtime has to be asked.
    """
    text = str(error)
    if text.startswith("incompatible import type"):
        what, _, cause = text.partition("\n\nCaused by:\n")
        return LinkError(escape_controls(f"instantiate: {what}: {cause.strip()}"))
    if not text.startswith("cross-`Engine`"):
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


def no_memory(interface: Interface) -> LinkError:
    """Return the error for a guest without a memory that hostmod can show."""
    if any(interface.exports[name].type.is_shared for name in interface.exported_memories):
        return LinkError(
            "Guest.memory: the guest's memory is shared, expected an unshared one; compile the guest without threads, "
            "or use its wasmtime.SharedMemory: guest.exports['memory']"
        )
    return LinkError("Guest.memory: the guest has no memory, expected one; export it as 'memory'")
