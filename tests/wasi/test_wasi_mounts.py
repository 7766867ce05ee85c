"""Systems made of others: read-only ones, several under one root, and Systems of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from wasi_guest import APPEND, ATIM, CREAT, EXCL, MTIM, READ, TRUNC, WRITE, Program, refused

from hostmod.wasi import (
    Access,
    Directory,
    Entry,
    Errno,
    File,
    Filestat,
    FileType,
    MemoryFS,
    Mounts,
    ReadOnly,
    Wasi,
    WasiError,
)
from hostmod.wasi.abi import FILE_RIGHTS
from hostmod.wasi.fs.mounts import Tree


@pytest.fixture(params=["the host's files", "files in memory"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """A tree with a file, a directory and a link in it."""
    if request.param == "files in memory":
        fs = MemoryFS({"dir": {"file": b"abc"}})
        fs.root().create_symlink("link", "dir/file")
        return fs
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("dir/file")
    return tmp_path


def test_a_read_only_tree_shows_everything(filled: Tree) -> None:
    with Program(Wasi(preopens={"/": ReadOnly(filled)})) as program:
        assert program.slurp("dir/file") == b"abc"
        assert program.read(program.open("link", follow=True, rights=READ), 9) == b"abc"
        assert program.readlink("link") == b"dir/file"
        assert program.names(3) == ["dir", "link"]
        fd = program.open_directory("dir")
        assert program.stat("file", fd=fd).size == 3
        file = program.open("dir/file", oflags=CREAT, rights=READ | 1 << 2 | 1 << 21)
        assert program.pread(file, 1, 5) == b"bc"
        assert program.fstat(file).size == 3
        program.close(file)


def test_a_read_only_tree_refuses_every_change(filled: Tree) -> None:
    with Program(Wasi(preopens={"/": ReadOnly(filled), "/rw": MemoryFS({"mine": b""})})) as program:
        inner = program.open_directory("dir")
        reader = program.open("dir/file", rights=READ | 1 << 23 | 1 << 3)
        for call in (
            lambda: program.open("dir/file", rights=WRITE),
            lambda: program.open("dir/file", rights=FILE_RIGHTS),
            lambda: program.open("dir/file", rights=READ, oflags=TRUNC),
            lambda: program.open("new", rights=READ, oflags=CREAT),
            lambda: program.open("new", rights=READ, oflags=CREAT, fd=inner),
            lambda: program.mkdir("new"),
            lambda: program.rmdir("dir"),
            lambda: program.unlink("link"),
            lambda: program.unlink("file", fd=inner),
            lambda: program.symlink("x", "new"),
            lambda: program.link("dir/file", "new"),
            lambda: program.link("mine", "new", fd=4, new_fd=3),
            lambda: program.rename("dir", "new"),
            lambda: program.rename("mine", "new", fd=4, new_fd=3),
            lambda: program.set_times("dir/file", 1, 1, ATIM | MTIM),
            lambda: program.do("fd_filestat_set_times", reader, 1, 1, MTIM),
            lambda: program.do("fd_filestat_set_times", inner, 1, 1, MTIM),
        ):
            with refused("ROFS"):
                call()
        with refused("EXIST"):
            program.open("dir/file", rights=READ, oflags=CREAT | EXCL)
        with refused("NOENT"):
            program.open("gone", rights=WRITE)
        with refused("ISDIR"):
            program.open("dir", rights=WRITE)
        program.do("fd_fdstat_set_flags", reader, 0)
        program.do("fd_fdstat_set_flags", reader, APPEND)


@pytest.fixture
def mounted(tmp_path: Path) -> Mounts:
    """The host's files with others mounted among them, one below another and one where nothing else is."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hidden").write_bytes(b"h")
    (tmp_path / "file").write_bytes(b"f")
    (tmp_path / "sub").mkdir()
    return Mounts(
        {
            "/": tmp_path,
            "/data": MemoryFS({"m": b"memory", "inner/below": b"b"}),
            "/data/inner": ReadOnly(MemoryFS({"r": b"read-only"})),
            "made/up": MemoryFS({"x": b"y"}),
        }
    )


def test_several_systems_lie_under_one_root(mounted: Mounts) -> None:
    with Program(Wasi(preopens={"/": mounted})) as program:
        assert program.names(3) == ["data", "file", "made", "sub"]
        assert program.slurp("file") == b"f"
        assert program.slurp("data/m") == b"memory"
        assert program.slurp("data/inner/r") == b"read-only"
        assert program.slurp("made/up/x") == b"y"
        assert program.slurp("data/../made/./up/../../data/inner/../m") == b"memory"
        assert program.names(program.open_directory("data")) == ["inner", "m"]
        assert program.names(program.open_directory("made")) == ["up"]
        for path in ("data", "made", "made/up", "data/inner"):
            assert program.stat(path).filetype == FileType.DIRECTORY
            assert program.stat(f"{path}/.").filetype == FileType.DIRECTORY
        program.symlink("../data/inner/r", "sub/link")
        assert program.read(program.open("sub/link", follow=True, rights=READ), 20) == b"read-only"


