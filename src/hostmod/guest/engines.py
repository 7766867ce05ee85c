"""Engines that hostmod makes, and compiling with those that it is given, in forked children too.

wasmtime compiles on a pool of threads, which a forked child of a process that has compiled does not have: there, its
compiler waits for ever. What compiles in a child is therefore an engine of hostmod's own, without threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref

import wasmtime

from hostmod import _wasmtime
from hostmod.errors import LinkError

_PATIENCE = 5.0
"""Seconds in which an engine has to compile an empty module: it takes a few milliseconds."""

_forked = False
"""Whether this process is a forked child of one that had imported hostmod."""

_threadless: weakref.WeakSet[wasmtime.Engine] = weakref.WeakSet()
"""Engines that are known to compile here."""


def _in_child() -> None:
    global _forked  # noqa: PLW0603  # of the process
    _forked = True
    _threadless.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_child)


def new_engine(config: wasmtime.Config | None = None) -> wasmtime.Engine:
    """Make an engine: one that fits this thread's stack, and of which the compiler has no threads in a forked child."""
    config = config or _wasmtime.fitting()
    if not _forked:
        return wasmtime.Engine(config)
    config = config or wasmtime.Config()
    config.parallel_compilation = False
    engine = wasmtime.Engine(config)
    _threadless.add(engine)
    return engine


def compile_module(engine: wasmtime.Engine, source: bytes | str) -> wasmtime.Module:
    """Compile a module.

    Raises:
        wasmtime.WasmtimeError: it is not valid.
        LinkError: this is a forked child, and the engine would wait for threads that it has not.
    """
    if not _forked or engine in _threadless:
        return wasmtime.Module(engine, source)
    # One of other settings does not take it, or one does not know what the guest is made of.
    with contextlib.suppress(wasmtime.WasmtimeError):
        compiled = wasmtime.Module(new_engine(), source)
        return wasmtime.Module.deserialize(engine, compiled.serialize())
    if not _compiles(engine):
        raise LinkError(
            "load: compiling in a forked child, with an engine whose compiler waits for threads of the parent, "
            "expected one without; set parallel_compilation = False in its wasmtime.Config, compile before the fork, "
            "or start processes by 'spawn' or 'forkserver'"
        )
    _threadless.add(engine)
    return wasmtime.Module(engine, source)


def _compiles(engine: wasmtime.Engine) -> bool:
    """Whether an engine compiles in this process: nothing says so but trying, in a thread that can be left behind."""
    done = threading.Event()

    def compile_little() -> None:
        wasmtime.Module(engine, b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\n\4\1\2\0\v")  # (module (func))
        done.set()

    threading.Thread(target=compile_little, name="hostmod: does it compile?", daemon=True).start()
    return done.wait(_PATIENCE)
