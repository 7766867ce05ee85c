"""WASI preview 1 as a host module: the system that programs compiled for ``wasm32-wasi`` run on.

`Wasi` is the module; `MemoryFS`, `ZipFS`, `HostDirectory`, `ReadOnly` and `Mounts` are what can be preopened; `System`,
`Directory`, `File` and `Clock` are what to write for a system of one's own.
"""

import contextlib

from hostmod.wasi.abi import Errno, Filestat, FileType, WasiError
from hostmod.wasi.fs.memfs import MemoryFS, ZipFS
from hostmod.wasi.fs.mounts import Mounts, ReadOnly
from hostmod.wasi.io.streams import InputStream, OutputStream
from hostmod.wasi.preview1 import Wasi
from hostmod.wasi.system import Access, Clock, Directory, Entry, File, ManualClock, System

with contextlib.suppress(ImportError, AttributeError):  # on a host whose os has no directory descriptors
    from hostmod.wasi.fs.posix import HostDirectory

__all__ = [
    "Access",
    "Clock",
    "Directory",
    "Entry",
    "Errno",
    "File",
    "FileType",
    "Filestat",
    "HostDirectory",
    "InputStream",
    "ManualClock",
    "MemoryFS",
    "Mounts",
    "OutputStream",
    "ReadOnly",
    "System",
    "Wasi",
    "WasiError",
    "ZipFS",
]
