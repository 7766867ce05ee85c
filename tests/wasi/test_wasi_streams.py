"""Standard streams: any Python stream as a guest's input and output."""

from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wasi_guest import NONBLOCK, READ, WRITE, Program, fd_event, refused

import hostmod
from hostmod.wasi import File, FileType, InputStream, OutputStream, Wasi, WasiError


def _pipe(data: bytes) -> Any:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return os.fdopen(reader, "rb")


def _pieces(data: bytes) -> Callable[[int], bytes]:
    left = io.BytesIO(data)
    return lambda size: left.read(min(size, 2))


INPUTS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"a\xc3\xa9\nz",
    "a bytearray": lambda: bytearray(b"a\xc3\xa9\nz"),
    "text": lambda: "aé\nz",
    "BytesIO": lambda: io.BytesIO(b"a\xc3\xa9\nz"),
    "StringIO": lambda: io.StringIO("aé\nz"),
    "a buffered pipe": lambda: _pipe(b"a\xc3\xa9\nz"),
    "a text pipe": lambda: io.TextIOWrapper(_pipe(b"a\xc3\xa9\nz"), "utf-8"),
    "a raw pipe": lambda: _pipe(b"a\xc3\xa9\nz").detach(),
    "a latin-1 file": lambda: io.TextIOWrapper(io.BytesIO(b"a\xe9\nz"), "latin-1"),
    "a function of bytes": lambda: _pieces(b"a\xc3\xa9\nz"),
    "a function of text": lambda: _texts(["aé\n", "z"]),
}


def _texts(pieces: list[str]) -> Callable[[int], str]:
    left = iter(pieces)
    return lambda size: next(left, "")


@pytest.mark.parametrize("size", [1, 2, 3, 100], ids=lambda size: f"{size} bytes at a time")
@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS.keys())
def test_input_from_anything_is_read_whole(make: Callable[[], Any], size: int) -> None:
    source = make()
    with Program(Wasi(stdin=source)) as program:
        found = b""
        while piece := program.read(0, size):
            assert len(piece) <= size
            found += piece
        assert found == b"a\xc3\xa9\nz"
        assert program.read(0, size) == b""
    if hasattr(source, "close"):
        assert not source.closed
        source.close()


def test_what_the_embedder_has_read_already_the_guest_does_not_see() -> None:
    with _pipe(b"for the host\nfor the guest\n") as pipe:
        assert pipe.readline() == b"for the host\n"
        with Program(Wasi(stdin=pipe)) as program:
            events = program.poll(fd_event(1, 1, 0))
            assert [each.userdata for each in events] == [1]
            assert program.read(0, 5, 100) == b"for the guest\n"


def test_what_the_guest_leaves_unread_stays_with_the_embedder() -> None:
    source = io.BytesIO(b"one\ntwo\n")
    with Program(Wasi(stdin=source)) as program:
        assert program.read(0, 4) == b"one\n"
    assert source.read() == b"two\n"


def test_no_input_is_an_end_at_once() -> None:
    with Program(Wasi()) as program:
        assert program.read(0, 10) == b""


class Partial(io.RawIOBase):
    """Takes three bytes at a time, and nothing on each second call."""

    def __init__(self) -> None:
        self.taken = b""
        self.full = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        self.full = not self.full
        if not self.full:
            return None
        self.taken += bytes(data[:3])
        return min(3, len(data))


def test_a_partial_write_is_partial_for_the_guest_and_a_full_stream_is_again() -> None:
    target = Partial()
    with Program(Wasi(stdout=target)) as program:
        assert program.write(1, b"abcd", b"ef") == 3
        with refused("AGAIN"):
            program.write(1, b"def")
        assert program.write(1, b"def") == 3
    assert target.taken == b"abcdef"


def _raw(stream: Any) -> bytes:
    stream.flush()
    found: bytes = stream.raw.getvalue()
    return found


