"""Exhaustion: each limit gives its errno, and what is over it costs the host nothing."""

from __future__ import annotations

import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from wasi_guest import CREAT, READ, WRITE, Program, refused

from hostmod.wasi import Directory, Entry, FileType, MemoryFS, Wasi, WasiError
from hostmod.wasi.fs.mounts import Tree


def test_open_files_are_limited(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, max_open_files=6)) as program:
        program.open("a", oflags=CREAT)
        program.open("a")
        with refused("MFILE"):
            program.open("a")
        with refused("MFILE"):
            program.open("b", oflags=CREAT)
        with refused("NOENT"):
            program.stat("b")
        program.close(4)
        assert program.open("a") == 4


def test_more_preopens_than_open_files_are_refused_where_they_are_given() -> None:
    with pytest.raises(WasiError, match="MFILE"):
        Wasi(preopens={"/": MemoryFS()}, max_open_files=3)


def test_directory_entries_are_limited(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, max_entries=5)) as program:
        program.mkdir("dir")
        fd = program.open_directory("dir")
        for number in range(5):
            program.spill(f"dir/{number}")
        assert len(program.names(fd)) == 5
        program.spill("dir/6")
        with refused("NOMEM"):
            program.readdir(fd)


def test_entries_are_limited_over_all_open_directories(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, max_entries=8)) as program:
        program.mkdir("dir")
        for number in range(5):
            program.spill(f"dir/{number}")
        first, second = program.open_directory("dir"), program.open_directory("dir")
        assert len(program.names(first)) == 5
        with refused("NOMEM"):
            program.readdir(second)
        assert len(program.names(first)) == 5  # it takes its own place
        program.close(first)
        assert len(program.names(second)) == 5


class Endless(Directory):
    """A directory of a careless System's."""

    asked = 0

    def root(self) -> Directory:
        return self

    def entries(self, limit: int) -> object:  # type: ignore[override]  # an iterator
        number = 0
        while True:
            number += 1
            self.asked = number
            yield Entry(str(number), number, FileType.REGULAR_FILE)


def test_an_endless_directory_is_given_up() -> None:
    endless = Endless()
    with Program(Wasi(preopens={"/": endless}, max_entries=100)) as program, refused("NOMEM"):
        program.readdir(3)
    assert endless.asked == 101


def test_paths_are_limited(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, max_path=10)) as program:
        program.spill("x" * 10)
        with refused("NAMETOOLONG"):
            program.spill("x" * 11)
        with refused("NAMETOOLONG"):
            program.symlink("x" * 11, "link")


def test_a_path_as_long_as_the_memory_is_not_copied() -> None:
    with Program(Wasi(preopens={"/": MemoryFS()})) as program:
        size = 1 << 28  # untouched pages, which cost the guest nothing
        program.memory.grow(size // 65536)
        tracemalloc.start()
        try:
            with refused("NAMETOOLONG"):
                program.do("path_create_directory", 3, 65536, size)
            with refused("NAMETOOLONG"):
                program.do("path_symlink", 65536, size, 3, "x")
            with refused("NAMETOOLONG"):
                program.do("path_open", 3, 0, 65536, size, 0, 0, 0, 0, 0)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 1 << 20


def test_links_that_multiply_are_given_up_in_time(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree})) as program:
        program.mkdir("d")
        program.symlink("d/../" * 400 + "long", "long-1")
        program.symlink("d/../" * 400 + "long-1", "long-2")
        program.spill("long", b"x")
        assert program.slurp("long") == b"x"
        assert program.stat("long-2", follow=True).size == 1
        for number in range(2, 30):
            program.symlink("d/../" * 400 + f"long-{number}", f"long-{number + 1}")
        with refused("LOOP"):
            program.stat("long-30", follow=True)


def test_buffers_are_limited(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, max_buffers=4)) as program:
        fd = program.open("file", oflags=CREAT)
        assert program.write(fd, b"1", b"2", b"3", b"4") == 4
        with refused("INVAL"):
            program.write(fd, b"1", b"2", b"3", b"4", b"5")
        with refused("INVAL"):
            program.pread(fd, 0, 1, 1, 1, 1, 1)
        with refused("INVAL"):
            program.do("fd_write", fd, 0, 2**32 - 1, program.room(4))


