"""Every function of preview 1, on every System: what it answers, and each errno that a guest can provoke."""

from __future__ import annotations

import random
import time

import pytest
from wasi_guest import (
    CREAT,
    CUR,
    DIRECTORY,
    DSYNC,
    READ,
    SIGNATURES,
    SYNC,
    TEXT,
    TRUNC,
    WRITE,
    Program,
    refused,
)

import hostmod
from hostmod.wasi import FileType, ManualClock, Wasi
from hostmod.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS, Rights

NOW = 1_700_000_000_000_000_000


def test_all_forty_six_functions_have_the_signatures_of_the_specification() -> None:
    assert len(SIGNATURES) == 46
    assert set(Wasi.functions) == set(SIGNATURES)
    for name, parameters in SIGNATURES.items():
        function = Wasi.functions[name]
        assert function.param_types == tuple({"p": "i32", "P": "i64"}[each] for each in parameters)
        assert function.result_types == (() if name == "proc_exit" else ("i32",))
        assert function.doc, f"{name} says what it does"


def test_a_guest_that_imports_everything_is_served() -> None:
    Wasi.check(hostmod.load(TEXT))


def _strings(program: Program, what: str) -> list[bytes]:
    count = program.room(4)
    size = program.room(4)
    program.do(f"{what}_sizes_get", count, size)
    pointers, buffer = program.room(4 * program.u32(count)), program.room(program.u32(size))
    program.do(f"{what}_get", pointers, buffer)
    whole = program.memory.read(buffer, program.u32(size))
    addresses = program.unpack(f"<{program.u32(count)}I", pointers)
    return [whole[address - buffer :].split(b"\0")[0] for address in addresses]


def test_arguments_and_environment_are_those_given() -> None:
    args = ["prog", "", "two words", "ü\U0001f40d"]
    with Program(Wasi(args=args, env={"A": "1", "B": "x=y\n", "C": ""})) as program:
        assert _strings(program, "args") == [each.encode() for each in args]
        assert _strings(program, "environ") == [b"A=1", b"B=x=y\n", b"C="]


def test_nothing_given_is_nothing_there() -> None:
    with Program(Wasi()) as program:
        assert _strings(program, "args") == _strings(program, "environ") == []


def test_an_argument_with_a_nul_is_refused_where_it_is_given() -> None:
    with pytest.raises(ValueError, match=r"Wasi\(args=\): 'a\\x00b', expected no NUL"):
        Wasi(args=["a\0b"])
    with pytest.raises(ValueError, match=r"Wasi\(env=\)"):
        Wasi(env={"A": "a\0b"})


def test_arguments_that_do_not_fit_the_memory_trap_and_say_where() -> None:
    with Program(Wasi(args=["prog"])) as program, pytest.raises(hostmod.SegmentationFault):
        program.call("args_get", len(program.memory), 0)


def test_the_machines_clocks_tick() -> None:
    with Program(Wasi()) as program:
        before = time.time_ns()
        assert before <= program.answer("<Q", "clock_time_get", 0, 0) <= time.time_ns()
        first = program.answer("<Q", "clock_time_get", 1, 0)
        assert first <= program.answer("<Q", "clock_time_get", 1, 1)
        for clock in range(4):
            assert program.answer("<Q", "clock_res_get", clock) >= 1
            assert program.answer("<Q", "clock_time_get", clock, 0) >= 0


def test_an_embedders_clock_is_the_only_one() -> None:
    with Program(Wasi(clock=ManualClock(NOW, step=5))) as program:
        assert [program.answer("<Q", "clock_time_get", clock, 0) for clock in range(4)] == [
            NOW,
            NOW + 5,
            NOW + 10,
            NOW + 15,
        ]
        assert program.answer("<Q", "clock_res_get", 0) == 5
    with Program(Wasi(clock=lambda: 42)) as program:
        assert program.answer("<Q", "clock_time_get", 0, 0) == 42
        assert program.answer("<Q", "clock_res_get", 0) == 1


