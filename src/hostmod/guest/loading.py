"""Loading a guest: reading it, engines to compile it with, and compiling in forked children.

wasmtime compiles on a pool of threads, which a forked child of a process that has compiled does not have: there, its
compiler waits for ever. What compiles in a child is therefore an engine of hostmod's own, without threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from pathlib import Path

import wasmtime

from hostmod import _wasmtime
from hostmod.errors import GuestFileError, LinkError

Source = str | bytes | bytearray | os.PathLike[str] | wasmtime.Module
"""What a guest can be loaded from: a path, bytes, text that starts with ``(module``, or a compiled module."""


def load(source: Source, engine: wasmtime.Engine | None = None) -> wasmtime.Module:
    """Compile a guest.

    Args:
        source: a path (of a binary or a text file), the bytes of either, text that starts with ``(module``, or a
            `wasmtime.Module`, which is returned as it is.
        engine: what to compile it for; a new one if not given.

    Raises:
        FileNotFoundError: there is no such file.
        GuestFileError: it is no WebAssembly module.
        LinkError: this is a forked child, and the engine's compiler would wait for threads of the parent.
    """
    if isinstance(source, wasmtime.Module):
        return source
    name, data = read(source)
    return compile_bytes(name, data, engine or new_engine())


def for_engine(
    module: wasmtime.Module, engine: wasmtime.Engine | None = None
) -> tuple[wasmtime.Module, wasmtime.Engine]:
    """Copy a compiled module to an engine: wasmtime-py's modules do not say which is theirs.

    The copy is made once for each engine, and kept with the module. Without an engine, it is for one that is made for
    the module and kept with it, too.
    """
    state = vars(module)
    if engine is None:
        if "_hostmod_own" not in state:
            engine = new_engine()
            state.setdefault("_hostmod_own", (_copied(module, engine), engine))
        own: tuple[wasmtime.Module, wasmtime.Engine] = state["_hostmod_own"]
        return own
    copies = state.get("_hostmod_copies")
    if copies is None:
        copies = state.setdefault("_hostmod_copies", weakref.WeakKeyDictionary())
    copy = copies.get(engine)
    if copy is None:
        copy = copies[engine] = _copied(module, engine)
    return copy, engine


def _copied(module: wasmtime.Module, engine: wasmtime.Engine) -> wasmtime.Module:
    try:
        return wasmtime.Module.deserialize(engine, module.serialize())
    except wasmtime.WasmtimeError as error:
        raise LinkError(
            f"instantiate: a wasmtime.Module of an engine with other settings ({error}), expected its engine too; "
            "write instantiate(module, ..., engine=engine)"
        ) from error


def compile_bytes(name: str, data: bytes, engine: wasmtime.Engine) -> wasmtime.Module:
    """Compile what `read` gave; GuestFileError if it is not valid."""
    try:
        return compile_module(engine, data if data[:4] == b"\0asm" else data.decode())
    except wasmtime.WasmtimeError as error:
        raise GuestFileError(name, f"it does not compile: {error}") from error


def read(source: str | bytes | bytearray | os.PathLike[str]) -> tuple[str, bytes]:
    """Read a guest without compiling it: what messages call it, and its bytes. Arguments and errors as in `load`."""
    if isinstance(source, str) and source.lstrip().startswith(("(module", ";;", "(;")):
        name, data = "the text", source.encode()
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        name = str(source) if len(str(source)) < 200 else str(source)[:200] + "..."
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(
                2,
                "no such guest; give the path of a .wasm or .wat file, its bytes, or text that starts with '(module'",
                name,
            ) from None
        except (OSError, ValueError) as error:
            raise GuestFileError(name, f"it cannot be read ({error})") from error
    elif isinstance(source, bytes | bytearray):
        name, data = f"{len(source)} bytes", bytes(source)
    else:
        raise GuestFileError("the guest", f"{source!r} ({type(source).__name__})")
    if not data:
        raise GuestFileError(name, "it is empty")
    if data[:4] == b"\0asm" and data[4:8] == b"\x0d\0\x01\0":
        raise GuestFileError(name, "it is a component")
    if data[:4] != b"\0asm" and not _is_text(data):
        raise GuestFileError(name, f"it starts with {data[:8]!r}")
    return name, data


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().lstrip().startswith(("(", ";;"))
    except UnicodeDecodeError:
        return False


_PATIENCE = 5.0
"""Seconds in which an engine has to compile an empty module: it takes a few milliseconds."""

_threadless: weakref.WeakSet[wasmtime.Engine] = weakref.WeakSet()
"""Engines that are known to compile here."""


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_threadless.clear)


def new_engine(config: wasmtime.Config | None = None) -> wasmtime.Engine:
    """Make an engine: one that fits this thread's stack, and of which the compiler has no threads in a forked child."""
    config = config or _wasmtime.fitting()
    if not _wasmtime.engine.forked:
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
    if not _wasmtime.engine.forked or engine in _threadless:
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
