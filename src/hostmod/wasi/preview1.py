"""`wasi_snapshot_preview1`: decode what the guest passes, ask the System, store the answer.

Nothing here touches the operating system, and no System sees guest memory: bytes are copied once, on the way in or out.

Source: WebAssembly/WASI, branch wasi-0.1, preview1/docs.md, "Functions". A pointer outside the guest's memory traps;
all else that a guest can do wrong is answered with an errno.
"""

from __future__ import annotations

import functools
import os
import random as _random
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import Annotated, Any

from hostmod.declaration import function
from hostmod.errors import Exit
from hostmod.link import HostModule
from hostmod.types import Bytes, BytesType, Error, Int64, Pointer, StringType, Uint8, Uint16, Uint32, Uint64
from hostmod.wasi import abi
from hostmod.wasi.abi import (
    DIRECTORY,
    DIRECTORY_RIGHTS,
    FILE_RIGHTS,
    PREOPEN_DIRECTORY,
    STREAM_RIGHTS,
    Advice,
    AdviceParam,
    ClockId,
    ClockIdParam,
    Errno,
    Event,
    EventRwFlags,
    EventType,
    FdFlags,
    FdFlagsParam,
    Fdstat,
    Filestat,
    FileType,
    FstFlags,
    FstFlagsParam,
    LookupFlags,
    LookupFlagsParam,
    OFlags,
    OFlagsParam,
    Prestat,
    RiFlags,
    RiFlagsParam,
    Rights,
    RightsParam,
    RoFlags,
    SdFlags,
    SdFlagsParam,
    Signal,
    SignalParam,
    SubclockFlags,
    Subscription,
    WasiError,
    Whence,
    WhenceParam,
    errno_of,
    mask,
)
from hostmod.wasi.buffers import Buffers, IoVec, Strings, encoded
from hostmod.wasi.descriptors import Descriptor, Descriptors
from hostmod.wasi.fs.mounts import Tree, system_of
from hostmod.wasi.io.polling import Wanted, wait
from hostmod.wasi.io.sockets import SocketFile
from hostmod.wasi.io.streams import Source, Target, input_of, output_of
from hostmod.wasi.opening import not_made, open_at
from hostmod.wasi.sandbox import Walk
from hostmod.wasi.system import MAX_OFFSET, Clock, FunctionClock, MachineClock

_TEXT = StringType()


class PathType(BytesType):
    """A path as the guest passes it, which shows as text.

    `Wasi._text` decodes it: what is no UTF-8 is refused with an errno, where String would trap, and what is too long is
    not copied at all, for a guest's memory can be larger than the host has room for.
    """

    name = "Path"

    def show(self, value: memoryview) -> str:
        return _TEXT.show(str(value[:4096], "utf-8", "replace"))


Path = Annotated[memoryview, PathType()]

_DIRENT = Struct("<QQIB3x")
"""`Dirent`, for entries that are packed many at a time."""

_CLOCKS = len(ClockId)
_ADVICE = len(Advice)
_FDFLAGS, _OFLAGS, _FSTFLAGS = mask(FdFlags), mask(OFlags), mask(FstFlags)
_RIFLAGS, _SDFLAGS, _RIGHTS = mask(RiFlags), mask(SdFlags), mask(Rights)

# Rights whose bits are asked for at each call, by a shorter way than through their class.
_READ, _WRITE = Rights.FD_READ, Rights.FD_WRITE


