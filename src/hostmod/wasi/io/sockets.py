"""Sockets that the embedder opened, as files of a guest."""

from __future__ import annotations

import socket

from hostmod.wasi.abi import Errno, FdFlags, FileType, RiFlags, SdFlags, WasiError
from hostmod.wasi.io.streams import waits
from hostmod.wasi.system import File


class SocketFile(File):
    """A socket: listening, connected or for datagrams. It is the embedder's; one that it accepted is the guest's."""

    __slots__ = ("_owned", "filetype", "socket")

    def __init__(self, sock: socket.socket, owned: bool = False) -> None:
        self.socket = sock
        self._owned = owned
        stream = sock.type == socket.SOCK_STREAM
        self.filetype = FileType.SOCKET_STREAM if stream else FileType.SOCKET_DGRAM

    def read(self, size: int) -> bytes:
        return self.socket.recv(size)

    def write(self, data: bytes) -> int:
        return self.socket.send(data)

    def receive(self, size: int, flags: int) -> tuple[bytes, bool]:
        """Receive up to `size` bytes by bits of `RiFlags`; say too whether there was more of a datagram."""
        options = socket.MSG_PEEK if flags & RiFlags.RECV_PEEK else 0
        if flags & RiFlags.RECV_WAITALL and self.filetype == FileType.SOCKET_STREAM:
            options |= socket.MSG_WAITALL
        if self.filetype == FileType.SOCKET_STREAM:
            return self.socket.recv(size, options), False
        data, _, found, _ = self.socket.recvmsg(size, 0, options)
        return data, bool(found & socket.MSG_TRUNC)

    def accept(self, flags: int) -> SocketFile:
        """Accept a connection, whose own flags are these bits of `FdFlags`; INVAL if it does not listen."""
        accepted, _ = self.socket.accept()
        accepted.setblocking(not flags & FdFlags.NONBLOCK)
        return SocketFile(accepted, owned=True)

    def shutdown(self, how: int) -> None:
        """End directions, by bits of `SdFlags`."""
        both = SdFlags.RD | SdFlags.WR
        self.socket.shutdown(
            {SdFlags.RD: socket.SHUT_RD, SdFlags.WR: socket.SHUT_WR, both: socket.SHUT_RDWR}[how]
        )

    def set_flags(self, flags: int) -> None:
        if flags & ~FdFlags.NONBLOCK:
            raise WasiError(Errno.NOTSUP)
        self.socket.setblocking(not flags & FdFlags.NONBLOCK)

    def ready(self, write: bool) -> int | None:
        return None if waits(self.socket.fileno(), write) else 1

    def fileno(self) -> int | None:
        fd = self.socket.fileno()
        return fd if fd >= 0 else None

    def close(self) -> None:
        if self._owned:
            self.socket.close()
