"""A guest that makes any call of WASI preview 1 on request, and says what came of it.

It is written in the text format: it imports every function and exports each as it is, with a memory. So its import
section is a second opinion on every signature. Source: WebAssembly/WASI, branch wasi-0.1, preview1/docs.md.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import wasmtime

import hostmod
from hostmod.wasi import Errno, FileType, Wasi
from hostmod.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS

# p: a pointer or a number of 32 bits; P: 64 bits.
SIGNATURES = {
    "args_get": "pp",
    "args_sizes_get": "pp",
    "environ_get": "pp",
    "environ_sizes_get": "pp",
    "clock_res_get": "pp",
    "clock_time_get": "pPp",
    "fd_advise": "pPPp",
    "fd_allocate": "pPP",
    "fd_close": "p",
    "fd_datasync": "p",
    "fd_fdstat_get": "pp",
    "fd_fdstat_set_flags": "pp",
    "fd_fdstat_set_rights": "pPP",
    "fd_filestat_get": "pp",
    "fd_filestat_set_size": "pP",
    "fd_filestat_set_times": "pPPp",
    "fd_pread": "pppPp",
    "fd_prestat_get": "pp",
    "fd_prestat_dir_name": "ppp",
    "fd_pwrite": "pppPp",
    "fd_read": "pppp",
    "fd_readdir": "pppPp",
    "fd_renumber": "pp",
    "fd_seek": "pPpp",
    "fd_sync": "p",
    "fd_tell": "pp",
    "fd_write": "pppp",
    "path_create_directory": "ppp",
    "path_filestat_get": "ppppp",
    "path_filestat_set_times": "ppppPPp",
    "path_link": "ppppppp",
    "path_open": "pppppPPpp",
    "path_readlink": "pppppp",
    "path_remove_directory": "ppp",
    "path_rename": "pppppp",
    "path_symlink": "ppppp",
    "path_unlink_file": "ppp",
    "poll_oneoff": "pppp",
    "proc_exit": "p",
    "proc_raise": "p",
    "random_get": "pp",
    "sched_yield": "",
    "sock_accept": "ppp",
    "sock_recv": "pppppp",
    "sock_send": "ppppp",
    "sock_shutdown": "pp",
}


def _text() -> str:
    imports, functions = [], []
    for name, parameters in SIGNATURES.items():
        params = " ".join({"p": "i32", "P": "i64"}[each] for each in parameters)
        params = f"(param {params})" if params else ""
        result = "" if name == "proc_exit" else "(result i32)"
        passed = " ".join(f"(local.get {index})" for index in range(len(parameters)))
        imports.append(f'  (import "wasi_snapshot_preview1" "{name}" (func ${name} {params} {result}))')
        functions.append(f'  (func (export "{name}") {params} {result} (call ${name} {passed}))')
    return "\n".join(["(module", *imports, '  (memory (export "memory") 4)', *functions, ")"])


TEXT = _text()


@functools.cache
def compiled() -> tuple[wasmtime.Module, wasmtime.Engine]:
    """Compile it once for all tests; not when this is imported, before pytest has set its own signal handlers."""
    engine = wasmtime.Engine()
    return hostmod.load(TEXT, engine), engine


ALL = (1 << 64) - 1
FOLLOW = 1
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
APPEND, DSYNC, NONBLOCK, RSYNC, SYNC = 1, 2, 4, 8, 16
READ, WRITE = 1 << 1, 1 << 6
ATIM, ATIM_NOW, MTIM, MTIM_NOW = 1, 2, 4, 8
SET, CUR, END = 0, 1, 2


class Refused(Exception):
    """A call ended with an errno."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno


@contextlib.contextmanager
def refused(*names: str) -> Iterator[None]:
    """Expect the call in this block to end with one of these errnos."""
    found = "it worked"
    try:
        yield
    except Refused as error:
        found = error.errno.name
    assert found in names, f"{found}, expected {' or '.join(names)}"


class Stat(NamedTuple):
    dev: int
    ino: int
    filetype: FileType
    nlink: int
    size: int
    atim: int
    mtim: int
    ctim: int


class Fdstat(NamedTuple):
    filetype: FileType
    flags: int
    rights: int
    inheriting: int


class Dirent(NamedTuple):
    next: int
    ino: int
    filetype: FileType
    name: str


class Happening(NamedTuple):
    userdata: int
    error: Errno
    type: int
    nbytes: int
    flags: int


