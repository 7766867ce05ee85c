"""poll_oneoff: clocks, descriptors of the host's, Python streams, and errors among them."""

from __future__ import annotations

import io
import os
import socket
import threading
import time

import pytest
from wasi_guest import CREAT, READ, WRITE, Happening, Program, clock_event, fd_event, refused

from hostmod.wasi import File, ManualClock, MemoryFS, Wasi

MS = 1_000_000


def outcomes(found: list[Happening]) -> dict[int, str]:
    return {each.userdata: each.error.name for each in found}


def test_a_timeout_passes_by_the_machines_clock() -> None:
    with Program(Wasi()) as program:
        start = time.monotonic()
        assert program.poll(clock_event(7, 50 * MS)) == [Happening(7, 0, 0, 0, 0)]  # type: ignore[arg-type]  # 0 is SUCCESS
        assert 0.045 < time.monotonic() - start < 5


def test_an_absolute_deadline_and_one_in_the_past() -> None:
    with Program(Wasi()) as program:
        now = program.answer("<Q", "clock_time_get", 1, 0)
        start = time.monotonic()
        assert outcomes(program.poll(clock_event(1, now + 30 * MS, flags=1))) == {1: "SUCCESS"}
        assert time.monotonic() - start > 0.02
        assert outcomes(program.poll(clock_event(2, 1, clock=0, flags=1))) == {2: "SUCCESS"}


def test_the_first_deadline_ends_the_wait_and_all_that_have_passed_are_told() -> None:
    clock = ManualClock()
    with Program(Wasi(clock=clock)) as program:
        found = program.poll(clock_event(1, 500), clock_event(2, 100), clock_event(3, 100), clock_event(4, 0))
        assert outcomes(found) == {4: "SUCCESS"}
        found = program.poll(clock_event(1, 500), clock_event(2, 100), clock_event(3, 100))
        assert outcomes(found) == {2: "SUCCESS", 3: "SUCCESS"}
        assert clock.now == 100


def test_a_virtual_clock_makes_a_long_sleep_short() -> None:
    clock = ManualClock()
    with Program(Wasi(clock=clock)) as program:
        program.poll(clock_event(1, 10**18))
        assert clock.now == 10**18
        program.poll(clock_event(1, 2**64 - 1, flags=1))
        assert clock.now == 2**64 - 1


def test_a_virtual_clock_passes_beside_input_that_does_not_come() -> None:
    reader, writer = os.pipe()
    clock = ManualClock()
    with (
        os.fdopen(reader, "rb") as source,
        os.fdopen(writer, "wb", 0) as feed,
        Program(Wasi(stdin=source, clock=clock)) as program,
    ):
        start = time.monotonic()
        assert outcomes(program.poll(fd_event(1, 1, 0), clock_event(2, 10**15))) == {2: "SUCCESS"}
        assert clock.now == 10**15
        assert time.monotonic() - start < 5
        feed.write(b"x")
        assert outcomes(program.poll(fd_event(1, 1, 0), clock_event(2, 10**15))) == {1: "SUCCESS"}
        assert clock.now == 10**15


def test_files_and_memory_are_always_ready(tmp_path: object) -> None:
    with Program(Wasi(stdin=b"abc", stdout=io.BytesIO(), preopens={"/": MemoryFS()})) as program:
        fd = program.open("file", oflags=CREAT)
        found = program.poll(
            fd_event(1, 1, 0),
            fd_event(2, 2, 1),
            fd_event(3, 1, fd),
            fd_event(4, 2, fd),
            clock_event(5, 10**12),
        )
        assert outcomes(found) == dict.fromkeys((1, 2, 3, 4), "SUCCESS")
        assert {each.userdata: each.type for each in found} == {1: 1, 2: 2, 3: 1, 4: 2}
        assert all(each.nbytes >= 1 for each in found)


def test_errors_are_told_in_their_events_and_at_once() -> None:
    with Program(Wasi(preopens={"/": MemoryFS()})) as program:
        nothing = program.open("file", oflags=CREAT, rights=0)
        reader = program.open("file", rights=READ)
        found = program.poll(
            fd_event(1, 1, 99),
            fd_event(2, 1, 3),
            fd_event(3, 1, nothing),
            fd_event(4, 1, reader),
            fd_event(5, 2, 0),
            clock_event(6, 1, clock=4),
            clock_event(7, 1, flags=2),
            fd_event(8, 3, 0),
            clock_event(9, 10**15),
        )
        assert outcomes(found) == {
            1: "BADF",
            2: "ISDIR",
            3: "NOTCAPABLE",
            4: "NOTCAPABLE",
            5: "NOTCAPABLE",
            6: "INVAL",
            7: "INVAL",
            8: "INVAL",
        }