class Wasi(HostModule, name="wasi_snapshot_preview1", errors={OSError: errno_of}):
    """The system that a program compiled for ``wasm32-wasi`` runs on, as the embedder would have it.

    ::

        wasi = Wasi(args=["prog", "x"], env={"A": "1"}, stdin=b"data", stdout=io.BytesIO(), stderr=sys.stderr,
                    preopens={"/": "some/dir", "/data": MemoryFS({"a.txt": b"hi"})})
        with hostmod.instantiate("prog.wasm", wasi) as guest:
            code = guest.run()

    Whatever is not given, the guest does not have: no arguments, no environment, nothing to read, no files; what it
    writes is dropped. Make one for each guest: descriptors are state.

    Args:
        args: the arguments, of which the first is the program's name.
        env: the environment.
        stdin: bytes, text, a stream opened for reading, a function of how many bytes are wanted, or a `File`.
        stdout, stderr: a stream opened for writing, a function that takes bytes, or a `File`.
        preopens: directories by the name that the guest knows them by: a path of the host's, a `MemoryFS`, or any other
            `System`.
        sockets: sockets for the guest, at the descriptors after those of the preopened directories.
        clock: a `Clock`, or a function that returns nanoseconds; the machine's clocks if not given.
        random: a `random.Random`, or a function that returns as many bytes as it is asked for; the operating system's
            randomness if not given.
        max_open_files: descriptors open at the same time; MFILE past it.
        max_entries: entries of directories that are listed, in all that are open; NOMEM past it.
        max_path: bytes of a path; NAMETOOLONG past it.
        max_buffers: buffers of one read or write; INVAL past it.
        max_transfer: bytes of one read or write; what is more is left to the next.
        max_subscriptions: subscriptions of one poll; INVAL past it.

    Raises:
        OSError: a directory of the host's could not be opened.
        ValueError, TypeError: an argument is not what it should be.
    """

    def __init__(
        self,
        args: Iterable[str | bytes] = (),
        env: Mapping[str, str] | None = None,
        stdin: Source | None = None,
        stdout: Target | None = None,
        stderr: Target | None = None,
        preopens: Mapping[str, Tree] | None = None,
        sockets: Sequence[socket.socket] = (),
        clock: Clock | Callable[[], int] | None = None,
        random: _random.Random | Callable[[int], bytes] | None = None,
        *,
        max_open_files: int = 512,
        max_entries: int = 1 << 18,
        max_path: int = 4096,
        max_buffers: int = 1024,
        max_transfer: int = 1 << 26,
        max_subscriptions: int = 4096,
    ) -> None:
        self._args = Strings([encoded("args", each) for each in args])
        self._env = Strings([encoded("env", f"{key}={value}") for key, value in (env or {}).items()])
        self._clock = _clock_of(clock)
        self._time = self._clock.time
        self._clocks = _readers(self._clock)
        self._random = _random_of(random)
        self._max_entries = max_entries
        self._max_path = max_path
        self._max_subscriptions = max_subscriptions
        buffers = Buffers(max_buffers, max_transfer)
        self._gather, self._fill = buffers.gather, buffers.fill
        self._open = Descriptors(max_open_files)
        try:
            self._open.add_file(input_of(stdin), STREAM_RIGHTS & ~_WRITE)
            self._open.add_file(output_of(stdout), STREAM_RIGHTS & ~_READ)
            self._open.add_file(output_of(stderr), STREAM_RIGHTS & ~_READ)
            for name, tree in (preopens or {}).items():
                known = encoded("preopens", name)
                root = system_of(tree).root()
                inheriting = DIRECTORY_RIGHTS | FILE_RIGHTS
                self._open.add(Descriptor(None, root, DIRECTORY_RIGHTS, inheriting, name=known))
            self.socket_fds = [
                self._open.add_socket(SocketFile(each), 0 if each.getblocking() else FdFlags.NONBLOCK)
                for each in sockets
            ]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every descriptor; streams and sockets that the embedder gave stay open."""
        self._open.close()

    # ------------------------------------------------------------------------------------------------- walking

    def _walk(self, fd: int, rights: int, path: memoryview) -> Walk:
        """Walk a path from a directory that has all of `rights`."""
        directory = self._open.directory(fd, rights).directory
        assert directory is not None  # `directory` has looked
        return Walk(directory, self._text(path))

    def _text(self, path: memoryview) -> str:
        """Decode a path, unless it is too long, or no UTF-8."""
        if len(path) > self._max_path:
            raise WasiError(Errno.NAMETOOLONG)
        try:
            return str(path, "utf-8")
        except UnicodeDecodeError:
            raise WasiError(Errno.ILSEQ) from None

    # ---------------------------------------------------------------------------------- arguments, environment

    @function
    def args_get(self, argv: Pointer[Uint32], argv_buf: Pointer[Uint8]) -> Error:
        """Store the arguments, and pointers to them."""
        self._args.store(argv, argv_buf)

    @function
    def args_sizes_get(self, count: Pointer[Uint32], size: Pointer[Uint32]) -> Error:
        """Store how many arguments there are, and how many bytes they take."""
        count.store(self._args.count)
        size.store(self._args.size)

    @function
    def environ_get(self, environ: Pointer[Uint32], environ_buf: Pointer[Uint8]) -> Error:
        """Store the environment's variables, and pointers to them."""
        self._env.store(environ, environ_buf)

    @function
    def environ_sizes_get(self, count: Pointer[Uint32], size: Pointer[Uint32]) -> Error:
        """Store how many variables there are, and how many bytes they take."""
        count.store(self._env.count)
        size.store(self._env.size)

    # -------------------------------------------------------------------------------------- clocks, randomness

    @function
    def clock_res_get(self, id: ClockIdParam, resolution: Pointer[Uint64]) -> Error:
        """Store the step of a clock."""
        if id >= _CLOCKS:
            raise WasiError(Errno.INVAL)
        resolution.store(self._clock.resolution(id))

    @function
    def clock_time_get(self, id: ClockIdParam, precision: Uint64, time: Pointer[Uint64]) -> Error:
        """Store the time of a clock; it is as exact as it can be, whatever `precision` would allow."""
        try:
            read = self._clocks[id]
        except IndexError:
            raise WasiError(Errno.INVAL) from None
        time.store(read())

    @function
    def random_get(self, buf: Bytes) -> Error:
        """Fill a buffer with random bytes."""
        size = len(buf)
        step = 1 << 20  # the host's own copy is never larger
        for at in range(0, size, step):
            buf[at : at + step] = self._random(min(step, size - at))

    # -------------------------------------------------------------------------------------------------- files

    @function
    def fd_advise(self, fd: Uint32, offset: Uint64, len: Uint64, advice: AdviceParam) -> Error:
        """Say how a part of a file will be used."""
        file = self._open.seekable(fd, Rights.FD_ADVISE)
        if advice >= _ADVICE or offset > MAX_OFFSET or len > MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        file.advise(offset, len, advice)

    @function
    def fd_allocate(self, fd: Uint32, offset: Uint64, len: Uint64) -> Error:
        """Make room in a file."""
        file = self._open.seekable(fd, Rights.FD_ALLOCATE)
        if len == 0:
            raise WasiError(Errno.INVAL)
        if offset + len > MAX_OFFSET:
            raise WasiError(Errno.FBIG)
        file.allocate(offset, len)

    @function
    def fd_close(self, fd: Uint32) -> Error:
        """Close a descriptor."""
        found = self._open.pop(fd, None)
        if found is None:
            raise WasiError(Errno.BADF)
        found.close()

    @function
    def fd_datasync(self, fd: Uint32) -> Error:
        """Bring a file's bytes to the disk."""
        found = self._open.any(fd, Rights.FD_DATASYNC)
        if found.file is not None:
            found.file.datasync()
        elif found.directory is not None:
            found.directory.sync()

    @function
    def fd_sync(self, fd: Uint32) -> Error:
        """Bring a file to the disk."""
        found = self._open.any(fd, Rights.FD_SYNC)
        if found.file is not None:
            found.file.sync()
        elif found.directory is not None:
            found.directory.sync()

    @function
    def fd_fdstat_get(self, fd: Uint32, stat: Pointer[Fdstat]) -> Error:
        """Store a descriptor's type, flags and rights."""
        found = self._open.any(fd)
        stat.store(Fdstat(found.filetype, found.flags, found.rights, found.inheriting))

    @function
    def fd_fdstat_set_flags(self, fd: Uint32, flags: FdFlagsParam) -> Error:
        """Set a descriptor's flags."""
        found = self._open.any(fd, Rights.FD_FDSTAT_SET_FLAGS)
        if flags & ~_FDFLAGS:
            raise WasiError(Errno.INVAL)
        if found.file is not None:
            found.file.set_flags(flags)
        elif flags & ~FdFlags.NONBLOCK:
            raise WasiError(Errno.INVAL)
        found.flags = flags

    @function
    def fd_fdstat_set_rights(self, fd: Uint32, base: RightsParam, inheriting: RightsParam) -> Error:
        """Take rights from a descriptor; NOTCAPABLE for one that it does not have."""
        found = self._open.any(fd)
        if base & ~found.rights or inheriting & ~found.inheriting:
            raise WasiError(Errno.NOTCAPABLE)
        found.rights = base
        found.inheriting = inheriting

    @function
    def fd_filestat_get(self, fd: Uint32, stat: Pointer[Filestat]) -> Error:
        """Store a file's attributes."""
        found = self._open.any(fd, Rights.FD_FILESTAT_GET)
        if found.file is not None:
            stat.store(found.file.filestat())
        elif found.directory is not None:
            stat.store(found.directory.filestat())

    @function
    def fd_filestat_set_size(self, fd: Uint32, size: Uint64) -> Error:
        """Cut a file, or fill it with zeros, to a size."""
        file = self._open.file(fd, Rights.FD_FILESTAT_SET_SIZE)
        if size > MAX_OFFSET:
            raise WasiError(Errno.FBIG)
        file.set_size(size)

    @function
    def fd_filestat_set_times(
        self, fd: Uint32, atim: Uint64, mtim: Uint64, fst_flags: FstFlagsParam
    ) -> Error:
        """Set a file's times."""
        found = self._open.any(fd, Rights.FD_FILESTAT_SET_TIMES)
        times = self._times(atim, mtim, fst_flags)
        if found.file is not None:
            found.file.set_times(*times)
        elif found.directory is not None:
            found.directory.set_times(None, *times)

    def _times(self, atim: int, mtim: int, flags: int) -> tuple[int | None, int | None]:
        """Say which times to set: those given, the present one, or (None) neither."""
        both_atim, both_mtim = FstFlags.ATIM | FstFlags.ATIM_NOW, FstFlags.MTIM | FstFlags.MTIM_NOW
        if flags & ~_FSTFLAGS or flags & both_atim == both_atim or flags & both_mtim == both_mtim:
            raise WasiError(Errno.INVAL)
        now = self._time(ClockId.REALTIME) if flags & (FstFlags.ATIM_NOW | FstFlags.MTIM_NOW) else 0
        set_atim = atim if flags & FstFlags.ATIM else now if flags & FstFlags.ATIM_NOW else None
        set_mtim = mtim if flags & FstFlags.MTIM else now if flags & FstFlags.MTIM_NOW else None
        return set_atim, set_mtim

    @function
    def fd_read(self, fd: Uint32, iovs: IoVec, count: Uint32, nread: Pointer[Uint32]) -> Error:
        """Read from a file's position on."""
        nread.store(self._fill(iovs, count, self._open.file(fd, _READ).read))

    @function
    def fd_pread(
        self, fd: Uint32, iovs: IoVec, count: Uint32, offset: Uint64, nread: Pointer[Uint32]
    ) -> Error:
        """Read from an offset on, and leave the position."""
        file = self._open.seekable(fd, _READ | Rights.FD_SEEK)
        if offset > MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        nread.store(self._fill(iovs, count, lambda size: file.pread(size, offset)))

    @function
    def fd_write(self, fd: Uint32, iovs: IoVec, count: Uint32, nwritten: Pointer[Uint32]) -> Error:
        """Write at a file's position."""
        nwritten.store(self._open.file(fd, _WRITE).write(self._gather(iovs, count)))

    @function
    def fd_pwrite(
        self, fd: Uint32, iovs: IoVec, count: Uint32, offset: Uint64, nwritten: Pointer[Uint32]
    ) -> Error:
        """Write at an offset, and leave the position."""
        file = self._open.seekable(fd, _WRITE | Rights.FD_SEEK)
        if offset > MAX_OFFSET:
            raise WasiError(Errno.INVAL)
        nwritten.store(file.pwrite(self._gather(iovs, count), offset))

    @function
    def fd_seek(self, fd: Uint32, offset: Int64, whence: WhenceParam, position: Pointer[Uint64]) -> Error:
        """Move a file's position."""
        needed = Rights.FD_SEEK
        if offset == 0 and whence == Whence.CUR:
            found = self._open.get(fd)
            if found is not None and found.rights & Rights.FD_TELL:
                needed = Rights.FD_TELL
        file = self._open.seekable(fd, needed)
        if whence > Whence.END:
            raise WasiError(Errno.INVAL)
        position.store(file.seek(offset, whence))

    @function
    def fd_tell(self, fd: Uint32, position: Pointer[Uint64]) -> Error:
        """Store a file's position."""
        found = self._open.get(fd)
        needed = Rights.FD_TELL
        if found is not None and found.rights & Rights.FD_SEEK:
            needed = Rights.FD_SEEK  # which implies FD_TELL
        position.store(self._open.seekable(fd, needed).seek(0, Whence.CUR))

    @function
    def fd_renumber(self, fd: Uint32, to: Uint32) -> Error:
        """Give a descriptor the number of another, which is closed."""
        found = self._open.get(fd)
        if found is None or to not in self._open:
            raise WasiError(Errno.BADF)
        if fd != to:
            replaced = self._open[to]
            self._open[to] = self._open.pop(fd)
            replaced.close()

    @function
    def fd_prestat_get(self, fd: Uint32, stat: Pointer[Prestat]) -> Error:
        """Store what a preopened descriptor is."""
        stat.store(Prestat(PREOPEN_DIRECTORY, len(self._open.preopened(fd))))

    @function
    def fd_prestat_dir_name(self, fd: Uint32, path: Bytes) -> Error:
        """Store the name of a preopened directory."""
        name = self._open.preopened(fd)
        if len(path) < len(name):
            raise WasiError(Errno.NAMETOOLONG)
        path[: len(name)] = name

    @function
    def fd_readdir(self, fd: Uint32, buf: Bytes, cookie: Uint64, used: Pointer[Uint32]) -> Error:
        """Store entries of a directory from a cookie on, the last one cut where the buffer ends.

        A cookie is a place in the list that was made when the directory was last read from its start, so entries that
        come and go meanwhile neither repeat nor hide others.
        """
        found = self._open.directory(fd, Rights.FD_READDIR)
        entries = found.entries
        if entries is None or cookie == 0:
            entries = found.entries = self._list(found)
        at, size = 0, len(buf)
        index = cookie
        while index < len(entries) and at < size:
            name, ino, filetype = entries[index]
            index += 1
            record = _DIRENT.pack(index, ino, len(name), filetype) + name
            end = min(size, at + len(record))
            buf[at:end] = record[: end - at]
            at = end
        used.store(at)

    def _list(self, found: Descriptor) -> list[tuple[bytes, int, int]]:
        directory = found.directory
        assert directory is not None  # fd_readdir has looked
        ino = directory.filestat().ino
        # What is above is nothing that the guest need know; its own number stands for that.
        entries = [(b".", ino, DIRECTORY), (b"..", ino, DIRECTORY)]
        found.entries = None  # what it held before makes room
        room = self._max_entries - self._open.kept_entries()
        for name, number, filetype in directory.entries(room + 1):
            entries.append((name.encode(), number, filetype))
            if len(entries) > room + 2:
                raise WasiError(Errno.NOMEM)
        return entries

    # -------------------------------------------------------------------------------------------------- paths

    @function
    def path_create_directory(self, fd: Uint32, path: Path) -> Error:
        """Make a directory."""
        with self._walk(fd, Rights.PATH_CREATE_DIRECTORY, path) as walk:
            if walk.name is None:
                raise WasiError(Errno.EXIST)
            walk.directory.create_directory(walk.name)

    @function
    def path_filestat_get(
        self, fd: Uint32, flags: LookupFlagsParam, path: Path, stat: Pointer[Filestat]
    ) -> Error:
        """Store the attributes of what is at a path."""
        with self._walk(fd, Rights.PATH_FILESTAT_GET, path) as walk:
            found = walk.stat(_follows(flags))
        stat.store(found)

    @function
    def path_filestat_set_times(
        self,
        fd: Uint32,
        flags: LookupFlagsParam,
        path: Path,
        atim: Uint64,
        mtim: Uint64,
        fst_flags: FstFlagsParam,
    ) -> Error:
        """Set the times of what is at a path."""
        with self._walk(fd, Rights.PATH_FILESTAT_SET_TIMES, path) as walk:
            times = self._times(atim, mtim, fst_flags)
            walk.stat(_follows(flags))  # for its answers, and to be at the end of links
            walk.directory.set_times(walk.name, *times)

    @function
    def path_link(
        self, old_fd: Uint32, old_flags: LookupFlagsParam, old_path: Path, new_fd: Uint32, new_path: Path
    ) -> Error:
        """Make another name for a file. Links are not followed: INVAL if that is asked for."""
        if old_flags:
            raise WasiError(Errno.INVAL)
        with (
            self._walk(old_fd, Rights.PATH_LINK_SOURCE, old_path) as old,
            self._walk(new_fd, Rights.PATH_LINK_TARGET, new_path) as new,
        ):
            if old.name is None:
                raise WasiError(Errno.PERM)
            if new.name is None:
                raise WasiError(Errno.EXIST)
            if old.must_be_directory and old.stat(follow=False).filetype == FileType.DIRECTORY:
                raise WasiError(Errno.PERM)
            if new.must_be_directory:
                raise not_made(new)
            old.directory.link(old.name, new.directory.receiver(new.name), new.name)

    @function
    def path_open(
        self,
        fd: Uint32,
        dirflags: LookupFlagsParam,
        path: Path,
        oflags: OFlagsParam,
        base: RightsParam,
        inheriting: RightsParam,
        fdflags: FdFlagsParam,
        opened: Pointer[Uint32],
    ) -> Error:
        """Open what is at a path."""
        if oflags & ~_OFLAGS or fdflags & ~_FDFLAGS:
            raise WasiError(Errno.INVAL)
        needed = Rights.PATH_OPEN
        if oflags:
            if oflags & OFlags.CREAT:
                needed |= Rights.PATH_CREATE_FILE
                if oflags & OFlags.DIRECTORY:
                    raise WasiError(Errno.INVAL)
            if oflags & OFlags.TRUNC:
                needed |= Rights.PATH_FILESTAT_SET_SIZE
        source = self._open.directory(fd, needed)
        # A right that no version of the specification knows is none that could be had.
        base &= _RIGHTS
        inheriting &= _RIGHTS
        needed = base | inheriting
        if fdflags & (FdFlags.SYNC | FdFlags.RSYNC):
            needed |= Rights.FD_SYNC
        elif fdflags & FdFlags.DSYNC:
            needed |= Rights.FD_DATASYNC
        if needed & ~source.inheriting:
            raise WasiError(Errno.NOTCAPABLE)
        self._open.check_room()
        assert source.directory is not None  # _directory has looked
        with Walk(source.directory, self._text(path)) as walk:
            found = open_at(walk, _follows(dirflags), oflags, base, inheriting, fdflags)
        number = self._open.add(found)
        try:
            opened.store(number)
        except BaseException:
            self._open.pop(number).close()
            raise

    @function
    def path_readlink(self, fd: Uint32, path: Path, buf: Bytes, used: Pointer[Uint32]) -> Error:
        """Store what a symbolic link holds, as much of it as there is room for."""
        with self._walk(fd, Rights.PATH_READLINK, path) as walk:
            if walk.name is None:
                raise WasiError(Errno.INVAL)
            if walk.must_be_directory:
                walk.stat(follow=True)
                raise WasiError(Errno.INVAL)
            target = walk.directory.read_link(walk.name).encode("utf-8", "surrogateescape")
        size = min(len(target), len(buf))
        buf[:size] = target[:size]
        used.store(size)

    @function
    def path_remove_directory(self, fd: Uint32, path: Path) -> Error:
        """Remove an empty directory."""
        with self._walk(fd, Rights.PATH_REMOVE_DIRECTORY, path) as walk:
            if walk.name is None:
                raise WasiError(Errno.INVAL)
            walk.directory.remove_directory(walk.name)

    @function
    def path_rename(self, fd: Uint32, old_path: Path, new_fd: Uint32, new_path: Path) -> Error:
        """Move a file or directory."""
        with (
            self._walk(fd, Rights.PATH_RENAME_SOURCE, old_path) as old,
            self._walk(new_fd, Rights.PATH_RENAME_TARGET, new_path) as new,
        ):
            if old.name is None or new.name is None:
                raise WasiError(Errno.BUSY)
            if (old.must_be_directory or new.must_be_directory) and (
                old.directory.stat(old.name).filetype != FileType.DIRECTORY
            ):
                raise WasiError(Errno.NOTDIR)
            old.directory.rename(old.name, new.directory.receiver(new.name), new.name)

    @function
    def path_symlink(self, old_path: Path, fd: Uint32, new_path: Path) -> Error:
        """Make a symbolic link; NOTCAPABLE for one that holds an absolute path, which nobody here could follow."""
        with self._walk(fd, Rights.PATH_SYMLINK, new_path) as walk:
            target = self._text(old_path)
            if not target:
                raise WasiError(Errno.NOENT)
            if "\0" in target:
                raise WasiError(Errno.INVAL)
            if target.startswith("/"):
                raise WasiError(Errno.NOTCAPABLE)
            if walk.name is None:
                raise WasiError(Errno.EXIST)
            if walk.must_be_directory:
                raise not_made(walk)
            walk.directory.create_symlink(walk.name, target)

    @function
    def path_unlink_file(self, fd: Uint32, path: Path) -> Error:
        """Remove a file."""
        with self._walk(fd, Rights.PATH_UNLINK_FILE, path) as walk:
            if walk.name is None:
                raise WasiError(Errno.ISDIR)
            if walk.must_be_directory and walk.directory.stat(walk.name).filetype != FileType.DIRECTORY:
                raise WasiError(Errno.NOTDIR)
            walk.directory.remove_file(walk.name)

    # ------------------------------------------------------------------------------------------------- waiting

    @function
    def poll_oneoff(
        self,
        subscriptions: Pointer[Subscription],
        events: Pointer[Event],
        count: Uint32,
        stored: Pointer[Uint32],
    ) -> Error:
        """Wait until something happens, and say what has."""
        if not 0 < count <= self._max_subscriptions:
            raise WasiError(Errno.INVAL)
        wanted: list[Wanted] = []
        found: list[Event] = []
        for each in subscriptions.slice(count):
            try:
                wanted.append(self._wanted(each))
            except WasiError as error:
                found.append(Event(each.userdata, error.errno, each.tag, 0, 0))
        events.slice(count)  # there is room for them, before any time is spent
        found += [
            Event(each.userdata, Errno.SUCCESS, each.tag, nbytes, EventRwFlags.FD_READWRITE_HANGUP * hangup)
            for each, nbytes, hangup in wait(wanted, self._clock, at_once=bool(found))
        ]
        for index, event in enumerate(found):
            events[index] = event
        stored.store(len(found))

    def _wanted(self, each: Subscription) -> Wanted:
        tag, clock = each.tag, each.clock
        if tag == EventType.CLOCK:
            if clock.id >= _CLOCKS or clock.flags & ~SubclockFlags.SUBSCRIPTION_CLOCK_ABSTIME:
                raise WasiError(Errno.INVAL)
            deadline = clock.timeout
            if not clock.flags & SubclockFlags.SUBSCRIPTION_CLOCK_ABSTIME:
                deadline += self._time(clock.id)
            return Wanted(each.userdata, tag, clock=clock.id, deadline=deadline)
        if tag == EventType.FD_READ:
            needed = _READ | Rights.POLL_FD_READWRITE
        elif tag == EventType.FD_WRITE:
            needed = _WRITE | Rights.POLL_FD_READWRITE
        else:
            raise WasiError(Errno.INVAL)
        found = self._open.get(clock.id)
        if found is not None and found.file is not None and isinstance(found.file, SocketFile):
            needed = Rights.POLL_FD_READWRITE  # a listening socket is readable when it can accept
        return Wanted(each.userdata, tag, file=self._open.file(clock.id, needed))

    @function
    def sched_yield(self) -> Error:
        """Let others run."""
        self._clock.sleep(0)

    # ------------------------------------------------------------------------------------------------- process

    @function
    def proc_exit(self, code: Uint32) -> None:
        """End the guest."""
        raise Exit(code)

    @function
    def proc_raise(self, sig: SignalParam) -> Error:
        """Do what a signal's default action is: end the guest (its code is 128 and the signal), or nothing.

        NOTSUP for one that would stop it, to be continued by another process.
        """
        if sig >= len(Signal):
            raise WasiError(Errno.INVAL)
        if sig in abi.STOP_SIGNALS:
            raise WasiError(Errno.NOTSUP)
        if sig not in abi.IGNORED_SIGNALS:
            raise Exit(128 + sig)

    # ------------------------------------------------------------------------------------------------- sockets

    @function
    def sock_accept(self, fd: Uint32, flags: FdFlagsParam, accepted: Pointer[Uint32]) -> Error:
        """Accept a connection."""
        file = self._open.socket(fd, Rights.SOCK_ACCEPT)
        if flags & ~FdFlags.NONBLOCK:
            raise WasiError(Errno.INVAL)
        self._open.check_room()
        accepted.store(self._open.add_socket(file.accept(flags), flags))

    @function
    def sock_recv(
        self,
        fd: Uint32,
        ri_data: IoVec,
        count: Uint32,
        ri_flags: RiFlagsParam,
        size: Pointer[Uint32],
        ro_flags: Pointer[Uint16],
    ) -> Error:
        """Receive from a socket."""
        file = self._open.socket(fd, _READ)
        if ri_flags & ~_RIFLAGS:
            raise WasiError(Errno.INVAL)
        cut = False

        def receive(room: int) -> bytes:
            nonlocal cut
            data, cut = file.receive(room, ri_flags)
            return data

        size.store(self._fill(ri_data, count, receive))
        ro_flags.store(RoFlags.RECV_DATA_TRUNCATED if cut else 0)

    @function
    def sock_send(
        self, fd: Uint32, si_data: IoVec, count: Uint32, si_flags: Uint32, size: Pointer[Uint32]
    ) -> Error:
        """Send through a socket."""
        file = self._open.socket(fd, _WRITE)
        if si_flags:
            raise WasiError(Errno.INVAL)
        size.store(file.write(self._gather(si_data, count)))

    @function
    def sock_shutdown(self, fd: Uint32, how: SdFlagsParam) -> Error:
        """End one or both directions of a socket."""
        file = self._open.socket(fd, Rights.SOCK_SHUTDOWN)
        if how == 0 or how & ~_SDFLAGS:
            raise WasiError(Errno.INVAL)
        file.shutdown(how)


def _follows(flags: int) -> bool:
    if flags & ~LookupFlags.SYMLINK_FOLLOW:
        raise WasiError(Errno.INVAL)
    return flags != 0


def _clock_of(clock: Clock | Callable[[], int] | None) -> Clock:
    if clock is None:
        return MachineClock()
    if isinstance(clock, Clock):
        return clock
    if callable(clock):
        return FunctionClock(clock)
    raise TypeError(
        f"Wasi(clock=): {clock!r}, expected a hostmod.wasi.Clock or a function that returns nanoseconds"
    )


def _readers(clock: Clock) -> tuple[Callable[[], int], ...]:
    """Return a function for each clock, by the shortest way to it: guests ask for the time more than for anything."""
    if type(clock) is MachineClock:
        return tuple(clock.functions[id] for id in ClockId)
    return tuple(functools.partial(clock.time, id) for id in ClockId)


def _random_of(random: Any) -> Callable[[int], bytes]:
    if random is None:
        return os.urandom
    found = getattr(random, "randbytes", random)
    if not callable(found):
        raise TypeError(
            f"Wasi(random=): {random!r}, expected a random.Random or a function of a number of bytes"
        )
    return found  # type: ignore[no-any-return]  # checked as far as it can be
