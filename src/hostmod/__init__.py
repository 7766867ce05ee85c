"""hostmod extends WebAssembly guests with host modules written as plain, typed Python classes."""

from hostmod import testing as testing
from hostmod import types as types
from hostmod.decorators import Decorator, decorate, log
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
from hostmod.link import CompiledModule, FunctionModule, HostModule, ModuleInstance, bind, check, module
from hostmod.memory import PAGE_SIZE, FixedSizeMemory, Memory
from hostmod.module import Function, Functions, Option, configure, function, option
from hostmod.otel import otel
from hostmod.profile import Profile, profile
from hostmod.trace import Trace, trace
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
    "bind",
    "check",
    "configure",
    "decorate",
    "error_strings",
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
    "trace",
]