def test_one_transfer_is_limited_and_the_rest_is_left_to_the_next(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, stdin=b"x" * 100, max_transfer=10)) as program:
        fd = program.open("file", oflags=CREAT)
        assert program.write(fd, b"abcdefg", b"hijklmn") == 10
        assert program.write(fd, b"abcdefghijklmn") == 10
        assert program.pread(fd, 0, 100) == b"abcdefghij"
        assert program.pread(fd, 0, 4, 4, 4, 4) == b"abcdefghij"
        assert program.read(0, 50) == b"x" * 10


def test_buffers_that_lie_on_each_other_many_times_make_no_giant(tree: Tree) -> None:
    with Program(Wasi(preopens={"/": tree}, max_transfer=1 << 20)) as program:
        size = len(program.memory)
        words = program.put(struct.pack("<II", 0, size) * 1000)
        fd = program.open("file", oflags=CREAT)
        assert program.answer("<I", "fd_write", fd, words, 1000) == 1 << 20
        assert program.fstat(fd).size == 1 << 20


def test_a_memory_filesystem_is_full_at_its_limit() -> None:
    fs = MemoryFS(max_bytes=10_000)
    with Program(Wasi(preopens={"/": fs})) as program:
        fd = program.open("file", oflags=CREAT)
        assert program.write(fd, b"x" * 9000) == 9000
        assert 0 < program.write(fd, b"x" * 9000) < 1000
        for call in (
            lambda: program.write(fd, b"x"),
            lambda: program.pwrite(fd, 2**40, b"x"),
            lambda: program.pwrite(fd, 2**63 - 1, b"x"),
            lambda: program.do("fd_filestat_set_size", fd, 2**62),
            lambda: program.do("fd_allocate", fd, 2**61, 2**61),
            lambda: program.mkdir("dir"),
            lambda: program.symlink("x", "link"),
            lambda: program.link("file", "file2"),
            lambda: program.open("other", oflags=CREAT),
        ):
            with refused("NOSPC"):
                call()
        assert fs.used_bytes <= 10_000
        program.do("fd_filestat_set_size", fd, 100)
        program.mkdir("dir")


def test_a_deep_tree_in_memory_does_no_harm_to_who_looks_at_it() -> None:
    fs = MemoryFS({"top": b"1"}, max_bytes=256 * 30_000)
    with Program(Wasi(preopens={"/": fs})) as program:
        fd = program.open_directory(".")
        with refused("NOSPC"):
            while True:
                program.mkdir("d", fd=fd)
                below = program.open_directory("d", fd=fd)
                program.close(fd)
                fd = below
        start = time.monotonic()
        program.unlink("top")
        program.spill("new", b"2", fd=fd)
        (path,) = fs
        assert path.count("/") > 29_000
        assert len(fs) == 1
        assert fs[path] == b"2"
        assert time.monotonic() - start < 10
        with refused("NOSPC"):
            program.mkdir("d", fd=fd)


def test_room_in_memory_is_given_back_when_nobody_has_the_file_any_more() -> None:
    fs = MemoryFS(max_bytes=100_000)
    empty = fs.used_bytes
    with Program(Wasi(preopens={"/": fs})) as program:
        for _ in range(50):
            program.spill("file", b"x" * 4000)
            program.link("file", "second")
            program.rename("file", "third")
            held = program.open("third")
            program.unlink("second")
            program.unlink("third")
            assert program.pread(held, 0, 1) == b"x"
            program.close(held)
            program.mkdir("dir")
            program.symlink("x" * 100, "dir/link")
            program.spill("dir/file", b"y" * 1000)
            program.spill("other", b"z")
            program.rename("other", "dir/file")
            program.unlink("dir/link")
            program.unlink("dir/file")
            program.rmdir("dir")
    assert fs.used_bytes == empty


def test_a_read_of_a_gigabyte_from_a_small_file_is_small(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    with Program(Wasi(preopens={"/": tmp_path})) as program:
        fd = program.open("file", rights=READ | WRITE)
        program.memory.grow(1000)
        words = program.put(struct.pack("<II", 65536, 64_000_000))
        assert program.answer("<I", "fd_read", fd, words, 1) == 3
