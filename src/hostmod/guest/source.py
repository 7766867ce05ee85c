"""What a guest is loaded from."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import wasmtime

from hostmod.errors import GuestFileError, LinkError
from hostmod.guest.engines import compile_module, new_engine

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