def test_each_system_keeps_its_own_ways(mounted: Mounts, tmp_path: Path) -> None:
    with Program(Wasi(preopens={"/": mounted})) as program:
        program.spill("data/new", b"1")
        program.spill("new", b"2")
        program.spill("sub/new", b"3")
        program.rename("sub/new", "moved")
        program.link("moved", "sub/linked")
        program.rename("moved", "sub/back")
        program.rename("data/new", "data/newer")
        assert (tmp_path / "sub" / "back").read_bytes() == b"3"
        assert sorted(each.name for each in (tmp_path / "data").iterdir()) == ["hidden"]
        for call, errno in (
            (lambda: program.spill("data/inner/new"), "ROFS"),
            (lambda: program.spill("made/new"), "ROFS"),
            (lambda: program.mkdir("made/new"), "ROFS"),
            (lambda: program.rename("file", "data/file"), "XDEV"),
            (lambda: program.rename("data/m", "m"), "XDEV"),
            (lambda: program.link("file", "data/file"), "XDEV"),
            (lambda: program.rename("data", "elsewhere"), "BUSY"),
            (lambda: program.rename("sub", "data"), "BUSY"),
            (lambda: program.rmdir("data"), "BUSY"),
            (lambda: program.rmdir("made"), "BUSY"),
            (lambda: program.unlink("data"), "ISDIR"),
            (lambda: program.mkdir("data"), "EXIST"),
            (lambda: program.symlink("x", "made"), "EXIST"),
            (lambda: program.open("data", rights=WRITE), "ISDIR"),
            (lambda: program.readlink("data"), "INVAL"),
            (lambda: program.stat("made/gone"), "NOENT"),
            (lambda: program.open("made/gone"), "NOENT"),
            (lambda: program.stat("../file"), "NOTCAPABLE"),
            (lambda: program.stat("data/../../file"), "NOTCAPABLE"),
        ):
            with refused(errno):
                call()


def test_a_place_with_dots_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Mounts: '/a/\.\.', expected a path without"):
        Mounts({"/a/..": MemoryFS()})


class Greetings(Directory):
    """A System of one's own: a file for every name, which greets it."""

    def root(self) -> Directory:
        return self

    def entries(self, limit: int) -> Iterable[Entry]:
        return [Entry("world", 1, FileType.REGULAR_FILE)]

    def stat(self, name: str) -> Filestat:
        if name == "nobody":
            raise FileNotFoundError(2, "nobody")
        return Filestat(0, 1, FileType.REGULAR_FILE, 1, len(name) + 7, 0, 0, 0)

    def enter(self, name: str) -> Directory:
        self.stat(name)
        raise NotADirectoryError(20, name)

    def open_file(self, name: str, access: Access) -> File:
        if access.write:
            raise WasiError(Errno.ROFS)
        return Greeting(f"hello, {name}".encode())


class Greeting(File):
    """A file of one's own."""

    filetype = FileType.REGULAR_FILE

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        found, self.data = self.data[:size], self.data[size:]
        return found


@pytest.mark.parametrize("path", ["", "deep/down/"], ids=["by itself", "mounted"])
def test_a_system_of_ones_own_needs_few_methods(path: str) -> None:
    tree: Tree = Mounts({"/": MemoryFS(), "/deep/down": Greetings()}) if path else Greetings()
    with Program(Wasi(preopens={"/": tree})) as program:
        assert program.slurp(path + "Ada") == b"hello, Ada"
        assert program.stat(path + "Ada").size == 10
        with refused("NOENT"):
            program.stat(path + "nobody")
        with refused("NOTDIR"):
            program.stat(path + "Ada/x")
        with refused("NOTDIR"):
            program.open_directory(path + "Ada/")
        with refused("ROFS"):
            program.open(path + "Ada", rights=WRITE)
        with refused("ROFS"):
            program.mkdir(path + "dir")
        with refused("INVAL"):
            program.readlink(path + "Ada")
        with refused("SPIPE"):
            program.pread(program.open(path + "Ada", rights=READ | 1 << 2), 0, 1)
        assert "world" in program.names(program.open_directory(path + "."))


class Broken(Directory):
    """A System with a bug."""

    def root(self) -> Directory:
        return self

    def stat(self, name: str) -> Filestat:
        raise ZeroDivisionError


def test_a_bug_of_a_system_reaches_the_embedder() -> None:
    with Program(Wasi(preopens={"/": Broken()})) as program, pytest.raises(ZeroDivisionError):
        program.stat("x")
