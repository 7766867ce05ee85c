"""`HostDirectory`: a directory of the host, and what is beneath it, as a System.

Every call names one component relative to a directory descriptor, and none follows a link, so that nothing outside can
be reached by a name; see `hostmod.wasi.sandbox` for how paths become names.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import stat as _stat
import struct
from collections.abc import Callable, Iterator

from hostmod.wasi.abi import Advice, Errno, FdFlags, Filestat, FileType, WasiError, Whence
from hostmod.wasi.system import Access, Directory, Entry, File

_ENTER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: should a FIFO take the place of the file that was looked at, opening it does not wait.
_OPEN_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_FILE_MODE, _DIRECTORY_MODE = 0o666, 0o777  # less the umask

_TYPES: dict[int, int] = {
    _stat.S_IFREG: int(FileType.REGULAR_FILE),
    _stat.S_IFDIR: int(FileType.DIRECTORY),
    _stat.S_IFLNK: int(FileType.SYMBOLIC_LINK),
    _stat.S_IFBLK: int(FileType.BLOCK_DEVICE),
    _stat.S_IFCHR: int(FileType.CHARACTER_DEVICE),
    _stat.S_IFSOCK: int(FileType.SOCKET_STREAM),
}
_FORMAT = 0o170000  # S_IFMT

_ADVICE = {
    Advice.NORMAL: getattr(os, "POSIX_FADV_NORMAL", 0),
    Advice.SEQUENTIAL: getattr(os, "POSIX_FADV_SEQUENTIAL", 2),
    Advice.RANDOM: getattr(os, "POSIX_FADV_RANDOM", 1),
    Advice.WILLNEED: getattr(os, "POSIX_FADV_WILLNEED", 3),
    Advice.DONTNEED: getattr(os, "POSIX_FADV_DONTNEED", 4),
    Advice.NOREUSE: getattr(os, "POSIX_FADV_NOREUSE", 5),
}

_WHENCE = {Whence.SET: os.SEEK_SET, Whence.CUR: os.SEEK_CUR, Whence.END: os.SEEK_END}


def filestat_of(found: os.stat_result) -> Filestat:
    """Say in WASI's terms what the host says of a file."""
    atim, mtim, ctim = found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns
    if atim < 0 or mtim < 0 or ctim < 0:  # before 1970
        atim, mtim, ctim = max(0, atim), max(0, mtim), max(0, ctim)
    return Filestat(
        found.st_dev & (2**64 - 1),
        found.st_ino,
        _TYPES.get(found.st_mode & _FORMAT, 0),
        found.st_nlink,
        found.st_size,
        atim,
        mtim,
        ctim,
    )


class HostDirectory:
    """A System: a directory of the host. `path` is followed wherever it leads; what is beneath it is not."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def root(self) -> Directory:
        return PosixDirectory(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def __repr__(self) -> str:
        return f"HostDirectory({self.path!r})"


class _Descriptor:
    """Owns a descriptor of the host's, and closes it at the latest when nobody refers to this any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close it, once."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self.fd >= 0:
            close(self.fd)


