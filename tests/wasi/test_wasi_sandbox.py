"""Nothing outside a preopened directory: not by paths, links, races, special files, or what the host plants."""

# ruff: noqa: PTH104, PTH208  # races are run with what is fastest, and names are compared, no paths

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wasi_guest import ATIM, CREAT, DIRECTORY, EXCL, MTIM, READ, TRUNC, WRITE, Program, Refused, refused

from hostmod.wasi import FileType, MemoryFS, Wasi, WasiError
from hostmod.wasi.fs import posix
from hostmod.wasi.sandbox import MAX_HELD, Walk

SECRET = b"not for guests"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that no guest may see, with a file and a directory in it."""
    outside = tmp_path / "outside"
    (outside / "dir").mkdir(parents=True)
    (outside / "secret").write_bytes(SECRET)
    return outside


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    """A directory for the guest, in which links out of it were planted."""
    root = tmp_path / "root"
    (root / "inside" / "deeper").mkdir(parents=True)
    (root / "inside" / "file").write_bytes(b"inside")
    directories: dict[str, str | Path] = {
        "absolute": outside,
        "relative": "../outside",
        "winding": "inside/deeper/../../../outside",
        "chained": "relative",
        "up": "..",
        "filesystem": "/",
        "process": "/proc/self/root",
    }
    files: dict[str, str | Path] = {
        "absolute-file": outside / "secret",
        "relative-file": "../outside/secret",
        "winding-file": "inside/../../outside/secret",
        "chained-file": "relative-file",
        "missing-file": "../outside/new",
        "descriptor": "/proc/self/fd/0",
    }
    for name, target in (directories | files).items():
        (root / name).symlink_to(target)
    return root


@pytest.fixture
def guest(root: Path, outside: Path) -> Iterator[Program]:
    """A guest in `root`; when it is done, `outside` is as it was and no descriptor of the host's was left open."""
    descriptors = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    before = snapshot(outside)
    with Program(Wasi(preopens={"/": root})) as program:
        yield program
    assert snapshot(outside) == before
    if descriptors is not None:
        assert len(os.listdir("/proc/self/fd")) == descriptors


def snapshot(directory: Path) -> list[tuple[str, int, int, int, bytes]]:
    """Everything that a guest could have changed."""
    found = []
    for path in sorted(directory.rglob("*")):
        each = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(each.st_mode) else b""
        found.append((str(path), each.st_ino, each.st_mtime_ns, each.st_nlink, data))
    return found


# Every function that takes a path, as a call with that path.
CALLS: dict[str, Callable[[Program, str | bytes], object]] = {
    "path_create_directory": lambda guest, path: guest.mkdir(path),
    "path_filestat_get": lambda guest, path: guest.stat(path),
    "path_filestat_get, following": lambda guest, path: guest.stat(path, follow=True),
    "path_filestat_set_times": lambda guest, path: guest.set_times(path, 1, 1, ATIM | MTIM),
    "path_filestat_set_times, following": lambda guest, path: guest.set_times(path, 1, 1, MTIM, follow=True),
    "path_link from": lambda guest, path: guest.link(path, "stolen"),
    "path_link to": lambda guest, path: guest.link("inside/file", path),
    "path_open": lambda guest, path: guest.open(path, rights=READ),
    "path_open, following": lambda guest, path: guest.open(path, rights=READ, follow=True),
    "path_open, creating": lambda guest, path: guest.open(path, oflags=CREAT, follow=True),
    "path_open, creating anew": lambda guest, path: guest.open(path, oflags=CREAT | EXCL),
    "path_open, truncating": lambda guest, path: guest.open(path, oflags=TRUNC, follow=True),
    "path_open, a directory": lambda guest, path: guest.open_directory(path, follow=True),
    "path_readlink": lambda guest, path: guest.readlink(path),
    "path_remove_directory": lambda guest, path: guest.rmdir(path),
    "path_rename from": lambda guest, path: guest.rename(path, "stolen"),
    "path_rename to": lambda guest, path: guest.rename("inside/file", path),
    "path_symlink": lambda guest, path: guest.symlink("x", path),
    "path_unlink_file": lambda guest, path: guest.unlink(path),
}

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())

