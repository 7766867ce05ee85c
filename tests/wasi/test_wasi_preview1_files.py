"""WASI preview 1: reading, writing, attributes and opening of files"""

from __future__ import annotations

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
    SYNC,
    TRUNC,
    WRITE,
    Program,
    refused,
)

from hostmod.wasi import FileType, ManualClock, Wasi
from hostmod.wasi.abi import Rights

NOW = 1_700_000_000_000_000_000


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
