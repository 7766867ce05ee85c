"""hostmod extends WebAssembly guests with host modules written as plain, typed Python classes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hostmod import _wasmtime as _wasmtime  # engines and stores that are made from here on are known

if TYPE_CHECKING:
    from hostmod import errors as errors
    from hostmod import testing as testing
    from hostmod import types as types
    from hostmod import wasi as wasi
    from hostmod._backend import select as backend
    from hostmod.checks import check
    from hostmod.declaration import Function, Functions, Option, configure, function, option
    from hostmod.errors import (
        ConversionError,
        DeclarationError,
        ErrnoError,
        Exit,
        GuestFileError,
        HostmodError,
        InternalError,
        InvalidStringError,
        LinkError,
        MemoryAccessError,
        SegmentationFault,
        StaleMemoryError,
        StoreBusyError,
        Trap,
        TrapFrame,
        UnboundError,
        ViewEscapedError,
        as_errno,
        error_strings,
    )
    from hostmod.guest import Guest, GuestMemory, GuestModule, export, instantiate, load
    from hostmod.link import CompiledModule, FunctionModule, HostModule, ModuleInstance, bind, module
    from hostmod.memory import PAGE_SIZE, FixedSizeMemory, Memory
    from hostmod.observe.decorate import Decorator, decorate
    from hostmod.observe.log import log
    from hostmod.observe.otel import otel
    from hostmod.observe.profile import Profile, profile
    from hostmod.observe.trace import Trace, trace
    from hostmod.types import format

__version__ = "0.1.0"

__all__ = [
    "PAGE_SIZE",
    "CompiledModule",
    "ConversionError",
    "DeclarationError",
    "Decorator",
    "ErrnoError",
    "Exit",
    "FixedSizeMemory",
    "Function",
    "FunctionModule",
    "Functions",
    "Guest",
    "GuestFileError",
    "GuestMemory",
    "GuestModule",
    "HostModule",
    "HostmodError",
    "InternalError",
    "InvalidStringError",
    "LinkError",
    "Memory",
    "MemoryAccessError",
    "ModuleInstance",
    "Option",
    "Profile",
    "SegmentationFault",
    "StaleMemoryError",
    "StoreBusyError",
    "Trace",
    "Trap",
    "TrapFrame",
    "UnboundError",
    "ViewEscapedError",
    "as_errno",
    "backend",
    "bind",
    "check",
    "configure",
    "decorate",
    "error_strings",
    "errors",
    "export",
    "format",
    "function",
    "instantiate",
    "load",
    "log",
    "module",
    "option",
    "otel",
    "profile",
    "testing",
    "trace",
    "types",
    "wasi",
]

_FROM = {
    "hostmod.checks": "check",
    "hostmod.declaration": "Function Functions Option configure function option",
    "hostmod.errors": (
        "ConversionError DeclarationError ErrnoError Exit GuestFileError "
        "HostmodError InternalError InvalidStringError LinkError "
        "MemoryAccessError SegmentationFault StaleMemoryError StoreBusyError "
        "Trap TrapFrame UnboundError ViewEscapedError as_errno error_strings"
    ),
    "hostmod.guest": "Guest GuestMemory GuestModule export instantiate load",
    "hostmod.link": "CompiledModule FunctionModule HostModule ModuleInstance bind module",
    "hostmod.memory": "PAGE_SIZE FixedSizeMemory Memory",
    "hostmod.observe.decorate": "Decorator decorate",
    "hostmod.observe.log": "log",
    "hostmod.observe.otel": "otel",
    "hostmod.observe.profile": "Profile profile",
    "hostmod.observe.trace": "Trace trace",
    "hostmod.types": "format",
}
"""The public API by the module that has it: a name is imported when it is first asked for."""

_MODULE_OF = {name: module for module, names in _FROM.items() for name in names.split()}

_SUBMODULES = {
    **{name: f"hostmod.{name}" for name in ("cache", "errors", "guest", "link", "memory", "observe")},
    **{name: f"hostmod.{name}" for name in ("plan", "recorder", "testing", "tools", "types", "wasi")},
    "backend": "hostmod._backend.select",
    "trampoline": "hostmod._backend.select",  # its name in hostmod 0.1
}


def __getattr__(name: str) -> Any:
    submodule = _SUBMODULES.get(name)
    if submodule is not None:
        found = importlib.import_module(submodule)
    elif name in _MODULE_OF:
        found = getattr(importlib.import_module(_MODULE_OF[name]), name)
    else:
        raise AttributeError(f"module 'hostmod' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__", "__version__"])
