"""Files in memory, as the host sees them; zip archives; and what is like the host's own files."""

from __future__ import annotations

import io
import os
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasi_guest import APPEND, CREAT, EXCL, READ, TRUNC, WRITE, Program, Refused, refused

from hostmod.wasi import Errno, File, FileType, MemoryFS, Mounts, Wasi, WasiError, ZipFS
from hostmod.wasi.abi import FILE_RIGHTS
from hostmod.wasi.fs.memfs import MemoryFile
from hostmod.wasi.system import Access


def test_contents_are_given_as_bytes_text_paths_and_mappings() -> None:
    fs = MemoryFS({"a": b"1", "b/c": "é", "d": {"e": bytearray(b"2"), "f/g": memoryview(b"3"), "empty": {}}})
    assert dict(fs) == {"a": b"1", "b/c": "é".encode(), "d/e": b"2", "d/f/g": b"3"}
    with Program(Wasi(preopens={"/": fs})) as program:
        assert program.names(program.open_directory("d")) == ["e", "empty", "f"]
        assert program.slurp("b/c") == "é".encode()


def test_the_host_sees_what_the_guest_does_and_the_other_way_round() -> None:
    fs = MemoryFS()
    with Program(Wasi(preopens={"/": fs})) as program:
        program.mkdir("out")
        program.spill("out/result", b"42")
        assert fs["out/result"] == fs["/out//result"] == b"42"
        fs["in/question"] = "?"
        assert program.slurp("in/question") == b"?"
        held = program.open("in/question")
        fs["in/question"] = b"longer than it was"
        assert program.read(held, 100) == b"longer than it was"
        del fs["in/question"]
        with refused("NOENT"):
            program.stat("in/question")
        del fs["in"]
        assert list(fs) == ["out/result"]
        assert "out/result" in fs
        assert "out" not in fs
        assert len(fs) == 1
        assert repr(fs).startswith("<MemoryFS of 1 files, ")


def test_a_copy_of_a_directory_has_everything_and_is_apart_from_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "empty").mkdir(parents=True)
    (root / "b" / "c").mkdir(parents=True)
    (root / "b" / "c" / "file").write_bytes(b"x" * (3 << 20))
    (root / "none").write_bytes(b"")
    (root / "out").symlink_to("/etc")
    (root / "in").symlink_to("b/c/file")
    os.utime(root / "in", ns=(1, 2), follow_symlinks=False)
    os.utime(root / "none", ns=(3, 4))
    os.utime(root / "b", ns=(5, 6))
    os.mkfifo(root / "fifo")
    fs = MemoryFS.copy_of(root)
    assert dict(fs) == {"b/c/file": b"x" * (3 << 20), "none": b""}
    with Program(Wasi(preopens={"/": fs})) as program:
        assert program.names(3) == ["b", "empty", "in", "none", "out"]
        assert program.readlink("out") == b"/etc"
        assert program.stat("in", follow=True).size == 3 << 20
        assert [program.stat(path).mtim for path in ("in", "none", "b")] == [2, 4, 6]
        with refused("NOTCAPABLE"):
            program.stat("out", follow=True)
        program.spill("none", b"changed")
        program.unlink("b/c/file")
    assert (root / "none").read_bytes() == b""
    assert (root / "b" / "c" / "file").exists()
    assert dict(MemoryFS.copy_of(fs)) == {"none": b"changed"}


def test_a_copy_that_does_not_fit_is_no_copy_and_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 5000)
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208  # names are counted
    for room in (0, 300, 600, 1000, 5000):
        with pytest.raises(WasiError, match="NOSPC"):
            MemoryFS.copy_of(tmp_path, max_bytes=room)
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
    assert MemoryFS.copy_of(tmp_path, max_bytes=4 * 256 + 5000).used_bytes == 4 * 256 + 5000
    with pytest.raises(FileNotFoundError):
        MemoryFS.copy_of(tmp_path / "gone")


def test_a_copy_takes_no_file_object_which_may_have_no_end() -> None:
    class Endless(File):
        filetype = FileType.CHARACTER_DEVICE

        def read(self, size: int) -> bytes:
            return bytes(size)

    assert dict(MemoryFS.copy_of(MemoryFS({"zero": Endless(), "a": b"1"}))) == {"a": b"1"}


@pytest.mark.parametrize("path", ["gone", "dir", "a/b", "", "/", "dir/../a", "link"])
def test_what_is_no_file_is_a_key_error(path: str) -> None:
    fs = MemoryFS({"a": b"", "dir": {}})
    fs.root().create_symlink("link", "a")
    with pytest.raises(KeyError):
        fs[path]


def test_the_host_cannot_make_what_could_not_be() -> None:
    fs = MemoryFS({"a": b"", "dir/b": b""}, max_bytes=10_000)
    for path in ("a/b", "..", "dir/../x", "x\0y", ""):
        with pytest.raises(KeyError):
            fs[path] = b""
    with pytest.raises(WasiError, match="ISDIR"):
        fs["dir"] = b""
    with pytest.raises(WasiError, match="NAMETOOLONG"):
        fs["x" * 256] = b""
    with pytest.raises(WasiError, match="NOSPC"):
        fs["big"] = bytes(10_000)
    with pytest.raises(WasiError, match="NOTEMPTY"):
        del fs["dir"]
    with pytest.raises(TypeError, match=r"MemoryFS\['x'\]: int, expected bytes, text"):
        fs["x"] = 3


