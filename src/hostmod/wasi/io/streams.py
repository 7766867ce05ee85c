"""Python streams as files of a guest: text or binary, in memory, pipes, terminals, or plain functions."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import stat
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from hostmod.wasi.abi import Errno, FdFlags, Filestat, FileType, WasiError
from hostmod.wasi.system import File


class Readable(Protocol):
    """A stream opened for reading, text or binary; None says that there is nothing for now."""

    def read(self, size: int, /) -> bytes | str | None:
        """Return up to `size` bytes or characters."""
        ...


class Writable(Protocol):
    """A stream opened for writing, text or binary."""

    def write(self, data: Any, /) -> object:
        """Take bytes or text, and return how much of it was taken."""
        ...


Source: TypeAlias = "bytes | bytearray | memoryview | str | Readable | Callable[[int], bytes | str] | File"
"""What a guest can read: bytes, text, a stream opened for reading, or a function of how many bytes are wanted."""

Target: TypeAlias = "Writable | Callable[[bytes], object] | File"
"""What a guest can write to: a stream opened for writing, or a function that is called with each piece."""


def fileno_of(stream: object) -> int | None:
    """Return a stream's descriptor of the host's, or None if it has none."""
    find = getattr(stream, "fileno", None)
    if find is None:
        return None
    try:
        found = find()
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return None
    return found if isinstance(found, int) and found >= 0 else None


def waits(fd: int, write: bool, seconds: float = 0) -> bool:
    """Say whether a descriptor would keep a reader (or a writer) waiting after that many seconds."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLOUT if write else select.POLLIN)
        return not poll.poll(seconds * 1000)
    none: list[int] = []
    return not any(select.select(none if write else [fd], [fd] if write else none, none, seconds))


class _Stream(File):
    """What streams of both directions share."""

    __slots__ = ("_fd", "_nonblocking", "filetype")

    def __init__(self, stream: object) -> None:
        self._fd = fileno_of(stream)
        self._nonblocking = False
        self.filetype = FileType.UNKNOWN
        isatty = getattr(stream, "isatty", None)
        try:
            if isatty is not None and isatty():
                self.filetype = FileType.CHARACTER_DEVICE
        except ValueError:
            pass  # closed: reading or writing will say so

    def filestat(self) -> Filestat:
        size = 0
        if self._fd is not None:
            try:
                found = os.fstat(self._fd)
            except OSError:
                pass
            else:
                size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        return Filestat(0, 0, int(self.filetype), 1, size, 0, 0, 0)

    def set_flags(self, flags: int) -> None:
        self._nonblocking = bool(flags & FdFlags.NONBLOCK)

    def fileno(self) -> int | None:
        return self._fd


def _checked(stream: object, error: ValueError) -> Exception:
    """Return the error for a ValueError of a stream's: that it is closed is the guest's to hear, another is a bug."""
    return WasiError(Errno.BADF) if getattr(stream, "closed", False) else error


class InputStream(_Stream):
    """A file that a guest reads, on anything a Python program has to read from.

    What one read leaves of a piece is kept for the next. Nothing is read ahead of the guest, except the rest of a line
    of a text stream. The stream is not closed.

    >>> guest_sees = InputStream("péché")
    >>> guest_sees.read(2), guest_sees.read(100), guest_sees.read(100)
    (b'p\\xc3', b'\\xa9ch\\xc3\\xa9', b'')
    """

    __slots__ = ("_ended", "_left", "_maybe_buffered", "_read", "_stream")

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._left = b""
        self._maybe_buffered = False
        self._stream: Any = source
        stream = self._stream  # which of its kinds it is, the attributes say
        self._read: Callable[[int], Any]
        if isinstance(stream, bytes | bytearray | memoryview):
            self._read = io.BytesIO(stream).read
        elif isinstance(stream, str):
            self._read = io.BytesIO(stream.encode()).read
        elif isinstance(stream, io.TextIOBase):
            self._read = stream.readline  # read() would wait for as many characters as it is asked for
        elif hasattr(stream, "read1"):
            self._read = stream.read1
            self._maybe_buffered = self._fd is not None and hasattr(stream, "peek")
        elif hasattr(stream, "read"):
            self._read = stream.read
        elif callable(stream):
            self._read = stream
        else:
            raise TypeError(
                f"stdin: {source!r}, expected bytes, text, a stream to read from, or a function of a number of bytes"
            )

    def read(self, size: int) -> bytes:
        if size == 0:
            return b""
        data = self._left
        if not data:
            if self._nonblocking and self.ready(False) is None:
                raise WasiError(Errno.AGAIN)
            try:
                found = self._read(size)
            except ValueError as error:
                raise _checked(self._stream, error) from error
            if found is None:
                raise WasiError(Errno.AGAIN)
            data = found.encode("utf-8", "replace") if isinstance(found, str) else bytes(found)
            if self._maybe_buffered and len(data) < size:
                # A BufferedReader gives what it has buffered, or asks the host for just this much.
                self._maybe_buffered = False
        self._left = data[size:]
        return data[:size] if self._left else data

    def ready(self, write: bool) -> int | None:
        if write:
            return 1
        if self._left:
            return len(self._left)
        fd = self._fd
        if fd is None or not waits(fd, write=False):
            return 1
        return self._peek(fd) if self._maybe_buffered else None

    def _peek(self, fd: int) -> int | None:
        """Look whether a BufferedReader has something that its descriptor no longer has."""
        blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)
        try:
            found = self._stream.peek(1)
        except BlockingIOError:
            found = b""
        finally:
            os.set_blocking(fd, blocking)
        if not found:
            self._maybe_buffered = False
        return len(found) or None


