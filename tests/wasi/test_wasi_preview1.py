"""Every function of preview 1, on every System: what it answers, and each errno that a guest can provoke."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from wasi_guest import (
    APPEND,
    ATIM,
    ATIM_NOW,
    CREAT,
    CUR,
    DIRECTORY,
    DSYNC,
    END,
    EXCL,
    MTIM,
    MTIM_NOW,
    NONBLOCK,
    READ,
    RSYNC,
    SET,
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


# --------------------------------------------------------------------------------------------------------- signatures


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


# --------------------------------------------------------------------------------------------- arguments, environment


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


# ------------------------------------------------------------------------------------------------------------- clocks


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


# --------------------------------------------------------------------------------------------------------- randomness


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


# --------------------------------------------------------------------------------------------------- reading, writing


def test_what_is_written_is_read_back(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    assert program.write(fd, b"hello ", b"", b"world") == 11
    assert program.tell(fd) == 11
    assert program.seek(fd, 0) == 0
    assert program.read(fd, 3, 0, 100) == b"hello world"
    assert program.read(fd, 10) == b""
    assert program.pread(fd, 6, 5) == b"world"
    assert program.pread(fd, 6, 2, 2) == b"worl"
    assert program.pread(fd, 1000, 5) == b""
    assert program.pwrite(fd, 0, b"J", b"E") == 2
    assert program.tell(fd) == 11
    assert program.slurp("file") == b"JEllo world"


def test_no_buffers_and_empty_buffers_move_nothing(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    assert program.write(fd) == program.write(fd, b"") == 0
    assert program.read(fd) == program.read(fd, 0) == b""
    assert program.fstat(fd).size == 0


def test_writing_beyond_the_end_fills_with_zeros(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    program.seek(fd, 3)
    assert program.write(fd, b"x") == 1
    assert program.pwrite(fd, 6, b"y") == 1
    assert program.slurp("file") == b"\0\0\0x\0\0y"


def test_append_mode_writes_at_the_end_wherever_the_position_is(program: Program) -> None:
    program.spill("file", b"abc")
    fd = program.open("file", fdflags=APPEND)
    assert program.fdstat(fd).flags == APPEND
    program.seek(fd, 0)
    program.write(fd, b"def")
    assert program.tell(fd) == 6
    program.do("fd_fdstat_set_flags", fd, 0)
    program.seek(fd, 0)
    program.write(fd, b"X")
    program.do("fd_fdstat_set_flags", fd, APPEND)
    program.write(fd, b"Y")
    assert program.slurp("file") == b"XbcdefY"


@pytest.mark.parametrize("flag", [DSYNC, RSYNC, SYNC, DSYNC | SYNC | APPEND, NONBLOCK])
def test_sync_flags_are_kept_and_shown(program: Program, flag: int) -> None:
    fd = program.open("file", oflags=CREAT, fdflags=flag)
    assert program.fdstat(fd).flags == flag
    assert program.write(fd, b"abc") == 3
    program.do("fd_fdstat_set_flags", fd, 0)
    assert program.fdstat(fd).flags == 0
    program.do("fd_fdstat_set_flags", fd, flag)
    assert program.fdstat(fd).flags == flag
    assert program.write(fd, b"def") == 3
    assert program.pwrite(fd, 0, b"g") == 1
    assert program.slurp("file") == (b"abcdefg" if flag & APPEND else b"gbcdef")


def test_unknown_flags_are_inval(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    for flags in (1 << 5, 1 << 16):
        with refused("INVAL"):
            program.do("fd_fdstat_set_flags", fd, flags)
        with refused("INVAL"):
            program.open("file", fdflags=flags)
    for oflags in (1 << 4, 1 << 16):
        with refused("INVAL"):
            program.open("file", oflags=oflags)
    with refused("INVAL"):
        program.do("path_filestat_get", 3, 2, "file", program.room(64))
    with refused("INVAL"):
        program.do("path_open", 3, 2, "file", 0, 0, 0, 0, program.room(4))
    with refused("INVAL"):
        program.do("fd_fdstat_set_flags", 3, APPEND)


def test_seeking_from_each_base(program: Program) -> None:
    program.spill("file", b"0123456789")
    fd = program.open("file")
    assert program.seek(fd, 4, SET) == 4
    assert program.seek(fd, 3, CUR) == 7
    assert program.seek(fd, -1, CUR) == 6
    assert program.seek(fd, -2, END) == 8
    assert program.read(fd, 9) == b"89"
    assert program.seek(fd, 100, END) == 110
    assert program.read(fd, 9) == b""
    for offset, whence in ((-1, SET), (-111, CUR), (-11, END)):
        with refused("INVAL"):
            program.seek(fd, offset, whence)
    with refused("INVAL"):
        program.seek(fd, 0, 3)
    with refused("INVAL"):
        program.seek(fd, 0, 256)
    program.seek(fd, 2**40, SET)
    with refused("OVERFLOW", "INVAL"):
        program.seek(fd, 2**63 - 1, CUR)


def test_sizes_grow_and_shrink(program: Program) -> None:
    program.spill("file", b"abcdef")
    fd = program.open("file")
    program.do("fd_filestat_set_size", fd, 3)
    program.do("fd_filestat_set_size", fd, 5)
    assert program.slurp("file") == b"abc\0\0"
    program.do("fd_allocate", fd, 4, 4)
    assert program.fstat(fd).size == 8
    program.do("fd_allocate", fd, 0, 1)
    assert program.fstat(fd).size == 8
    with refused("INVAL"):
        program.do("fd_allocate", fd, 0, 0)
    for size in (2**63, 2**64 - 1):
        with refused("FBIG"):
            program.do("fd_filestat_set_size", fd, size)
        with refused("FBIG"):
            program.do("fd_allocate", fd, size, 1)
    assert program.fstat(fd).size == 8


def test_offsets_beyond_what_a_file_can_have_are_inval(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    with refused("INVAL"):
        program.pread(fd, 2**63, 1)
    with refused("INVAL"):
        program.pwrite(fd, 2**64 - 1, b"x")
    with refused("INVAL"):
        program.do("fd_advise", fd, 2**63, 0, 0)


def test_advice_is_taken_for_files(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    for advice in range(6):
        program.do("fd_advise", fd, 0, 10, advice)
    with refused("INVAL"):
        program.do("fd_advise", fd, 0, 10, 6)
    with refused("ISDIR"):
        program.do("fd_advise", 3, 0, 10, 0)


def test_files_and_directories_are_brought_to_the_disk(program: Program) -> None:
    fd = program.open("file", oflags=CREAT)
    program.write(fd, b"x")
    for each in (fd, 3):
        program.do("fd_sync", each)
        program.do("fd_datasync", each)


# --------------------------------------------------------------------------------------------------------- attributes


def test_a_files_attributes(program: Program) -> None:
    program.spill("file", b"12345")
    program.mkdir("dir")
    program.symlink("file", "link")
    found = program.stat("file")
    assert (found.filetype, found.nlink, found.size) == (FileType.REGULAR_FILE, 1, 5)
    assert found.mtim > 0
    assert found.ctim > 0
    assert program.fstat(program.open("file", rights=Rights.FD_FILESTAT_GET)) == found
    assert program.stat("dir").filetype == FileType.DIRECTORY
    assert program.stat("link").filetype == FileType.SYMBOLIC_LINK
    assert program.stat("link").size == 4
    assert program.stat("link", follow=True) == found
    assert program.stat(".").ino == program.fstat(3).ino == program.stat("dir/..").ino
    assert len({program.stat(name).ino for name in ("file", "dir", "link", ".")}) == 4


def test_times_are_set_kept_and_made_now(program: Program) -> None:
    program.spill("file")
    fd = program.open("file")
    program.do("fd_filestat_set_times", fd, 11, 22, ATIM | MTIM)
    assert program.stat("file")[5:7] == (11, 22)
    program.do("fd_filestat_set_times", fd, 0, 33, MTIM)
    assert program.stat("file")[5:7] == (11, 33)
    program.do("fd_filestat_set_times", fd, 44, 0, ATIM)
    assert program.stat("file")[5:7] == (44, 33)
    before = time.time_ns()
    program.do("fd_filestat_set_times", fd, 0, 0, ATIM_NOW | MTIM_NOW)
    found = program.stat("file")
    assert min(found.atim, found.mtim) >= before - 10**7
    program.do("fd_filestat_set_times", fd, 5, 5, 0)
    assert program.stat("file")[5:7] == found[5:7]


def test_times_of_paths_links_and_directories(program: Program) -> None:
    program.spill("file")
    program.symlink("file", "link")
    program.set_times("file", 1, 2, ATIM | MTIM)
    program.set_times("link", 3, 4, ATIM | MTIM)
    assert program.stat("file")[5:7] == (1, 2)
    assert program.stat("link").mtim == 4
    program.set_times("link", 5, 6, ATIM | MTIM, follow=True)
    assert program.stat("file")[5:7] == (5, 6)
    program.mkdir("dir")
    program.set_times("dir", 7, 8, ATIM | MTIM)
    assert program.stat("dir").mtim == 8
    fd = program.open_directory("dir")
    program.do("fd_filestat_set_times", fd, 9, 10, ATIM | MTIM)
    assert program.stat("dir").mtim == 10
    program.set_times(".", 11, 12, ATIM | MTIM, fd=fd)
    assert program.stat("dir").mtim == 12
    with refused("NOENT"):
        program.set_times("gone", 1, 1, MTIM)


def test_contradicting_time_flags_are_inval(program: Program) -> None:
    program.spill("file")
    fd = program.open("file")
    for flags in (ATIM | ATIM_NOW, MTIM | MTIM_NOW, 1 << 4, 1 << 16):
        with refused("INVAL"):
            program.do("fd_filestat_set_times", fd, 1, 1, flags)
        with refused("INVAL"):
            program.set_times("file", 1, 1, flags)


def test_now_is_the_guests_own_clock(tree: object) -> None:
    with Program(Wasi(preopens={"/": tree}, clock=ManualClock(NOW))) as program:  # type: ignore[dict-item]  # a Tree
        program.spill("file")
        program.set_times("file", 0, 0, ATIM_NOW | MTIM_NOW)
        assert program.stat("file")[5:7] == (NOW, NOW)


# -------------------------------------------------------------------------------------------------------- descriptors


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


# ------------------------------------------------------------------------------------------------------------ opening


def test_opening_makes_finds_and_refuses(program: Program) -> None:
    with refused("NOENT"):
        program.open("file")
    program.close(program.open("file", oflags=CREAT | EXCL))
    with refused("EXIST"):
        program.open("file", oflags=CREAT | EXCL)
    with refused("NOTDIR"):
        program.open("file", oflags=DIRECTORY)
    with refused("NOTDIR"):
        program.open("file/")
    with refused("NOTDIR"):
        program.open("file/x")
    with refused("NOTDIR"):
        program.open("file/.")
    with refused("NOENT"):
        program.open("gone/x", oflags=CREAT)
    with refused("ISDIR", "NOENT"):
        program.open("new/", oflags=CREAT)
    with refused("NOENT"):
        program.open("")
    with refused("INVAL"):
        program.open("new", oflags=CREAT | DIRECTORY)
    program.spill("file", b"abc")
    program.close(program.open("file", oflags=TRUNC, rights=0))
    assert program.stat("file").size == 0


def test_opening_directories(program: Program) -> None:
    program.mkdir("dir")
    for path in ("dir", "dir/", "dir/.", "./dir", "dir/../dir//"):
        for oflags in (0, DIRECTORY):
            fd = program.open_directory(path, oflags=oflags)
            assert program.fdstat(fd).filetype == FileType.DIRECTORY
            program.close(fd)
    for rights, oflags in ((WRITE, 0), (READ | WRITE, DIRECTORY), (0, TRUNC)):
        with refused("ISDIR"):
            program.open("dir", rights=rights, oflags=oflags)
    with refused("ISDIR"):
        program.open("dir", oflags=CREAT, rights=READ)
    with refused("EXIST"):
        program.open("dir", oflags=CREAT | EXCL, rights=READ)
    with refused("EXIST"):
        program.open(".", oflags=CREAT | EXCL, rights=READ)
    program.open(".", rights=0, fdflags=NONBLOCK)


def test_reading_and_writing_need_what_the_file_was_opened_for(program: Program) -> None:
    program.spill("file", b"abc")
    reader, writer = program.open("file", rights=READ), program.open("file", rights=WRITE)
    assert program.read(reader, 3) == b"abc"
    assert program.write(writer, b"x") == 1
    with refused("NOTCAPABLE"):
        program.write(reader, b"x")
    with refused("NOTCAPABLE"):
        program.read(writer, 1)


def test_open_files_outlive_their_names(program: Program) -> None:
    program.spill("file", b"abc")
    fd = program.open("file")
    program.unlink("file")
    assert program.fstat(fd).nlink == 0
    program.write(fd, b"xyz")
    assert program.pread(fd, 0, 9) == b"xyz"
    program.mkdir("dir")
    directory = program.open_directory("dir")
    program.rmdir("dir")
    with refused("NOENT"):
        program.mkdir("x", fd=directory)
    with refused("NOENT"):
        program.open("x", fd=directory, oflags=CREAT)
    program.close(fd)


# ------------------------------------------------------------------------------------------------------------- rights


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


# -------------------------------------------------------------------------------------------------------- directories


def test_directories_are_made_listed_and_removed(program: Program) -> None:
    program.mkdir("dir")
    program.mkdir("dir/sub/")
    program.spill("dir/file", b"x")
    program.symlink("file", "dir/link")
    fd = program.open_directory("dir")
    found = {each.name: each for each in program.readdir(fd)}
    assert {name: each.filetype for name, each in found.items()} == {
        ".": FileType.DIRECTORY,
        "..": FileType.DIRECTORY,
        "sub": FileType.DIRECTORY,
        "file": FileType.REGULAR_FILE,
        "link": FileType.SYMBOLIC_LINK,
    }
    for name in ("sub", "file", "link", "."):
        assert found[name].ino == program.stat(name, fd=fd).ino
    with refused("EXIST"):
        program.mkdir("dir")
    with refused("EXIST"):
        program.mkdir(".")
    with refused("EXIST"):
        program.mkdir("dir/file")
    with refused("NOENT"):
        program.mkdir("gone/sub")
    with refused("NOTDIR"):
        program.mkdir("dir/file/sub")
    with refused("NOTEMPTY"):
        program.rmdir("dir")
    with refused("NOTDIR"):
        program.rmdir("dir/file")
    with refused("NOTDIR"):
        program.rmdir("dir/link")
    with refused("NOENT"):
        program.rmdir("gone")
    with refused("INVAL"):
        program.rmdir(".")
    program.rmdir("dir/sub/")
    program.unlink("dir/file")
    program.unlink("dir/link")
    program.rmdir("dir")
    with refused("NOENT"):
        program.stat("dir")


def test_cookies_stay_good_while_entries_come_and_go(program: Program) -> None:
    program.mkdir("dir")
    expected = {f"file-{number:03}" for number in range(60)}
    for name in expected:
        program.spill(f"dir/{name}")
    fd = program.open_directory("dir")
    seen: list[str] = []
    cookie = 0
    while entries := program.readdir(fd, 200, cookie):
        for each in entries:
            seen.append(each.name)
            if each.name.startswith("file"):
                program.unlink(f"dir/{each.name}")
        program.spill(f"dir/new-{len(seen)}")
        cookie = entries[-1].next
    assert sorted(name for name in seen if name.startswith("file")) == sorted(expected)
    assert len(set(seen)) == len(seen)
    assert all(name.startswith("new") for name in program.names(fd))


def test_a_cookie_leads_back_to_where_it_was_given(program: Program) -> None:
    for name in ("a", "b", "c"):
        program.spill(name)
    everything = program.readdir(3)
    for before, after in itertools.pairwise(everything):
        assert program.readdir(3, 4096, before.next)[0].name == after.name
    assert program.readdir(3, 4096, everything[-1].next) == []
    assert program.readdir(3, 4096, 2**64 - 1) == []


def test_an_entry_is_cut_where_the_buffer_ends(program: Program) -> None:
    program.spill("a-long-name-for-a-file")
    whole = program.readdir_bytes(3, 4096, 0)
    for size in (0, 1, 23, 24, 25, 30, 60, len(whole)):
        assert program.readdir_bytes(3, size, 0) == whole[:size]


# ---------------------------------------------------------------------------------------------------- moving, linking


def test_files_are_renamed_and_replaced(program: Program) -> None:
    program.spill("a", b"A")
    program.spill("b", b"B")
    program.mkdir("dir")
    program.rename("a", "c")
    program.rename("c", "b")
    assert program.slurp("b") == b"A"
    program.rename("b", "dir/d")
    assert program.slurp("dir/d") == b"A"
    program.rename("dir/d", "dir/d")
    program.rename("dir/../dir/d", "./e")
    assert program.slurp("e") == b"A"
    assert program.names(3) == [name for name in (".mounted", "dir", "e") if name in program.names(3)]
    for old, new, errno in (
        ("gone", "x", "NOENT"),
        ("e", "gone/x", "NOENT"),
        ("e", "dir", "ISDIR"),
        ("dir", "e", "NOTDIR"),
        ("e/", "x", "NOTDIR"),
        ("e", "x/", "NOTDIR"),
        ("e/x", "y", "NOTDIR"),
        ("dir", "dir/sub", "INVAL"),
        (".", "x", "BUSY"),
        ("e", ".", "BUSY"),
        ("dir/..", "x", "BUSY"),
        ("", "x", "NOENT"),
        ("e", "", "NOENT"),
    ):
        with refused(errno):
            program.rename(old, new)


def test_directories_are_renamed_with_what_is_in_them(program: Program) -> None:
    program.mkdir("a")
    program.spill("a/file", b"x")
    program.mkdir("b")
    program.rename("a", "b")
    assert program.slurp("b/file") == b"x"
    program.mkdir("a")
    with refused("NOTEMPTY", "EXIST"):
        program.rename("a", "b")
    program.rename("b/", "a/")
    assert program.slurp("a/file") == b"x"
    fd = program.open_directory("a")
    program.rename("a", "c")
    assert program.slurp("file", fd=fd) == b"x"
    program.rename("file", "moved", fd=fd, new_fd=3)
    assert program.slurp("moved") == b"x"


def test_hard_links_are_one_file(program: Program) -> None:
    program.spill("a", b"x")
    program.mkdir("dir")
    program.link("a", "dir/b")
    assert program.stat("a").nlink == 2
    assert program.stat("a").ino == program.stat("dir/b").ino
    program.spill("dir/b", b"changed")
    assert program.slurp("a") == b"changed"
    program.rename("a", "dir/b")
    assert program.names(3)[-1] == "dir" or program.slurp("a") == b"changed"
    program.symlink("nowhere", "link")
    program.link("link", "link2")
    assert program.readlink("link2") == b"nowhere"
    for old, new, errno in (
        ("gone", "x", ("NOENT",)),
        ("dir/b", "dir", ("EXIST",)),
        ("dir/b", "link", ("EXIST",)),
        ("dir/b", ".", ("EXIST",)),
        ("dir/b", "x/", ("NOENT",)),
        ("dir/b", "dir/", ("EXIST",)),
        ("dir/b", "dir/b/", ("NOTDIR",)),
        ("dir", "x", ("PERM",)),
        ("dir/", "x", ("PERM",)),
        (".", "x", ("PERM",)),
        ("dir/b/", "x", ("NOTDIR",)),
        ("dir/b", "gone/x", ("NOENT",)),
        ("", "x", ("NOENT",)),
    ):
        with refused(*errno):
            program.link(old, new)
    for flags in (1, 2):
        with refused("INVAL"):
            program.link("dir/b", "x", flags=flags)


def test_symbolic_links_are_made_read_and_followed(program: Program) -> None:
    program.mkdir("dir")
    program.spill("dir/file", b"x")
    program.symlink("file", "dir/link")
    program.symlink("dir", "way")
    program.symlink("way/link", "chain")
    program.symlink("nowhere", "dangling")
    assert program.readlink("chain") == b"way/link"
    assert program.readlink("chain", 3) == b"way"
    assert program.readlink("chain", 0) == b""
    assert program.read(program.open("chain", follow=True), 9) == b"x"
    assert program.read(program.open("way/file"), 9) == b"x"
    assert program.read(program.open("way/../way/./link", follow=True), 9) == b"x"
    assert program.names(program.open_directory("way/")) == ["file", "link"]
    assert program.names(program.open_directory("way", follow=True)) == ["file", "link"]
    with refused("LOOP"):
        program.open("chain")
    with refused("LOOP", "NOTDIR"):
        program.open_directory("way")
    with refused("NOENT"):
        program.open("dangling", follow=True)
    with refused("NOENT"):
        program.stat("dangling", follow=True)
    with refused("EXIST"):
        program.open("dangling", oflags=CREAT | EXCL, follow=True)
    program.close(program.open("dangling", oflags=CREAT, follow=True))
    assert program.stat("nowhere").size == 0
    for target, path, errno in (
        ("x", "way", "EXIST"),
        ("x", "dir/file", "EXIST"),
        ("x", ".", "EXIST"),
        ("x", "new/", "NOENT"),
        ("x", "dir/", "EXIST"),
        ("x", "dir/file/", "NOTDIR"),
        ("x", "gone/new", "NOENT"),
        ("", "new", "NOENT"),
        ("x", "", "NOENT"),
        ("a\0b", "new", "INVAL"),
    ):
        with refused(errno):
            program.symlink(target, path)
    for path, errno in (
        ("dir", "INVAL"),
        ("dir/file", "INVAL"),
        (".", "INVAL"),
        ("gone", "NOENT"),
        ("way/", "INVAL"),
    ):
        with refused(errno):
            program.readlink(path)


def test_links_that_lead_to_themselves_are_loop(program: Program) -> None:
    program.symlink("self", "self")
    program.symlink("b", "a")
    program.symlink("a", "b")
    program.symlink("deeper/x", "deeper")
    for path in ("self", "a", "deeper"):
        with refused("LOOP"):
            program.open(path, follow=True)
        with refused("LOOP"):
            program.stat(path, follow=True)
        with refused("LOOP"):
            program.stat(f"{path}/x")
        assert program.stat(path).filetype == FileType.SYMBOLIC_LINK


def test_forty_links_are_followed_and_forty_one_are_not(program: Program) -> None:
    program.spill("0", b"x")
    for number in range(1, 42):
        program.symlink(str(number - 1), str(number))
    assert program.read(program.open("40", follow=True), 1) == b"x"
    with refused("LOOP"):
        program.open("41", follow=True)


def test_unlinking(program: Program) -> None:
    program.spill("file")
    program.mkdir("dir")
    program.symlink("dir", "link")
    for path, errno in (
        ("gone", "NOENT"),
        ("dir", "ISDIR"),
        ("dir/", "ISDIR"),
        (".", "ISDIR"),
        ("file/", "NOTDIR"),
        ("file/x", "NOTDIR"),
        ("", "NOENT"),
    ):
        with refused(errno):
            program.unlink(path)
    program.unlink("link")
    assert program.stat("dir").filetype == FileType.DIRECTORY
    program.unlink("file")


def test_a_right_path_in_any_form_leads_to_the_file(program: Program) -> None:
    program.mkdir("a")
    program.mkdir("a/b")
    program.spill("a/b/f", b"x")
    for path in ("a/b/f", "./a/./b/./f", "a//b///f", "a/../a/b/../b/f", "a/b/../../a/b/f"):
        assert program.slurp(path) == b"x"


def test_names_in_any_script_are_kept(program: Program) -> None:
    names = ["café", "漢字", "\U0001f40d", " spaces ", "-dash", "quote'\"", "new\nline", "x" * 255]
    for name in names:
        program.spill(name, name.encode())
    assert set(names) <= set(program.names(3))
    for name in names:
        assert program.slurp(name) == name.encode()
    with refused("NAMETOOLONG"):
        program.open("x" * 256, oflags=CREAT)
    with refused("NAMETOOLONG"):
        program.stat("x" * 256)
    with refused("NAMETOOLONG"):
        program.mkdir("é" * 128)


# ------------------------------------------------------------------------------------------------------------ process


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


# ------------------------------------------------------------------------------------------------------- bad pointers


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
