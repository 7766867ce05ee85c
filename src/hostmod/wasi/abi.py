"""The tables of WASI preview 1: error numbers, rights, flags, and how records lie in guest memory.

Source: WebAssembly/WASI, branch wasi-0.1, preview1/docs.md. Each name here cites the heading it comes from. Flags are
plain ints, named by a class: an enum.IntFlag takes ten times as long to test a bit.
"""

from __future__ import annotations

import enum
import errno as _host
from typing import Annotated, Any

from hostmod.types import IntegerType, Uint8, Uint16, Uint32, Uint64, struct

# -------------------------------------------------------------------------------------------------------------- errno


class Errno(enum.IntEnum):
    """What a call ended with. Source: "errno: Variant", tag u16."""

    SUCCESS = 0
    TOOBIG = 1  # `2big` in the specification, which is no Python name
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76


def _host_numbers() -> dict[int, Errno]:
    """Pair this host's error numbers with WASI's, by name."""
    # Names that a host may spell otherwise, or has in addition: POSIX lets EWOULDBLOCK and EOPNOTSUPP have numbers of
    # their own.
    found = {
        getattr(_host, "EWOULDBLOCK", _host.EAGAIN): Errno.AGAIN,
        getattr(_host, "EOPNOTSUPP", _host.EINVAL): Errno.NOTSUP,
        _host.E2BIG: Errno.TOOBIG,
    }
    for each in Errno:
        number = getattr(_host, f"E{each.name}", None)
        if number is not None:
            found[number] = each
    return found


HOST_ERRNO = _host_numbers()
"""WASI's error numbers by this host's."""


class WasiError(Exception):
    """A call that a `System` refuses: `errno` is what the guest gets.

    It is no OSError, whose numbers are the host's: a System may raise those too, and they are translated.

    >>> WasiError(Errno.NOENT)
    WasiError(NOENT)
    """

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno)
        self.errno = errno

    def __str__(self) -> str:
        return self.errno.name

    def __repr__(self) -> str:
        return f"WasiError({self.errno.name})"


def errno_of(error: OSError) -> Errno:
    """Translate an error of the host's into WASI's number; IO where there is none.

    >>> errno_of(FileNotFoundError(2, "gone")).name, errno_of(TimeoutError("slow")).name, errno_of(OSError("?")).name
    ('NOENT', 'TIMEDOUT', 'IO')
    """
    if error.errno is None:
        return Errno.TIMEDOUT if isinstance(error, TimeoutError) else Errno.IO
    return HOST_ERRNO.get(error.errno, Errno.IO)


def number_of(error: WasiError | OSError) -> Errno:
    """Return WASI's number of a refusal, whichever of the two it is."""
    return error.errno if isinstance(error, WasiError) else errno_of(error)


# ------------------------------------------------------------------------------------------------------ enumerations


class ClockId(enum.IntEnum):
    """Source: "clockid: Variant", tag u32."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME_ID = 2
    THREAD_CPUTIME_ID = 3


class FileType(enum.IntEnum):
    """Source: "filetype: Variant", tag u8."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class Whence(enum.IntEnum):
    """Source: "whence: Variant", tag u8."""

    SET = 0
    CUR = 1
    END = 2


class Advice(enum.IntEnum):
    """Source: "advice: Variant", tag u8."""

    NORMAL = 0
    SEQUENTIAL = 1
    RANDOM = 2
    WILLNEED = 3
    DONTNEED = 4
    NOREUSE = 5