class PosixDirectory(_Descriptor, Directory):
    """An open directory of the host."""

    __slots__ = ()

    def filestat(self) -> Filestat:
        return filestat_of(os.fstat(self.fd))

    def entries(self, limit: int) -> Iterator[Entry]:
        with os.scandir(self.fd) as found:
            for each in itertools.islice(found, limit):
                try:
                    each.name.encode()
                except UnicodeEncodeError:
                    continue  # no UTF-8: WASI has no way to name it
                yield Entry(each.name, each.inode(), _type_of(each))

    def stat(self, name: str) -> Filestat:
        return filestat_of(os.stat(name.encode(), dir_fd=self.fd, follow_symlinks=False))

    def enter(self, name: str) -> Directory:
        return PosixDirectory(os.open(name.encode(), _ENTER, dir_fd=self.fd))

    def reach(self, names: list[str]) -> Directory | None:
        fd = _open_beneath(self.fd, names)
        return None if fd < 0 else PosixDirectory(fd)

    def open_directory(self, name: str | None) -> Directory:
        return PosixDirectory(
            os.open(b"." if name is None else name.encode(), _OPEN_DIRECTORY, dir_fd=self.fd)
        )

    def open_file(self, name: str, access: Access) -> File:
        path = name.encode()
        flags = _OPEN_FILE | _open_flags(access)
        try:
            found = os.stat(path, dir_fd=self.fd, follow_symlinks=False).st_mode & _FORMAT
        except FileNotFoundError:
            if not access.create:
                raise
        else:
            if access.create and access.exclusive:
                raise WasiError(Errno.EXIST)
            _check_kind(found)
        fd = os.open(path, flags, _FILE_MODE, dir_fd=self.fd)
        try:
            _check_kind(os.fstat(fd).st_mode & _FORMAT)
            if access.truncate:
                # Not by O_TRUNC, which would act on whatever took the file's place before it could be looked at.
                os.ftruncate(fd, 0)
        except BaseException:
            os.close(fd)
            raise
        return PosixFile(fd)

    def read_link(self, name: str) -> str:
        return os.readlink(name.encode(), dir_fd=self.fd).decode("utf-8", "surrogateescape")

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None:
        path = b"." if name is None else name.encode()
        if atim is None or mtim is None:
            now = os.stat(path, dir_fd=self.fd, follow_symlinks=False)
            atim = now.st_atime_ns if atim is None else atim
            mtim = now.st_mtime_ns if mtim is None else mtim
        os.utime(path, ns=(atim, mtim), dir_fd=self.fd, follow_symlinks=False)

    def create_directory(self, name: str) -> None:
        os.mkdir(name.encode(), _DIRECTORY_MODE, dir_fd=self.fd)

    def create_symlink(self, name: str, target: str) -> None:
        os.symlink(target.encode(), name.encode(), dir_fd=self.fd)

    def link(self, name: str, new: Directory, new_name: str) -> None:
        if not isinstance(new, PosixDirectory):
            raise WasiError(Errno.XDEV)
        os.link(
            name.encode(),
            new_name.encode(),
            src_dir_fd=self.fd,
            dst_dir_fd=new.fd,
            follow_symlinks=False,
        )

    def rename(self, name: str, new: Directory, new_name: str) -> None:
        if not isinstance(new, PosixDirectory):
            raise WasiError(Errno.XDEV)
        os.rename(name.encode(), new_name.encode(), src_dir_fd=self.fd, dst_dir_fd=new.fd)

    def remove_directory(self, name: str) -> None:
        os.rmdir(name.encode(), dir_fd=self.fd)

    def remove_file(self, name: str) -> None:
        try:
            os.unlink(name.encode(), dir_fd=self.fd)
        except PermissionError:
            # POSIX's answer for a directory, in place of Linux's EISDIR.
            if self.stat(name).filetype == FileType.DIRECTORY:
                raise WasiError(Errno.ISDIR) from None
            raise

    def sync(self) -> None:
        os.fsync(self.fd)