OUTPUTS: dict[str, tuple[Callable[[], Any], Callable[[Any], str | bytes]]] = {
    "BytesIO": (io.BytesIO, lambda stream: stream.getvalue()),
    "StringIO": (io.StringIO, lambda stream: stream.getvalue()),
    "a buffered writer": (lambda: io.BufferedWriter(io.BytesIO()), _raw),
}


@pytest.mark.parametrize(("make", "value"), OUTPUTS.values(), ids=OUTPUTS.keys())
def test_output_to_anything_arrives_whole(
    make: Callable[[], Any], value: Callable[[Any], str | bytes]
) -> None:
    target = make()
    with Program(Wasi(stdout=target, stderr=target)) as program:
        assert program.write(1, b"h\xc3", b"\xa9") == 3
        assert program.write(2, b"!") == 1
    found = value(target)
    assert found in ("hé!", b"h\xc3\xa9!")
    assert not target.closed


def test_a_character_split_over_two_writes_is_whole_in_a_text_stream() -> None:
    target = io.StringIO()
    with Program(Wasi(stdout=target)) as program:
        program.write(1, b"a\xf0\x9f")
        assert target.getvalue() == "a"
        program.write(1, b"\x90\x8d\xff")
    assert target.getvalue() == "a\U0001f40d\ufffd"


def test_a_function_gets_each_piece_as_bytes_of_its_own() -> None:
    pieces: list[bytes] = []
    with Program(Wasi(stdout=pieces.append)) as program:
        program.write(1, b"one")
        program.write(1, b"two", b"three")
    assert pieces == [b"one", b"twothree"]
    assert all(type(piece) is bytes for piece in pieces)


def test_output_to_the_hosts_streams_is_flushed_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as target, Program(Wasi(stdout=target)) as program:
        program.write(1, b"seen")
        assert (tmp_path / "log").read_bytes() == b"seen"


def test_sys_stdout_is_captured_as_any_other_text(capsys: pytest.CaptureFixture[str]) -> None:
    with Program(Wasi(stdout=sys.stdout, stderr=sys.stderr)) as program:
        program.write(1, b"out")
        program.write(2, b"err")
    assert capsys.readouterr() == ("out", "err")


def test_output_to_nothing_is_taken_and_dropped() -> None:
    with Program(Wasi()) as program:
        assert program.write(1, b"dropped") == program.write(2, b"dropped") == 7


def test_a_closed_stream_is_badf_and_a_broken_pipe_is_pipe() -> None:
    closed = io.BytesIO()
    closed.close()
    with Program(Wasi(stdin=closed, stdout=closed)) as program:
        with refused("BADF"):
            program.read(0, 1)
        with refused("BADF"):
            program.write(1, b"x")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", 0) as target, Program(Wasi(stdout=target)) as program, refused("PIPE"):
        program.write(1, b"x")


def test_an_error_of_the_embedders_own_stream_reaches_the_embedder() -> None:
    def broken(data: bytes) -> None:
        raise LookupError("a bug")

    with Program(Wasi(stdout=broken)) as program, pytest.raises(LookupError, match="a bug"):
        program.write(1, b"x")


def test_interrupts_pass_through() -> None:
    def interrupted(size: int) -> bytes:
        raise KeyboardInterrupt

    with Program(Wasi(stdin=interrupted)) as program, pytest.raises(KeyboardInterrupt):
        program.read(0, 1)


