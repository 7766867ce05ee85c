"""Facts about engines that wasmtime does not tell: the guest's share of the stack, whether memories move."""

from __future__ import annotations

import ctypes
import os

import wasmtime
from wasmtime import _ffi as ffi

from hostmod._wasmtime import stack

WASM_STACK = 512 * 1024
"""Bytes of native stack that a guest may use unless its Config says otherwise.

Source: wasmtime, Config::max_wasm_stack.
"""

SMALLEST = 16 * 1024
"""Bytes of native stack that a guest can do something with."""

ASYNC_STACK = 2 * 1024 * 1024
"""Bytes of the stacks of async stores unless the Config says otherwise. wasmtime ends the process where an engine is
made whose `max_wasm_stack` is larger. Source: wasmtime, Config::async_stack_size."""

PAGE = 65536
"""Bytes of a page of a memory."""

FULL = 65536
"""Pages of a 32-bit memory that cannot grow any more. Source: WebAssembly core specification, 4.2.8."""

forked = False
"""Whether this process is a forked child of one that had imported hostmod: compilers of the parent's engines have no
threads here."""

_STACK = "_hostmod_max_wasm_stack"
_MOVES = "_hostmod_memories_move"
_RESERVED = "_hostmod_memory_reservation"
_MAY_MOVE = "_hostmod_memory_may_move"


def _in_child() -> None:
    global forked  # noqa: PLW0603  # of the process
    forked = True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_child)


def fitting() -> wasmtime.Config | None:
    """Return a Config for an engine that fits this thread's stack, or None where wasmtime's own does."""
    left = stack.remaining()
    if left >= WASM_STACK + 2 * stack.MARGIN:
        return None
    size = max((left - stack.MARGIN) // 2, SMALLEST)
    config = wasmtime.Config()
    ffi.wasmtime_config_max_wasm_stack_set(config.ptr(), size)
    note_stack(config, size)
    return config


def note_stack(config: wasmtime.Config, size: int) -> None:
    """Remember a Config's `max_wasm_stack`, and make its async stacks large enough for it."""
    vars(config)[_STACK] = size
    set_async_stack = getattr(ffi, "wasmtime_config_async_stack_size_set", None)
    if set_async_stack is not None and size >= ASYNC_STACK:
        set_async_stack(config.ptr(), size + ASYNC_STACK)


def note_memory(config: wasmtime.Config, name: str, value: int) -> None:
    """Remember what a Config was told of memories: `memory_reservation` in bytes, or `memory_may_move`."""
    vars(config)[f"_hostmod_{name}"] = value


def note_engine(engine: wasmtime.Engine, config: wasmtime.Config | None) -> None:
    """Remember with a new engine what its Config was told."""
    state = vars(engine)
    if config is None:
        state[_MOVES] = (
            ctypes.sizeof(ctypes.c_void_p) < 8
        )  # wasmtime reserves 4 GiB for a memory where it can
        return
    told = vars(config)
    if _STACK in told:
        state[_STACK] = told[_STACK]
    if _RESERVED in told and told.get(_MAY_MOVE, True):
        state[_MOVES] = told[_RESERVED] < FULL * PAGE
    elif not told.get(_MAY_MOVE, True):
        state[_MOVES] = False


def wasm_stack(engine: wasmtime.Engine) -> int:
    """Return how many bytes of native stack the engine lets a guest use."""
    return int(vars(engine).get(_STACK, WASM_STACK))


def memories_move(engine: wasmtime.Engine) -> bool:
    """Return whether 32-bit memories of an engine can move when they grow.

    An engine does not tell. What its Config was told is noted; for one of a Config that was told nothing of memories, a
    memory is grown as far as it goes, once, which takes 40 µs and touches none of it.
    """
    state = vars(engine)
    found = state.get(_MOVES)
    if found is None:
        found = state[_MOVES] = _try_growing(engine)
    return bool(found)


def _try_growing(engine: wasmtime.Engine) -> bool:
    store = wasmtime.Store(engine)
    try:
        memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, FULL)))
        first = ctypes.cast(memory.data_ptr(store), ctypes.c_void_p).value
        pages = 1
        while pages < FULL:
            memory.grow(store, min(pages, FULL - pages))
            pages = memory.size(store)
            if ctypes.cast(memory.data_ptr(store), ctypes.c_void_p).value != first:
                return True
    except wasmtime.WasmtimeError:
        pass  # no further than this, for a guest's memory neither
    finally:
        store.close()
    return False


def can_move(engine: wasmtime.Engine, type_: wasmtime.MemoryType) -> bool:
    """Return whether a memory of this type moves when it grows, so that what shows it would show something else."""
    maximum = type_.limits.max
    if maximum is not None and maximum <= type_.limits.min:
        return False
    if memories_move(engine):
        return True
    return bool(type_.is_64) and (maximum is None or maximum > FULL)
