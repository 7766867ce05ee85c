"""The `System` interface: files, directories and clocks that a guest gets, as plain Python values.

A `System` gives one `Directory`; directories give files and further directories. None of them sees guest memory, and
none resolves a path: a name given to them is one component, never empty, ``.`` or ``..``, without ``/`` and NUL, and is
never followed if it is a symbolic link. `hostmod.wasi.sandbox` makes names of paths, for every System alike.

What cannot be done is said by raising `WasiError`, or an OSError of the host's, which is translated. `Directory` and
`File` come with defaults: a subclass writes the methods it has, and refuses the others without a word. (They are no
Protocols, whose isinstance takes a microsecond.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, runtime_checkable

from hostmod.wasi.abi import DIRECTORY, ClockId, Errno, Filestat, FileType, WasiError

MAX_OFFSET = 2**63 - 1
"""The largest offset in a file, in bytes: what POSIX's off_t and WASI's filedelta hold."""


class Entry(NamedTuple):
    """One entry of a directory, other than ``.`` and ``..``."""

    name: str
    ino: int
    filetype: FileType


class Access(NamedTuple):
    """What a file is opened for: `create` if there is none, and then `exclusive` if there is one."""

    read: bool = True
    write: bool = False
    create: bool = False
    exclusive: bool = False
    truncate: bool = False
    flags: int = 0
    """Bits of `FdFlags`."""


class File:
    """An open file, stream or socket, with a position of its own if it has one.

    >>> class Zeros(File):
    ...     def read(self, size: int) -> bytes:
    ...         return bytes(size)
    >>> Zeros().write(b"x")
    Traceback (most recent call last):
    hostmod.wasi.abi.WasiError: BADF
    """

    __slots__ = ()

    filetype: FileType = FileType.UNKNOWN

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes from the position on; ``b""`` at the end only."""
        raise WasiError(Errno.BADF)

    def write(self, data: bytes) -> int:
        """Write at the position, and return how many bytes were taken: 1 or more, unless `data` is empty."""
        raise WasiError(Errno.BADF)

    def pread(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset` on, and leave the position."""
        raise WasiError(Errno.SPIPE)

    def pwrite(self, data: bytes, offset: int) -> int:
        """Write at `offset`, return how many bytes were taken, and leave the position."""
        raise WasiError(Errno.SPIPE)

    def seek(self, offset: int, whence: int) -> int:
        """Move the position (`whence` as in `Whence`) and return it, in bytes from the start."""
        raise WasiError(Errno.SPIPE)

    def filestat(self) -> Filestat:
        """Return its attributes."""
        return Filestat(0, 0, int(self.filetype), 1, 0, 0, 0, 0)

    def set_size(self, size: int) -> None:
        """Cut it, or fill it with zeros, to `size` bytes."""
        raise WasiError(Errno.INVAL)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set times in nanoseconds since 1970; None leaves one as it is."""
        raise WasiError(Errno.NOTSUP)

    def set_flags(self, flags: int) -> None:
        """Take up other bits of `FdFlags`."""
        if flags:
            raise WasiError(Errno.NOTSUP)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that there is room for `length` bytes from `offset` on, and that the size covers them."""
        raise WasiError(Errno.NOTSUP)

    def advise(self, offset: int, length: int, advice: int) -> None:
        """Hear how it will be used (`Advice`)."""

    def sync(self) -> None:
        """Bring everything to the disk."""

    def datasync(self) -> None:
        """Bring the bytes to the disk, and what is needed to find them."""

    def ready(self, write: bool) -> int | None:
        """Say how many bytes can be read (or written) without waiting, at least 1 if any; None for none."""
        return 1

    def fileno(self) -> int | None:
        """Return a descriptor of the host's to wait on while `ready` says None; None if there is none."""
        return None

    def close(self) -> None:
        """Let go of it; called once."""


class Directory:
    """An open directory. Every name is one component, and symbolic links are never followed.

    Where a name must be there and is not: NOENT; where it must not be and is: EXIST; where it must be a directory and
    is not (a link to one is none): NOTDIR.
    """

    def filestat(self) -> Filestat:
        """Return its own attributes."""
        return Filestat(0, 0, DIRECTORY, 1, 0, 0, 0, 0)

    def entries(self, limit: int) -> Iterable[Entry]:
        """List what is in it, without ``.`` and ``..``, in any order; it may stop after `limit` entries."""
        raise WasiError(Errno.NOTSUP)

    def stat(self, name: str) -> Filestat:
        """Return the attributes of an entry; of the link itself, if it is one."""
        raise WasiError(Errno.NOENT)

    def enter(self, name: str) -> Directory:
        """Open a directory in it, to resolve names in; read permission is not needed."""
        raise WasiError(Errno.NOENT)

    def reach(self, names: list[str]) -> Directory | None:
        """Do what `enter` would do for one name after the other, at once; None where there is no faster way."""
        return None

    def open_directory(self, name: str | None) -> Directory:
        """Open a directory in it (None: itself, again) for the guest to hold."""
        return self if name is None else self.enter(name)

    def open_file(self, name: str, access: Access) -> File:
        """Open a file that is no directory; ISDIR if it is one, LOOP if it is a symbolic link."""
        raise WasiError(Errno.NOENT)

    def read_link(self, name: str) -> str:
        """Return what a symbolic link holds; INVAL if it is none."""
        raise WasiError(Errno.INVAL)

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None:
        """Set times of an entry (None: its own), in nanoseconds since 1970; None leaves one as it is."""
        raise WasiError(Errno.ROFS)

    def create_directory(self, name: str) -> None:
        """Make a directory."""
        raise WasiError(Errno.ROFS)

    def create_symlink(self, name: str, target: str) -> None:
        """Make a symbolic link that holds `target`."""
        raise WasiError(Errno.ROFS)

    def link(self, name: str, new: Directory, new_name: str) -> None:
        """Make `new_name` in `new` another name of a file; PERM for a directory, XDEV if `new` is of another System."""
        raise WasiError(Errno.ROFS)

    def rename(self, name: str, new: Directory, new_name: str) -> None:
        """Move an entry, replacing what has its new name as POSIX says; XDEV if `new` is of another System."""
        raise WasiError(Errno.ROFS)

    def remove_directory(self, name: str) -> None:
        """Remove a directory; NOTEMPTY if anything is in it."""
        raise WasiError(Errno.ROFS)

    def remove_file(self, name: str) -> None:
        """Remove anything but a directory, for which ISDIR."""
        raise WasiError(Errno.ROFS)

    def receiver(self, name: str) -> Directory:
        """Return the directory that an entry of this name would be put into: itself, unless it is made of others."""
        return self

    def sync(self) -> None:
        """Bring it to the disk."""

    def close(self) -> None:
        """Let go of it; called once."""


@runtime_checkable
class System(Protocol):
    """Something with a tree of files that can be preopened for a guest."""

    def root(self) -> Directory:
        """Open the directory at the top of the tree."""
        ...


@runtime_checkable
class Clock(Protocol):
    """The time that a guest sees. A plain function that returns nanoseconds will do in its place."""

    def time(self, clock: int) -> int:
        """Return the time of a clock (`ClockId`) in nanoseconds."""
        ...

    def resolution(self, clock: int) -> int:
        """Return the step of a clock in nanoseconds, 1 or more."""
        ...

    def sleep(self, nanoseconds: int) -> None:
        """Let that much time pass; an interrupted sleep may be shorter."""
        ...


MAX_SLEEP = 3600 * 10**9
"""Nanoseconds of one call of `time.sleep`: whoever waits longer looks at the clock each hour."""


class MachineClock:
    """The machine's clocks; processor time counts from when this is made."""

    def __init__(self) -> None:
        process, thread = time.process_time_ns(), time.thread_time_ns()
        self.functions: dict[int, Callable[[], int]] = {
            ClockId.REALTIME: time.time_ns,
            ClockId.MONOTONIC: time.monotonic_ns,
            ClockId.PROCESS_CPUTIME_ID: lambda: time.process_time_ns() - process,
            ClockId.THREAD_CPUTIME_ID: lambda: max(0, time.thread_time_ns() - thread),
        }

    def time(self, clock: int) -> int:
        return self.functions[clock]()

    def resolution(self, clock: int) -> int:
        info = (
            time.get_clock_info("time"),
            time.get_clock_info("monotonic"),
            time.get_clock_info("process_time"),
            time.get_clock_info("thread_time"),
        )[clock]
        return max(1, round(info.resolution * 1e9))

    def sleep(self, nanoseconds: int) -> None:
        time.sleep(min(nanoseconds, MAX_SLEEP) / 1e9)


class FunctionClock:
    """One function for every clock; what sleeps, sleeps by the machine's clock."""

    def __init__(self, function: Callable[[], int]) -> None:
        self._function = function

    def time(self, clock: int) -> int:
        return self._function()

    def resolution(self, clock: int) -> int:
        return 1

    def sleep(self, nanoseconds: int) -> None:
        time.sleep(min(nanoseconds, MAX_SLEEP) / 1e9)


class ManualClock:
    """A clock that stands still until the embedder moves it, or the guest sleeps; `step` passes at each look.

    >>> clock = ManualClock(1_000)
    >>> clock.sleep(500)
    >>> clock.time(0), clock.now
    (1500, 1500)
    """

    def __init__(self, now: int = 0, step: int = 0) -> None:
        self.now = now
        self.step = step

    def time(self, clock: int) -> int:
        now = self.now
        self.now = now + self.step
        return now

    def resolution(self, clock: int) -> int:
        return max(1, self.step)

    def sleep(self, nanoseconds: int) -> None:
        self.now += nanoseconds
