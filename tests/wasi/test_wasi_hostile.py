"""A guest that passes anything anywhere: every call ends with an errno, an exit or a fault, and nothing is touched."""

from __future__ import annotations

import io
import os
import random
import struct
from pathlib import Path

import pytest
from wasi_guest import NONBLOCK, SIGNATURES, Program, refused

import hostmod
from hostmod.wasi import Errno, File, ManualClock, MemoryFS, Mounts, ReadOnly, Wasi
from hostmod.wasi.fs import memfs
from hostmod.wasi.fs.mounts import Tree

CALLS = 1500

NARROW = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    24,
    48,
    100,
    4096,
    65536,
    262143,
    262144,
    2**31 - 1,
    2**31,
    2**32 - 8,
    2**32 - 1,
]
WIDE = [*NARROW, 2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
"""Numbers at which something begins, ends or turns over."""

PATHS = [
    b"a",
    b"b",
    b"dir",
    b"dir/x",
    b"link",
    b"out",
    b"loop",
    b"..",
    b".",
    b"/",
    b"",
    b"a/",
    b"link/x",
    b"out/x",
]
PATHS += [b"\xff", b"a\0b", b"x" * 300, b"fifo", b"dir/../a", b"dir//x/."]

IOVS, FIRST_PATH, SECOND_PATH = 7000, 5000, 6000


def planted(root: Path) -> Path:
    """A directory with what a guest may stumble over."""
    (root / "dir").mkdir(parents=True)
    (root / "a").write_bytes(b"hello" * 100)
    (root / "link").symlink_to("a")
    (root / "loop").symlink_to("loop")
    (root / "out").symlink_to("../outside")
    os.mkfifo(root / "fifo")
    return root


def arguments(name: str, rng: random.Random) -> list[int]:
    """Arguments for a call: now and then wild, mostly such that it gets somewhere."""
    found = [rng.choice(WIDE if each == "P" else NARROW) for each in SIGNATURES[name]]
    if rng.random() < 0.1 or not found:
        return found
    if name.startswith("path_"):
        # Every i32 pair of them that could be a path is one; the rest stays as wild as it is.
        at = (
            0
            if name == "path_symlink"
            else 2
            if name in ("path_link", "path_open") or "filestat" in name
            else 1
        )
        found[0] = rng.choice((3, 4, 5, 6))
        found[at : at + 2] = FIRST_PATH, rng.choice((1, 3, 5, 8))
        if name in ("path_link", "path_rename", "path_symlink"):
            at = {"path_link": 4, "path_rename": 3, "path_symlink": 2}[name]
            found[at : at + 3] = rng.choice((3, 4, 5)), SECOND_PATH, rng.choice((1, 3, 5))
    elif name.startswith("fd_"):
        found[0] = rng.randrange(9)
    if name in ("fd_read", "fd_write", "fd_pread", "fd_pwrite"):
        found[1:3] = IOVS, rng.randrange(4)
    if name == "fd_fdstat_set_flags":
        found[1] |= NONBLOCK
    return found


def bounded(name: str, found: list[int]) -> list[int]:
    """Keep it from filling the host's disk, which is not what is tested."""
    if name in ("fd_filestat_set_size", "fd_allocate", "fd_pwrite", "fd_seek"):
        return [each if each < 2**17 or each > 2**62 else each % 2**17 for each in found]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["the host's files", "files in memory", "mounted"])
def test_any_call_with_anything_is_answered(tmp_path: Path, kind: str, seed: int) -> None:
    rng = random.Random(f"{kind} {seed}")
    root = planted(tmp_path / "root")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"not for guests")
    tree: Tree = root
    if kind == "files in memory":
        tree = MemoryFS.copy_of(root, max_bytes=1 << 20)
    elif kind == "mounted":
        tree = Mounts({"/": root, "/m": MemoryFS(max_bytes=1 << 20), "/ro": ReadOnly(tmp_path / "outside")})
    wasi = Wasi(
        args=["prog"],
        env={"A": "1"},
        stdin=b"input" * 100,
        stdout=io.BytesIO(),
        preopens={"/": tree, "/ro": ReadOnly(tmp_path / "outside"), "/m": MemoryFS(max_bytes=1 << 18)},
        clock=ManualClock(10**18, step=1000),
        random=rng,
    )
    kept = {"fd_close", "fd_renumber", "fd_fdstat_set_rights"}
    with Program(wasi) as program:
        for _ in range(CALLS):
            program.memory.write(FIRST_PATH, rng.choice(PATHS))
            program.memory.write(SECOND_PATH, rng.choice(PATHS))
            places = (
                rng.choice((8000, 100, 262140, 2**32 - 4)),
                rng.choice((0, 1, 100, 2**32 - 1)),
                9000,
                10,
            )
            program.memory.write(IOVS, struct.pack("<4I", *places))
            name = rng.choice(list(SIGNATURES))
            given = bounded(name, arguments(name, rng))
            if name in kept and given[0] < 6 and rng.random() < 0.95:
                continue  # there is to be something left to work on
            if name == "poll_oneoff":
                given[0] = 1000  # a timeout, and then whatever lies there
                program.memory.write(1000, struct.pack("<QB7xI4xQQH6x", 1, 0, 0, 1, 0, 0))
            try:
                result = program.guest.exports[name](*given)
            except (hostmod.SegmentationFault, hostmod.Exit):
                continue
            Errno(result)
    assert (tmp_path / "outside" / "x").read_bytes() == b"not for guests"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "root"]
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["x"]


def test_a_file_does_not_become_writable_by_a_name_in_another_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"as it was")
    (tmp_path / "dir").mkdir()
    with Program(Wasi(preopens={"/ro": ReadOnly(tmp_path), "/rw": tmp_path / "dir"})) as program:
        with refused("ROFS"):
            program.link("file", "mine", fd=3, new_fd=4)
        with refused("ROFS"):
            program.rename("file", "mine", fd=3, new_fd=4)
        program.spill("mine", b"x", fd=4)
        with refused("ROFS"):
            program.rename("mine", "file", fd=4, new_fd=3)
        with refused("ROFS"):
            program.link("mine", "other", fd=4, new_fd=3)
    assert (tmp_path / "file").read_bytes() == b"as it was"


def test_a_file_has_so_many_names_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memfs, "MAX_NAMES", 3)
    with Program(Wasi(preopens={"/": MemoryFS({"a": b"1"})})) as program:
        program.link("a", "b")
        program.link("a", "c")
        with refused("MLINK"):
            program.link("a", "d")
        program.unlink("b")
        program.link("a", "d")


class Broken(File):
    """Fails without saying why."""

    def read(self, size: int) -> bytes:
        raise OSError("it is broken")


def test_an_error_of_the_hosts_without_a_number_is_io() -> None:
    with Program(Wasi(stdin=Broken())) as program, refused("IO"):
        program.read(0, 10)