def test_no_subscriptions_and_too_many_are_inval() -> None:
    with Program(Wasi(max_subscriptions=3)) as program:
        for count in (0, 4, 2**32 - 1):
            with refused("INVAL"):
                program.do("poll_oneoff", 0, 0, count, 0)
        assert len(program.poll(*[clock_event(number, 0) for number in range(3)])) == 3


def test_a_pipe_is_waited_for() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as source,
        os.fdopen(writer, "wb", 0) as feed,
        Program(Wasi(stdin=source)) as program,
    ):
        assert outcomes(program.poll(fd_event(1, 1, 0), clock_event(2, 20 * MS))) == {2: "SUCCESS"}
        timer = threading.Timer(0.05, feed.write, (b"x",))
        timer.start()
        start = time.monotonic()
        assert outcomes(program.poll(fd_event(1, 1, 0), clock_event(2, 10**10))) == {1: "SUCCESS"}
        assert time.monotonic() - start < 5
        timer.join()
        assert program.read(0, 10) == b"x"
        assert outcomes(program.poll(fd_event(1, 1, 0), clock_event(2, 20 * MS))) == {2: "SUCCESS"}
        feed.close()
        assert outcomes(program.poll(fd_event(1, 1, 0), clock_event(2, 10**10))) == {1: "SUCCESS"}
        assert program.read(0, 10) == b""


def test_a_full_pipe_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with (
        os.fdopen(reader, "rb", 0) as drain,
        os.fdopen(writer, "wb", 0) as target,
        Program(Wasi(stdout=target)) as program,
    ):
        with refused("AGAIN"):
            while True:
                program.write(1, b"x" * 4096)
        assert outcomes(program.poll(fd_event(1, 2, 1), clock_event(2, 20 * MS))) == {2: "SUCCESS"}
        drain.read(1 << 20)
        assert outcomes(program.poll(fd_event(1, 2, 1), clock_event(2, 10**10))) == {1: "SUCCESS"}


def test_a_socket_is_waited_for_and_its_end_is_seen() -> None:
    ours, theirs = socket.socketpair()
    with ours, Program(Wasi(sockets=[theirs])) as program, theirs:
        assert outcomes(program.poll(fd_event(1, 1, 3), fd_event(2, 2, 3))) == {2: "SUCCESS"}
        ours.send(b"x")
        assert outcomes(program.poll(fd_event(1, 1, 3), fd_event(2, 2, 3))) == {1: "SUCCESS", 2: "SUCCESS"}


class Slow(File):
    """Has something to read at its third look, and no descriptor to wait on."""

    looks = 0

    def ready(self, write: bool) -> int | None:
        self.looks += 1
        return 5 if self.looks >= 3 else None


def test_a_file_without_a_descriptor_is_looked_at_again_and_again() -> None:
    slow = Slow()
    with Program(Wasi(stdin=slow)) as program:
        found = program.poll(fd_event(1, 1, 0), clock_event(2, 10**10))
        assert [(each.userdata, each.nbytes) for each in found] == [(1, 5)]
        assert slow.looks == 3


def test_an_interrupt_ends_a_wait() -> None:
    class Interrupted(ManualClock):
        def sleep(self, nanoseconds: int) -> None:
            raise KeyboardInterrupt

    with Program(Wasi(clock=Interrupted())) as program, pytest.raises(KeyboardInterrupt):
        program.poll(clock_event(1, 10))


def test_writing_needs_the_right_to_write() -> None:
    with Program(Wasi(preopens={"/": MemoryFS({"file": b""})})) as program:
        writer = program.open("file", rights=WRITE)
        assert outcomes(program.poll(fd_event(1, 2, writer))) == {1: "NOTCAPABLE"}
        both = program.open("file", rights=WRITE | 1 << 27)
        assert outcomes(program.poll(fd_event(1, 2, both))) == {1: "SUCCESS"}