class PosixFile(_Descriptor, File):
    """An open regular file of the host."""

    __slots__ = ("_after_write",)

    filetype = FileType.REGULAR_FILE

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._after_write: Callable[[int], None] | None = None

    def read(self, size: int) -> bytes:
        return os.read(self.fd, size)

    def write(self, data: bytes) -> int:
        written = os.write(self.fd, data)
        if self._after_write is not None:
            self._after_write(self.fd)
        return written

    def pread(self, size: int, offset: int) -> bytes:
        return os.pread(self.fd, size, offset)

    def pwrite(self, data: bytes, offset: int) -> int:
        written = os.pwrite(self.fd, data, offset)
        if self._after_write is not None:
            self._after_write(self.fd)
        return written

    def seek(self, offset: int, whence: int) -> int:
        return os.lseek(self.fd, offset, _WHENCE[Whence(whence)])

    def filestat(self) -> Filestat:
        return filestat_of(os.fstat(self.fd))

    def set_size(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        if atim is None or mtim is None:
            now = os.fstat(self.fd)
            atim = now.st_atime_ns if atim is None else atim
            mtim = now.st_mtime_ns if mtim is None else mtim
        os.utime(self.fd, ns=(atim, mtim))

    def set_flags(self, flags: int) -> None:
        import fcntl

        old = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        append = os.O_APPEND if flags & FdFlags.APPEND else 0
        fcntl.fcntl(self.fd, fcntl.F_SETFL, (old & ~os.O_APPEND) | append)
        # F_SETFL ignores O_SYNC and its like (Linux, fcntl(2)), so they are done by hand.
        if flags & (FdFlags.SYNC | FdFlags.RSYNC):
            self._after_write = os.fsync
        elif flags & FdFlags.DSYNC:
            self._after_write = getattr(os, "fdatasync", os.fsync)
        else:
            self._after_write = None

    def allocate(self, offset: int, length: int) -> None:
        allocate = getattr(os, "posix_fallocate", None)
        if allocate is None:
            raise WasiError(Errno.NOTSUP)
        allocate(self.fd, offset, length)

    def advise(self, offset: int, length: int, advice: int) -> None:
        advise = getattr(os, "posix_fadvise", None)
        if advise is not None:
            advise(self.fd, offset, length, _ADVICE[Advice(advice)])

    def sync(self) -> None:
        os.fsync(self.fd)

    def datasync(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self.fd)


def _type_of(entry: os.DirEntry[str]) -> FileType:
    if entry.is_symlink():
        return FileType.SYMBOLIC_LINK
    if entry.is_dir(follow_symlinks=False):
        return FileType.DIRECTORY
    if entry.is_file(follow_symlinks=False):
        return FileType.REGULAR_FILE
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return FileType.UNKNOWN  # gone by now
    return FileType(_TYPES.get(mode & _FORMAT, 0))


def _check_kind(kind: int) -> None:
    """Refuse what is no regular file: opening a device may do something, and a FIFO may never end."""
    if kind == _stat.S_IFREG:
        return
    if kind == _stat.S_IFDIR:
        raise WasiError(Errno.ISDIR)
    if kind == _stat.S_IFLNK:
        raise WasiError(Errno.LOOP)
    raise WasiError(Errno.NXIO if kind == _stat.S_IFSOCK else Errno.ACCES)


def _open_flags(access: Access) -> int:
    write = access.write or access.truncate
    flags = (os.O_RDWR if access.read else os.O_WRONLY) if write else os.O_RDONLY
    if access.create:
        flags |= os.O_CREAT
    if access.exclusive:
        flags |= os.O_EXCL
    if access.flags & FdFlags.APPEND:
        flags |= os.O_APPEND
    if access.flags & (FdFlags.SYNC | FdFlags.RSYNC):
        flags |= os.O_SYNC
    elif access.flags & FdFlags.DSYNC:
        flags |= getattr(os, "O_DSYNC", os.O_SYNC)
    return flags


# ------------------------------------------------------------------------------------------- many components at once


_SYS_OPENAT2 = 437  # the same number on every Linux architecture. Source: Linux, arch/*/syscall tables
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08  # Source: Linux, openat2(2)


def _beneath() -> Callable[[int, list[str]], int]:
    """Find the kernel's own resolution beneath a directory; where there is none, nothing is ever reached by it.

    Links and ``..`` are left to the walk, so what this opens is what the walk would have.
    """
    how = struct.pack("<QQQ", _ENTER, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    size = len(how)
    try:
        syscall = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return lambda fd, names: -1
    syscall.restype = ctypes.c_long
    syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)

    def open_beneath(fd: int, names: list[str]) -> int:
        return int(syscall(_SYS_OPENAT2, fd, "/".join(names).encode(), how, size))

    return open_beneath


_open_beneath = _beneath() if os.uname().sysname == "Linux" else lambda fd, names: -1
