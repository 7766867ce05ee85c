"""WASI preview 1: directories, moving and linking"""

from __future__ import annotations

import itertools

from wasi_guest import (
    CREAT,
    EXCL,
    Program,
    refused,
)

from hostmod.wasi import FileType


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