def test_streams_have_no_position_and_no_size() -> None:
    with Program(Wasi(stdin=b"abc")) as program:
        room = program.room(16)
        for fd in (0, 1):
            for name, arguments in (
                ("fd_seek", (fd, 0, 0, room)),
                ("fd_tell", (fd, room)),
                ("fd_pread", (fd, room, 0, 0, room)),
                ("fd_pwrite", (fd, room, 0, 0, room)),
                ("fd_advise", (fd, 0, 0, 0)),
                ("fd_allocate", (fd, 0, 1)),
            ):
                with refused("SPIPE"):
                    program.do(name, *arguments)
            with refused("NOTCAPABLE"):
                program.do("fd_filestat_set_size", fd, 0)
            with refused("NOTDIR"):
                program.do("fd_readdir", fd, room, 8, 0, room)
            program.do("fd_sync", fd)
            program.do("fd_datasync", fd)
            assert program.fstat(fd).filetype == FileType.UNKNOWN
        with refused("NOTCAPABLE"):
            program.write(0, b"x")
        with refused("NOTCAPABLE"):
            program.read(1, 1)
        assert program.fdstat(0).rights & (READ | WRITE) == READ
        assert program.fdstat(2).rights & (READ | WRITE) == WRITE


def test_a_terminal_looks_like_one() -> None:
    main, side = pty.openpty()
    with (
        os.fdopen(main, "rb", 0),
        os.fdopen(side, "wb", 0) as terminal,
        Program(Wasi(stdout=terminal)) as program,
    ):
        assert program.fdstat(1).filetype == FileType.CHARACTER_DEVICE
        assert program.fstat(1).filetype == FileType.CHARACTER_DEVICE
        assert program.fdstat(2).filetype == FileType.UNKNOWN


def test_a_nonblocking_pipe_is_again_in_place_of_a_wait() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as source,
        os.fdopen(writer, "wb", 0) as feed,
        Program(Wasi(stdin=source)) as program,
    ):
        program.do("fd_fdstat_set_flags", 0, NONBLOCK)
        assert program.fdstat(0).flags == NONBLOCK
        with refused("AGAIN"):
            program.read(0, 5)
        feed.write(b"late")
        assert program.read(0, 5) == b"late"


def test_a_buffered_stream_whose_pipe_is_full_gets_nothing_twice() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    sent = b""
    with (
        os.fdopen(reader, "rb", 0) as drain,
        os.fdopen(
            writer, "wb", 8192
        ) as stream,  # less than the pipe holds: what is left fits when it was emptied
        Program(Wasi(stdout=stream)) as program,
    ):
        with refused("AGAIN"):
            for number in range(40):
                piece = f"{number:05}".encode() * 1000
                sent += piece[: program.write(1, piece)]
        received = drain.read(1 << 20) or b""
        stream.flush()
        assert received + (drain.read(1 << 20) or b"") == sent


def test_closing_standard_streams_closes_nothing_of_the_embedders() -> None:
    target = io.BytesIO()
    with Program(Wasi(stdin=io.BytesIO(b"x"), stdout=target)) as program:
        program.write(1, b"x")
        program.close(1)
        with refused("BADF"):
            program.write(1, b"y")
    assert target.getvalue() == b"x"


class Counter(File):
    """A file of the embedder's own."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int) -> bytes:
        self.count += 1
        return str(self.count).encode()

    def write(self, data: bytes) -> int:
        raise OSError(28, "no space")


def test_a_file_of_ones_own_serves_as_a_stream() -> None:
    counter = Counter()
    with Program(Wasi(stdin=counter, stdout=counter)) as program:
        assert program.read(0, 5) == b"1"
        assert program.read(0, 5) == b"2"
        with refused("NOSPC"):
            program.write(1, b"x")


def test_what_is_no_stream_is_refused_where_it_is_given() -> None:
    with pytest.raises(TypeError, match="stdin: 3, expected bytes, text, a stream"):
        Wasi(stdin=3)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="stdout: 3, expected a stream"):
        Wasi(stdout=3)  # type: ignore[arg-type]  # on purpose


def test_streams_can_be_used_by_themselves() -> None:
    with pytest.raises(WasiError, match="BADF"):
        InputStream(b"x").write(b"y")
    with pytest.raises(WasiError, match="BADF"):
        OutputStream(io.BytesIO()).read(1)
    assert isinstance(hostmod.Exit(3), hostmod.HostmodError)
