"""Whether what a guest is put together of fits (engines, memories that threads share), and what its start ends in."""

from __future__ import annotations

import wasmtime

from hostmod.errors import LinkError, Trap, visible
from hostmod.guest.interface import Interface


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
            raise LinkError(
                f"instantiate: the guest imports a shared memory ({visible(f'{each.module}::{each.name}')}), expected "
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