class OutputStream(_Stream):
    """A file that a guest writes to, on anything a Python program has to write to.

    A text stream gets UTF-8 decoded, with U+FFFD for what is none; a character that is split over two writes is whole.
    A stream that has a descriptor is flushed after each write, so that it is seen when the guest thinks it is. The
    stream is not closed.

    >>> pieces = []
    >>> OutputStream(pieces.append).write(b"hello")
    5
    >>> pieces
    [b'hello']
    """

    __slots__ = ("_decode", "_flush", "_stream", "_write")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._decode: Callable[[bytes], str] | None = None
        self._flush: Callable[[], object] | None = None
        self._stream: Any = target
        stream = self._stream
        self._write: Callable[[Any], Any]
        if hasattr(stream, "write"):
            self._write = stream.write
            if isinstance(stream, io.TextIOBase) or isinstance(getattr(stream, "encoding", None), str):
                # Or of no class of io's, but with an encoding: a replacement of sys.stdout, for example.
                self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
            if self._fd is not None:
                self._flush = getattr(stream, "flush", None)
        elif callable(stream):
            self._write = stream
        else:
            raise TypeError(f"stdout: {target!r}, expected a stream to write to, or a function of bytes")

    def write(self, data: bytes) -> int:
        if self._nonblocking and self.ready(True) is None:
            raise WasiError(Errno.AGAIN)
        try:
            if self._decode is not None:
                self._write(self._decode(data))
                written: Any = len(data)
            else:
                written = self._write(data)
            if self._flush is not None:
                # What the host does not take now stays in the stream's buffer, and goes with the next write.
                with contextlib.suppress(BlockingIOError):
                    self._flush()
        except BlockingIOError as error:  # of a buffer that is full
            taken = getattr(error, "characters_written", 0)
            if not taken:
                raise
            return int(taken)
        except ValueError as error:
            raise _checked(self._stream, error) from error
        if type(written) is int:
            return written
        if isinstance(written, int) and not isinstance(written, bool):
            return int(written)
        if isinstance(self._stream, io.RawIOBase):
            raise WasiError(Errno.AGAIN)  # it took nothing, and says None
        return len(data)

    def ready(self, write: bool) -> int | None:
        fd = self._fd
        if write and fd is not None and waits(fd, write=True):
            return None
        return 1

    def sync(self) -> None:
        flush = getattr(self._stream, "flush", None)
        if flush is not None:
            flush()

    datasync = sync

    def close(self) -> None:
        with contextlib.suppress(ValueError):  # it is closed
            self.sync()


def input_of(source: Source | None) -> File:
    """Return what a guest reads from for what the embedder gave; nothing to read for None."""
    return source if isinstance(source, File) else InputStream(b"" if source is None else source)


def output_of(target: Target | None) -> File:
    """Return what a guest writes to for what the embedder gave; what it writes is dropped for None."""
    return target if isinstance(target, File) else OutputStream(len if target is None else target)