class EventType(enum.IntEnum):
    """Source: "eventtype: Variant", tag u8."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


class Signal(enum.IntEnum):
    """Source: "signal: Variant", tag u8."""

    NONE = 0
    HUP = 1
    INT = 2
    QUIT = 3
    ILL = 4
    TRAP = 5
    ABRT = 6
    BUS = 7
    FPE = 8
    KILL = 9
    USR1 = 10
    SEGV = 11
    USR2 = 12
    PIPE = 13
    ALRM = 14
    TERM = 15
    CHLD = 16
    CONT = 17
    STOP = 18
    TSTP = 19
    TTIN = 20
    TTOU = 21
    URG = 22
    XCPU = 23
    XFSZ = 24
    VTALRM = 25
    PROF = 26
    WINCH = 27
    POLL = 28
    PWR = 29
    SYS = 30


IGNORED_SIGNALS = frozenset({Signal.NONE, Signal.PIPE, Signal.CHLD, Signal.CONT, Signal.URG, Signal.WINCH})
"""Signals whose action is "Ignored", or "Continues executing, if stopped". Source: "signal: Variant"."""

STOP_SIGNALS = frozenset({Signal.STOP, Signal.TSTP, Signal.TTIN, Signal.TTOU})
"""Signals whose action is "Stops executing". Source: "signal: Variant"."""

PREOPEN_DIRECTORY = 0
"""The one case of "preopentype: Variant", tag u8."""

# ------------------------------------------------------------------------------------------------------------- flags


def bits(count: int) -> tuple[int, ...]:
    """The lowest bits, one after the other, for as many names."""
    return tuple(1 << place for place in range(count))


class Rights:
    """What may be done with a descriptor, as bits of a u64. Source: "rights: Record"."""

    (
        FD_DATASYNC,
        FD_READ,
        FD_SEEK,
        FD_FDSTAT_SET_FLAGS,
        FD_SYNC,
        FD_TELL,
        FD_WRITE,
        FD_ADVISE,
        FD_ALLOCATE,
        PATH_CREATE_DIRECTORY,
        PATH_CREATE_FILE,
        PATH_LINK_SOURCE,
        PATH_LINK_TARGET,
        PATH_OPEN,
        FD_READDIR,
        PATH_READLINK,
        PATH_RENAME_SOURCE,
        PATH_RENAME_TARGET,
        PATH_FILESTAT_GET,
        PATH_FILESTAT_SET_SIZE,
        PATH_FILESTAT_SET_TIMES,
        FD_FILESTAT_GET,
        FD_FILESTAT_SET_SIZE,
        FD_FILESTAT_SET_TIMES,
        PATH_SYMLINK,
        PATH_REMOVE_DIRECTORY,
        PATH_UNLINK_FILE,
        POLL_FD_READWRITE,
        SOCK_SHUTDOWN,
        SOCK_ACCEPT,
    ) = bits(30)


class FdFlags:
    """How a descriptor reads and writes, as bits of a u16. Source: "fdflags: Record"."""

    APPEND, DSYNC, NONBLOCK, RSYNC, SYNC = bits(5)


class LookupFlags:
    """How a path is followed, as bits of a u32. Source: "lookupflags: Record"."""

    SYMLINK_FOLLOW = 1 << 0


class OFlags:
    """How `path_open` opens, as bits of a u16. Source: "oflags: Record"."""

    CREAT, DIRECTORY, EXCL, TRUNC = bits(4)


class FstFlags:
    """Which times to set, as bits of a u16. Source: "fstflags: Record"."""

    ATIM, ATIM_NOW, MTIM, MTIM_NOW = bits(4)


class EventRwFlags:
    """Bits of a u16. Source: "eventrwflags: Record"."""

    FD_READWRITE_HANGUP = 1 << 0


class SubclockFlags:
    """Bits of a u16. Source: "subclockflags: Record"."""

    SUBSCRIPTION_CLOCK_ABSTIME = 1 << 0


class RiFlags:
    """How `sock_recv` receives, as bits of a u16. Source: "riflags: Record"."""

    RECV_PEEK, RECV_WAITALL = bits(2)


class RoFlags:
    """What `sock_recv` says, as bits of a u16. Source: "roflags: Record"."""

    RECV_DATA_TRUNCATED = 1 << 0


class SdFlags:
    """Which directions `sock_shutdown` ends, as bits of a u8. Source: "sdflags: Record"."""

    RD, WR = bits(2)


def mask(flags: type) -> int:
    """All bits that a class of flags names."""
    return sum(value for name, value in vars(flags).items() if name.isupper())


# --------------------------------------------------------------------------------------------------------- rights sets

FILE_RIGHTS = (
    Rights.FD_DATASYNC
    | Rights.FD_READ
    | Rights.FD_SEEK
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_SYNC
    | Rights.FD_TELL
    | Rights.FD_WRITE
    | Rights.FD_ADVISE
    | Rights.FD_ALLOCATE
    | Rights.FD_FILESTAT_GET
    | Rights.FD_FILESTAT_SET_SIZE
    | Rights.FD_FILESTAT_SET_TIMES
    | Rights.POLL_FD_READWRITE
)
"""Rights that apply to a regular file."""

DIRECTORY_RIGHTS = (
    Rights.FD_DATASYNC
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_SYNC
    | Rights.PATH_CREATE_DIRECTORY
    | Rights.PATH_CREATE_FILE
    | Rights.PATH_LINK_SOURCE
    | Rights.PATH_LINK_TARGET
    | Rights.PATH_OPEN
    | Rights.FD_READDIR
    | Rights.PATH_READLINK
    | Rights.PATH_RENAME_SOURCE
    | Rights.PATH_RENAME_TARGET
    | Rights.PATH_FILESTAT_GET
    | Rights.PATH_FILESTAT_SET_SIZE
    | Rights.PATH_FILESTAT_SET_TIMES
    | Rights.FD_FILESTAT_GET
    | Rights.FD_FILESTAT_SET_TIMES
    | Rights.PATH_SYMLINK
    | Rights.PATH_REMOVE_DIRECTORY
    | Rights.PATH_UNLINK_FILE
)
"""Rights that apply to a directory."""

STREAM_RIGHTS = (
    Rights.FD_READ
    | Rights.FD_WRITE
    | Rights.FD_DATASYNC
    | Rights.FD_SYNC
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_FILESTAT_GET
    | Rights.POLL_FD_READWRITE
)
"""Rights that apply to a stream: C libraries take one without FD_SEEK and FD_TELL for a possible terminal."""

SOCKET_RIGHTS = (
    Rights.FD_READ
    | Rights.FD_WRITE
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_FILESTAT_GET
    | Rights.POLL_FD_READWRITE
    | Rights.SOCK_SHUTDOWN
    | Rights.SOCK_ACCEPT
)
"""Rights that apply to a socket."""

# -------------------------------------------------------------------------------- guest types that show what they mean


def names_of(flags: type, value: int) -> str:
    """Show bits by name: ``CREAT|TRUNC``, with what no name covers in hexadecimal; ``0`` for none.

    >>> names_of(OFlags, 9), names_of(OFlags, 0), names_of(OFlags, 33)
    ('CREAT|TRUNC', '0', 'CREAT|0x20')
    """
    if value == mask(flags) and value & (value - 1):
        return "ALL"
    found = [name for name, bit in vars(flags).items() if name.isupper() and value & bit]
    rest = value & ~mask(flags)
    if rest:
        found.append(f"0x{rest:x}")
    return "|".join(found) or "0"


class FlagsType(IntegerType):
    """Bits, which are passed as a plain int and show by name."""

    def __init__(self, flags: type, core: Any, format: str) -> None:
        super().__init__(flags.__name__, core, format)
        self.flags = flags

    def show(self, value: int) -> str:
        return names_of(self.flags, int(value))


class ChoiceType(IntegerType):
    """One of an enumeration, which is passed as a plain int (a guest may pass any) and shows by name."""

    def __init__(self, choices: type[enum.IntEnum], core: Any, format: str) -> None:
        super().__init__(choices.__name__, core, format)
        self.choices = choices

    def show(self, value: int) -> str:
        try:
            return self.choices(value).name
        except ValueError:
            return str(int(value))


# As parameters all of them are 32 or 64 bits wide, so that a bit outside the narrower type of the specification is
# seen, and refused, in place of dropped.
RightsParam = Annotated[int, FlagsType(Rights, "i64", "Q")]
FdFlagsParam = Annotated[int, FlagsType(FdFlags, "i32", "I")]
LookupFlagsParam = Annotated[int, FlagsType(LookupFlags, "i32", "I")]
OFlagsParam = Annotated[int, FlagsType(OFlags, "i32", "I")]
FstFlagsParam = Annotated[int, FlagsType(FstFlags, "i32", "I")]
RiFlagsParam = Annotated[int, FlagsType(RiFlags, "i32", "I")]
RoFlagsField = Annotated[int, FlagsType(RoFlags, "i32", "H")]
SdFlagsParam = Annotated[int, FlagsType(SdFlags, "i32", "I")]
ClockIdParam = Annotated[int, ChoiceType(ClockId, "i32", "I")]
WhenceParam = Annotated[int, ChoiceType(Whence, "i32", "I")]
AdviceParam = Annotated[int, ChoiceType(Advice, "i32", "I")]
SignalParam = Annotated[int, ChoiceType(Signal, "i32", "I")]
FileTypeField = Annotated[int, ChoiceType(FileType, "i32", "B")]
EventTypeField = Annotated[int, ChoiceType(EventType, "i32", "B")]
ErrnoField = Annotated[int, ChoiceType(Errno, "i32", "H")]
FdFlagsField = Annotated[int, FlagsType(FdFlags, "i32", "H")]

# ------------------------------------------------------------------------------------------------------------ records


@struct
class Filestat:
    """A file's attributes; times in nanoseconds since 1970. Source: "filestat: Record", 64 bytes::

    dev 0 · ino 8 · filetype 16 · nlink 24 · size 32 · atim 40 · mtim 48 · ctim 56
    """

    dev: Uint64
    ino: Uint64
    filetype: FileTypeField
    nlink: Uint64
    size: Uint64
    atim: Uint64
    mtim: Uint64
    ctim: Uint64


# Members of an enumeration take 0.1 µs to look up in CPython 3.11, and a struct that holds one is stored a field at a
# time: what is compared at each call is a plain int, and so is the type in each Filestat that hostmod makes.
DIRECTORY, SYMBOLIC_LINK = int(FileType.DIRECTORY), int(FileType.SYMBOLIC_LINK)
REGULAR_FILE = int(FileType.REGULAR_FILE)


@struct
class Fdstat:
    """A descriptor's attributes. Source: "fdstat: Record", 24 bytes::

    filetype 0 · flags 2 · rights_base 8 · rights_inheriting 16
    """

    filetype: FileTypeField
    flags: FdFlagsField
    rights_base: RightsParam
    rights_inheriting: RightsParam


@struct
class Prestat:
    """What a preopened descriptor is. Source: "prestat: Variant", 8 bytes: tag 0 · name_length 4."""

    tag: Uint8
    name_length: Uint32


@struct
class Dirent:
    """The head of a directory entry; its name follows. Source: "dirent: Record", 24 bytes::

    next 0 · ino 8 · name_length 16 · filetype 20
    """

    next: Uint64
    ino: Uint64
    name_length: Uint32
    filetype: FileTypeField


@struct
class SubscriptionClock:
    """Source: "subscription_clock: Record", 32 bytes: id 0 · timeout 8 · precision 16 · flags 24.

    In a subscription to a descriptor, that descriptor stands where `id` is (see "subscription_fd_readwrite: Record").
    """

    id: Uint32
    timeout: Uint64
    precision: Uint64
    flags: Uint16


@struct
class Subscription:
    """Source: "subscription: Record", 48 bytes: userdata 0 · tag 8 · the clock or descriptor 16."""

    userdata: Uint64
    tag: EventTypeField
    clock: SubscriptionClock


@struct
class Event:
    """Source: "event: Record", 32 bytes: userdata 0 · error 8 · type 10 · nbytes 16 · flags 24."""

    userdata: Uint64
    error: ErrnoField
    type: EventTypeField
    nbytes: Uint64
    flags: Uint16