def test_times_are_of_the_clock_given() -> None:
    now = 100
    fs = MemoryFS({"a": b""}, clock=lambda: now)
    with Program(Wasi(preopens={"/": fs})) as program:
        assert program.stat("a")[5:] == (100, 100, 100)
        now = 200
        program.spill("a", b"x")
        assert program.stat("a")[5:] == (100, 200, 200)
        now = 300
        program.rename("a", "b")
        assert program.stat("b")[5:] == (100, 200, 300)
        assert program.stat(".").mtim == 300


class Log(File):
    """A file of the embedder's: what is written to it goes into a list."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> int:
        self.lines.append(data)
        return len(data)

    def read(self, size: int) -> bytes:
        return b"log"[:size]

    def close(self) -> None:
        self.closed = True


def test_a_file_of_the_embedders_own_lies_among_the_others() -> None:
    log = Log()
    fs = MemoryFS({"dev": {"log": log}, "file": b"x"})
    with Program(Wasi(preopens={"/": fs})) as program:
        for _ in range(2):
            fd = program.open("dev/log")
            assert program.write(fd, b"line") == 4
            assert program.read(fd, 9) == b"log"
            assert program.fdstat(fd).filetype == FileType.UNKNOWN
            with refused("SPIPE"):
                program.seek(fd, 0)
            program.close(fd)
        assert program.stat("dev/log").filetype == FileType.UNKNOWN
        assert fs["dev/log"] is log
        program.rename("dev/log", "log2")
        program.unlink("log2")
    assert log.lines == [b"line", b"line"]
    assert not log.closed


def test_two_filesystems_are_two_devices() -> None:
    with Program(Wasi(preopens={"/a": MemoryFS(), "/b": MemoryFS()})) as program:
        assert program.fstat(3).dev != program.fstat(4).dev


def test_a_file_used_without_a_guest_keeps_to_what_it_was_opened_for() -> None:
    fs = MemoryFS({"a": b"abc"})
    reader = fs.root().open_file("a", Access(read=True))
    writer = fs.root().open_file("a", Access(read=False, write=True))
    assert isinstance(reader, MemoryFile)
    for call in (lambda: reader.write(b"x"), lambda: reader.pwrite(b"x", 0), lambda: writer.read(1)):
        with pytest.raises(WasiError, match="BADF"):
            call()
    with pytest.raises(WasiError, match="INVAL"):
        reader.set_size(0)


# ----------------------------------------------------------------------------------------------------------- archives


def _archive(**files: bytes) -> io.BytesIO:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("empty/", b"")
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    target.seek(0)
    return target


def test_a_zip_archive_is_a_read_only_tree() -> None:
    with Program(Wasi(preopens={"/": ZipFS(_archive(a=b"1", lib__b=b"2"))})) as program:
        assert program.names(3) == ["a", "empty", "lib"]
        assert program.slurp("lib/b") == b"2"
        with refused("ROFS"):
            program.spill("lib/b", b"x")
        with refused("ROFS"):
            program.unlink("a")


def test_names_that_lead_out_of_an_archive_are_left_out() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("../evil", b"x")
        archive.writestr("/absolute", b"y")
        archive.writestr("a/../../evil", b"x")
    with Program(Wasi(preopens={"/": ZipFS(target)})) as program:
        assert program.names(3) == ["absolute"]


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(10_000_000))
    assert len(target.getvalue()) < 20_000
    with pytest.raises(WasiError, match="NOSPC"):
        ZipFS(target, max_bytes=1_000_000)


# ---------------------------------------------------------------------------------------- as the host's own files are

NAMES = st.sampled_from(["a", "b", "d"])
PATHS = st.lists(st.sampled_from(["a", "b", "d", "..", ".", ""]), min_size=1, max_size=4).map("/".join)
OPERATIONS = st.one_of(
    st.tuples(st.just("spill"), PATHS, st.binary(max_size=5)),
    st.tuples(st.just("mkdir"), PATHS),
    st.tuples(st.just("rmdir"), PATHS),
    st.tuples(st.just("unlink"), PATHS),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("symlink"), PATHS, PATHS),
    st.tuples(st.just("readlink"), PATHS),
    st.tuples(st.just("kind"), PATHS, st.booleans()),
    st.tuples(
        st.just("open"),
        PATHS,
        st.booleans(),
        st.sampled_from([0, CREAT, CREAT | EXCL, TRUNC, 2, CREAT | TRUNC]),
        st.sampled_from([0, READ, WRITE, READ | WRITE]),
    ),
)

# Where Linux itself is of two minds (by filesystem, or by which of several reasons it finds first), either will do.
ALIKE = [
    {"NOTEMPTY", "EXIST"},
    {"INVAL", "NOTEMPTY"},
    {"ISDIR", "NOTDIR"},
    {"NOENT", "NOTDIR"},
    {"ISDIR", "EXIST"},
]


def perform(program: Program, operation: tuple[Any, ...]) -> object:
    name, *rest = operation
    try:
        if name == "kind":
            found = program.stat(rest[0], follow=rest[1])
            return (
                found.filetype,
                found.size if found.filetype != FileType.DIRECTORY else 0,
                found.nlink if (found.filetype != FileType.DIRECTORY) else 0,
            )
        if name == "open":
            path, follow, oflags, rights = rest
            fd = program.open(path, follow=follow, oflags=oflags, rights=rights | 1 << 21)
            found_type = program.fdstat(fd).filetype
            program.close(fd)
            return found_type
        return getattr(program, name)(*rest)
    except Refused as error:
        return error.errno


def alike(one: object, other: object) -> bool:
    if one == other:
        return True
    return (
        isinstance(one, Errno)
        and isinstance(other, Errno)
        and any({one.name, other.name} <= each for each in ALIKE)
    )


def tree_of(program: Program, fd: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in program.names(fd):
        kind = program.stat(name, fd=fd).filetype
        if kind == FileType.DIRECTORY:
            below = program.open_directory(name, fd=fd)
            found[name] = tree_of(program, below)
            program.close(below)
        elif kind == FileType.SYMBOLIC_LINK:
            found[name] = ("link", program.readlink(name, fd=fd))
        else:
            found[name] = program.slurp(name, fd=fd)
    return found


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(operations=st.lists(OPERATIONS, min_size=5, max_size=30))
def test_memory_and_the_hosts_files_answer_alike(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[Any, ...]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    with (
        Program(Wasi(preopens={"/": root})) as host,
        Program(Wasi(preopens={"/": MemoryFS()})) as memory,
        Program(Wasi(preopens={"/": Mounts({"/": MemoryFS()})})) as mounted,
    ):
        for operation in operations:
            expected = perform(host, operation)
            for other in (memory, mounted):
                found = perform(other, operation)
                assert alike(found, expected), f"{operation}: {found!r} in memory, {expected!r} on the host"
        assert tree_of(memory, 3) == tree_of(mounted, 3) == tree_of(host, 3)


FILE_OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.lists(st.binary(max_size=4), max_size=3)),
    st.tuples(st.just("pwrite"), st.integers(0, 20), st.binary(max_size=4)),
    st.tuples(st.just("read"), st.integers(0, 10)),
    st.tuples(st.just("pread"), st.integers(0, 20), st.integers(0, 10)),
    st.tuples(st.just("seek"), st.integers(-25, 25), st.integers(0, 3)),
    st.tuples(st.just("size"), st.integers(0, 20)),
    st.tuples(st.just("allocate"), st.integers(0, 10), st.integers(0, 10)),
    st.tuples(st.just("flags"), st.sampled_from([0, APPEND])),
)


def perform_on(program: Program, fd: int, operation: tuple[Any, ...]) -> object:
    calls: dict[str, Callable[..., object]] = {
        "write": lambda pieces: program.write(fd, *pieces),
        "pwrite": lambda offset, data: program.pwrite(fd, offset, data),
        "read": lambda size: program.read(fd, size),
        "pread": lambda offset, size: program.pread(fd, offset, size),
        "seek": lambda offset, whence: program.seek(fd, offset, whence),
        "size": lambda size: program.do("fd_filestat_set_size", fd, size),
        "allocate": lambda offset, size: program.do("fd_allocate", fd, offset, size),
        "flags": lambda flags: program.do("fd_fdstat_set_flags", fd, flags),
    }
    try:
        return calls[operation[0]](*operation[1:])
    except Refused as error:
        return error.errno


@settings(max_examples=60, deadline=None)
@given(
    operations=st.lists(FILE_OPERATIONS, min_size=3, max_size=30),
    flags=st.sampled_from([0, APPEND]),
    rights=st.sampled_from([FILE_RIGHTS, READ | 4, WRITE | 4]),
)
def test_open_files_in_memory_and_the_hosts_answer_alike(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[Any, ...]], flags: int, rights: int
) -> None:
    root = tmp_path_factory.mktemp("root")
    with (
        Program(Wasi(preopens={"/": root})) as host,
        Program(Wasi(preopens={"/": MemoryFS()})) as memory,
    ):
        fds = [each.open("f", oflags=CREAT, rights=rights, fdflags=flags) for each in (host, memory)]
        for operation in operations:
            assert perform_on(memory, fds[1], operation) == perform_on(host, fds[0], operation), operation
        assert memory.slurp("f") == host.slurp("f")


def test_the_hosts_umask_and_modes_are_the_hosts(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with Program(Wasi(preopens={"/": tmp_path})) as program:
            program.spill("file")
            program.mkdir("dir")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "dir").stat().st_mode) == 0o750
    assert time.time() - (tmp_path / "file").stat().st_mtime < 60