def test_an_unknown_clock_is_inval() -> None:
    with Program(Wasi()) as program:
        for clock in (4, 0xFFFF_FFFF):
            with refused("INVAL"):
                program.answer("<Q", "clock_time_get", clock, 0)
            with refused("INVAL"):
                program.answer("<Q", "clock_res_get", clock)


def test_randomness_is_the_embedders_seed() -> None:
    with Program(Wasi(random=random.Random(1))) as program:
        buffer = program.room(40)
        program.do("random_get", buffer, 32)
        assert program.memory.read(buffer, 40) == random.Random(1).randbytes(32) + b"\xaa" * 8
    with Program(Wasi(random=lambda size: b"7" * size)) as program:
        size = (1 << 20) + 3
        buffer = program.room(size)
        program.do("random_get", buffer, size)
        assert program.memory.read(buffer, size) == b"7" * size


def test_the_machines_randomness_differs_each_time() -> None:
    with Program(Wasi()) as program:
        buffer = program.room(64)
        program.do("random_get", buffer, 32)
        program.do("random_get", buffer + 32, 32)
        assert program.memory.read(buffer, 32) != program.memory.read(buffer + 32, 32)
        program.do("random_get", buffer, 0)


@pytest.mark.parametrize("fd", [99, 2**31, 2**32 - 1], ids=["never open", "past 2**31", "the largest"])
def test_a_descriptor_that_is_not_open_is_badf(program: Program, fd: int) -> None:
    room = program.room(64)
    calls: list[tuple[str, tuple[int | str, ...]]] = [
        ("fd_advise", (fd, 0, 0, 0)),
        ("fd_allocate", (fd, 0, 1)),
        ("fd_close", (fd,)),
        ("fd_datasync", (fd,)),
        ("fd_fdstat_get", (fd, room)),
        ("fd_fdstat_set_flags", (fd, 0)),
        ("fd_fdstat_set_rights", (fd, 0, 0)),
        ("fd_filestat_get", (fd, room)),
        ("fd_filestat_set_size", (fd, 0)),
        ("fd_filestat_set_times", (fd, 0, 0, 0)),
        ("fd_pread", (fd, room, 0, 0, room)),
        ("fd_prestat_get", (fd, room)),
        ("fd_prestat_dir_name", (fd, room, 8)),
        ("fd_pwrite", (fd, room, 0, 0, room)),
        ("fd_read", (fd, room, 0, room)),
        ("fd_readdir", (fd, room, 8, 0, room)),
        ("fd_renumber", (fd, 3)),
        ("fd_renumber", (3, fd)),
        ("fd_seek", (fd, 0, 0, room)),
        ("fd_sync", (fd,)),
        ("fd_tell", (fd, room)),
        ("fd_write", (fd, room, 0, room)),
        ("path_create_directory", (fd, "x")),
        ("path_filestat_get", (fd, 0, "x", room)),
        ("path_filestat_set_times", (fd, 0, "x", 0, 0, 0)),
        ("path_link", (fd, 0, "x", 3, "y")),
        ("path_link", (3, 0, "x", fd, "y")),
        ("path_open", (fd, 0, "x", 0, 0, 0, 0, room)),
        ("path_readlink", (fd, "x", room, 8, room)),
        ("path_remove_directory", (fd, "x")),
        ("path_rename", (fd, "x", 3, "y")),
        ("path_rename", (3, "x", fd, "y")),
        ("path_symlink", ("x", fd, "y")),
        ("path_unlink_file", (fd, "x")),
        ("sock_accept", (fd, 0, room)),
        ("sock_recv", (fd, room, 0, 0, room, room)),
        ("sock_send", (fd, room, 0, 0, room)),
        ("sock_shutdown", (fd, 1)),
    ]
    for name, arguments in calls:
        with refused("BADF"):
            program.do(name, *arguments)