class Program:
    """The guest, running: each method is a call, with Python values for what lies in its memory."""

    def __init__(self, wasi: Wasi, closes: bool = True) -> None:
        self.wasi = wasi
        module, engine = compiled()
        self.guest = hostmod.instantiate(module, wasi, engine=engine)
        self.memory = self.guest.memory
        self._closes = closes
        self._next = 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.guest.close()
        if self._closes:
            self.wasi.close()

    # ----------------------------------------------------------------------------------------------- memory

    def put(self, data: bytes) -> int:
        """Store bytes in the guest's memory, and return where."""
        offset = self.room(len(data))
        self.memory.write(offset, data)
        return offset

    def room(self, size: int) -> int:
        """Find room in the guest's memory, filled with 0xAA."""
        offset = -(-self._next // 8) * 8
        missing = offset + size - len(self.memory)
        if missing > 0:
            self.memory.grow(-(-missing // 65536))
        self._next = offset + size
        self.memory.write(offset, b"\xaa" * size)
        return offset

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(layout, self.memory.read(offset, struct.calcsize(layout)))

    def u32(self, offset: int) -> int:
        return self.memory.read_uint32(offset)

    # ------------------------------------------------------------------------------------------------ calls

    def call(self, name: str, *arguments: int) -> Errno:
        """Make a call of core values."""
        return Errno(self.guest.exports[name](*arguments))

    def do(self, name: str, *arguments: int | str | bytes) -> None:
        """Make a call; text and bytes are stored and passed as an address and a length. `Refused` for an errno."""
        start = self._next
        words: list[int] = []
        for each in arguments:
            if isinstance(each, int):
                words.append(each)
            else:
                data = each.encode() if isinstance(each, str) else each
                words += (self.put(data), len(data))
        try:
            found = self.call(name, *words)
        finally:
            self._next = start
        if found:
            raise Refused(found)

    def answer(self, layout: str, name: str, *arguments: int | str | bytes) -> Any:
        """Make a call whose last parameter points to where its answer goes; return it."""
        out = self.room(struct.calcsize(layout))
        self.do(name, *arguments, out)
        found = self.unpack(layout, out)
        return found[0] if len(found) == 1 else found

    def iovs(self, *sizes: int) -> tuple[int, int, list[int]]:
        """Make buffers of these sizes; return address and count of the array, and where the buffers are."""
        places = [self.room(size) for size in sizes]
        words = b"".join(struct.pack("<II", *each) for each in zip(places, sizes, strict=True))
        return self.put(words), len(sizes), places

    def ciovs(self, *pieces: bytes) -> tuple[int, int]:
        """Make buffers that hold these pieces; return address and count of the array."""
        words = b"".join(struct.pack("<II", self.put(piece), len(piece)) for piece in pieces)
        return self.put(words), len(pieces)

    # ------------------------------------------------------------------------------------------------ files

    def open(
        self,
        path: str | bytes,
        *,
        fd: int = 3,
        follow: bool = False,
        oflags: int = 0,
        rights: int = FILE_RIGHTS,
        inheriting: int = 0,
        fdflags: int = 0,
    ) -> int:
        found: int = self.answer(
            "<I", "path_open", fd, FOLLOW * follow, path, oflags, rights, inheriting, fdflags
        )
        return found

    def open_directory(
        self, path: str | bytes, *, fd: int = 3, follow: bool = False, oflags: int = DIRECTORY
    ) -> int:
        return self.open(
            path,
            fd=fd,
            follow=follow,
            oflags=oflags,
            rights=DIRECTORY_RIGHTS,
            inheriting=DIRECTORY_RIGHTS | FILE_RIGHTS,
        )

    def close(self, fd: int) -> None:
        self.do("fd_close", fd)

    def read(self, fd: int, *sizes: int) -> bytes:
        return self._filled("fd_read", fd, sizes)

    def pread(self, fd: int, offset: int, *sizes: int) -> bytes:
        return self._filled("fd_pread", fd, sizes, offset)

    def _filled(self, name: str, fd: int, sizes: tuple[int, ...], *more: int) -> bytes:
        iovs, count, places = self.iovs(*sizes)
        size: int = self.answer("<I", name, fd, iovs, count, *more)
        whole = b"".join(self.memory.read(place, length) for place, length in zip(places, sizes, strict=True))
        assert whole[size:] == b"\xaa" * (len(whole) - size), "more was written than the call says"
        return whole[:size]

    def write(self, fd: int, *pieces: bytes) -> int:
        found: int = self.answer("<I", "fd_write", fd, *self.ciovs(*pieces))
        return found

    def pwrite(self, fd: int, offset: int, *pieces: bytes) -> int:
        found: int = self.answer("<I", "fd_pwrite", fd, *self.ciovs(*pieces), offset)
        return found

    def seek(self, fd: int, offset: int, whence: int = SET) -> int:
        found: int = self.answer("<Q", "fd_seek", fd, offset, whence)
        return found

    def tell(self, fd: int) -> int:
        found: int = self.answer("<Q", "fd_tell", fd)
        return found

    def fdstat(self, fd: int) -> Fdstat:
        filetype, flags, rights, inheriting = self.answer("<BxH4xQQ", "fd_fdstat_get", fd)
        return Fdstat(FileType(filetype), flags, rights, inheriting)

    def fstat(self, fd: int) -> Stat:
        return self._stat(*self.answer("<QQB7xQQQQQ", "fd_filestat_get", fd))

    def stat(self, path: str | bytes, *, fd: int = 3, follow: bool = False) -> Stat:
        return self._stat(*self.answer("<QQB7xQQQQQ", "path_filestat_get", fd, FOLLOW * follow, path))

    @staticmethod
    def _stat(dev: int, ino: int, filetype: int, *rest: int) -> Stat:
        return Stat(dev, ino, FileType(filetype), *rest)

    # ---------------------------------------------------------------------------------------------- paths

    def mkdir(self, path: str | bytes, fd: int = 3) -> None:
        self.do("path_create_directory", fd, path)

    def rmdir(self, path: str | bytes, fd: int = 3) -> None:
        self.do("path_remove_directory", fd, path)

    def unlink(self, path: str | bytes, fd: int = 3) -> None:
        self.do("path_unlink_file", fd, path)

    def rename(self, old: str | bytes, new: str | bytes, fd: int = 3, new_fd: int = 3) -> None:
        self.do("path_rename", fd, old, new_fd, new)

    def link(self, old: str | bytes, new: str | bytes, fd: int = 3, new_fd: int = 3, flags: int = 0) -> None:
        self.do("path_link", fd, flags, old, new_fd, new)

    def symlink(self, target: str | bytes, path: str | bytes, fd: int = 3) -> None:
        self.do("path_symlink", target, fd, path)

    def readlink(self, path: str | bytes, size: int = 256, fd: int = 3) -> bytes:
        buffer = self.room(size)
        used: int = self.answer("<I", "path_readlink", fd, path, buffer, size)
        assert self.memory.read(buffer + used, size - used) == b"\xaa" * (size - used)
        return self.memory.read(buffer, used)

    def set_times(
        self, path: str | bytes, atim: int, mtim: int, flags: int, *, fd: int = 3, follow: bool = False
    ) -> None:
        self.do("path_filestat_set_times", fd, FOLLOW * follow, path, atim, mtim, flags)

    def readdir(self, fd: int, size: int = 4096, cookie: int = 0) -> list[Dirent]:
        """Read the entries that one buffer of `size` bytes takes whole."""
        return list(self.entries(self.readdir_bytes(fd, size, cookie)))

    def readdir_bytes(self, fd: int, size: int, cookie: int) -> bytes:
        buffer = self.room(size)
        used: int = self.answer("<I", "fd_readdir", fd, buffer, size, cookie)
        return self.memory.read(buffer, used)

    @staticmethod
    def entries(data: bytes) -> Iterator[Dirent]:
        while len(data) >= 24:
            following, ino, length, filetype = struct.unpack_from("<QQIB", data)
            if len(data) < 24 + length:
                return
            yield Dirent(following, ino, FileType(filetype), data[24 : 24 + length].decode())
            data = data[24 + length :]

    def names(self, fd: int) -> list[str]:
        """All names in a directory, by as many calls as it takes, without ``.`` and ``..``."""
        found: list[str] = []
        cookie = 0
        while entries := self.readdir(fd, 512, cookie):
            found += [each.name for each in entries]
            cookie = entries[-1].next
        return sorted(set(found) - {".", ".."})

    # ---------------------------------------------------------------------------------------- more than one

    def slurp(self, path: str, fd: int = 3) -> bytes:
        """Read a file's bytes."""
        opened = self.open(path, fd=fd, rights=READ)
        try:
            return self.read(opened, 4096)
        finally:
            self.close(opened)

    def spill(self, path: str, data: bytes = b"", fd: int = 3) -> None:
        """Write a file."""
        opened = self.open(path, fd=fd, oflags=CREAT | TRUNC, rights=WRITE)
        if data:
            assert self.write(opened, data) == len(data)
        self.close(opened)

    def poll(self, *subscriptions: bytes) -> list[Happening]:
        where = self.put(b"".join(subscriptions))
        events = self.room(32 * len(subscriptions))
        count: int = self.answer("<I", "poll_oneoff", where, events, len(subscriptions))
        found = []
        for index in range(count):
            userdata, error, type_, nbytes, flags = self.unpack("<QHB5xQH6x", events + 32 * index)
            found.append(Happening(userdata, Errno(error), type_, nbytes, flags))
        return found


def clock_event(userdata: int, timeout: int, clock: int = 1, flags: int = 0) -> bytes:
    """A subscription to a clock."""
    return struct.pack("<QB7xI4xQQH6x", userdata, 0, clock, timeout, 0, flags)


def fd_event(userdata: int, tag: int, fd: int) -> bytes:
    """A subscription to a descriptor: tag 1 to read, 2 to write."""
    return struct.pack("<QB7xI28x", userdata, tag, fd)