OUT = {
    "a link with an absolute path": "absolute/{}",
    "a link with a relative path": "relative/{}",
    "a link through directories inside": "winding/{}",
    "a link to a link": "chained/{}",
    "a link to the directory above": "up/outside/{}",
    "a link further inside": "inside/../relative/{}",
    "two dots": "../outside/{}",
    "two dots behind a directory": "inside/../../outside/{}",
    "two dots behind a link": "up/../outside/{}",
    "an absolute path": "/{}",
    "a link to the whole filesystem": "filesystem/etc/{}",
    "a link of the kernel's": "process/etc/{}",
}


@every_call
@pytest.mark.parametrize("way", OUT.values(), ids=OUT.keys())
@pytest.mark.parametrize("name", ["secret", "dir", "new"])
def test_no_call_gets_out_through(
    guest: Program, way: str, name: str, call: Callable[[Program, str | bytes], object]
) -> None:
    with refused("NOTCAPABLE"):
        call(guest, way.format(name))
    assert guest.names(3) == sorted(os.listdir(_root(guest)))


def _root(guest: Program) -> str:
    directory = guest.wasi._open[3].directory
    assert isinstance(directory, posix.PosixDirectory)
    return f"/proc/self/fd/{directory.fd}" if Path("/proc/self/fd").exists() else "."


FOLLOWING = [name for name in CALLS if "following" in name or name == "path_open, truncating"]


@pytest.mark.parametrize(
    "link", ["absolute-file", "relative-file", "winding-file", "chained-file", "descriptor"]
)
@pytest.mark.parametrize("name", FOLLOWING)
def test_no_call_follows_a_planted_link_at_the_end(guest: Program, link: str, name: str) -> None:
    with refused("NOTCAPABLE"):
        CALLS[name](guest, link)


@pytest.mark.parametrize(
    "link", ["absolute", "relative", "winding", "chained", "up", "filesystem", "process"]
)
def test_no_directory_is_opened_through_a_planted_link(guest: Program, link: str) -> None:
    for path in (link, f"{link}/", f"{link}/."):
        with refused("NOTCAPABLE"):
            guest.open_directory(path, follow=True)
    with refused("NOTDIR", "LOOP"):
        guest.open_directory(link)
    with refused("NOTCAPABLE"):
        guest.open_directory(f"{link}/")


def test_nothing_is_created_where_a_planted_link_leads(guest: Program, outside: Path) -> None:
    with refused("NOTCAPABLE"):
        guest.open("missing-file", oflags=CREAT, follow=True)
    with refused("LOOP"):
        guest.open("missing-file", oflags=CREAT)
    with refused("EXIST"):
        guest.open("missing-file", oflags=CREAT | EXCL)
    with refused("EXIST"):
        guest.mkdir("missing-file")
    with refused("EXIST"):
        guest.symlink("x", "missing-file")
    with refused("EXIST"):
        guest.link("inside/file", "missing-file")
    with refused("NOTCAPABLE"):
        guest.mkdir("missing-file/new")
    assert not (outside / "new").exists()


def test_what_is_done_to_a_planted_link_is_done_to_the_link(
    guest: Program, root: Path, outside: Path
) -> None:
    assert guest.readlink("relative-file") == b"../outside/secret"
    assert guest.stat("relative-file").filetype == FileType.SYMBOLIC_LINK
    guest.set_times("relative-file", 1, 2, MTIM)
    guest.link("relative-file", "second")
    guest.rename("second", "third")
    assert (root / "third").is_symlink()
    guest.rename("inside/file", "third")
    assert (root / "third").read_bytes() == b"inside"
    guest.unlink("relative-file")
    guest.unlink("absolute")
    assert (outside / "secret").read_bytes() == SECRET


def test_a_guests_own_links_lead_nowhere_it_could_not_go(guest: Program) -> None:
    for target in ("/", "/etc/passwd", "//x"):
        with refused("NOTCAPABLE"):
            guest.symlink(target, "mine")
    for number, target in enumerate(("..", "../outside", "inside/../../outside/secret", "relative/secret")):
        guest.symlink(target, f"mine-{number}")
        for path in (f"mine-{number}", f"mine-{number}/", f"mine-{number}/secret"):
            with refused("NOTCAPABLE"):
                guest.open(path, follow=True, rights=READ)
            with refused("NOTCAPABLE"):
                guest.stat(path, follow=True)
    guest.symlink("../deeper/../file", "inside/deeper/fine")
    assert guest.read(guest.open("inside/deeper/fine", follow=True), 9) == b"inside"