def test_a_file_is_no_directory(program: Program) -> None:
    program.spill("file")
    fd = program.open("file")
    room = program.room(64)
    calls: list[tuple[str, tuple[int | str, ...]]] = [
        ("fd_readdir", (fd, room, 8, 0, room)),
        ("path_create_directory", (fd, "x")),
        ("path_filestat_get", (fd, 0, "x", room)),
        ("path_filestat_set_times", (fd, 0, "x", 0, 0, 0)),
        ("path_link", (fd, 0, "x", 3, "y")),
        ("path_link", (3, 0, "file", fd, "y")),
        ("path_open", (fd, 0, "x", 0, 0, 0, 0, room)),
        ("path_readlink", (fd, "x", room, 8, room)),
        ("path_remove_directory", (fd, "x")),
        ("path_rename", (fd, "x", 3, "y")),
        ("path_rename", (3, "file", fd, "y")),
        ("path_symlink", ("x", fd, "y")),
        ("path_unlink_file", (fd, "x")),
    ]
    for name, arguments in calls:
        with refused("NOTDIR"):
            program.do(name, *arguments)
    with refused("BADF"):
        program.do("fd_prestat_get", fd, room)


def test_a_directory_is_no_file(program: Program) -> None:
    room = program.room(64)
    calls: list[tuple[str, tuple[int, ...]]] = [
        ("fd_allocate", (3, 0, 1)),
        ("fd_filestat_set_size", (3, 0)),
        ("fd_pread", (3, room, 0, 0, room)),
        ("fd_pwrite", (3, room, 0, 0, room)),
        ("fd_read", (3, room, 0, room)),
        ("fd_seek", (3, 0, 0, room)),
        ("fd_tell", (3, room)),
        ("fd_write", (3, room, 0, room)),
    ]
    for name, arguments in calls:
        with refused("ISDIR"):
            program.do(name, *arguments)


def test_neither_files_nor_directories_are_sockets(program: Program) -> None:
    room = program.room(64)
    for fd in (3, program.open("file", oflags=CREAT), 1):
        for name, arguments in (
            ("sock_accept", (fd, 0, room)),
            ("sock_recv", (fd, room, 0, 0, room, room)),
            ("sock_send", (fd, room, 0, 0, room)),
            ("sock_shutdown", (fd, 1)),
        ):
            with refused("NOTSOCK"):
                program.do(name, *arguments)


def test_the_lowest_free_number_is_given(program: Program) -> None:
    numbers = [program.open("file", oflags=CREAT) for _ in range(3)]
    assert numbers == [4, 5, 6]
    program.close(4)
    program.close(1)
    assert program.open("file") == 1
    assert program.open("file") == 4
    assert program.open("file") == 7
    with refused("BADF"):
        program.close(99)


def test_renumbering_replaces_and_closes(program: Program) -> None:
    program.spill("a", b"A")
    program.spill("b", b"B")
    a, b = program.open("a"), program.open("b")
    program.do("fd_renumber", a, b)
    assert program.read(b, 1) == b"A"
    with refused("BADF"):
        program.read(a, 1)
    program.do("fd_renumber", b, b)
    assert program.pread(b, 0, 1) == b"A"
    program.do("fd_renumber", b, 1)
    assert program.pread(1, 0, 1) == b"A"
    program.do("fd_renumber", 3, 1)
    assert program.fdstat(1).filetype == FileType.DIRECTORY
    assert program.answer("<BxxxI", "fd_prestat_get", 1) == (0, 1)


def test_preopened_directories_are_told_by_name(tree: object) -> None:
    with Program(Wasi(preopens={"/": tree, "/dätä": tree})) as program:  # type: ignore[dict-item]  # a Tree
        for fd, name in ((3, b"/"), (4, "/dätä".encode())):
            assert program.answer("<BxxxI", "fd_prestat_get", fd) == (0, len(name))
            buffer = program.room(len(name) + 4)
            program.do("fd_prestat_dir_name", fd, buffer, len(name) + 4)
            assert program.memory.read(buffer, len(name) + 4) == name + b"\xaa" * 4
            with refused("NAMETOOLONG"):
                program.do("fd_prestat_dir_name", fd, buffer, len(name) - 1)
        with refused("BADF"):
            program.answer("<BxxxI", "fd_prestat_get", 5)
        with refused("BADF"):
            program.do("fd_prestat_dir_name", 1, program.room(8), 8)
        again = program.open_directory(".")
        with refused("BADF"):
            program.answer("<BxxxI", "fd_prestat_get", again)


