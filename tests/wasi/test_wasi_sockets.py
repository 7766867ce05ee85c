"""Sockets that the embedder opened: accept, receive, send, shut down."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from wasi_guest import APPEND, NONBLOCK, Program, refused

from hostmod.wasi import FileType, MemoryFS, Wasi


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Program]]:
    """A socket of the host's, and a guest with the other end at descriptor 3."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs, Program(Wasi(sockets=[theirs])) as program:
        yield ours, program


def receive(program: Program, fd: int, *sizes: int, flags: int = 0) -> tuple[bytes, int]:
    iovs, count, places = program.iovs(*sizes)
    out = program.room(8)
    program.do("sock_recv", fd, iovs, count, flags, out, out + 4)
    size, found = program.unpack("<IH", out)
    whole = b"".join(program.memory.read(place, length) for place, length in zip(places, sizes, strict=True))
    return whole[:size], found


def send(program: Program, fd: int, *pieces: bytes, flags: int = 0) -> int:
    found: int = program.answer("<I", "sock_send", fd, *program.ciovs(*pieces), flags)
    return found


def test_bytes_go_both_ways(pair: tuple[socket.socket, Program]) -> None:
    ours, program = pair
    assert send(program, 3, b"he", b"llo") == 5
    assert ours.recv(10) == b"hello"
    ours.send(b"world")
    assert receive(program, 3, 2, flags=1) == (b"wo", 0)
    assert receive(program, 3, 2, 10) == (b"world", 0)
    assert program.write(3, b"x") == 1
    assert ours.recv(10) == b"x"
    ours.send(b"yz")
    assert program.read(3, 10) == b"yz"
    ours.close()
    assert receive(program, 3, 10) == (b"", 0)


def test_a_socket_that_does_not_wait_says_so() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        with Program(Wasi(sockets=[theirs, ours])) as program:
            assert program.fdstat(3).flags == NONBLOCK
            assert program.fdstat(4).flags == 0
            with refused("AGAIN"):
                receive(program, 3, 10)


def test_waiting_for_all_of_it(pair: tuple[socket.socket, Program]) -> None:
    ours, program = pair
    ours.send(b"abc")
    ours.send(b"def")
    assert receive(program, 3, 6, flags=2) == (b"abcdef", 0)


def test_directions_are_shut_down(pair: tuple[socket.socket, Program]) -> None:
    ours, program = pair
    program.do("sock_shutdown", 3, 2)
    assert ours.recv(10) == b""
    with refused("PIPE"):
        send(program, 3, b"x")
    program.do("sock_shutdown", 3, 1)
    assert receive(program, 3, 10) == (b"", 0)
    program.do("sock_shutdown", 3, 3)
    for how in (0, 4, 256 + 1):
        with refused("INVAL"):
            program.do("sock_shutdown", 3, how)


def test_flags_that_no_version_knows_are_inval(pair: tuple[socket.socket, Program]) -> None:
    _, program = pair
    with refused("INVAL"):
        send(program, 3, b"x", flags=1)
    with refused("INVAL"):
        receive(program, 3, 1, flags=4)
    with refused("NOTSUP"):
        program.do("fd_fdstat_set_flags", 3, APPEND)


def test_a_nonblocking_socket_is_again(pair: tuple[socket.socket, Program]) -> None:
    ours, program = pair
    program.do("fd_fdstat_set_flags", 3, NONBLOCK)
    with refused("AGAIN"):
        receive(program, 3, 1)
    ours.send(b"x")
    assert receive(program, 3, 1) == (b"x", 0)
    assert program.fdstat(3).flags == NONBLOCK


def test_a_datagram_that_is_cut_says_so() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, Program(Wasi(sockets=[theirs])) as program:
        assert program.fdstat(3).filetype == FileType.SOCKET_DGRAM
        ours.send(b"hello")
        assert receive(program, 3, 3) == (b"hel", 1)
        ours.send(b"hello")
        assert receive(program, 3, 3, 3) == (b"hello", 0)


def test_connections_are_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wasi = Wasi(sockets=[server], preopens={"/": MemoryFS()})
        assert wasi.socket_fds == [4]
        with Program(wasi) as program:
            assert program.fdstat(4).filetype == FileType.SOCKET_STREAM
            with socket.create_connection(server.getsockname()) as client:
                client.settimeout(5)
                fd = program.answer("<I", "sock_accept", 4, 0)
                client.send(b"ping")
                assert receive(program, fd, 10) == (b"ping", 0)
                send(program, fd, b"pong")
                assert client.recv(10) == b"pong"
                program.close(fd)
                assert client.recv(10) == b""
            with socket.create_connection(server.getsockname()):
                fd = program.answer("<I", "sock_accept", 4, NONBLOCK)
                assert program.fdstat(fd).flags == NONBLOCK
                with refused("AGAIN"):
                    receive(program, fd, 10)
                with refused("INVAL"):
                    program.answer("<I", "sock_accept", fd, 0)
            with refused("INVAL"):
                program.answer("<I", "sock_accept", 4, APPEND)
            server.setblocking(False)
            with refused("AGAIN"):
                program.answer("<I", "sock_accept", 4, 0)
        assert server.fileno() >= 0, "it is the embedder's, and stays open"


def test_accepting_stops_at_the_limit_of_open_files() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with Program(Wasi(sockets=[server], max_open_files=4)) as program, refused("MFILE"):
            program.answer("<I", "sock_accept", 3, 0)


def test_a_timeout_of_the_embedders_socket_is_timedout(pair: tuple[socket.socket, Program]) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0.01)
    with ours, theirs, Program(Wasi(sockets=[theirs])) as program, refused("TIMEDOUT"):
        receive(program, 3, 1)


def test_rights_of_sockets(pair: tuple[socket.socket, Program]) -> None:
    _, program = pair
    program.do("fd_fdstat_set_rights", 3, 0, 0)
    room = program.room(16)
    for name, arguments in (
        ("sock_accept", (3, 0, room)),
        ("sock_recv", (3, room, 0, 0, room, room)),
        ("sock_send", (3, room, 0, 0, room)),
        ("sock_shutdown", (3, 1)),
    ):
        with refused("NOTCAPABLE"):
            program.do(name, *arguments)
    assert struct.calcsize("<IH") == 6