def test_a_directory_that_was_opened_is_the_top_of_its_own_paths(guest: Program) -> None:
    fd = guest.open_directory("inside/deeper")
    for path in ("..", "../file", "./../..", "../../outside/secret"):
        with refused("NOTCAPABLE"):
            guest.stat(path, fd=fd)
    guest.symlink("../file", "inside/deeper/link")
    with refused("NOTCAPABLE"):
        guest.open("link", fd=fd, follow=True)
    assert guest.read(guest.open("inside/deeper/link", follow=True), 9) == b"inside"


@every_call
def test_a_nul_in_a_path_is_inval(guest: Program, call: Callable[[Program, str | bytes], object]) -> None:
    for path in (b"inside/file\0", b"\0", b"inside\0/file", b"inside/\0file"):
        with refused("INVAL"):
            call(guest, path)


@every_call
def test_a_path_that_is_no_utf8_is_ilseq(
    guest: Program, root: Path, call: Callable[[Program, str | bytes], object]
) -> None:
    (root / os.fsdecode(b"\xff")).write_bytes(b"x")
    for path in (b"\xff", b"inside/\xc3", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae/outside/secret"):
        with refused("ILSEQ"):
            call(guest, path)


def test_a_link_target_that_is_no_utf8_is_ilseq(guest: Program) -> None:
    with refused("ILSEQ"):
        guest.symlink(b"\xff", "new")


def test_planted_names_and_targets_that_are_no_utf8_do_no_harm(guest: Program, root: Path) -> None:
    try:
        (root / os.fsdecode(b"na\xffme")).write_bytes(b"x")
    except OSError:
        pytest.skip("this host's names are UTF-8")
    (root / "link").symlink_to(os.fsdecode(b"tar\xffget"))
    assert not any("me" in name and "na" in name for name in guest.names(3))
    assert guest.readlink("link") == b"tar\xffget"
    with refused("NOENT", "ILSEQ"):
        guest.open("link", follow=True)
    with refused("NOENT", "ILSEQ"):
        guest.stat("link/x")


@every_call
def test_a_path_that_is_too_long_is_nametoolong(
    guest: Program, call: Callable[[Program, str | bytes], object]
) -> None:
    for path in ("x/" * 2048 + "x", "x" * 4097, "é" * 2049):
        with refused("NAMETOOLONG"):
            call(guest, path)


def test_a_path_of_the_longest_length_is_walked(guest: Program) -> None:
    assert guest.stat("./" * 2047 + "up").filetype == FileType.SYMBOLIC_LINK
    with refused("NOENT"):
        guest.stat("inside/../" * 400 + "gone")


# --------------------------------------------------------------------------------------------------------- deep trees


@pytest.fixture
def deep(root: Path) -> str:
    """A path 200 directories deep, that ends in a slash."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    return "d/" * 200


def test_deep_trees_are_walked_with_few_descriptors(
    guest: Program, deep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    enter = posix.PosixDirectory.enter

    def counted(self: posix.PosixDirectory, name: str) -> object:
        nonlocal most
        found = enter(self, name)
        most = max(most, len(os.listdir("/dev/fd")))
        return found

    before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr(posix.PosixDirectory, "enter", counted)
    monkeypatch.setattr(posix, "_open_beneath", lambda fd, names: -1)
    assert guest.stat(deep + "bottom").filetype == FileType.REGULAR_FILE
    assert guest.stat(deep + "../" * 200 + "inside/file").size == 6
    assert guest.stat(deep + "../" * 199 + "d/" * 199 + "bottom").size == 0
    with refused("NOTCAPABLE"):
        guest.stat(deep + "../" * 201 + "outside")
    assert most - before <= MAX_HELD + 2


def test_the_kernels_own_resolution_finds_the_same(
    guest: Program, deep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [
        deep + "bottom",
        deep,
        "inside/deeper/../file",
        "inside/deeper/gone",
        "inside/file/x/y",
        "relative/dir/x",
        "absolute/dir/x/y",
        "inside/deeper/../../up/outside/x/y",
        "gone/gone/gone",
        "d/d/d/d",
    ]

    def outcomes() -> list[object]:
        found: list[object] = []
        for path in paths:
            try:
                found.append(guest.stat(path).ino)
            except Refused as error:
                found.append(error.errno)
        return found

    by_the_kernel = outcomes()
    monkeypatch.setattr(posix, "_open_beneath", lambda fd, names: -1)
    assert outcomes() == by_the_kernel


# -------------------------------------------------------------------------------------------------------------- races


def _swapping(root: Path, replacement: Path) -> tuple[threading.Thread, threading.Event]:
    """Swap the directory ``swap`` with a link out of the tree, as fast as it goes."""
    stop = threading.Event()
    honest, link = root / "honest", root / "link"
    (root / "swap").mkdir()
    (root / "swap" / "secret").write_bytes(b"inside")
    link.symlink_to(replacement)

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "swap", honest)
            os.rename(link, root / "swap")
            os.rename(root / "swap", link)
            os.rename(honest, root / "swap")

    thread = threading.Thread(target=swap)
    thread.start()
    return thread, stop


def test_a_directory_that_turns_into_a_link_while_it_is_walked_is_not_followed(
    root: Path, outside: Path
) -> None:
    before = snapshot(outside)
    with Program(Wasi(preopens={"/": root})) as guest:
        thread, stop = _swapping(root, outside)
        seen: set[object] = set()
        refusals: set[str] = set()
        try:
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                for call in (
                    lambda: guest.slurp("swap/secret"),
                    lambda: guest.slurp("swap/../swap/./secret"),
                    lambda: guest.stat("swap/secret").size,
                    lambda: guest.spill("swap/new", b"mine"),
                    lambda: guest.unlink("swap/new"),
                ):
                    try:
                        seen.add(call())
                    except Refused as error:
                        refusals.add(error.errno.name)
        finally:
            stop.set()
            thread.join()
    assert seen & {b"inside", len(b"inside")}, "the directory was never found"
    assert refusals <= {"NOENT", "NOTCAPABLE", "LOOP", "NOTDIR", "INVAL"}
    assert SECRET not in seen
    assert len(SECRET) not in seen
    assert snapshot(outside) == before


def test_a_file_that_turns_into_a_link_or_a_fifo_is_not_opened(root: Path, outside: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "file").write_bytes(b"inside")
    (root / "link").symlink_to(outside / "secret")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for other in ("link", "fifo"):
                os.rename(root / "file", root / "kept")
                os.rename(root / other, root / "file")
                os.rename(root / "file", root / other)
                os.rename(root / "kept", root / "file")

    thread = threading.Thread(target=swap)
    with Program(Wasi(preopens={"/": root})) as guest:
        thread.start()
        seen: set[object] = set()
        try:
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                try:
                    seen.add(guest.slurp("file"))
                    guest.close(guest.open("file", rights=WRITE))
                except Refused as error:
                    seen.add(error.errno.name)
        finally:
            stop.set()
            thread.join()
    assert b"inside" in seen
    assert seen <= {b"inside", "NOENT", "LOOP", "ACCES", "NXIO"}, seen


def test_a_directory_that_is_moved_out_while_it_is_open_does_not_let_the_guest_follow(
    guest: Program, root: Path, tmp_path: Path
) -> None:
    fd = guest.open_directory("inside/deeper")
    os.rename(root / "inside" / "deeper", tmp_path / "moved")
    for path in ("..", "../outside", "x/../../outside/secret"):
        with refused("NOTCAPABLE", "NOENT"):
            guest.stat(path, fd=fd)


# ------------------------------------------------------------------------------------------------------ special files


def test_fifos_sockets_and_devices_neither_block_nor_open(guest: Program, root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(root)  # the name of a socket may not be long
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        special = ["fifo", "socket"]
        try:
            os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            special.append("zero")
        except OSError:
            pass  # making a device takes privileges
        for name in special:
            for rights in (0, READ, WRITE, READ | WRITE):
                with refused("ACCES", "NXIO"):
                    guest.open(name, rights=rights)
            with refused("ACCES", "NXIO"):
                guest.open(name, oflags=CREAT)
            with refused("ACCES", "NXIO"):
                guest.open(name, oflags=TRUNC)
            with refused("NOTDIR"):
                guest.open(name, oflags=DIRECTORY)
            with refused("NOTDIR"):
                guest.stat(f"{name}/x")
            assert guest.stat(name).filetype in (
                FileType.UNKNOWN,
                FileType.SOCKET_STREAM,
                FileType.CHARACTER_DEVICE,
            )
        found = {each.name: each.filetype for each in guest.readdir(3)}
        assert found["fifo"] == FileType.UNKNOWN
        assert found["socket"] == FileType.SOCKET_STREAM
        for name in special:
            guest.rename(name, f"{name}-2")
            guest.unlink(f"{name}-2")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it takes Linux's /proc")
def test_the_kernels_links_to_open_files_are_not_followed(outside: Path) -> None:
    with (outside / "secret").open("rb") as held, Program(Wasi(preopens={"/proc": "/proc"})) as guest:
        fd = held.fileno()
        for path in (f"self/fd/{fd}", f"{os.getpid()}/fd/{fd}", "self/cwd", "self/root", "self/exe"):
            with refused("NOTCAPABLE"):
                guest.open(path, follow=True, rights=READ)
            with refused("NOTCAPABLE"):
                guest.stat(path, follow=True)
        for path in ("self/root/etc", "self/cwd/x", f"self/fd/{fd}/x"):
            with refused("NOTCAPABLE"):
                guest.stat(path)
        reader, writer = os.pipe()
        try:
            with refused("NOENT"):
                guest.open(f"self/fd/{reader}", follow=True, rights=READ)
        finally:
            os.close(reader)
            os.close(writer)


# -------------------------------------------------------------------------------------------- between two directories


def test_files_move_between_directories_that_the_guest_has_and_no_further(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x")
    (tmp_path / "c").write_bytes(b"c")
    fs = MemoryFS({"memory": b"m"})
    with Program(Wasi(preopens={"/a": tmp_path / "a", "/b": tmp_path / "b", "/m": fs})) as guest:
        a, b, m = 3, 4, 5
        guest.link("file", "linked", fd=a, new_fd=b)
        guest.rename("file", "moved", fd=a, new_fd=b)
        assert sorted(os.listdir(tmp_path / "b")) == ["linked", "moved"]
        for old, new, fd, new_fd, errno in (
            ("moved", "x", b, m, "XDEV"),
            ("memory", "x", m, b, "XDEV"),
            ("../c", "x", a, b, "NOTCAPABLE"),
            ("moved", "../x", b, a, "NOTCAPABLE"),
            ("moved", "../a/x", b, b, "NOTCAPABLE"),
        ):
            with refused(errno):
                guest.rename(old, new, fd=fd, new_fd=new_fd)
            with refused(errno):
                guest.link(old, new, fd=fd, new_fd=new_fd)
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]
    assert list(fs) == ["memory"]


def test_descriptors_are_not_inherited_by_programs_that_the_host_starts(root: Path) -> None:
    with Program(Wasi(preopens={"/": root})) as guest:
        guest.open("inside/file")
        guest.open_directory("inside")
        for each in guest.wasi._open.values():
            held = each.directory or each.file
            if isinstance(held, posix.PosixDirectory | posix.PosixFile):
                assert not os.get_inheritable(held.fd)


def test_a_walk_that_fails_has_closed_what_it_opened(root: Path) -> None:
    directory = posix.HostDirectory(root).root()
    before = len(os.listdir("/dev/fd"))
    for path in ("inside/deeper/gone/x", "inside/../../x", "inside/file/x", "relative/x", "inside/deeper/\0"):
        with pytest.raises((WasiError, OSError)):
            Walk(directory, path)
    assert len(os.listdir("/dev/fd")) == before
    directory.close()


def test_a_preopened_directory_that_is_missing_is_said_where_it_is_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        Wasi(preopens={"/": tmp_path / "gone"})
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        Wasi(preopens={"/": tmp_path / "file"})
    with pytest.raises(TypeError, match="expected a directory's path, a MemoryFS"):
        Wasi(preopens={"/": 3})  # type: ignore[dict-item]  # on purpose
