"""The table of file descriptors of a guest, with their rights."""

from __future__ import annotations

import contextlib

from hostmod.wasi.abi import DIRECTORY, REGULAR_FILE, SOCKET_RIGHTS, Errno, WasiError
from hostmod.wasi.io.sockets import SocketFile
from hostmod.wasi.system import Directory, File


class Descriptor:
    """What a descriptor of the guest's stands for, a directory or a file, and what may be done with it."""

    __slots__ = ("directory", "entries", "file", "filetype", "flags", "inheriting", "name", "rights")

    def __init__(
        self,
        file: File | None,
        directory: Directory | None,
        rights: int,
        inheriting: int = 0,
        flags: int = 0,
        name: bytes | None = None,
    ) -> None:
        self.file = file
        self.directory = directory
        self.filetype = DIRECTORY if file is None else int(file.filetype)
        self.rights = rights
        self.inheriting = inheriting
        self.flags = flags
        self.name = name
        """The name it was preopened under; None if it was not."""
        self.entries: list[tuple[bytes, int, int]] | None = None
        """What a directory held when it was last read from its start."""

    def close(self) -> None:
        """Let go of what it stands for."""
        found = self.directory if self.file is None else self.file
        if found is not None:
            found.close()


class Descriptors(dict[int, Descriptor]):
    """A guest's open descriptors by their numbers, at most `most` of them.

    To find one that can do something: BADF if there is none, NOTCAPABLE if it lacks one of `rights`, and another errno
    if it stands for something else.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def check_room(self) -> None:
        """Make sure that one more can be added; MFILE if not."""
        if len(self) >= self.most:
            raise WasiError(Errno.MFILE)

    def add(self, descriptor: Descriptor) -> int:
        """Give a descriptor the lowest number that is free; MFILE, and it is closed, if there are `most`."""
        fd = len(self)
        if fd >= self.most:
            descriptor.close()
            raise WasiError(Errno.MFILE)
        if fd in self or fd - 1 not in self:
            fd = next(fd for fd in range(len(self) + 1) if fd not in self)
        self[fd] = descriptor
        return fd

    def add_file(self, file: File, rights: int) -> int:
        """Give a stream of the embedder's a number."""
        return self.add(Descriptor(file, None, rights))

    def add_socket(self, file: SocketFile, flags: int = 0) -> int:
        """Give a socket a number."""
        return self.add(Descriptor(file, None, SOCKET_RIGHTS, SOCKET_RIGHTS, flags))

    def kept_entries(self) -> int:
        """How many entries of directories are kept for all of them."""
        return sum(len(each.entries) for each in self.values() if each.entries is not None)

    def any(self, fd: int, rights: int = 0) -> Descriptor:
        """Find a descriptor of any kind."""
        found = self.get(fd)
        if found is None:
            raise WasiError(Errno.BADF)
        if rights & ~found.rights:
            raise WasiError(Errno.NOTCAPABLE)
        return found

    def file(self, fd: int, rights: int) -> File:
        """Find a file; ISDIR for a directory."""
        found = self.get(fd)
        if found is None:
            raise WasiError(Errno.BADF)
        file = found.file
        if file is None:
            raise WasiError(Errno.ISDIR)
        if rights & ~found.rights:
            raise WasiError(Errno.NOTCAPABLE)
        return file

    def seekable(self, fd: int, rights: int) -> File:
        """Find a file with a position; SPIPE for one without, ISDIR for a directory."""
        found = self.get(fd)
        if found is not None and found.file is not None and found.filetype != REGULAR_FILE:
            raise WasiError(Errno.SPIPE)
        return self.file(fd, rights)

    def directory(self, fd: int, rights: int) -> Descriptor:
        """Find a directory's descriptor; NOTDIR for anything else."""
        found = self.get(fd)
        if found is None:
            raise WasiError(Errno.BADF)
        if found.directory is None:
            raise WasiError(Errno.NOTDIR)
        if rights & ~found.rights:
            raise WasiError(Errno.NOTCAPABLE)
        return found

    def socket(self, fd: int, rights: int) -> SocketFile:
        """Find a socket; NOTSOCK for anything else."""
        found = self.get(fd)
        if found is None:
            raise WasiError(Errno.BADF)
        if not isinstance(found.file, SocketFile):
            raise WasiError(Errno.NOTSOCK)
        if rights & ~found.rights:
            raise WasiError(Errno.NOTCAPABLE)
        return found.file

    def preopened(self, fd: int) -> bytes:
        """Find the name that a directory was preopened under; BADF for one that was not."""
        found = self.get(fd)
        if found is None or found.name is None:
            raise WasiError(Errno.BADF)
        return found.name

    def close(self) -> None:
        """Close all of them."""
        with contextlib.ExitStack() as stack:  # which goes on where one of them fails to
            while self:
                stack.callback(self.popitem()[1].close)