def test_a_preopened_directory_can_be_closed(program: Program) -> None:
    fd = program.open_directory(".")
    program.close(3)
    with refused("BADF"):
        program.stat(".")
    program.mkdir("still", fd=fd)


def test_rights_are_those_asked_for_that_apply(program: Program) -> None:
    every = DIRECTORY_RIGHTS | FILE_RIGHTS
    assert program.fdstat(3)[2:] == (DIRECTORY_RIGHTS, every)
    fd = program.open("file", oflags=CREAT, rights=READ | Rights.PATH_OPEN, inheriting=every)
    assert program.fdstat(fd)[2:] == (READ, FILE_RIGHTS)
    fd = program.open_directory(".")
    assert program.fdstat(fd)[2:] == (DIRECTORY_RIGHTS, every)
    fd = program.open("file", rights=READ | 1 << 40)
    assert program.fdstat(fd).rights == READ


def test_rights_can_be_given_up_and_never_had_back(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    program.do("fd_fdstat_set_rights", fd, READ, 0)
    assert program.fdstat(fd)[2:] == (READ, 0)
    for base, inheriting in ((WRITE, 0), (READ | WRITE, 0), (READ, READ)):
        with refused("NOTCAPABLE"):
            program.do("fd_fdstat_set_rights", fd, base, inheriting)
    with refused("NOTCAPABLE"):
        program.write(fd, b"x")


def test_rights_that_a_directory_does_not_pass_on_cannot_be_had(program: Program) -> None:
    program.spill("file")
    limited = program.open(".", oflags=DIRECTORY, rights=Rights.PATH_OPEN, inheriting=READ | Rights.PATH_OPEN)
    with refused("NOTCAPABLE"):
        program.open("file", fd=limited, rights=WRITE)
    with refused("NOTCAPABLE"):
        program.open("file", fd=limited, rights=READ, inheriting=WRITE)
    with refused("NOTCAPABLE"):
        program.open("file", fd=limited, rights=READ, fdflags=SYNC)
    with refused("NOTCAPABLE"):
        program.open("file", fd=limited, rights=READ, fdflags=DSYNC)
    with refused("NOTCAPABLE"):
        program.open("new", fd=limited, rights=READ, oflags=CREAT)
    with refused("NOTCAPABLE"):
        program.open("file", fd=limited, rights=READ, oflags=TRUNC)
    program.open("file", fd=limited, rights=READ)


def test_each_call_needs_its_right(program: Program) -> None:
    program.spill("file")
    bare = program.open(".", oflags=DIRECTORY, rights=0)
    nothing = program.open("file", rights=0)
    room = program.room(64)
    calls: list[tuple[str, tuple[int | str, ...]]] = [
        ("fd_advise", (nothing, 0, 0, 0)),
        ("fd_allocate", (nothing, 0, 1)),
        ("fd_datasync", (nothing,)),
        ("fd_fdstat_set_flags", (nothing, 0)),
        ("fd_filestat_get", (nothing, room)),
        ("fd_filestat_set_size", (nothing, 0)),
        ("fd_filestat_set_times", (nothing, 0, 0, 0)),
        ("fd_pread", (nothing, room, 0, 0, room)),
        ("fd_pwrite", (nothing, room, 0, 0, room)),
        ("fd_read", (nothing, room, 0, room)),
        ("fd_readdir", (bare, room, 8, 0, room)),
        ("fd_seek", (nothing, 0, 0, room)),
        ("fd_sync", (nothing,)),
        ("fd_tell", (nothing, room)),
        ("fd_write", (nothing, room, 0, room)),
        ("path_create_directory", (bare, "x")),
        ("path_filestat_get", (bare, 0, "x", room)),
        ("path_filestat_set_times", (bare, 0, "x", 0, 0, 0)),
        ("path_link", (bare, 0, "x", 3, "y")),
        ("path_link", (3, 0, "x", bare, "y")),
        ("path_open", (bare, 0, "x", 0, 0, 0, 0, room)),
        ("path_readlink", (bare, "x", room, 8, room)),
        ("path_remove_directory", (bare, "x")),
        ("path_rename", (bare, "x", 3, "y")),
        ("path_rename", (3, "x", bare, "y")),
        ("path_symlink", ("x", bare, "y")),
        ("path_unlink_file", (bare, "x")),
    ]
    for name, arguments in calls:
        with refused("NOTCAPABLE"):
            program.do(name, *arguments)


def test_the_right_to_seek_is_a_right_to_tell_and_not_the_other_way_round(program: Program) -> None:
    seeker = program.open("file", oflags=CREAT, rights=Rights.FD_SEEK)
    teller = program.open("file", rights=Rights.FD_TELL)
    assert program.tell(seeker) == program.tell(teller) == 0
    assert program.seek(teller, 0, CUR) == 0
    with refused("NOTCAPABLE"):
        program.seek(teller, 1, CUR)


def test_an_exit_is_an_exit_code() -> None:
    for code in (0, 1, 33, 255, 2**32 - 1):
        with Program(Wasi()) as program, pytest.raises(hostmod.Exit) as caught:
            program.guest.exports.proc_exit(code)
        assert caught.value.code == code


def test_a_signal_ends_the_guest_or_does_nothing() -> None:
    with Program(Wasi()) as program:
        for signal in (0, 13, 16, 17, 22, 27):  # none, pipe, chld, cont, urg, winch
            program.do("proc_raise", signal)
        for signal in (18, 19, 20, 21):  # stop, tstp, ttin, ttou
            with refused("NOTSUP"):
                program.do("proc_raise", signal)
        for signal in (31, 256, 2**32 - 1):
            with refused("INVAL"):
                program.do("proc_raise", signal)
        with pytest.raises(hostmod.Exit) as caught:
            program.do("proc_raise", 6)  # abrt
        assert caught.value.code == 134


def test_others_run_when_a_guest_yields() -> None:
    with Program(Wasi()) as program:
        program.do("sched_yield")


def test_a_pointer_outside_the_memory_traps_and_changes_nothing(program: Program) -> None:
    program.spill("file", b"abc")
    fd = program.open("file")
    end = len(program.memory)
    iovs = program.put(b"\xff\xff\xff\xff\x10\0\0\0")
    far = program.put((end - 1).to_bytes(4, "little") + b"\x02\0\0\0")
    calls: list[tuple[str, tuple[int, ...]]] = [
        ("fd_read", (fd, iovs, 1, 0)),
        ("fd_read", (fd, far, 1, 0)),
        ("fd_pread", (fd, far, 1, 0, 0)),
        ("fd_read", (fd, end - 4, 1, 0)),
        ("fd_read", (fd, end - 8, 2, 0)),
        ("fd_write", (fd, iovs, 1, 0)),
        ("fd_write", (fd, far, 1, 0)),
        ("fd_pwrite", (fd, far, 1, 0, 0)),
        ("fd_fdstat_get", (fd, end - 23)),
        ("fd_filestat_get", (fd, end - 63)),
        ("fd_tell", (fd, end - 7)),
        ("path_filestat_get", (3, 0, end - 3, 4, 0)),
        ("path_open", (3, 0, 0, end + 1, 0, 0, 0, 0, 0)),
        ("fd_readdir", (3, end - 1, 2, 0, 0)),
        ("random_get", (end - 1, 2)),
        ("poll_oneoff", (end - 47, 0, 1, 0)),
        ("poll_oneoff", (0, end - 31, 1, 0)),
        ("clock_time_get", (0, 0, end - 7)),
    ]
    for name, arguments in calls:
        with pytest.raises(hostmod.SegmentationFault):
            program.guest.exports[name](*arguments)
    assert program.tell(fd) == 0
    assert program.slurp("file") == b"abc"


def test_an_answer_that_has_no_place_leaves_no_descriptor_behind(program: Program) -> None:
    path = program.put(b"new")
    for _ in range(3):
        with pytest.raises(hostmod.SegmentationFault):
            program.guest.exports.path_open(3, 0, path, 3, CREAT, 0, 0, 0, len(program.memory))
    assert program.open("new") == 4
